"""What can be used is documented, and what is documented is there."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpydoc.docscrape import NumpyDocString
from typer.main import get_command

from csql_ml import errors
from csql_ml.cli import app
from csql_ml.metrics import registry

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "csql_ml"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# commands, metrics, errors


def commands(group: Any, prefix: str = "csql") -> Iterator[str]:
    """Every command of a Click group and of the groups inside it, as a user types it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix} {name}")
        elif not command.hidden:
            yield f"{prefix} {name}"


def test_every_command_stands_in_the_readme():
    found = list(commands(get_command(app)))
    assert "csql demo" in found
    text = page("README.md")
    missing = [name for name in found if not re.search(rf"\b{name}\b", text)]
    assert missing == [], "commands that README.md does not name"


def test_every_metric_stands_in_the_data_dictionary():
    text = page("docs/metrics.md")
    missing = [name for name in registry() if f"`{name}`" not in text]
    assert len(registry()) > 10
    assert missing == [], "run python -m csql_ml.metrics.dictionary docs/metrics.md"


def exceptions() -> dict[str, type[errors.CsqlError]]:
    return {n: c for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, errors.CsqlError)}


def test_errors_are_listed_with_their_exit_codes():
    table = dict(re.findall(r"^(\w+Error) +(\d+) +\S", errors.__doc__ or "", flags=re.MULTILINE))
    assert table == {name: str(kind.exit_code) for name, kind in exceptions().items()}


def test_exit_codes_are_the_three_that_are_promised():
    assert {kind.exit_code for kind in exceptions().values()} == {1, 2}


# links


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Relative links of a page outside code blocks, as (file, anchor)."""
    text = re.sub(r"^(```|~~~).*?^\1", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ +(.+?) *#*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_relative_links_resolve():
    broken = []
    for path in PAGES:
        for file, anchor in links(path):
            target = (path.parent / file).resolve() if file else path
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                broken.append(f"{path.relative_to(ROOT)}: {file}{'#' * bool(anchor)}{anchor}")
    assert PAGES
    assert broken == []


def test_files_named_in_pages_exist():
    """`docs/x.md` in back quotes is a promise as well."""
    named = re.compile(r"`((?:docs|configs|notebooks|benchmarks|tests)/[\w./-]+\.\w+)`")
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in PAGES
        for name in named.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


# docstrings


def public_objects() -> Iterator[tuple[str, Any]]:
    """Public functions, classes and methods of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        # One is the command itself; the other is run by MLflow, which warns about it when imported by anybody else.
        if path.name in ("__main__.py", "served_bundle.py"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "pyspark":  # an extra that not every checkout has
                raise
            continue
        for key, value in vars(module).items():
            if key.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{name}.{key}", value
            if inspect.isclass(value):
                members = {k: v for k, v in vars(value).items() if inspect.isfunction(v) and not k.startswith("_")}
                yield from ((f"{name}.{key}.{k}", v) for k, v in members.items())


def taken(thing: Any) -> set[str]:
    """The names that a Parameters section may list: what the callable takes, or a class declares."""
    names = set(inspect.signature(thing).parameters)
    if inspect.isclass(thing):
        names |= {name for base in thing.__mro__ for name in inspect.get_annotations(base)}
    return names


def test_docstrings_list_only_parameters_there_are():
    wrong = []
    for name, thing in public_objects():
        if not thing.__doc__ or issubclass(thing if inspect.isclass(thing) else object, Exception):
            continue
        sections = NumpyDocString(inspect.cleandoc(thing.__doc__))
        listed = {part.strip(" *") for entry in sections["Parameters"] for part in entry.name.split(",")}
        if extra := listed - taken(thing):
            wrong.append(f"{name}: {', '.join(sorted(extra))}")
    assert wrong == []
