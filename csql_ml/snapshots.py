"""The as-of compiler: accounts as of a date, from rows that were known before that date's midnight.

This is the only place that compares a time with an as-of date, and `known_before` is the one comparison: a row of the
cut-off instant itself, local midnight of the as-of date, is not known; it belongs to what comes after.

What leaves here has no dates left. Each time column ``x_at`` or ``x_date`` has become a day count ``x_days_ago``
(1 = the day before the as-of date, 0 or negative = on or after it, which only planned dates such as a contract's end
can be), so formulas cannot look ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from csql_ml.contract.tables import TABLES, Table
from csql_ml.days import day_of, known_day, local_day
from csql_ml.errors import ContractError
from csql_ml.metrics import registry
from csql_ml.metrics.compiler import Available, Compiled, compile_metrics
from csql_ml.metrics.definition import Metric

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.contract.validate import Inputs


def known_before(day: Any, as_of: date) -> Any:
    """Whether a day lies before the as-of date: the one comparison that decides what a snapshot knows."""
    return day < ibis.literal(as_of)


def cut(table: Table, rows: ir.Table, as_of: date, zone: str) -> ir.Table:
    """One contract table as it was known before ``as_of``.

    Keeps the newest known version of each key, empties facts that came later (`Column.known_with`), and replaces
    times by day counts.
    """
    known = rows.filter(known_before(known_day(table.name, rows, zone), as_of))
    newest = _newest_versions(table, known)
    return _as_day_counts(table, newest, as_of, zone)


def _newest_versions(table: Table, rows: ir.Table) -> ir.Table:
    if not table.key or table.name == "events":
        return rows
    window = ibis.window(
        group_by=[rows[c] for c in table.key],
        order_by=[rows.recorded_at.desc(nulls_first=False)],
    )
    numbered = rows.mutate(version_=ibis.row_number().over(window))
    return numbered.filter(numbered.version_ == 0).drop("version_")


def _as_day_counts(table: Table, rows: ir.Table, as_of: date, zone: str) -> ir.Table:
    columns: dict[str, Any] = {}
    for column in table.columns:
        value = rows[column.name]
        if column.known_with is not None:
            known = known_before(day_of(table.name, rows, column.known_with, zone), as_of)
            value = ibis.ifelse(known, value, ibis.null(value.type()))
        if column.name == "recorded_at":
            continue
        if column.dtype in ("date", "timestamp"):
            day = value if column.dtype == "date" else local_day(value, zone)
            columns[days_ago_name(column.name)] = _days_between(day, as_of)
        else:
            columns[column.name] = value
    return rows.select(**columns)


def _days_between(day: Any, as_of: date) -> Any:
    return ibis.literal(as_of).delta(day, unit="day")


def days_ago_name(column: str) -> str:
    """Name of the day count of a time column: ``opened_at`` -> ``opened_days_ago``."""
    return f"{column.removesuffix('_at').removesuffix('_date')}_days_ago"


def cut_activity(activity: ir.Table, as_of: date) -> ir.Table:
    """The rollup as it was known before ``as_of``, with ``days_ago`` for the day."""
    known = activity.filter(known_before(activity.day, as_of) & known_before(activity.known_day, as_of))
    return known.mutate(days_ago=_days_between(known.day, as_of)).drop("day", "known_day")


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
    """Builds snapshots of one company, date by date, so that memory stays flat."""

    def __init__(self, inputs: Inputs, activity: ir.Table, config: Config) -> None:
        self._inputs, self._activity, self._config = inputs, activity, config

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that the configuration does not exclude."""
        excluded = {name for name, settings in self._config.metrics.items() if settings.exclude}
        return tuple(m for m in registry().values() if m.name not in excluded)

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
        zone = self._config.company.time_zone
        cuts = {n: cut(TABLES[n], t, as_of, zone) for n, t in self._inputs.tables.items() if n != "events"}
        return {**cuts, "activity": cut_activity(self._activity, as_of)}

    def plan(self, as_of: date) -> Compiled:
        """The named steps that compute a snapshot's columns, without running them."""
        tables = self.tables(as_of)
        return compile_metrics(self.metrics, tables, self._available(tables["activity"]))

    def _available(self, activity: ir.Table) -> Available:
        """What there is to compute from, judged only by what was known before the date."""
        seen = self._inputs.con.to_pandas(
            activity.aggregate(days=activity.days_ago.max(), users=activity.user_id.count())
        )
        return Available(
            present=self._inputs.present_columns,
            config=self._config,
            history={"activity": 0 if pd.isna(seen["days"][0]) else int(seen["days"][0])},
            users_known=bool(seen["users"][0] > 0),
        )

    def build(self, as_of: date) -> Snapshot:
        """Compute the snapshot of one date.

        Raises
        ------
        ContractError
            Nothing was known before the date, or no account had a contract in force.
        """
        plan, con = self.plan(as_of), self._inputs.con
        table = con.to_pandas(plan.table.order_by("account_id"))
        if table.empty:
            raise ContractError(self._nothing_known(as_of))
        tables = self.tables(as_of)
        accounts = con.to_pandas(tables["accounts"].order_by("account_id"))
        known = len(accounts)
        accounts = accounts[accounts["account_id"].isin(table["account_id"])].reset_index(drop=True)
        return Snapshot(
            as_of=as_of,
            features=_typed(table, as_of, plan.feature_columns, plan.categories),
            facts=table[["account_id", *plan.fact_columns]],
            accounts=accounts,
            contacts=self._contacts(tables, accounts),
            without_contract=known - len(table),
            newest_event=self._newest_event(tables["activity"], as_of),
        )

    def _newest_event(self, activity: ir.Table, as_of: date) -> date | None:
        days = self._inputs.con.to_pandas(activity.days_ago.min())
        return None if pd.isna(days) else as_of - timedelta(days=int(days))

    def _contacts(self, tables: Mapping[str, ir.Table], accounts: pd.DataFrame) -> pd.DataFrame:
        if "contacts" not in tables:
            return pd.DataFrame(columns=["contact_id", "account_id", "role", "since_days_ago"])
        rows: pd.DataFrame = self._inputs.con.to_pandas(tables["contacts"].order_by(["account_id", "contact_id"]))
        return rows[rows["account_id"].isin(accounts["account_id"])].reset_index(drop=True)

    def _nothing_known(self, as_of: date) -> str:
        first = self.first_day
        since = "there are no events at all" if first is None else f"events begin on {first.isoformat()}"
        return (
            f"as of {as_of.isoformat()} no account with a contract in force is known ({since}); "
            "choose a later as-of date or check the start dates in table contracts"
        )


#: Tables whose rows do not say that data was still arriving: contracts may be signed for the future.
_NO_NEWS = {"events", "contracts", "coverage"}


def _typed(table: pd.DataFrame, as_of: date, columns: Iterable[str], categories: Iterable[str]) -> pd.DataFrame:
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
