"""Calendar arithmetic of (fiscal) quarters; pure functions of dates."""

from __future__ import annotations

from datetime import date


def quarter_start(day: date, first_month: int = 1, *, ahead: int = 0) -> date:
    """First day of the quarter that holds ``day``, moved ``ahead`` quarters.

    Parameters
    ----------
    first_month
        Month in which the fiscal year starts, 1 to 12.
    """
    months = day.year * 12 + day.month - 1
    months -= (months - (first_month - 1)) % 3
    year, month = divmod(months + 3 * ahead, 12)
    return date(year, month + 1, 1)


def horizon_end(as_of: date, quarters: int = 1, first_month: int = 1) -> date:
    """First day after the horizon: the rest of the quarter of ``as_of`` and ``quarters`` full ones."""
    return quarter_start(as_of, first_month, ahead=quarters + 1)


def quarter_starts(first: date, last: date, first_month: int = 1) -> list[date]:
    """First days of quarters from ``first`` to ``last``, both included."""
    day = quarter_start(first, first_month)
    if day < first:
        day = quarter_start(first, first_month, ahead=1)
    found = []
    while day <= last:
        found.append(day)
        day = quarter_start(day, first_month, ahead=1)
    return found


def quarter_name(day: date, first_month: int = 1) -> str:
    """Name of the quarter that holds ``day``, such as ``2026Q3``; a fiscal year is named by the year it ends in."""
    months = day.year * 12 + day.month - 1 - (first_month - 1)
    year = months // 12 + (1 if first_month > 1 else 0)
    return f"{year}Q{months % 12 // 3 + 1}"
