"""Snapshots: all metrics of all accounts as of a date, built date by date so that memory stays flat.

What a date knows is decided in `csql_ml.as_of`; what is computed of it, in `csql_ml.metrics.compiler`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import pandas as pd

from csql_ml.as_of import cut, cut_activity, cut_user_months
from csql_ml.contract.tables import TABLES
from csql_ml.dated_rows import ZoneArithmetic, dated
from csql_ml.dated_sql import PLACEHOLDER, DatedSql, placeholders
from csql_ml.days import day_of, known_day
from csql_ml.errors import ContractError
from csql_ml.metrics import metrics_of
from csql_ml.metrics.buckets import Summaries
from csql_ml.metrics.compiler import PASSES, Available, Compiled, Compiler, printed_steps
from csql_ml.metrics.definition import Metric

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.contract.validate import Inputs


@dataclass(frozen=True)
class Snapshot:
    """All eligible accounts as of one date.

    Attributes
    ----------
    features
        One row per account, sorted by ``account_id``: ``account_id``, ``as_of`` and every metric's columns.
    facts
        Same rows: the numbers quoted in sentences, trends, and what hypotheses are built from.
    accounts
        Same rows: the attributes of ``accounts`` as known then.
    contacts
        Known contacts of these accounts.
    without_contract
        How many known accounts have no contract in force and therefore no row.
    newest_event
        The day of the newest event known then; None without any.
    """

    as_of: date
    features: pd.DataFrame
    facts: pd.DataFrame
    accounts: pd.DataFrame
    contacts: pd.DataFrame
    without_contract: int
    newest_event: date | None = None


class SnapshotBuilder:
    """Builds snapshots of one company, date by date, so that memory stays flat.

    Parameters
    ----------
    inputs
        Validated tables.
    activity
        Their daily rollup: see `csql_ml.activity.rollup`.
    summaries
        Of the rollup, where the engine keeps any: see `csql_ml.activity.summaries`.
    """

    def __init__(self, inputs: Inputs, activity: ir.Table, config: Config, summaries: Summaries | None = None) -> None:
        self._inputs, self._activity, self._config, self._summaries = inputs, activity, config, summaries
        self._compiled: dict[str, DatedSql] = {}
        self._passes: dict[str, DatedSql] = {}
        self._days: dict[str, ir.Table] = {}

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that the configuration does not exclude: built-in ones, then the company's own."""
        excluded = {name for name, settings in self._config.metrics.items() if settings.exclude}
        return tuple(m for m in metrics_of(self._config).values() if m.name not in excluded)

    @cached_property
    def first_day(self) -> date | None:
        """The first day with activity; None when there is none."""
        day = self._inputs.con.to_pandas(self._activity.day.min())
        return None if pd.isna(day) else pd.Timestamp(day).date()

    @cached_property
    def last_known_day(self) -> date:
        """The newest day on which anything became known, over all tables."""
        zone = self._config.company.time_zone
        days = [self._activity.known_day.max()]
        days += [known_day(n, t, zone).max() for n, t in self._inputs.tables.items() if n not in _NO_NEWS]
        newest = [pd.Timestamp(d).date() for d in map(self._inputs.con.to_pandas, days) if not pd.isna(d)]
        return max(newest)

    def to_pandas(self, table: ir.Table) -> pd.DataFrame:
        """Rows of an expression over these tables, in an order that does not depend on the engine."""
        rows: pd.DataFrame = self._inputs.con.to_pandas(table.order_by(list(table.columns)))
        return rows

    def tables(self, as_of: date) -> dict[str, ir.Table]:
        """Every table as known before ``as_of``; absent optional tables are left out."""
        cuts = {n: self._cut(n, as_of) for n in self._inputs.tables if n != "events"}
        return {**cuts, "activity": cut_activity(self._activity, as_of)}

    def _cut(self, name: str, as_of: date) -> ir.Table:
        return cut(TABLES[name], self._dated(name), as_of)

    def _dated(self, name: str) -> ir.Table:
        """A contract table with days instead of instants; of many rows computed once, for all dates."""
        if name not in self._days:
            rows, con, zone = self._inputs.tables[name], self._inputs.con, self._config.company.time_zone
            versions = "recorded_at" in self._inputs.present_columns[name]
            if con.name == "duckdb" and zone != "UTC" and con.to_pandas(rows.count()) >= _MANY_ROWS:
                newest = con.to_pandas(day_of(name, rows, TABLES[name].own_time[-1], "UTC").max())
                days = dated(TABLES[name], rows, zone, versions, self._zone.days(pd.Timestamp(newest).date()))
                self._days[name] = con.create_table(f"csql_days_{name}_{next(_NUMBERS)}", days, temp=True)
            else:
                self._days[name] = dated(TABLES[name], rows, zone, versions)
        return self._days[name]

    @cached_property
    def _zone(self) -> ZoneArithmetic:
        return ZoneArithmetic(self._inputs.con, self._config.company.time_zone)

    # ------------------------------------------------------------ plans

    def plan(self, as_of: date) -> Compiled:
        """The named steps that compute a snapshot's columns, without running them."""
        return self._plan(as_of, self._known(as_of).facts)

    def explain(self, as_of: date) -> list[tuple[str, str]]:
        """Name and SQL of each step of `plan`, in the order they are computed; a step reads earlier ones by name."""
        return printed_steps(self.plan(as_of).steps, self._inputs.con)

    @cached_property
    def _compiler(self) -> Compiler:
        return Compiler(self.metrics, self._config)

    def _plan(self, as_of: date, facts: Mapping[str, int]) -> Compiled:
        reach = self._compiler.reach
        recent, summaries = cut_activity(self._activity, as_of, reach), self._summaries
        if summaries is not None:
            summaries = Summaries(
                cut_activity(summaries.account_days, as_of, reach),
                cut_user_months(summaries.user_months, as_of, reach),
            )
        available = Available(
            present=self._inputs.present_columns,
            config=self._config,
            history={"activity": facts["history"]},
            users_known=facts["users"],
        )
        return self._compiler.compile({**self.tables(as_of), "recent_activity": recent}, available, summaries)

    def _run(self, name: str, build: Build, as_of: date, facts: Mapping[str, int] | None = None) -> pd.DataFrame:
        """The rows of an expression that depends on the date; on DuckDB it is compiled for the first date only."""
        con, given = self._inputs.con, facts or {}
        if con.name != "duckdb":
            rows: pd.DataFrame = con.to_pandas(build(as_of, given))
            return rows
        if name not in self._compiled:
            self._compiled[name] = DatedSql(con, build(PLACEHOLDER, placeholders(given)), tuple(given))
        return self._compiled[name].run(as_of, given)

    # ------------------------------------------------------------ what is known of the rollup

    def _known(self, as_of: date) -> _Known:
        """How far the rollup goes, judged only by what was known before the date.

        A look at the newest days and the oldest one of the longest period answers it; where that day had no events
        yet, a look at the rollup's first day; else (first days recorded late, gaps) a look at all days.
        """
        reach = self._compiler.reach
        found = self._ends_of_days(as_of, reach)
        if not found.goes_back(reach) and self.first_day is not None:
            oldest = min(reach, (as_of - self.first_day).days)
            found = self._ends_of_days(as_of, oldest)
            if not found.goes_back(oldest):
                whole = self._run("all_known_days", lambda day, _: _ends(cut_activity(self._activity, day)), as_of)
                found = _Known.of(whole)
        return found

    def _ends_of_days(self, as_of: date, oldest: int) -> _Known:
        """What the newest days and the one that many days ago say."""

        def look(day: date, facts: Mapping[str, int]) -> ir.Table:
            known = cut_activity(self._activity, day)
            return _ends(known.filter((known.days_ago <= _NEWEST_DAYS) | (known.days_ago == facts["oldest"])))

        return _Known.of(self._run("known_days", look, as_of, {"oldest": oldest}))

    def newest_event(self, as_of: date) -> date | None:
        """The day of the newest event known before the date; None without any."""
        newest = self._known(as_of).newest
        return None if newest is None else as_of - timedelta(days=newest)

    # ------------------------------------------------------------ snapshots

    def build(self, as_of: date, *, contacts: bool = True) -> Snapshot:
        """Compute the snapshot of one date.

        Parameters
        ----------
        contacts
            Whether to read them; without, there are none in the snapshot.

        Raises
        ------
        ContractError
            Nothing was known before the date, or no account had a contract in force.
        """
        known = self._known(as_of)
        table = self._measure(as_of, known.facts)
        if table.empty:
            raise ContractError(self.nothing_known(as_of))
        accounts = self._run("accounts", lambda day, _: self._cut("accounts", day).order_by("account_id"), as_of)
        of_snapshot = accounts[accounts["account_id"].isin(table["account_id"])].reset_index(drop=True)
        return Snapshot(
            as_of=as_of,
            features=typed_features(table, as_of, self._columns.feature_columns, self._columns.categories),
            facts=table[["account_id", *self._columns.fact_columns]],
            accounts=of_snapshot,
            contacts=self._contacts(as_of, of_snapshot) if contacts else _no_contacts(),
            without_contract=len(accounts) - len(table),
            newest_event=None if known.newest is None else as_of - timedelta(days=known.newest),
        )

    def _measure(self, as_of: date, facts: Mapping[str, int]) -> pd.DataFrame:
        """The columns of `plan`; on DuckDB the passes over the rollup one after the other, which takes less memory."""
        con = self._inputs.con
        if con.name != "duckdb":
            self._columns = self._plan(as_of, facts)
            rows: pd.DataFrame = con.to_pandas(self._columns.table.order_by("account_id"))
            return rows
        if "metrics" not in self._compiled:
            self._columns = self._plan(PLACEHOLDER, placeholders(facts))
            kept = {n: f"csql_step_{n}_{next(_NUMBERS)}" for n in PASSES if n in self._columns.steps}
            for step, name in kept.items():
                self._passes[name] = DatedSql(con, self._columns.steps[step], tuple(facts))
            self._compiled["metrics"] = DatedSql(con, self._columns.reading(kept), tuple(facts))
        for name, one_pass in self._passes.items():
            one_pass.keep(name, as_of, facts)
        return self._compiled["metrics"].run(as_of, facts, order_by="account_id")

    def _contacts(self, as_of: date, accounts: pd.DataFrame) -> pd.DataFrame:
        if "contacts" not in self._inputs.tables:
            return _no_contacts()
        order = ["account_id", "contact_id"]
        rows = self._run("contacts", lambda day, _: self._cut("contacts", day).order_by(order), as_of)
        return rows[rows["account_id"].isin(accounts["account_id"])].reset_index(drop=True)

    def nothing_known(self, as_of: date) -> str:
        """Why a date has no snapshot, in words."""
        first = self.first_day
        since = "there are no events at all" if first is None else f"events begin on {first.isoformat()}"
        return (
            f"as of {as_of.isoformat()} no account with a contract in force is known ({since}); "
            "choose a later as-of date or check the start dates in table contracts"
        )


