"""What ``csql init`` prints: what was found for which contract table, what is missing and what that costs."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.text import Text

from csql_ml.contract.tables import TABLES
from csql_ml.printing import Printed, titled_table

if TYPE_CHECKING:
    from csql_ml.proposing import Proposal
    from csql_ml.proposing.tables import TableProposal

_MOST_METRICS = 4


def proposal(result: Proposal) -> Printed:
    """Result of ``csql init``."""
    rows = [_row(table, result) for table in result.tables]
    remarks = [(t.name, remark) for t in result.tables for remark in t.remarks]
    heads = ("table", "source", "columns", "missing, and what it costs")
    text: list[Any] = [titled_table("Proposed mapping", *heads, rows=rows, left=None)]
    if remarks:
        text += ["", titled_table("To look at", "table", "remark", rows=remarks, left=None)]
    if result.notes:
        text += ["", *map(escape, result.notes)]
    text += ["", "[bold]" + escape(_verdict(result)) + "[/bold]"]
    if result.variable is not None:
        text.append(
            f"put the database's address into the environment variable {result.variable}; the file only names it"
        )
    command = f"csql check -c {shlex.quote(str(result.out))}"
    text += [escape(f"written to {result.out}"), Text(f"next: {command}")]
    return Printed(text, _data(result, command))


def _row(table: TableProposal, result: Proposal) -> tuple[str, ...]:
    if table.fit is None:
        return table.name, "-", "-", "no source fits" + _cost(table, result)
    shown = ", ".join(c if c == theirs else f"{c} ({theirs})" for c, theirs in (table.columns or {}).items())
    source = table.fit.source.location + (" (by a query)" if table.query else "")
    lacking = f"required: {', '.join(table.missing)}" if table.missing else ""
    optional = [c.name for c in TABLES[table.name].columns if not c.required and c.name not in (table.columns or {})]
    absent = ", ".join(name for name in optional if name != "recorded_at")
    parts = [part for part in (lacking, absent) if part]
    return table.name, source, shown, ("; ".join(parts) or "nothing") + _cost(table, result)


def _cost(table: TableProposal, result: Proposal) -> str:
    """The metrics that lose something, in the words of `csql check`; nothing runs without a required table."""
    if table.state != "mapped" and not TABLES[table.name].optional:
        return ": nothing can run without it"
    metrics = _lost(table, result)
    if not metrics:
        return ""
    more = f" and {len(metrics) - _MOST_METRICS} more" if len(metrics) > _MOST_METRICS else ""
    return f": less is known of {', '.join(metrics[:_MOST_METRICS])}{more}"


def _lost(table: TableProposal, result: Proposal) -> list[str]:
    about = re.compile(rf"^(table {table.name} |column {table.name}[.])")
    return [metric for metric, why in result.losses.items() if any(map(about.match, why))]


def _verdict(result: Proposal) -> str:
    if result.ready:
        return "all required tables and columns were found; read the remarks in the file, then check it"
    lacking = [
        f"{t.name} ({', '.join(t.missing) or 'no source'})"
        for t in result.tables
        if t.state != "mapped" and not TABLES[t.name].optional
    ]
    return f"still missing: {', '.join(lacking)}; the file says what to do about each"


def _data(result: Proposal, command: str) -> dict[str, Any]:
    return {
        "ok": result.ready,
        "out": str(result.out),
        "variable": result.variable,
        "tables": [
            {
                "table": t.name,
                "state": t.state,
                "source": t.fit.source.location if t.fit else None,
                "query": t.query.sql if t.query else None,
                "columns": dict(t.columns or {}),
                "missing": list(t.missing),
                "remarks": list(t.remarks),
                "metrics": _lost(t, result),
            }
            for t in result.tables
        ],
        "notes": list(result.notes),
        "unavailable": {metric: list(why) for metric, why in result.losses.items()},
        "next": command,
    }
