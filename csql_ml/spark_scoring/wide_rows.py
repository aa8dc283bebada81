"""One wide row per account: the plan's columns, the account's attributes and contacts; and back to snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from csql_ml.errors import ContractError
from csql_ml.snapshots import Snapshot, typed_features
from csql_ml.spark_scoring.job import Columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from csql_ml.company import Company
    from csql_ml.metrics.compiler import Compiled

METRICS, ACCOUNT, CONTACTS = "metrics", "account", "contacts"
_NO_CONTACTS = ("contact_id", "account_id", "role", "since_days_ago")


def wide_rows(company: Company, plan: Compiled, as_of: date) -> DataFrame:
    """The accounts of a snapshot as a Spark data frame; nothing is computed yet.

    Returns
    -------
    DataFrame
        ``account_id``; as structs the plan's columns (`METRICS`; Spark hands no columns with dots in their names to
        Python) and the attributes (`ACCOUNT`); and, where there is such a table, `CONTACTS`, an array of structs
        ordered by their first field, ``contact_id``.
    """
    from pyspark.sql import functions as F

    con, tables = company.inputs.con, company.builder.tables(as_of)
    rows: DataFrame = _as_struct(con.frame(plan.table), METRICS)
    rows = rows.join(_as_struct(con.frame(tables["accounts"]), ACCOUNT), "account_id")
    if "contacts" not in tables:
        return rows
    people: DataFrame = _as_struct(con.frame(tables["contacts"]), "person")
    by_account = people.groupBy("account_id").agg(F.sort_array(F.collect_list("person")).alias(CONTACTS))
    return rows.join(by_account, "account_id", "left")


def _as_struct(rows: DataFrame, name: str) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.select("account_id", F.struct(*map(quoted, rows.columns)).alias(name))


def quoted(name: str) -> str:
    """A column's name as Spark reads it: a plain dot would reach into a struct."""
    return f"`{name.replace('`', '``')}`"


def some_rows(rows: int, company: Company, as_of: date) -> int:
    """The number of rows; none is an error that says why."""
    if not rows:
        raise ContractError(company.builder.nothing_known(as_of))
    return rows


def snapshot_of(rows: pa.Table, columns: Columns, as_of: date) -> Snapshot:
    """Wide rows as a part of a snapshot, in their order."""
    flat = _structs(rows.column(METRICS))
    return Snapshot(
        as_of=as_of,
        features=typed_features(flat, as_of, columns.features, columns.categories),
        facts=flat[["account_id", *columns.facts]],
        accounts=_structs(rows.column(ACCOUNT)),
        contacts=_structs(rows.column(CONTACTS))
        if CONTACTS in rows.column_names
        else pd.DataFrame(columns=_NO_CONTACTS),
        without_contract=0,
    )


def _structs(column: pa.ChunkedArray) -> pd.DataFrame:
    """A column of structs, or of lists of them, as a frame of their fields."""
    nested = pa.types.is_list(column.type)
    kind = column.type.value_type if nested else column.type
    chunks = [chunk.flatten() if nested else chunk for chunk in column.chunks]
    tables = [pa.Table.from_struct_array(chunk) for chunk in chunks or [pa.array([], kind)]]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def snapshots_of(batches: Iterator[pa.RecordBatch], columns: Columns, as_of: date, most: int) -> Iterator[Snapshot]:
    """The rows of one task as snapshots of at most ``most`` accounts, however Spark cut them into batches.

    The last one takes a single row left over along: numpy adds the numbers of one row alone in another order, and a
    score must not depend on who stands beside it.
    """
    received = list(batches)
    if not received:
        return
    together = pa.Table.from_batches(received)
    starts = list(range(0, len(together), most))
    if len(starts) > 1 and len(together) - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(together)], strict=True):
        yield snapshot_of(together[start:end], columns, as_of)
