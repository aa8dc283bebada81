"""What ``csql forget`` prints: what went, and what it cannot remove."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

from csql_ml.forgetting import Forgotten
from csql_ml.printing import Printed


def forgotten(result: Forgotten) -> Printed:
    """Result of ``csql forget``."""
    places = _places(result)
    remains = list(_remains(result))
    verb = "would be removed" if result.dry_run else "removed"
    table = Table(title=f"Account {escape(result.account_id)}: {result.rows:,} rows {verb}", box=None, pad_edge=False)
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("from")
    table.add_column("rows", justify="right")
    for place, rows in places:
        table.add_row(escape(place), f"{rows:,}")
    text: list[Any] = [table, "", "[bold]Not removed, because it cannot be:[/bold]"]
    text += [f"- {escape(sentence)}" for sentence in remains]
    if result.dry_run:
        text.append("dry run: nothing was written")
    return Printed(text, _data(result, remains))


def _places(result: Forgotten) -> list[tuple[str, int]]:
    delivery = result.delivery
    found = [
        (f"the activity rollup ({result.activity.days:,} days)", result.activity.rows),
        ("the outbox and its history", delivery.outbox),
        ("files handed over", delivery.files),
        ("pulled outcomes", delivery.pulled),
    ]
    return [*found, *((f"run {run}", rows) for run, rows in result.runs.items())]


def _remains(result: Forgotten) -> Iterator[str]:
    if result.source:
        tables = ", ".join(f"{table} {rows:,}" for table, rows in result.source.items())
        yield f"your own tables still have it ({tables} rows); until it goes there, the next command reads it again"
    for record in result.delivery.remote:
        what = f"{record['kind']} {record['key']} (record {record['remote_id']})"
        yield f"{record['sink']} has the {what}; delete it there"
    if result.trained:
        yield (
            f"the champion {result.model_version} and earlier models may have been trained on its outcomes; a model "
            "cannot give them back: retrain when your tables have let go of it"
        )
    if result.model_version:
        yield "a bundle's reference set may have its figures, without its name or id; it goes with the next training"
    if result.experiment is not None:
        yield f"the experiment's plan {result.experiment} lists accounts; without one of them it could not be read"
    if not result.runs:
        yield "runs: no --run was given"
    yield "pages, digests and exports that were written from its runs: write them anew, or delete them"
    yield "copies, backups and earlier experiment results outside of these folders"


def _data(result: Forgotten, remains: list[str]) -> dict[str, Any]:
    delivery = result.delivery
    return {
        "account_id": result.account_id,
        "dry_run": result.dry_run,
        "rows": result.rows,
        "rollup": {"rows": result.activity.rows, "days": result.activity.days},
        "outbox": delivery.outbox,
        "files": delivery.files,
        "pulled": delivery.pulled,
        "runs": dict(result.runs),
        "source": dict(result.source),
        "remote": [dict(record) for record in delivery.remote],
        "not_removed": remains,
    }
