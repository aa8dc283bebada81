"""Validate the input tables against the contract.

Bad rows are set aside and counted, never dropped silently; what is kept has its declared types and ``known_at``.
Everything runs in the warehouse, one pass over each source.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.config import Config
from csql_ml.contract.checking import (
    by_account,
    judged_rows,
    lacking_columns,
    lacking_report,
    row_rules,
    table_report,
    typed_rows,
    with_text,
)
from csql_ml.contract.duplicates import known_at, mark_duplicates, repeated, some_repeated
from csql_ml.contract.findings import find_problems
from csql_ml.contract.quarantine import write_quarantine
from csql_ml.contract.report import Inputs, Problem, TableReport, summary_rows
from csql_ml.contract.rules import Rule, account_rule, check_rules, duplicate_rules
from csql_ml.contract.tables import TABLES, Table
from csql_ml.days import local_day
from csql_ml.sources import Warehouse

__all__ = ["Inputs", "Problem", "TableReport", "summary_rows", "validate"]


def validate(
    warehouse: Warehouse, config: Config, quarantine: Path | None = None, leave_out: Collection[str] = ()
) -> Inputs:
    """Read and check every mapped table.

    Parameters
    ----------
    warehouse
        Where the tables are.
    config
        The company's time zone decides which day an event belongs to.
    quarantine
        Folder for the rows set aside, ``<table>.parquet`` each; None writes nothing.
    leave_out
        Mapped tables that are not read here; there is no report about them.

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
        if table.name in leave_out and table.name in config.data.tables:
            continue
        raw = warehouse.read(table.name)
        if raw is not None:
            present[table.name] = frozenset(raw.columns)
            with warehouse.reading(table.name):
                report, rows = _validate_table(warehouse, table, raw, kept.get("accounts"), quarantine)
            reports[table.name] = report
            if rows is not None:
                kept[table.name] = rows
        elif not table.optional:
            message = f"required table is not mapped; give its file, table or query under data.tables.{table.name}"
            problem = Problem(table.name, "", "not_mapped", 0, "stop", message)
            reports[table.name] = TableReport(table.name, 0, 0, 0, (problem,))
    _warn_before_first_contract(kept, reports, config.company.time_zone)
    absent = tuple(name for name in TABLES if name not in reports and name not in config.data.tables)
    return Inputs(warehouse.connection, kept, tuple(reports.values()), absent, present)


def _validate_table(
    warehouse: Warehouse, table: Table, raw: ir.Table, accounts: ir.Table | None, quarantine: Path | None
) -> tuple[TableReport, ir.Table | None]:
    """Report and kept rows of one table; None for the rows of a broken one."""
    lacking = lacking_columns(table, raw.columns)
    if lacking:
        return lacking_report(table, lacking, raw.columns, int(raw.count().execute())), None
    checked = _check(warehouse, table, raw, accounts)
    report = checked.report
    if quarantine is not None:
        write_quarantine(quarantine, table.name, checked.bad, checked.rules, raw.columns, report.quarantined)
    broken = any(problem.action == "stop" for problem in report.problems)
    return report, None if broken else _keep(table, checked.good)


@dataclass(frozen=True)
class _Checked:
    """One table after its checks: good rows (contract columns), bad rows (raw text and problem)."""

    good: ir.Table
    bad: ir.Table
    rules: list[Rule]
    report: TableReport


# ---------------------------------------------------------------- one table


