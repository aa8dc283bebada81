"""The summaries of a rollup in memory, made by the functions that make those on disk."""

from __future__ import annotations

from itertools import count
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.activity.summaries import account_days, no_user_months, user_months_sql
from csql_ml.metrics.buckets import Summaries

_numbers = count()


def summaries_of(con: Any, rollup: ir.Table) -> Summaries:
    """Both summaries of a rollup, as tables of the same DuckDB backend."""
    rows: pa.Table = con.to_pyarrow(rollup).sort_by([(c, "ascending") for c in ("day", "account_id", "user_id")])
    days = [account_days(rows.filter(pc.equal(rows["day"], day))) for day in rows["day"].unique()]
    months = [_month(con, rows, month) for month in sorted({f"{day:%Y-%m}" for day in rows["day"].to_pylist()})]
    names = [f"summary_{next(_numbers)}" for _ in range(2)]
    empty = account_days(rows.slice(0, 0))
    for name, parts in zip(names, ([empty, *days], [no_user_months(), *months]), strict=True):
        con.con.register("rows_of_summary", pa.concat_tables(parts))
        con.con.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM rows_of_summary")
        con.con.unregister("rows_of_summary")
    return Summaries(*(con.table(name) for name in names))


def _month(con: Any, rows: pa.Table, month: str) -> pa.Table:
    con.con.register("rows_of_month", rows.filter(pc.equal(pc.strftime(rows["day"], "%Y-%m"), month)))
    query = f"SELECT *, DATE '{month}-01' AS month FROM ({user_months_sql('rows_of_month', month)})"
    found: pa.Table = con.con.execute(query).to_arrow_table()
    con.con.unregister("rows_of_month")
    return found
