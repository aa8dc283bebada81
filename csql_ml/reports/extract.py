"""Collect every message into ``locale/csql.pot``: ``python -m csql_ml.reports.extract``.

Messages come from the code and templates of this folder and from the metric registry (labels and sentences). A
sentence with a counted value is a plural message, so that a language (English too) can give each number its form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import write_po

from csql_ml.metrics import registry
from csql_ml.metrics.definition import Metric
from csql_ml.reports.catalogue import DOMAIN, LOCALE_FOLDER

_FOLDER = Path(__file__).parent
_KEYWORDS: dict[str, tuple[int, ...] | None] = {"gettext": None, "ngettext": (1, 2), "N_": None, "_": None}
_COUNTED = ("count", "days", "months")

Message = str | tuple[str, str]


def page_messages() -> list[tuple[str, Message]]:
    """Messages of the code and templates, each with the file it comes from."""
    found: list[tuple[str, Message]] = []
    for pattern, method in (("*.py", "python"), ("templates/*.j2", "jinja2.ext:babel_extract")):
        for path in sorted(_FOLDER.glob(pattern)):
            for _, message, *_ in extract_from_file(method, path, keywords=_KEYWORDS):
                found.append((path.relative_to(_FOLDER).as_posix(), _message(message)))
    return found


def _message(found: str | tuple[str, ...]) -> Message:
    return found if isinstance(found, str) else (found[0], found[1])


def metric_messages(metrics: Iterable[Metric]) -> list[tuple[str, Message]]:
    """Labels and sentences of the metrics that reports may show."""
    found: list[tuple[str, Message]] = []
    for metric in metrics:
        counted = metric.unit in _COUNTED and "{value}" in metric.sentence
        sentence: Message = (metric.sentence, metric.sentence) if counted else metric.sentence
        found += [(f"metric:{metric.name}", metric.label), (f"metric:{metric.name}", sentence)]
    return found


def template(metrics: Mapping[str, Metric]) -> bytes:
    """The ``.pot`` file; equal messages give equal bytes."""
    catalog = Catalog(
        domain=DOMAIN,
        project="csql_ml",
        version="1",
        creation_date=datetime(2000, 1, 1, tzinfo=UTC),
        revision_date=datetime(2000, 1, 1, tzinfo=UTC),
    )
    for where, message in (*page_messages(), *metric_messages(metrics.values())):
        catalog.add(message, locations=[(where, 1)])
    file = BytesIO()
    write_po(file, catalog, sort_output=True, include_lineno=False, width=120)
    return file.getvalue()


def main() -> None:
    """Write ``locale/csql.pot``."""
    LOCALE_FOLDER.mkdir(exist_ok=True)
    path = LOCALE_FOLDER / f"{DOMAIN}.pot"
    path.write_bytes(template(registry()))
    print(f"{path}: {len(template(registry()).split(b'msgid ')) - 2} messages")


if __name__ == "__main__":
    main()
