"""The activity of a company, opened: the rollup up to date, cut to the accounts known today, and its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Literal

import ibis.expr.types as ir

from csql_ml.activity.folder import PATIENCE, Folder
from csql_ml.activity.month_tables import MonthTables, read_parquet
from csql_ml.activity.rollup import columns_of, no_rows
from csql_ml.activity.source import EventSource, merged
from csql_ml.activity.store import LackingColumnsError, Store, Updated
from csql_ml.activity.summaries import no_user_months
from csql_ml.contract.checking import lacking_report, table_report
from csql_ml.contract.findings import EXAMPLES, LONGEST_EXAMPLE
from csql_ml.contract.report import Problem, TableReport
from csql_ml.contract.rules import account_rule
from csql_ml.contract.tables import EVENTS
from csql_ml.contract.validate import EARLY, first_contracts
from csql_ml.run_files import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from csql_ml.config import Config
    from csql_ml.source_duckdb import DuckDBWarehouse

#: DuckDB leaves out files by the day or month in their folder's name.
_BY_DAY = ", hive_partitioning = true, hive_types = {'day': DATE}"
_BY_MONTH = ", hive_partitioning = true, hive_types = {'month': DATE}"
_ACCOUNTS, _KNOWN, _UNKNOWN = "csql_activity_accounts", "csql_known_accounts", "csql_unknown_accounts"


@dataclass(frozen=True)
class Activity:
    """The daily rollup of the accounts known today.

    Attributes
    ----------
    table
        See `csql_ml.activity.rollup.rollup`; reads the files in force, as long as the context is open.
    account_days, user_months
        Its summaries: see `csql_ml.activity.summaries`. ``month`` is a month's first day.
    report
        What validation of the events found: the same as if all of them had been checked at once.
    columns
        The contract's columns that the source has.
    days_built
        How many days were checked and rolled up this time.
    first_day
        The first day with activity; None without any.
    last_known_day
        The newest day on which activity became known; None without any.
    """

    table: ir.Table
    account_days: ir.Table
    user_months: ir.Table
    report: TableReport
    columns: frozenset[str]
    days_built: int
    first_day: date | None
    last_known_day: date | None


def store_path(config: Config) -> Path:
    """The folder of one company's rollup below ``activity_folder``: another one for other places of events."""
    mapping = config.data.tables["events"]
    where = {
        "folder": str(config.data_folder.resolve()),
        "location": mapping.model_dump(mode="json", exclude={"columns"}),
        "database": config.data.database,
        "raw": config.data.raw if mapping.query is not None or mapping.table in config.data.raw else {},
    }
    return config.activity_path / f"events-{fingerprint(where)[:12]}"


def event_source(warehouse: DuckDBWarehouse) -> EventSource:
    """Whatever holds the events: DuckDB, or the company's database if it is to check and roll them up itself."""
    mapping, data = warehouse.config.data.tables["events"], warehouse.config.data
    if data.push_down and warehouse.remote is not None and mapping.file is None:
        from csql_ml.activity.postgres_events import PostgresEvents

        return PostgresEvents(warehouse, warehouse.config)
    from csql_ml.activity.duckdb_events import DuckDBEvents

    return DuckDBEvents(warehouse)


@contextmanager
def open_store(
    warehouse: DuckDBWarehouse,
    config: Config,
    tables: Mapping[str, ir.Table],
    source: EventSource | None = None,
    patience: float = PATIENCE,
) -> Iterator[Activity]:
    """Bring the rollup of a company's events up to date and open it.

    Parameters
    ----------
    tables
        The kept rows of ``accounts`` and ``contracts``.
    source
        The events; default: what the configuration names.
    patience
        Seconds to wait for another run that builds the same rollup.

    Raises
    ------
    SourceError, ContractError
        The events cannot be read, or a mapped column is not there.
    OutputError
        The activity folder cannot be written, or another run is using it.
    """
    with ExitStack() as stack:
        source = source or event_source(warehouse)
        stack.callback(source.close)
        folder = Folder(store_path(config))
        with folder.locked(patience), warehouse.reading("events"):
            store = Store(folder, source, config, MonthTables(warehouse.connection.con, folder.path))
            updated = _update(store)
            if isinstance(updated, Updated):
                stack.enter_context(folder.reading(updated.manifest.files()))
        if isinstance(updated, Updated):
            yield _Opened(warehouse, folder, updated).activity(tables)
        else:
            yield _without_rollup(warehouse, updated)


def _update(store: Store) -> Updated | LackingColumnsError:
    try:
        return store.update()
    except LackingColumnsError as error:
        return error


def _without_rollup(warehouse: DuckDBWarehouse, error: LackingColumnsError) -> Activity:
    """What can be said of events that lack required columns."""
    raw = warehouse.read("events")
    assert raw is not None
    report = lacking_report(EVENTS, error.lacking, error.present, int(raw.count().execute()))
    return Activity(*_empty(warehouse), report, frozenset(error.present), 0, None, None)


def _empty(warehouse: DuckDBWarehouse) -> tuple[ir.Table, ir.Table, ir.Table]:
    """The rollup and its summaries without rows."""
    rows = no_rows(warehouse.config)
    tables = {"rollup": rows, "account_days": rows.drop_columns("user_id"), "user_months": no_user_months()}
    for name, table in tables.items():
        warehouse.connection.con.register("csql_no_rows", table)
        warehouse.run(f"CREATE OR REPLACE TABLE csql_no_{name} AS SELECT * FROM csql_no_rows")
        warehouse.connection.con.unregister("csql_no_rows")
    rollup, account_days, user_months = (warehouse.connection.table(f"csql_no_{name}") for name in tables)
    return rollup, account_days, user_months


