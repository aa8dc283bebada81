"""Outcomes -> labels: what a snapshot turned out to be, as far as it was known on a given day.

A label is about leads of new revenue (upsell, cross-sell, referral) that were *created* within the snapshot's horizon:
from the as-of date's midnight to the end of the next quarter. Renewals and churn saves never count.

=============  ========================================================================================================
state          when
=============  ========================================================================================================
positive       a lead created within the horizon has reached the outcome stage or a later one
open           not decided yet: the horizon has not ended, or a lead created within it has no outcome (wait for it)
negative       decided, and none reached the stage
unobserved     nobody would have acted: outside the covered portfolios, never worked, or a lead was in work already
=============  ========================================================================================================

Labels are themselves point in time: `LabelBook.known` gives them as known on any day, so that validation trains only
on what was known on the day it pretends to stand on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.quarters import horizon_end, quarter_start

if TYPE_CHECKING:
    from csql_ml.config import Config, Stage
    from csql_ml.snapshots import SnapshotBuilder

State = Literal["positive", "negative", "open", "unobserved"]
COLUMNS = ("account_id", "as_of", "state", "reason", "label", "amount", "lead_type", "worked", "accepted", "won")

_LEAD_COLUMNS = (
    "account_id",
    "type",
    "created_days_ago",
    "accepted_days_ago",
    "rejected_days_ago",
    "opportunity_days_ago",
    "closed_days_ago",
    "won",
    "arr",
)


@dataclass(frozen=True)
class Spine:
    """The account-snapshots to label.

    Attributes
    ----------
    frame
        ``account_id``, ``as_of`` (date), ``csm_id`` (as known then) and ``in_work`` (bool: a lead or an expansion
        opportunity was open as of the date).
    """

    frame: pd.DataFrame


class LabelBook:
    """Labels of one company."""

    def __init__(self, builder: SnapshotBuilder, spine: Spine, config: Config) -> None:
        self._builder, self._spine, self._config = builder, spine, config
        self._cache: dict[date, pd.DataFrame] = {}

    def horizon_end(self, as_of: date) -> date:
        """First day after the horizon of a snapshot."""
        return horizon_end(as_of, self._config.labels.horizon_quarters, self._config.company.fiscal_year_start_month)

    def known(self, now: date) -> pd.DataFrame:
        """Labels as known before ``now``, one row per spine row of a snapshot before ``now``.

        Returns
        -------
        DataFrame
            `COLUMNS`; ``label`` is 1.0, 0.0 or NaN, ``amount`` the ARR won with the horizon's leads (NaN unless
            positive). The steps of selection, each 1.0, 0.0 or NaN (not known, or no question): ``worked`` (somebody
            would have acted; NaN before the horizon's end and where a lead was in work), ``accepted`` (of worked
            accounts, whether a lead was; NaN while one is open), ``won`` (of accepted ones, likewise).
        """
        if now not in self._cache:
            self._cache[now] = self._label(now)
        return self._cache[now]

    def _label(self, now: date) -> pd.DataFrame:
        spine = self._spine.frame[self._spine.frame["as_of"].map(lambda d: d < now)].reset_index(drop=True)
        leads, coverage = self._table(now, "csqls", _LEAD_COLUMNS), self._coverage(now)
        parts = [
            self._label_snapshot(cast("date", as_of), rows, leads, coverage, now)
            for as_of, rows in spine.groupby("as_of", sort=True)
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))

    def _table(self, now: date, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        tables = self._builder.tables(now)
        if name not in tables:
            return pd.DataFrame(columns=list(columns))
        return self._builder.to_pandas(tables[name].select(*columns))

    def _coverage(self, now: date) -> pd.DataFrame | None:
        columns = ("csm_id", "account_id", "start_days_ago", "end_days_ago")
        return self._table(now, "coverage", columns) if "coverage" in self._builder.tables(now) else None

    def _label_snapshot(
        self, as_of: date, spine: pd.DataFrame, leads: pd.DataFrame, coverage: pd.DataFrame | None, now: date
    ) -> pd.DataFrame:
        since, end = (now - as_of).days, self.horizon_end(as_of)
        until = (now - end).days
        outcomes = _outcomes(leads, self._config.labels.stage, since=since, until=until)
        out = spine[["account_id", "as_of"]].merge(outcomes, on="account_id", how="left")
        has_lead = out["leads"].fillna(0).to_numpy() > 0
        won, pending = out["reached"].fillna(0).to_numpy() > 0, out["pending"].fillna(0).to_numpy() > 0
        if coverage is not None:
            worked_until = (now - quarter_start(as_of, self._config.company.fiscal_year_start_month, ahead=1)).days
            share = _covered_share(spine, coverage, since=since, until=worked_until)
            observed, why = share >= self._config.labels.min_coverage_share, "outside coverage"
        else:
            assumed = self._config.labels.without_coverage == "negative"
            observed, why = has_lead | assumed, "never worked, and there is no coverage table"
        in_work = spine["in_work"].to_numpy(dtype=bool)
        cases = [in_work, ~observed, won, np.full(len(out), until < 0), pending]
        states = ["unobserved", "unobserved", "positive", "open", "open"]
        reasons = ["a lead was in work already", why, "reached", f"horizon ends {end.isoformat()}", "lead still open"]
        if coverage is None:  # nobody worked it *yet* is not known before the horizon has ended
            cases[1] = ~observed & (until >= 0)
        out["state"] = np.select(cases, states, default="negative")
        out["reason"] = np.select(cases, reasons, default="not reached")
        asked = ~in_work & (until >= 0)
        return _with_numbers(_with_steps(out, np.where(asked, observed, np.nan)))


def _reached(leads: pd.DataFrame, stage: Stage) -> pd.Series:
    """Whether each lead has reached a stage. A later stage implies the earlier ones: a CRM may skip their dates."""
    won = leads["closed_days_ago"].notna() & leads["won"].eq(True).fillna(False).astype(bool)
    opportunity = won | leads["opportunity_days_ago"].notna()
    accepted = opportunity | leads["accepted_days_ago"].notna()
    return {"accepted": accepted, "opportunity": opportunity, "won": won}[stage]


def _with_steps(out: pd.DataFrame, worked: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Steps of selection beside the labels; an open lead leaves its step open unless another one has reached it."""
    waiting = out["undecided"].fillna(0).to_numpy() > 0
    accepted, won = out["accepted"].fillna(0).to_numpy() > 0, out["won"].fillna(0).to_numpy() > 0
    unanswered = out["unanswered"].fillna(0).to_numpy() > 0
    of_worked = np.where(accepted, 1.0, np.where(unanswered, np.nan, 0.0))
    of_accepted = np.where(won, 1.0, np.where(waiting, np.nan, 0.0))
    out["worked"] = worked
    out["accepted"] = np.where(worked == 1, of_worked, np.nan)
    out["won"] = np.where((worked == 1) & accepted, of_accepted, np.nan)
    return out


