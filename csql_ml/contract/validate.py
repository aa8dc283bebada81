"""Validate the input tables against the contract.

Bad rows are set aside and counted, never dropped silently; what is kept has its declared types and ``known_at``.
Everything runs in the warehouse, one pass over each source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from csql_ml.config import Config
from csql_ml.contract.duplicates import known_at, mark_duplicates, repeated
from csql_ml.contract.findings import find_problems
from csql_ml.contract.parsing import Parsed, declared_type, parse
from csql_ml.contract.quarantine import write_quarantine
from csql_ml.contract.report import Inputs, Problem, TableReport, summary_rows
from csql_ml.contract.rules import Rule, account_rule, check_rules, column_rules, duplicate_rules, first_problem
from csql_ml.contract.tables import TABLES, Column, Table
from csql_ml.sources import Warehouse

__all__ = ["Inputs", "Problem", "TableReport", "summary_rows", "validate"]


def validate(warehouse: Warehouse, config: Config, quarantine: Path | None = None) -> Inputs:
    """Read and check every mapped table.

    Parameters
    ----------
    warehouse
        Where the tables are.
    config
        The company's time zone decides which day an event belongs to.
    quarantine
        Folder for the rows set aside, ``<table>.parquet`` each; None writes nothing.

    Returns
    -------
    Inputs
        Also where the job must stop: see `Inputs.stop_if_broken`.

    Raises
    ------
    SourceError, ContractError
        A source cannot be read, or a mapped column is not in it.
    OutputError
        The quarantine folder cannot be written.
    """
    kept: dict[str, ir.Table] = {}
    reports: dict[str, TableReport] = {}
    present = dict.fromkeys(TABLES, frozenset[str]())
    for table in TABLES.values():
        raw = warehouse.read(table.name)
        if raw is not None:
            present[table.name] = frozenset(raw.columns)
            with warehouse.reading(table.name):
                report, rows = _validate_table(warehouse, table, raw, kept.get("accounts"), quarantine)
            reports[table.name] = report
            if rows is not None:
                kept[table.name] = rows
        elif not table.optional:
            message = f"required table is not mapped; give its file, table or query under {_key(table)}"
            problem = Problem(table.name, "", "not_mapped", 0, "stop", message)
            reports[table.name] = TableReport(table.name, 0, 0, 0, (problem,))
    _warn_before_first_contract(kept, reports, config.company.time_zone)
    absent = tuple(name for name in TABLES if name not in reports)
    return Inputs(warehouse.connection, kept, tuple(reports.values()), absent, present)


def _validate_table(
    warehouse: Warehouse, table: Table, raw: ir.Table, accounts: ir.Table | None, quarantine: Path | None
) -> tuple[TableReport, ir.Table | None]:
    """Report and kept rows of one table; None for the rows of a broken one."""
    lacking = [c.name for c in table.columns if c.required and c.name not in raw.columns]
    if lacking:
        return _lacking(table, lacking, raw), None
    checked = _check(warehouse, table, raw, accounts)
    report = checked.report
    if quarantine is not None:
        write_quarantine(quarantine, table.name, checked.bad, checked.rules, raw.columns, report.quarantined)
    broken = any(problem.action == "stop" for problem in report.problems)
    return report, None if broken else _keep(warehouse, table, checked.good)


@dataclass(frozen=True)
class _Checked:
    """One table after its checks: good rows (contract columns), bad rows (raw text and problem)."""

    good: ir.Table
    bad: ir.Table
    rules: list[Rule]
    report: TableReport


def _key(table: Table) -> str:
    return f"data.tables.{table.name}"


def _lacking(table: Table, lacking: list[str], raw: ir.Table) -> TableReport:
    read = int(raw.count().execute())
    found = ", ".join(raw.columns)
    problems = tuple(
        Problem(
            table.name,
            column,
            "absent_column",
            read,
            "stop",
            f"required column is not in the source; found: {found}; map it under {_key(table)}.columns",
        )
        for column in lacking
    )
    return TableReport(table.name, read, 0, read, problems)


# ---------------------------------------------------------------- one table


def _check(warehouse: Warehouse, table: Table, raw: ir.Table, accounts: ir.Table | None) -> _Checked:
    """Type every row, find its first problem, and settle duplicates."""
    typed = _typed(table, raw)
    rules = _rules(table, raw, typed, accounts)
    rows = _staged(table, raw, typed, rules)
    staged = warehouse.materialise(f"csql_staged_{table.name}", rows, large=table.name == "events")
    good = staged.filter(staged.problem.isnull())
    bad = staged.filter(staged.problem.notnull())
    if set(table.key) & set(raw.columns):
        good, copies = _settle(warehouse, table, good, rules)
        bad = _with_text(bad, raw.columns).union(_with_text(copies, raw.columns))
    return _Checked(good, bad, rules, _report(table, staged, good, bad, rules))


def _typed(table: Table, raw: ir.Table) -> ir.Table:
    """Per declared column its typed value, what `Parsed` says about it, and the raw text."""
    columns: dict[str, ir.Value] = {}
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


def _rules(table: Table, raw: ir.Table, typed: ir.Table, accounts: ir.Table | None) -> list[Rule]:
    rules: list[Rule] = []
    for column in table.columns:
        if column.name in raw.columns:
            rules += column_rules(column, _parsed(column, typed))
    rules += check_rules(table, typed, "quarantine")
    if accounts is not None and table.name != "accounts" and "account_id" in raw.columns:
        rules.append(account_rule(typed, accounts))
    return rules + (duplicate_rules(table, raw.columns) if table.key else [])


def _parsed(column: Column, typed: ir.Table) -> Parsed:
    """What `_typed` wrote down about one column."""
    value = typed[column.name]
    flags = {"filled": value.notnull(), "recognised": value.notnull(), "finite": ibis.literal(True)}
    flags |= {flag: typed[f"{column.name}__{flag}"] for flag in flags if f"{column.name}__{flag}" in typed.columns}
    return Parsed(value, **flags)


def _staged(table: Table, raw: ir.Table, typed: ir.Table, rules: list[Rule]) -> ir.Table:
    """Typed columns, the first problem, and the raw text (of the many events only that of bad rows)."""
    judged = typed.mutate(problem=first_problem(rules))
    wanted = judged.problem.notnull() if table.name == "events" else ibis.literal(True)
    texts = {f"{c}__raw": ibis.ifelse(wanted, judged[f"{c}__raw"].cast("string"), None) for c in raw.columns}
    return judged.select(*table.column_names, "problem", **texts)


def _settle(warehouse: Warehouse, table: Table, good: ir.Table, rules: list[Rule]) -> tuple[ir.Table, ir.Table]:
    """Good rows with one row per key, and the other rows."""
    copy, conflict = len(rules) - 2, len(rules) - 1
    suspects = good
    if table.name == "events":  # too many to rank them all
        keys = warehouse.materialise("csql_repeated_events", repeated(table, good))
        suspects = good.semi_join(keys, table.key)
    ranked = warehouse.materialise(f"csql_ranked_{table.name}", mark_duplicates(table, suspects, copy, conflict))
    settled = ranked.filter(ranked.problem.isnull())
    if table.name == "events":
        settled = good.anti_join(keys, table.key).union(settled)
    return settled, ranked.filter(ranked.problem.notnull())


def _with_text(rows: ir.Table, columns: tuple[str, ...]) -> ir.Table:
    """Fill the raw text of rows that were good until they turned out to be copies."""
    texts = {f"{c}__raw": ibis.coalesce(rows[f"{c}__raw"], rows[c].cast("string")) for c in columns}
    return rows.mutate(**texts)


def _keep(warehouse: Warehouse, table: Table, good: ir.Table) -> ir.Table:
    """The kept rows with ``known_at``; events stay a view of the staged rows, which are typed already."""
    rows = good.select(*table.column_names).mutate(known_at=lambda t: known_at(table, t))
    if table.name == "events":
        return rows
    kept = warehouse.materialise(f"csql_{table.name}", rows)
    for step in ("staged", "ranked"):
        warehouse.drop(f"csql_{step}_{table.name}")
    return kept


# ---------------------------------------------------------------- reports


def _report(table: Table, staged: ir.Table, good: ir.Table, bad: ir.Table, rules: list[Rule]) -> TableReport:
    read, kept = int(staged.count().execute()), int(good.count().execute())
    problems = find_problems(table, bad, rules, "quarantine") if read > kept else []
    for rule in check_rules(table, good, "warn"):
        problems += find_problems(table, good.filter(rule.bad).mutate(problem=0), [rule], "warn")
    if read == 0:
        action: Literal["warn", "stop"] = "warn" if table.optional else "stop"
        problems.append(Problem(table.name, "", "empty", 0, action, "the table has no rows"))
    elif kept == 0:
        worst = max(problems, key=lambda p: p.rows)
        message = f"no row can be used; most often {worst.column}: {worst.message}"
        problems.append(Problem(table.name, "", "all_bad", read, "stop", message))
    return TableReport(table.name, read, kept, read - kept, tuple(problems))


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator, unused-ignore]
    name="timezone", signature=(("string", "timestamp"), "timestamp('UTC')")
)
def _instant(zone: str, local: Any) -> Any:
    """The instant of a local time."""


def _warn_before_first_contract(kept: dict[str, ir.Table], reports: dict[str, TableReport], zone: str) -> None:
    """Count what happened before the account's first contract began: trials and imports, or wrong data."""
    if "contracts" not in kept:
        return
    contracts = kept["contracts"]
    first = contracts.group_by("account_id").aggregate(day=contracts.start_date.min())
    first = first.select("account_id", begins=_instant(zone, first.day.cast("timestamp")).cast("timestamp"))
    for name, time in (("events", "occurred_at"), ("tickets", "opened_at")):
        if name in kept:
            rows = kept[name].join(first, "account_id")
            early = rows.filter(rows[time] < rows.begins).mutate(problem=0)
            by_account = replace(TABLES[name], key=("account_id",))
            rule = Rule(time, "before_first_contract", "before the first day of the account's first contract")
            found = find_problems(by_account, early, [rule], "warn")
            reports[name] = replace(reports[name], problems=(*reports[name].problems, *found))
