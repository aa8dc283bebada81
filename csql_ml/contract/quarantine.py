"""Where bad rows go: one Parquet file per table, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from csql_ml.contract.rules import Rule
from csql_ml.errors import OutputError

_OURS = {"problem", "problem_column"}


def write_quarantine(folder: Path, name: str, bad: ir.Table, rules: list[Rule], columns: list[str], rows: int) -> None:
    """Write the quarantined rows of one table, in a fixed order, to ``folder/<name>.parquet``.

    Parameters
    ----------
    bad
        The rows: raw values as text, and ``problem``, the position of a rule.
    columns
        The raw columns to write.
    rows
        How many there are; with 0 nothing is written and the file of an earlier run is removed.

    Raises
    ------
    OutputError
        The folder cannot be written, or the file there is not a quarantine file.
    """
    target = folder / f"{name}.parquet"
    _refuse_foreign(target)
    try:
        if not rows:
            target.unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{name}.parquet.part"
        try:
            _write(part, _named(bad, rules, columns))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"quarantine file {target} cannot be written: {error.strerror}") from error


def _refuse_foreign(target: Path) -> None:
    """A quarantine folder that is the data folder would cost the company its data."""
    if not target.exists():
        return
    try:
        ours = set(pq.read_schema(target).names) >= _OURS
    except (OSError, pa.ArrowException):
        ours = False
    if not ours:
        raise OutputError(f"{target} exists and is not a quarantine file; choose another folder")


def _named(bad: ir.Table, rules: list[Rule], columns: list[str]) -> ir.Table:
    kinds = [(bad.problem == i, ibis.literal(rule.kind)) for i, rule in enumerate(rules)]
    wheres = [(bad.problem == i, ibis.literal(rule.column)) for i, rule in enumerate(rules)]
    named = bad.select(
        **{column: bad[f"{column}__raw"] for column in columns},
        problem=ibis.cases(*kinds, else_=None),
        problem_column=ibis.cases(*wheres, else_=None),
    )
    return named.order_by([ibis.asc(named[c], nulls_first=True) for c in ("problem", "problem_column", *columns)])


def _write(path: Path, rows: ir.Table) -> None:
    schema = pa.schema([(name, pa.string()) for name in rows.columns])
    with rows.to_pyarrow_batches() as batches, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