def _outcomes(leads: pd.DataFrame, stage: Stage, *, since: int, until: int) -> pd.DataFrame:
    """Per account: leads created within the horizon, how many reached the stage and how many are undecided."""
    created = leads["created_days_ago"]
    window = leads[leads["type"].isin(LEAD_TYPES) & (created <= since) & (created > until)].copy()
    reached = _reached(window, stage)
    decided = reached | window["rejected_days_ago"].notna() | window["closed_days_ago"].notna()
    window = window.assign(leads=1, reached=reached.astype(int), pending=(~decided).astype(int))
    accepted, ended = (
        _reached(window, "accepted"),
        window["rejected_days_ago"].notna() | window["closed_days_ago"].notna(),
    )
    window["accepted"], window["unanswered"] = accepted.astype(int), (~accepted & ~ended).astype(int)
    window["undecided"], window["has_won"] = (~ended).astype(int), _reached(window, "won").astype(int)
    window["amount"] = window["arr"].astype("float64").where(_reached(window, "won"))
    window = window.sort_values(
        ["account_id", "reached", "created_days_ago", "type"], ascending=[True, False, False, True]
    )
    grouped = window.groupby("account_id", sort=True)
    return grouped.agg(
        leads=("leads", "sum"),
        reached=("reached", "sum"),
        pending=("pending", "sum"),
        amount=("amount", lambda values: values.sum(min_count=1)),
        lead_type=("type", "first"),
        accepted=("accepted", "sum"),
        unanswered=("unanswered", "sum"),
        undecided=("undecided", "sum"),
        won=("has_won", "sum"),
    ).reset_index()


def _covered_share(spine: pd.DataFrame, coverage: pd.DataFrame, *, since: int, until: int) -> np.ndarray[Any, Any]:
    """Share of the days from the as-of date to its quarter's end on which each account was covered.

    Covered by itself or through its CSM. Who is covered only later in the horizon was not looked at when the snapshot's
    signals were fresh: such rows would be half-observed negatives.
    """
    start = coverage["start_days_ago"].clip(upper=since)
    end = coverage["end_days_ago"].fillna(until).clip(lower=until)
    spans = coverage.assign(first=start, last=end)[start > end]
    by_account = _covered_days(spans[spans["account_id"].notna()], "account_id")
    by_csm = _covered_days(spans[spans["account_id"].isna()], "csm_id")
    keys = zip(spine["account_id"], spine["csm_id"], strict=True)
    days = [len(by_account.get(account, set()) | by_csm.get(csm, set())) for account, csm in keys]
    return np.array(days, dtype=float) / (since - until)


def _covered_days(spans: pd.DataFrame, key: str) -> dict[str, set[int]]:
    """Days covered per key, as a set: days covered twice count once."""
    days: dict[str, set[int]] = {}
    for name, first, last in zip(spans[key], spans["first"], spans["last"], strict=True):
        days.setdefault(str(name), set()).update(range(int(last), int(first)))
    return days


def _with_numbers(out: pd.DataFrame) -> pd.DataFrame:
    out["label"] = out["state"].map({"positive": 1.0, "negative": 0.0}).astype("float64")
    positive = out["state"] == "positive"
    out["amount"] = out["amount"].astype("float64").where(positive)
    out["lead_type"] = out["lead_type"].where(positive, None)
    return out[list(COLUMNS)]
