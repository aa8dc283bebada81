"""What was known of leads, opportunities and contracts before a date, as plain frames of day counts.

Events are not read: a funnel has none. Everything is cut by `csql_ml.as_of.cut`, so that a figure of a past date
never sees what came later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from csql_ml.as_of import cut
from csql_ml.contract.report import Inputs
from csql_ml.contract.tables import TABLES
from csql_ml.contract.validate import validate
from csql_ml.dated_rows import dated
from csql_ml.days import day_of, known_day
from csql_ml.errors import ContractError
from csql_ml.sources import open_warehouse

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Columns of each frame of `Facts`.
COLUMNS: dict[str, tuple[str, ...]] = {
    "accounts": ("account_id", "csm_id"),
    "contracts": ("account_id", "arr", "start_days_ago", "end_days_ago"),
    "csqls": (
        "csql_id",
        "account_id",
        "type",
        "created_days_ago",
        "csm_id",
        "accepted_days_ago",
        "rejected_days_ago",
        "rejection_reason",
        "opportunity_days_ago",
        "closed_days_ago",
        "won",
        "arr",
    ),
    "opportunities": (
        "opportunity_id",
        "account_id",
        "type",
        "created_days_ago",
        "arr",
        "closed_days_ago",
        "won",
        "source",
    ),
}
_NUMBERS = ("arr",)


@dataclass(frozen=True)
class Facts:
    """One company's funnel as known before ``as_of``.

    Attributes
    ----------
    accounts, contracts, csqls
        `COLUMNS`; a day count is the days from then to ``as_of``, 1 = the day before, never below 1 for what happened.
    opportunities
        None where the table is not mapped.
    has_source
        Whether opportunities say where they came from.
    """

    as_of: date
    accounts: pd.DataFrame
    contracts: pd.DataFrame
    csqls: pd.DataFrame
    opportunities: pd.DataFrame | None
    has_source: bool

    def days_ago(self, day: date) -> int:
        """Day count of a date."""
        return (self.as_of - day).days

    def day(self, days_ago: float) -> date:
        """Date of a day count."""
        return self.as_of - timedelta(days=int(days_ago))


def read(config: Config, as_of: date | None = None, *, need: tuple[str, ...] = ("csqls",)) -> Facts:
    """Read and check the tables of the funnel.

    Parameters
    ----------
    as_of
        Default: the day after the newest news in these tables.
    need
        Optional tables that must be mapped.

    Raises
    ------
    ContractError
        A table is broken, or one that is needed is not mapped.
    """
    with open_warehouse(config) as warehouse:
        inputs = validate(warehouse, config, leave_out=tuple(n for n in TABLES if n not in COLUMNS))
        inputs.stop_if_broken()
        for name in need:
            if name not in inputs.tables:
                raise ContractError(
                    f"table {name} is not mapped, so there are no outcomes to read; map it under data.tables.{name}, "
                    "or fetch it from the CRM with csql pull"
                )
        return facts_of(inputs, config, as_of or newest_news(inputs, config) + timedelta(days=1))


def facts_of(inputs: Inputs, config: Config, as_of: date) -> Facts:
    """The funnel's tables as known before ``as_of``."""
    frames = {name: _frame(inputs, name, config, as_of) for name in COLUMNS}
    present = inputs.present_columns.get("opportunities", frozenset())
    return Facts(
        as_of=as_of,
        accounts=frames["accounts"],
        contracts=frames["contracts"],
        csqls=frames["csqls"],
        opportunities=frames["opportunities"] if "opportunities" in inputs.tables else None,
        has_source="source" in present,
    )


def _frame(inputs: Inputs, name: str, config: Config, as_of: date) -> pd.DataFrame:
    columns = list(COLUMNS[name])
    if name not in inputs.tables:
        return typed(pd.DataFrame(columns=columns))
    table, rows = TABLES[name], inputs.tables[name]
    days = dated(table, rows, config.company.time_zone, "recorded_at" in inputs.present_columns[name])
    known = cut(table, days, as_of).select(*columns)
    frame: pd.DataFrame = inputs.con.to_pandas(known.order_by(columns))
    return typed(frame)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with float64 numbers and day counts, and text as objects; missing is NaN or None."""
    types: dict[str, Any] = {}
    for column in frame.columns:
        values = frame[column]
        if column in _NUMBERS or column.endswith("_days_ago"):
            types[column] = values.astype("float64")
        else:
            types[column] = values.astype("object").where(values.notna(), None)
    return pd.DataFrame(types, columns=list(frame.columns))


def newest_news(inputs: Inputs, config: Config) -> date:
    """The newest day on which a row of accounts, leads or opportunities, or an outcome of them, became known."""
    zone = config.company.time_zone
    days = [_newest(inputs, known_day(name, rows, zone).max()) for name, rows in _tables_with_news(inputs)]
    for name, rows in _tables_with_news(inputs):
        table = TABLES[name]
        later = {c.known_with for c in table.columns if c.known_with is not None}
        for column in sorted(later):
            # A close date without a result is a plan of sales, and may lie in the future.
            done = rows.filter(rows.won.notnull()) if column == "closed_at" else rows
            days.append(_newest(inputs, day_of(name, done, column, zone).max()))
    found = [d for d in days if d is not None]
    if not found:
        raise ContractError("tables accounts, csqls and opportunities have no rows; say the date with --as-of")
    return max(found)


def _tables_with_news(inputs: Inputs) -> list[tuple[str, ir.Table]]:
    return [(n, inputs.tables[n]) for n in ("accounts", "csqls", "opportunities") if n in inputs.tables]


def _newest(inputs: Inputs, day: ibis.Value) -> date | None:
    newest = inputs.con.to_pandas(day)
    return None if pd.isna(newest) else pd.Timestamp(newest).date()