class _Opened:
    """The rollup in force, and what is known of its accounts."""

    def __init__(self, warehouse: DuckDBWarehouse, folder: Folder, updated: Updated) -> None:
        self._warehouse, self._folder, self._updated = warehouse, folder, updated
        self._files = updated.manifest.rollup_files()

    def activity(self, tables: Mapping[str, ir.Table]) -> Activity:
        """The rollup of known accounts and the report."""
        columns = frozenset(name for name in self._updated.manifest.columns if name)
        built = len(self._updated.built)
        if not self._files:
            return Activity(*_empty(self._warehouse), self._report(0, []), columns, built, None, None)
        strangers = self._strangers(tables["accounts"])
        where = f" WHERE account_id NOT IN (SELECT account_id FROM {_UNKNOWN})" if strangers else ""
        table = self._rollup(where)
        sums = "coalesce(sum(events), 0)::BIGINT, min(first_day), max(last_known_day)"
        ((events, first, last),) = self._warehouse.rows(f"SELECT {sums} FROM {_KNOWN}")
        report = self._report(int(events), strangers)
        if "contracts" in tables and not any(problem.action == "stop" for problem in report.problems):
            report = replace(report, problems=(*report.problems, *self._early(table, tables["contracts"])))
        return Activity(table, self._account_days(where), self._user_months(where), report, columns, built, first, last)

    def _strangers(self, accounts: ir.Table) -> list[Problem]:
        """Tell the accounts of the rollup apart; a problem if there are unknown ones."""
        months = [state.accounts.path for state in self._updated.manifest.months.values()]
        self._warehouse.view(
            _ACCOUNTS,
            "SELECT account_id, sum(events)::BIGINT AS events, min(first_day) AS first_day, "
            f"max(last_known_day) AS last_known_day FROM {read_parquet(self._folder.path, months)} GROUP BY account_id",
        )
        everyone = self._warehouse.connection.table(_ACCOUNTS)
        self._warehouse.materialise(_KNOWN, everyone.semi_join(accounts, "account_id"))
        self._warehouse.materialise(_UNKNOWN, everyone.anti_join(accounts, "account_id"))
        rule = account_rule(everyone, accounts)
        return self._problem(_UNKNOWN, rule.column, rule.kind, rule.message, "quarantine")

    def _problem(
        self, table: str, column: str, kind: str, message: str, action: Literal["quarantine", "warn"]
    ) -> list[Problem]:
        """The events of the accounts in a table as one problem; none if there are none."""
        ((events,),) = self._warehouse.rows(f"SELECT coalesce(sum(events), 0)::BIGINT FROM {table}")
        shown = f"SELECT DISTINCT left(account_id, {LONGEST_EXAMPLE}) AS shown FROM {table} ORDER BY shown"
        examples = tuple(row[0] for row in self._warehouse.rows(f"{shown} LIMIT {EXAMPLES}"))
        return [Problem(EVENTS.name, column, kind, int(events), action, message, examples)] if events else []

    def _rollup(self, where: str) -> ir.Table:
        return self._view("csql_activity", columns_of(self._warehouse.config), self._files, _BY_DAY, where)

    def _account_days(self, where: str) -> ir.Table:
        columns = [name for name in columns_of(self._warehouse.config) if name != "user_id"]
        files = self._updated.manifest.account_files()
        return self._view("csql_account_days", columns, files, _BY_DAY, where)

    def _user_months(self, where: str) -> ir.Table:
        files = self._updated.manifest.user_files()
        if not files:
            return _empty(self._warehouse)[2]
        return self._view("csql_user_months", no_user_months().column_names, files, _BY_MONTH, where)

    def _view(self, name: str, columns: Iterable[str], files: Iterable[str], options: str, where: str) -> ir.Table:
        """Some columns of files, leaving files out by what is in their names."""
        source = read_parquet(self._folder.path, files, options)
        self._warehouse.view(name, f"SELECT {', '.join(columns)} FROM {source}{where}")
        table: ir.Table = self._warehouse.connection.table(name)
        return table

    def _report(self, kept: int, strangers: list[Problem]) -> TableReport:
        findings = merged(finding for day in self._updated.manifest.days.values() for finding in day.findings)
        problems = [
            Problem(EVENTS.name, f.column, f.kind, f.rows, "quarantine", f.message, f.examples) for f in findings
        ]
        return table_report(EVENTS, self._updated.read, kept, [*problems, *strangers])

    def _early(self, table: ir.Table, contracts: ir.Table) -> list[Problem]:
        """Activity before the account's first contract; only accounts that have any are looked at."""
        first = first_contracts(contracts)
        known = self._warehouse.connection.table(_KNOWN).join(first, "account_id")
        early = self._warehouse.materialise("csql_early_accounts", known.filter(known.first_day < known.begins))
        if not self._warehouse.rows("SELECT 1 FROM csql_early_accounts LIMIT 1"):
            return []
        rows = table.join(early.select("account_id", "begins"), "account_id")
        events = rows.filter(rows.day < rows.begins).group_by("account_id").aggregate(events=rows.events.sum())
        self._warehouse.materialise("csql_early_events", events)
        return self._problem("csql_early_events", "occurred_at", *EARLY, "warn")
