"""Money: ARR in force, net revenue retention with and without CSQL revenue, and where expansion ARR came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from csql_ml.outcomes.facts import Facts
from csql_ml.outcomes.figures import Amount, rate, ratio

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Leads whose revenue stays in the account that was the lead; a referral's is another customer's.
OF_THE_ACCOUNT = ("upsell", "cross_sell")


@dataclass(frozen=True)
class Period:
    """Days from ``start`` up to, but without, ``end``; never beyond what is known."""

    start: date
    end: date

    def holds(self, days_ago: pd.Series, facts: Facts) -> pd.Series:
        """Whether day counts lie in the period; a missing one does not."""
        return (days_ago <= facts.days_ago(self.start)) & (days_ago > facts.days_ago(self.end))


@dataclass(frozen=True)
class Retention:
    """Net revenue retention: ARR at the end over ARR at the start, of the customers of the start.

    Attributes
    ----------
    accounts
        Customers with ARR in force at the start.
    with_csql, without_csql
        Without: less the ARR that CSQLs won in the period; an account's ARR cannot go below 0 by that.
    uplift
        The first less the second, as a share.
    """

    period: Period
    accounts: int
    with_csql: Amount
    without_csql: Amount
    uplift: Amount


def arr_in_force(facts: Facts, day: date) -> pd.Series:
    """ARR per account of the contracts in force on a day, as known before the as-of date."""
    ago, terms = facts.days_ago(day), facts.contracts
    begun = terms["start_days_ago"] >= ago
    runs_on = terms["end_days_ago"].isna() | (terms["end_days_ago"] < ago)
    return terms[begun & runs_on].groupby("account_id")["arr"].sum()


def retained(facts: Facts, book: pd.DataFrame, period: Period) -> pd.DataFrame:
    """Customers of the period's start: ``account_id, start_arr, end_arr, csql_arr``."""
    start = arr_in_force(facts, period.start)
    start = start[start > 0]
    won = book[book["type"].isin(OF_THE_ACCOUNT) & (book["won"] == "reached")]
    won = won[period.holds(won["closed_days_ago"], facts)]
    frame = pd.DataFrame({"start_arr": start}).rename_axis("account_id")
    frame["end_arr"] = arr_in_force(facts, period.end).reindex(frame.index).fillna(0.0)
    frame["csql_arr"] = won.groupby("account_id")["arr"].sum().reindex(frame.index).fillna(0.0)
    return frame.astype("float64").reset_index()


def retention(rows: pd.DataFrame, period: Period, config: Config) -> Retention | None:
    """The retention of some of the rows of `retained`; None without ARR at the start."""
    if not len(rows):
        return None
    settings = config.outcomes
    start, end = rows["start_arr"].to_numpy(), rows["end_arr"].to_numpy()
    rest = (rows["end_arr"] - rows["csql_arr"]).clip(lower=0.0).to_numpy()
    figures = (ratio(above, start, settings.confidence, settings.resamples) for above in (end, rest, end - rest))
    return Retention(period, len(rows), *figures)


def expansions(facts: Facts, book: pd.DataFrame, period: Period, config: Config) -> pd.DataFrame | None:
    """Expansion ARR won in a period: ``account_id, arr, csql_arr``; None without opportunities.

    Where opportunities do not say where they came from, ``csql_arr`` is what the leads of the account won, and the
    account's expansion ARR is at least that.
    """
    if facts.opportunities is None:
        return None
    opportunities = facts.opportunities
    won = opportunities["won"].eq(True).fillna(False).astype(bool) & (opportunities["type"] == "expansion")
    won &= period.holds(opportunities["closed_days_ago"], facts)
    rows = opportunities[won]
    arr = rows.groupby("account_id")["arr"].sum()
    if facts.has_source:
        ours = rows["source"].fillna("").astype(str).str.casefold() == config.handoff.lead_source.casefold()
        csql = rows[ours].groupby("account_id")["arr"].sum()
    else:
        leads = book[book["type"].isin(OF_THE_ACCOUNT) & period.holds(book["closed_days_ago"], facts)]
        csql = leads[leads["arr"] > 0].groupby("account_id")["arr"].sum()
    frame = pd.DataFrame({"arr": arr, "csql_arr": csql}).rename_axis("account_id").fillna(0.0).astype("float64")
    frame["arr"] = frame[["arr", "csql_arr"]].max(axis=1)
    return frame.reset_index()


def expansion_share(rows: pd.DataFrame | None, config: Config) -> Amount:
    """Share of expansion ARR that began as a CSQL."""
    if rows is None or not len(rows):
        return Amount(None, None, None)
    settings = config.outcomes
    share = ratio(rows["csql_arr"].to_numpy(), rows["arr"].to_numpy(), settings.confidence, settings.resamples)
    if share.value in (0.0, 1.0):  # resampling all or nothing gives all or nothing: count accounts instead
        counted = rate(int(share.value) * len(rows), 0, len(rows), settings.confidence)
        return Amount(share.value, counted.low, counted.high)
    return share
