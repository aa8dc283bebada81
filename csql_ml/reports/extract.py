"""Collect every message into ``locale/csql.pot`` and bring each language up to date.

``python -m csql_ml.reports.extract`` writes the template, then adds new messages to every ``.po`` file (empty, until
somebody translates them), keeps the translations there are and drops messages nothing says any more. Messages come
from the code and templates of this folder, from what a push finds in a CRM (`csql_ml.handoff.note`) and from the
metric registry (labels and sentences). A sentence with a
counted value is a plural message, so that a language (English too) can give each number its form.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from csql_ml.metrics import registry
from csql_ml.metrics.definition import Metric
from csql_ml.reports.catalogue import DOMAIN, LOCALE_FOLDER, SOURCE_LANGUAGE, catalogue_file, languages

_FOLDER = Path(__file__).parent
#: Functions whose first strings are a message, and how many strings that takes.
_KEYWORDS = {"gettext": 1, "N_": 1, "_": 1, "ngettext": 2, "Note": 1}
_HANDOFF = _FOLDER.parent / "handoff"
_COUNTED = ("count", "days", "months")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_HEADER = "# Messages of the reports; written by: python -m csql_ml.reports.extract (see docs/languages.md)."

Message = str | tuple[str, str]


def page_messages() -> list[tuple[str, Message]]:
    """Messages of the code and templates, each with the file it comes from."""
    found = [(path.name, m) for path in sorted(_FOLDER.glob("*.py")) for m in code_messages(path.read_text("utf-8"))]
    for path in sorted(_FOLDER.glob("templates/*.j2")):
        for _, message, *_ in extract_from_file("jinja2.ext:babel_extract", path, keywords={"_": None}):
            found.append((path.relative_to(_FOLDER).as_posix(), str(message)))
    return found


def push_messages() -> list[tuple[str, Message]]:
    """What a push finds in a CRM, each with the file it comes from."""
    paths = sorted(_HANDOFF.rglob("*.py"))
    return [(p.relative_to(_HANDOFF.parent).as_posix(), m) for p in paths for m in code_messages(p.read_text("utf-8"))]


def code_messages(code: str) -> list[Message]:
    """Messages of Python code, those inside of f-strings too (a tokenizer misses them before Python 3.12)."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    return [m for call in sorted(calls, key=lambda c: (c.lineno, c.col_offset)) if (m := _message(call)) is not None]


def _message(call: ast.Call) -> Message | None:
    """The message a call asks for; None where it is another call, or the message is a variable."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
    wanted = _KEYWORDS.get(str(name), 0)
    given = [a.value for a in call.args[:wanted] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if not wanted or len(given) < wanted:
        return None
    return given[0] if wanted == 1 else (given[0], given[1])


def metric_messages(metrics: Iterable[Metric]) -> list[tuple[str, Message]]:
    """Labels and sentences of the metrics that reports may show."""
    found: list[tuple[str, Message]] = []
    for metric in metrics:
        counted = metric.unit in _COUNTED and "{value}" in metric.sentence
        sentence: Message = (metric.sentence, metric.sentence) if counted else metric.sentence
        found += [(f"metrics/{metric.name}", metric.label), (f"metrics/{metric.name}", sentence)]
    return found


def collected(metrics: Mapping[str, Metric]) -> Catalog:
    """Every message there is, without translations."""
    catalog = Catalog(
        domain=DOMAIN,
        project="csql_ml",
        version="1",
        header_comment=_HEADER,
        msgid_bugs_address="",
        last_translator="",
        language_team="",
        creation_date=_EPOCH,
        revision_date=_EPOCH,
        fuzzy=False,
    )
    for where, message in (*page_messages(), *push_messages(), *metric_messages(metrics.values())):
        catalog.add(message, locations=[(where, 1)])
    return catalog


def template(metrics: Mapping[str, Metric]) -> bytes:
    """The ``.pot`` file; equal messages give equal bytes."""
    return _written(collected(metrics))


def merged(language: str, content: bytes, messages: Catalog) -> bytes:
    """A language's ``.po`` file with exactly the messages given.

    A translation is kept as it is; a new message is empty (never guessed from a similar one); one that nothing says
    any more is dropped. A message that has become a plural keeps its translation marked fuzzy: it is not shown until
    somebody has given both forms.
    """
    catalog = read_po(BytesIO(content), locale=language, domain=DOMAIN)
    catalog.update(messages, no_fuzzy_matching=True)
    for name in ("project", "version", "header_comment", "msgid_bugs_address", "creation_date", "revision_date"):
        setattr(catalog, name, getattr(messages, name))
    catalog.last_translator = catalog.language_team = ""
    catalog.fuzzy = False
    return _written(catalog)


def untranslated(language: str, content: bytes) -> list[str]:
    """Messages of a ``.po`` file that have no finished translation (all of their forms, and not fuzzy)."""
    return [_key(m) for m in read_po(BytesIO(content), locale=language) if m.id and not _finished(m)]


def _finished(entry: Entry) -> bool:
    forms = entry.string if isinstance(entry.string, tuple | list) else (entry.string,)
    return bool(forms) and all(forms) and not entry.fuzzy


def _key(entry: Entry) -> str:
    return str(entry.id[0] if isinstance(entry.id, tuple | list) else entry.id)


def _written(catalog: Catalog) -> bytes:
    file = BytesIO()
    write_po(file, catalog, sort_output=True, include_lineno=False, ignore_obsolete=True, width=120)
    return file.getvalue()


def main() -> None:
    """Write ``locale/csql.pot`` and every language's ``.po`` file; say what is still to be translated."""
    LOCALE_FOLDER.mkdir(exist_ok=True)
    messages = collected(registry())
    path = LOCALE_FOLDER / f"{DOMAIN}.pot"
    path.write_bytes(_written(messages))
    print(f"{path}: {len(messages)} messages")
    for language in languages():
        # English is the source: its file holds nothing but plural forms of metric sentences.
        if language != SOURCE_LANGUAGE:
            catalogue = catalogue_file(language)
            catalogue.write_bytes(merged(language, catalogue.read_bytes(), messages))
            _report(language, untranslated(language, catalogue.read_bytes()))


def _report(language: str, missing: list[str]) -> None:
    print(f"{language}: {len(missing)} to translate" if missing else f"{language}: complete")
    for message in missing:
        print(f"  {message}")


if __name__ == "__main__":
    main()
