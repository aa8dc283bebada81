"""What ``csql metrics`` prints: every metric of a company, and what the leak check found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from csql_ml.metrics.dictionary import entries
from csql_ml.printing import Printed, titled_table

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.leak_check import LeakReport

#: Columns of the terminal's table; ``--json`` and ``python -m csql_ml.metrics.dictionary -c CFG`` have them all.
_SHOWN = ("metric", "dir.", "threshold", "gate", "score", "from")


def metrics(config: Config) -> Printed:
    """The data dictionary of a company, its own metrics at the end; one table per family.

    Raises
    ------
    ConfigError
        A definition of the company's own cannot be read or is not sound.
    """
    found = {family: [_plain(entry) for entry in rows] for family, rows in entries(config).items()}
    text: list[Any] = []
    for family, rows in found.items():
        text += [_table(family, rows), ""]
    count, own = sum(map(len, found.values())), len(found.get("own", ()))
    text.append(f"{count} metrics, {own} of your own; every column: python -m csql_ml.metrics.dictionary -c CFG")
    return Printed(text, {"metrics": [{"family": family, **row} for family, rows in found.items() for row in rows]})


def _plain(entry: Mapping[str, str]) -> dict[str, str]:
    return {key: value.replace("`", "") for key, value in entry.items()}


def _table(family: str, rows: list[dict[str, str]]) -> Table:
    labels = (row["what it measures"].partition(": ")[0] for row in rows)
    shown = [(row["metric"], label, *(row[c] for c in _SHOWN[1:])) for row, label in zip(rows, labels, strict=True)]
    return titled_table(family, "metric", "what it is", *_SHOWN[1:], rows=shown, left=None)


def leaks(report: LeakReport) -> Printed:
    """Result of ``csql metrics --check-leaks``."""
    text = [f"{escape(finding.of)}: {escape(finding.message)}" for finding in report.findings]
    text += [
        f"{escape(name)}: nothing in {report.companies} random companies changes it, so nothing was shown; "
        "are its signals mapped?"
        for name in report.silent
    ]
    text += [f"{escape(name)}: no leak found in {report.companies} random companies" for name in report.passed]
    data = {
        "metrics": list(report.metrics),
        "findings": [{"of": f.of, "message": f.message} for f in report.findings],
        "passed": list(report.passed),
        "silent": list(report.silent),
        "companies": report.companies,
        "sound": report.sound,
    }
    return Printed(text, data)