def _check(warehouse: Warehouse, table: Table, raw: ir.Table, accounts: ir.Table | None) -> _Checked:
    """Type every row, find its first problem, and settle duplicates.

    An event counts once whoever's it is: which of its rows is kept does not depend on the accounts known today.
    """
    typed = typed_rows(table, raw)
    rules = row_rules(table, raw.columns, typed)
    owner = None
    if accounts is not None and table.name != "accounts" and "account_id" in raw.columns:
        owner = account_rule(typed, accounts)
    rules += [owner] if owner is not None and table.name != "events" else []
    rules += duplicate_rules(table, raw.columns) if table.key else []
    rows = judged_rows(table, raw.columns, typed, rules, owner.bad if owner is not None else None)
    staged = warehouse.materialise(f"csql_staged_{table.name}", rows, large=table.name == "events")
    good, bad = staged.filter(staged.problem.isnull()), staged.filter(staged.problem.notnull())
    if set(table.key) & set(raw.columns):
        good, copies = _settle(warehouse, table, good, raw.columns, rules)
        if copies is not None:
            bad = bad.union(copies)
    problems = _problems(table, good, bad, rules)
    if owner is not None and table.name == "events":
        good, strangers = _owned(good, accounts, len(rules))
        rules.append(owner)
        problems += find_problems(by_account(table.name), strangers, rules, "quarantine")
        bad = bad.union(with_text(strangers, raw.columns))
    read, kept = int(staged.count().execute()), int(good.count().execute())
    return _Checked(good, bad, rules, table_report(table, read, kept, problems))


def _owned(good: ir.Table, accounts: Any, problem: int) -> tuple[ir.Table, ir.Table]:
    """Rows of kept accounts, and the others with their problem."""
    strangers = good.anti_join(accounts, "account_id").mutate(problem=ibis.literal(problem, type="int64"))
    return good.semi_join(accounts, "account_id"), strangers


def _settle(
    warehouse: Warehouse, table: Table, good: ir.Table, present: Collection[str], rules: list[Rule]
) -> tuple[ir.Table, ir.Table | None]:
    """Good rows with one row per key, and the other rows with their text; None where every key has one row."""
    copy, conflict = len(rules) - 2, len(rules) - 1
    suspects = good
    if table.name == "events":  # too many to rank them all
        keys = warehouse.materialise("csql_repeated_events", repeated(table, good))
        suspects = good.semi_join(keys, table.key)
    elif not some_repeated(table, good):
        return good, None
    marked = mark_duplicates(table, with_text(suspects, present), copy, conflict)
    ranked = warehouse.materialise(f"csql_ranked_{table.name}", marked)
    settled = ranked.filter(ranked.problem.isnull())
    if table.name == "events":
        settled = good.anti_join(keys, table.key).union(settled)
    return settled, ranked.filter(ranked.problem.notnull())


def _keep(table: Table, good: ir.Table) -> ir.Table:
    """The kept rows with ``known_at``: a view of the staged rows, which are typed already."""
    return good.select(*table.column_names).mutate(known_at=lambda t: known_at(table, t))


# ---------------------------------------------------------------- reports


def _problems(table: Table, good: ir.Table, bad: ir.Table, rules: list[Rule]) -> list[Problem]:
    problems = find_problems(table, bad, rules, "quarantine")
    for rule in check_rules(table, good, "warn"):
        problems += find_problems(table, good.filter(rule.bad).mutate(problem=0), [rule], "warn")
    return problems


#: What happened before the account's first contract began: trials and imports, or wrong data.
EARLY = ("before_first_contract", "before the first day of the account's first contract")


def first_contracts(contracts: ir.Table) -> ir.Table:
    """The day on which each account's first contract begins: ``account_id``, ``begins``."""
    return contracts.group_by("account_id").aggregate(begins=contracts.start_date.min())


def _warn_before_first_contract(kept: dict[str, ir.Table], reports: dict[str, TableReport], zone: str) -> None:
    """Count what happened before the account's first contract."""
    if "contracts" not in kept:
        return
    first = first_contracts(kept["contracts"])
    for name, time in (("events", "occurred_at"), ("tickets", "opened_at")):
        if name in kept:
            rows = kept[name].join(first, "account_id")
            near = rows.filter(rows[time].date() <= rows.begins)  # asking for the company's day takes long
            early = near.filter(local_day(near[time], zone) < near.begins).mutate(problem=0)
            found = find_problems(by_account(name), early, [Rule(time, *EARLY)], "warn")
            reports[name] = replace(reports[name], problems=(*reports[name].problems, *found))
