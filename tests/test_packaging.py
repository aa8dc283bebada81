"""The repository's outer shell: lock file, declared dependencies, light imports, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import csql_ml

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
HEAVY = ("duckdb", "ibis", "lightgbm", "matplotlib", "mlflow", "pandas", "pyarrow", "scipy", "sklearn")

MACHINE = re.compile(
    # Written in pieces so that this file does not find itself.
    "|".join(
        ["/wor" + r"k/(main|shared|steering|\.)", "/roo" + "t/", "/hom" + r"e/\w", "/User" + r"s/\w", "/tm" + "p/w/"]
    )
)
REGISTRY = re.compile("|".join(["pythonhosted" + r"\.org", r"pypi\." + r"org/simple", r"registry\." + r"npmjs"]))


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def runtime() -> list[Requirement]:
    return [Requirement(text) for text in project()["dependencies"]]


def declared() -> list[Requirement]:
    extras = [text for group in project()["optional-dependencies"].values() for text in group]
    return [*runtime(), *(Requirement(text) for text in extras)]


#: Lock files that are installed into one environment; requirements-tryton.lock is of a server beside it.
OURS = ("requirements.lock", "requirements-spark.lock")


@cache
def lock_text(names: tuple[str, ...] = OURS) -> str:
    return "".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def all_locks() -> tuple[str, ...]:
    return tuple(sorted(path.name for path in ROOT.glob("requirements*.lock")))


@cache
def locked(names: tuple[str, ...] = OURS) -> list[tuple[Requirement, list[str]]]:
    """Requirements of lock files with the hashes under each."""
    entries = re.split(r"\n(?=\S)", lock_text(names).strip())
    pattern = re.compile(r"--hash=(\S+)")
    return [(Requirement(e.split(" \\\n")[0]), pattern.findall(e)) for e in entries]


def applies(requirement: Requirement, python: str) -> bool:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.5"}
    return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""})


def tracked() -> list[Path]:
    """What git has or would take: files of one's own that are not ignored."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    return sorted((ROOT / "csql_ml").rglob("*.py"))


# the lock file


def test_lock_is_names_versions_markers_and_hashes_only():
    line = re.compile(r"([a-z0-9.-]+==[\w.!+]+( ; [^\\#]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)")
    odd = [text for text in lock_text(all_locks()).splitlines() if not line.fullmatch(text)]
    assert not odd, f"a lock file has lines that `make lock` would not write: {odd[:3]}"


def test_every_locked_requirement_has_hashes():
    assert len(locked()) > 50
    bare = [requirement.name for requirement, hashes in locked(all_locks()) if not hashes]
    assert not bare, f"without a hash: {bare}"


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_satisfies_pyproject_once_per_python(python):
    versions: dict[str, list[str]] = {}
    for requirement, _ in locked():
        if applies(requirement, python):
            (only,) = requirement.specifier
            versions.setdefault(canonicalize_name(requirement.name), []).append(only.version)
    assert {n: v for n, v in versions.items() if len(v) > 1} == {}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for requirement in [*declared(), *(Requirement(text) for text in build)]:
        if not applies(requirement, python):
            continue
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{name} of pyproject.toml is not in a lock file; run `make lock`"
        assert requirement.specifier.contains(versions[name][0]), f"{name} {versions[name][0]}; run `make lock`"


# dependencies


def test_every_runtime_dependency_has_its_reason_written_down():
    text = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text(encoding="utf-8")
    run_time = text.split("## Extras")[0]
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", run_time, flags=re.MULTILINE))
    names = {canonicalize_name(r.name) for r in runtime()}
    assert names - set(rows) == set(), "add a row with version, licence and reason"
    assert set(rows) - names == set(), "no longer a dependency: take the row out"


def imported_names() -> dict[str, Path]:
    """Top-level modules that csql_ml imports, with one file that does."""
    found: dict[str, Path] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            found |= {name.split(".")[0]: path for name in names}
    return found


def test_what_is_imported_is_declared():
    owners = packages_distributions()
    names = {canonicalize_name(r.name) for r in declared()}
    undeclared = {
        module: str(path.relative_to(ROOT))
        for module, path in imported_names().items()
        if module not in {*sys.stdlib_module_names, "csql_ml"}
        # Spark is an extra that not every checkout has installed; its module is named like its package.
        and not {canonicalize_name(owner) for owner in owners.get(module, [module])} & names
    }
    assert undeclared == {}


# light imports


@pytest.mark.parametrize("module", ["csql_ml", "csql_ml.errors", "csql_ml.cli"])
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("command", [["-m", "csql_ml"], ["-c", "from csql_ml.cli import main; main()"]])
def test_help_works(command):
    done = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
    assert done.stderr == ""


# what is in the repository


def test_nothing_of_one_machine_is_in_the_repository():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE.search(line) or REGISTRY.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_version_stands_in_one_way():
    assert csql_ml.__version__ == project()["version"]


def test_package_ships_its_types_and_data():
    assert (ROOT / "csql_ml" / "py.typed").exists(), "without it, nobody's type checker reads ours"
    data = {p for p in (ROOT / "csql_ml").rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc"}}
    ignored = data - set(tracked())
    assert ignored == set(), "git ignores files that the package needs"


def test_files_and_functions_stay_readable():
    """At most 450 lines a file and 60 a function; a name says what a file holds."""
    found = []
    for path in modules():
        text = path.read_text(encoding="utf-8")
        where = path.relative_to(ROOT)
        if path.stem in {"utils", "util", "helpers", "misc", "common", "manager", "processor"}:
            found.append(f"{where}: a name that says nothing")
        if (lines := len(text.splitlines())) > 450:
            found.append(f"{where}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    found.append(f"{where}:{node.lineno}: {node.name} has {length} lines")
    assert found == []
