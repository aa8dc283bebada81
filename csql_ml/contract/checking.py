"""Raw rows -> typed rows with their first problem, and what a report says about them: the steps of validation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from csql_ml.contract.parsing import Parsed, declared_type, parse
from csql_ml.contract.report import Problem, TableReport
from csql_ml.contract.rules import Rule, check_rules, column_rules, first_problem
from csql_ml.contract.tables import TABLES, Column, Table


def typed_rows(table: Table, raw: ir.Table, beside: Collection[str] = ()) -> ir.Table:
    """Per declared column its typed value, what `Parsed` says about it, and the raw text; other columns as they are."""
    columns: dict[str, ir.Value] = {name: raw[name] for name in beside}
    for column in table.columns:
        if column.name not in raw.columns:
            columns[column.name] = ibis.null(declared_type(column))
            continue
        parsed = parse(raw[column.name], column)
        columns[column.name] = parsed.value.cast(declared_type(column))
        if column.dtype != "string":  # a text is what it is
            columns[f"{column.name}__filled"] = parsed.filled
        if column.dtype in ("integer", "number"):  # others are recognised if they have a value
            columns[f"{column.name}__recognised"] = parsed.recognised
            columns[f"{column.name}__finite"] = parsed.finite
        columns[f"{column.name}__raw"] = raw[column.name]
    return raw.select(**columns)


def row_rules(table: Table, present: Collection[str], typed: ir.Table) -> list[Rule]:
    """The rules that look at one row alone, over the rows of `typed_rows`; ``present`` are the source's columns."""
    rules: list[Rule] = []
    for column in table.columns:
        if column.name in present:
            rules += column_rules(column, _parsed(column, typed))
    return rules + check_rules(table, typed, "quarantine")


def _parsed(column: Column, typed: ir.Table) -> Parsed:
    """What `typed_rows` wrote down about one column."""
    value = typed[column.name]
    flags = {"filled": value.notnull(), "recognised": value.notnull(), "finite": ibis.literal(True)}
    flags |= {flag: typed[f"{column.name}__{flag}"] for flag in flags if f"{column.name}__{flag}" in typed.columns}
    return Parsed(value, **flags)


def judged_rows(
    table: Table,
    present: Collection[str],
    typed: ir.Table,
    rules: list[Rule],
    also: ir.BooleanValue | None = None,
    beside: Collection[str] = (),
) -> ir.Table:
    """Typed columns, the first problem, and the raw text where it says more than the value does.

    Parameters
    ----------
    also
        Further rows of events whose raw text is wanted.
    beside
        Further columns to keep.
    """
    judged = typed.mutate(problem=first_problem(rules), also=ibis.literal(False) if also is None else also)
    texts = {f"{c}__raw": _kept_text(judged, c, some_only=table.name == "events") for c in present}
    return judged.select(*table.column_names, "problem", *beside, **texts)


def _kept_text(judged: ir.Table, column: str, *, some_only: bool) -> ir.StringValue:
    """The raw text of a column where `with_text` could not tell it from the value; of events only that of some rows."""
    raw, value = judged[f"{column}__raw"], judged[column]
    wanted = judged.problem.notnull() | judged.also
    if not some_only and raw.type().is_string():
        wanted = wanted | (~raw.identical_to(value) if value.type().is_string() else ibis.literal(True))
    elif not some_only and not _same_text(raw.type(), value.type()):
        wanted = ibis.literal(True)
    return ibis.ifelse(wanted, raw.cast("string"), None)


def _same_text(raw: dt.DataType, typed: dt.DataType) -> bool:
    """Whether a good value and its typed form are written alike."""
    if isinstance(raw, dt.Timestamp) and isinstance(typed, dt.Timestamp):
        return bool(raw.timezone == typed.timezone)
    return bool(raw == typed)


def with_text(rows: ir.Table, present: Collection[str]) -> ir.Table:
    """Fill the raw text of rows that were good until they turned out to be copies: it is their value's."""
    texts = {f"{c}__raw": ibis.coalesce(rows[f"{c}__raw"], rows[c].cast("string")) for c in present}
    return rows.mutate(**texts)


def by_account(name: str) -> Table:
    """A contract table whose rows are named by their account."""
    return replace(TABLES[name], key=("account_id",))


def table_report(table: Table, read: int, kept: int, problems: Sequence[Problem]) -> TableReport:
    """The report of a table, with what stops the job where no row is left."""
    found = list(problems)
    if read == 0:
        action: Literal["warn", "stop"] = "warn" if table.optional else "stop"
        found.append(Problem(table.name, "", "empty", 0, action, "the table has no rows"))
    elif kept == 0:
        worst = max(found, key=lambda p: p.rows)
        message = f"no row can be used; most often {worst.column}: {worst.message}"
        found.append(Problem(table.name, "", "all_bad", read, "stop", message))
    return TableReport(table.name, read, kept, read - kept, tuple(found))


def lacking_columns(table: Table, present: Collection[str]) -> list[str]:
    """The required columns that a source does not have."""
    return [c.name for c in table.columns if c.required and c.name not in present]


def lacking_report(table: Table, lacking: Sequence[str], present: Collection[str], read: int) -> TableReport:
    """The report of a table whose source lacks required columns."""
    found = ", ".join(present)
    problems = tuple(
        Problem(
            table.name,
            column,
            "absent_column",
            read,
            "stop",
            f"required column is not in the source; found: {found}; map it under data.tables.{table.name}.columns",
        )
        for column in lacking
    )
    return TableReport(table.name, read, 0, read, problems)
