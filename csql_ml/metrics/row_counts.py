"""Where a metric's value comes from: which tables, how many days of them, and how many rows an account has there.

The counts are aggregates of the same cut tables in the passes that compute the metrics, so they know nothing that the
value does not, and cost no reading of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ibis

from csql_ml.contract.tables import TABLES
from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Measure, Period

#: Table and how many days before the as-of date are read of it; None: all that is known.
Read = tuple[str, int | None]

EVENTS = "events"


def reads(asked: Iterable[tuple[Measure, Period]]) -> tuple[Read, ...]:
    """What the measures of one column read, table by table in alphabetical order."""
    found: dict[str, int | None] = {}
    for measure, period in asked:
        table = EVENTS if measure.source == "activity" else measure.source
        days = _days(measure, period)
        before = found.get(table, 0)
        found[table] = None if days is None or before is None else max(days, before)
    return tuple(sorted(found.items()))


def _days(measure: Measure, period: Period) -> int | None:
    if measure.merge is not None:
        return measure.merge.period(period).reach or None
    return None if measure.state else period.reach or None


def count_column(read: Read) -> str:
    """Name of the fact that holds an account's number of rows."""
    table, days = read
    return f"rows.{table}.{'all' if days is None else days}"


def row_count(read: Read) -> tuple[Measure, Period] | None:
    """The measure that counts rows; None for all events, which would take a look at every day there ever was."""
    table, days = read
    if table == EVENTS:
        return None if days is None else (M.EVENTS, Period(days))
    return Measure(f"rows_{table}", table, _count_of(table), empty=0, state=days is None), Period(days or 0)


def _count_of(table: str) -> Any:
    times = [f"{t.removesuffix('_at').removesuffix('_date')}_days_ago" for t in TABLES[table].own_time]

    def value(rows: Any, period: Period, config: Any) -> Any:
        if not period.length:
            return rows.count()
        return rows.count(where=period.covers(ibis.coalesce(*(rows[t] for t in times))))

    return value
