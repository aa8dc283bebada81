"""From instants to the company's days: when a row happened, and on which day it became known."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.contract.tables import TABLES


@ibis.udf.scalar.builtin(name="timezone", signature=(("string", "timestamp('UTC')"), "timestamp"))  # type: ignore[untyped-decorator]
def _to_zone(zone: str, instant: Any) -> Any:
    """Local wall clock of an instant; DuckDB and PostgreSQL have it under this name, `csql_ml.spark_backend` too."""


def local_day(instant: Any, zone: str) -> Any:
    """The company's calendar day of a UTC instant. A day begins at local midnight, which belongs to it."""
    if zone == "UTC":
        return instant.date()
    return _to_zone(zone, instant.cast("timestamp('UTC')")).date()


def day_of(table: str, rows: ir.Table, column: str, zone: str) -> Any:
    """The company's day of a time column, whether declared as an instant or as a date."""
    return rows[column] if TABLES[table].column(column).dtype == "date" else local_day(rows[column], zone)


def own_day(table: str, rows: ir.Table, zone: str) -> Any:
    """The day a row happened: the first filled column of `Table.own_time`."""
    return ibis.coalesce(*(day_of(table, rows, c, zone) for c in TABLES[table].own_time))


def known_day(table: str, rows: ir.Table, zone: str) -> Any:
    """The day a row became known: ``recorded_at``, else its own day; an occurrence not before it occurred."""
    own = own_day(table, rows, zone)
    known = ibis.coalesce(local_day(rows.recorded_at, zone), own)
    return ibis.greatest(known, own) if TABLES[table].happens else known
