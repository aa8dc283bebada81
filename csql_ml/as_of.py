"""The as-of cut: rows that were known before a date's midnight.

This is the only place that compares a time with an as-of date, and `known_before` is the one comparison: a row of the
cut-off instant itself, local midnight of the as-of date, is not known; it belongs to what comes after.

What leaves here has no dates left. Each time column ``x_at`` or ``x_date`` has become a day count ``x_days_ago``
(1 = the day before the as-of date, 0 or negative = on or after it, which only planned dates such as a contract's end
can be), so formulas cannot look ahead.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.contract.tables import Table

_LONGEST_MONTH = 31


def known_before(day: Any, as_of: date) -> Any:
    """Whether a day lies before the as-of date: the one comparison that decides what a snapshot knows."""
    return day < ibis.literal(as_of)


def cut(table: Table, rows: ir.Table, as_of: date) -> ir.Table:
    """One contract table as it was known before ``as_of``.

    Keeps the newest known version of each key, empties facts that came later (`Column.known_with`), and replaces
    days by day counts.

    Parameters
    ----------
    rows
        The table as `csql_ml.dated_rows.dated` gives it.
    """
    known = rows.filter(known_before(rows.known_day, as_of))
    return _as_day_counts(table, _newest_versions(table, known), as_of)


def _newest_versions(table: Table, rows: ir.Table) -> ir.Table:
    if not table.key or "recorded_at" not in rows.columns:
        return rows
    window = ibis.window(
        group_by=[rows[c] for c in table.key],
        order_by=[rows.recorded_at.desc(nulls_first=False)],
    )
    numbered = rows.mutate(version_=ibis.row_number().over(window))
    return numbered.filter(numbered.version_ == 0).drop("version_")


def _as_day_counts(table: Table, rows: ir.Table, as_of: date) -> ir.Table:
    columns: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "recorded_at":
            continue
        value = rows[column.name]
        if column.known_with is not None:
            known = known_before(rows[column.known_with], as_of)
            value = ibis.ifelse(known, value, ibis.null(value.type()))
        if column.dtype in ("date", "timestamp"):
            columns[days_ago_name(column.name)] = _days_between(value, as_of)
        else:
            columns[column.name] = value
    return rows.select(**columns)


def _days_between(day: Any, as_of: date) -> Any:
    return ibis.literal(as_of).delta(day, unit="day")


def days_ago_name(column: str) -> str:
    """Name of the day count of a time column: ``opened_at`` -> ``opened_days_ago``."""
    return f"{column.removesuffix('_at').removesuffix('_date')}_days_ago"


def cut_activity(activity: ir.Table, as_of: date, reach: int | None = None) -> ir.Table:
    """The rollup as it was known before ``as_of``, with ``days_ago`` for the day.

    Parameters
    ----------
    reach
        Only the days up to this many before ``as_of``; files of other days are not opened.
    """
    known = activity.filter(known_before(activity.day, as_of) & known_before(activity.known_day, as_of))
    if reach is not None:
        known = known.filter(known.day >= ibis.literal(as_of - timedelta(days=reach)))
    return known.mutate(days_ago=_days_between(known.day, as_of)).drop("day", "known_day")


def cut_user_months(months: ir.Table, as_of: date, reach: int) -> ir.Table:
    """The active days of users as they were known before ``as_of``, with ``month_days_ago``.

    Days of the as-of date's own month that were yet to come stay in ``active``: every bucket ends before them.

    Parameters
    ----------
    months
        ``month`` is the first day; rows without ``known_day`` became known on the days they are about.
    reach
        Only months with days up to this many before ``as_of``; files of others are not opened.
    """
    begun = months.filter(known_before(months.month, as_of))
    recent = begun.filter(begun.month > ibis.literal(as_of - timedelta(days=reach + _LONGEST_MONTH)))
    known = recent.filter(recent.known_day.isnull() | known_before(recent.known_day, as_of))
    return known.mutate(month_days_ago=_days_between(known.month, as_of)).drop("month", "known_day")