def _no_contacts() -> pd.DataFrame:
    return pd.DataFrame(columns=["contact_id", "account_id", "role", "since_days_ago"])


#: An expression for an as-of date and facts about it.
Build = Callable[[date, Mapping[str, int]], ir.Table]
#: The newest event is looked for in this many days first.
_NEWEST_DAYS = 7
#: From this many rows on a table is turned into days once; below, compiling that takes longer.
_MANY_ROWS = 20_000
#: Builders may share a connection.
_NUMBERS = count()


@dataclass(frozen=True)
class _Known:
    """The days ago of the newest and the oldest known row of the rollup, and whether any known row names a user."""

    newest: int | None
    history: int
    users: bool

    @classmethod
    def of(cls, ends: pd.DataFrame) -> _Known:
        newest, oldest, users = ends.iloc[0]
        return cls(None if pd.isna(newest) else int(newest), 0 if pd.isna(oldest) else int(oldest), bool(users > 0))

    def goes_back(self, days: int) -> bool:
        """Whether these are the ends of all known rows, if none is older than that many days."""
        return self.history == days and self.users and self.newest is not None and self.newest <= _NEWEST_DAYS

    @property
    def facts(self) -> dict[str, int]:
        """What the compiled SQL is told of the date."""
        return {"history": self.history, "users": int(self.users)}


def _ends(known: ir.Table) -> ir.Table:
    return known.aggregate(newest=known.days_ago.min(), oldest=known.days_ago.max(), users=known.user_id.count())


#: Tables whose rows do not say that data was still arriving: contracts may be signed for the future.
_NO_NEWS = {"events", "contracts", "coverage"}


def typed_features(table: pd.DataFrame, as_of: date, columns: Iterable[str], categories: Iterable[str]) -> pd.DataFrame:
    """The feature frame: numbers as float64, categories as text objects; missing is NaN or None."""
    texts = set(categories)
    typed = {"account_id": table["account_id"], "as_of": pd.Series(as_of, index=table.index, dtype="object")}
    for column in columns:
        values = table[column]
        if column in texts:
            typed[column] = values.astype("object").where(values.notna(), None)
        else:
            typed[column] = values.astype("float64")
    return pd.DataFrame(typed)
