# ruff: noqa: N802, N815 - Ibis finds its rules by these names
"""What Ibis lacks on Spark: translation rules, and results that travel as Arrow.

Imports PySpark; `csql_ml.source_spark` imports this module only when Spark is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.duckdb.converter import DuckDBPandasData
from ibis.backends.pyspark import Backend
from ibis.backends.sql.compilers.base import SQLGlotCompiler
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.formats.pyarrow import PyArrowData
from pyspark.sql import DataFrame, SparkSession

#: What a session must be set to while it computes for us; how DuckDB behaves is what they agree on.
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    # A CSV row with too few or too many values is an error even where only some columns are read.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
}


class SparkCompiler(PySparkCompiler):  # type: ignore[misc] # Ibis has no types
    """Ibis' rules for Spark, corrected and completed where csql_ml's expressions need it."""

    __slots__ = ()

    # Ibis takes NaN for a missing value on Spark; on other engines it is a number that is not finite.
    visit_IsNull = SQLGlotCompiler.visit_IsNull
    visit_NotNull = SQLGlotCompiler.visit_NotNull
    visit_Field = SQLGlotCompiler.visit_Field

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:
        return None if dtype.is_floating() else super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_IsInf(self, op: Any, *, arg: Any) -> Any:
        """Ibis 12 compares with Python's ``==``, which is always false."""
        return sge.Or(this=arg.eq(self.POS_INF), expression=arg.eq(self.NEG_INF))

    def visit_BitOr(self, op: Any, *, arg: Any, where: Any) -> Any:
        return self.agg.bit_or(arg, where=where)

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Ibis sums the condition, which is null where it is null in every row."""
        return super().visit_CountStar(op, arg=arg, where=None) if where is None else self.f.count_if(where)

    def visit_RegexSearch(self, op: Any, *, arg: Any, pattern: Any) -> Any:
        return super().visit_RegexSearch(op, arg=arg, pattern=_whole_text(pattern))

    def visit_RegexExtract(self, op: Any, *, arg: Any, pattern: Any, index: Any) -> Any:
        return super().visit_RegexExtract(op, arg=arg, pattern=_whole_text(pattern), index=index)

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """Spark reads ``2024-03-31`` but not ``2024/03/31`` as a time; the others read both."""
        if op.arg.dtype.is_string() and to.is_timestamp():
            arg = self.f.anon.translate(arg, sge.convert("/"), sge.convert("-"))
        return super().visit_TryCast(op, arg=arg, to=to)

    def visit_ScalarUDF(self, op: Any, **arguments: Any) -> Any:
        """Built-in functions by their name; ``timezone`` of DuckDB and PostgreSQL has another one here."""
        if op.__func_name__ != "timezone":
            return super().visit_ScalarUDF(op, **arguments)
        zone, instant = arguments.values()
        return self.cast(self.f.anon.from_utc_timestamp(instant, zone), op.dtype)


def _whole_text(pattern: Any) -> Any:
    """``$`` means the end of the text; in Java it would also match before a final line break."""
    if isinstance(pattern, sge.Literal) and pattern.this.endswith("$"):
        return sge.Literal.string(pattern.this[:-1] + r"\z")
    return pattern


class SparkBackend(Backend):  # type: ignore[misc] # Ibis has no types
    """Ibis' backend with `SparkCompiler`; results come as Arrow, with the types they have on DuckDB."""

    compiler = SparkCompiler()

    @property
    def session(self) -> SparkSession:
        """The Spark session it computes in."""
        return self._session

    def frame(self, expr: ir.Table) -> DataFrame:
        """The Spark data frame of an expression; nothing is computed yet."""
        self._run_pre_execute_hooks(expr)
        return self._session.sql(self.compile(expr))

    def to_pyarrow(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Compute an expression and bring it to the driver as Arrow."""
        table = expr.as_table()
        self._run_pre_execute_hooks(table)
        arrow = self._session.sql(self.compile(table, params=params, limit=limit)).toArrow()
        return expr.__pyarrow_result__(PyArrowData.convert_table(arrow, table.schema()))

    def to_pyarrow_batches(
        self, expr: Any, /, *, params: Any = None, limit: Any = None, chunk_size: int = 10_000, **_: Any
    ) -> pa.RecordBatchReader:
        """Compute an expression and bring it to the driver one partition at a time, in order."""
        table = expr.as_table()
        schema = table.schema().to_pyarrow()
        frame = self.frame(table)
        return pa.RecordBatchReader.from_batches(schema, _batches(frame, schema, chunk_size))

    def execute(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Compute an expression and bring it to the driver as pandas, in the types that DuckDB's results have."""
        table = expr.as_table()
        arrow = self.to_pyarrow(table, params=params, limit=limit)
        columns = {
            name: column.to_pylist() if column.null_count else column.to_pandas()
            for name, column in zip(arrow.column_names, arrow.columns, strict=True)
        }
        return expr.__pandas_result__(DuckDBPandasData.convert_table(pd.DataFrame(columns), table.schema()))


def _batches(frame: DataFrame, schema: pa.Schema, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a data frame; the driver holds one partition at a time, and workers need no Python."""
    rows = frame.toLocalIterator()
    while part := [row.asDict() for row in islice(rows, size)]:
        yield pa.RecordBatch.from_pylist(part, schema)
