"""Every lead with what became of it: stages, cycle, quarter, the run that scored it, why it was rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.errors import OutputError
from csql_ml.outcomes.facts import Facts
from csql_ml.outcomes.rejections import type_of
from csql_ml.quarters import quarter_name
from csql_ml.run_files import read_manifest

if TYPE_CHECKING:
    from csql_ml.config import Config

UNKNOWN = "unknown"
STAGES = ("accepted", "opportunity", "won")
State = Literal["reached", "failed", "open"]
_SCORES = ["account_id", "as_of", "model_version", "band", "propensity"]


def read_runs(folders: Sequence[Path]) -> pd.DataFrame:
    """Scores of stored runs, one row per account and run, checked against each run's manifest.

    Returns
    -------
    DataFrame
        ``account_id, as_of, model_version, band, propensity, place`` (place: position among the folders).

    Raises
    ------
    OutputError
        A folder is no run, or was changed after the run.
    """
    frames = [pd.DataFrame(columns=[*_SCORES, "place"])]
    for place, folder in enumerate(folders):
        read_manifest(folder)
        try:
            scores = pd.read_parquet(folder / "scores.parquet", columns=_SCORES)
        except (OSError, ValueError, KeyError) as error:
            raise OutputError(f"{folder}/scores.parquet cannot be read: {error}; score again") from error
        frames.append(scores.assign(place=place))
    filled = [f for f in frames if len(f)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]


def lead_book(facts: Facts, runs: pd.DataFrame, config: Config) -> pd.DataFrame:
    """One row per lead of new revenue.

    Parameters
    ----------
    runs
        What `read_runs` gives.

    Returns
    -------
    DataFrame
        ``csql_id, account_id, type, csm, created_days_ago, closed_days_ago, quarter``; per stage of `STAGES` its
        `State`; ``cycle_days`` (NaN for rejected leads) and ``cycle_ended``; ``arr`` (won, else 0) and
        ``arr_missing``; ``net_new`` (None without opportunities); ``band``, ``version`` (or `UNKNOWN`) and
        ``propensity`` (or NaN); ``reason`` (None unless rejected). Sorted by ``csql_id``.
    """
    leads = facts.csqls[facts.csqls["type"].isin(LEAD_TYPES)].sort_values("csql_id", kind="stable")
    leads = leads.reset_index(drop=True)
    book = leads[["csql_id", "account_id", "type", "created_days_ago", "closed_days_ago"]].copy()
    book["csm"] = _owner(leads, facts)
    book["quarter"] = quarters_of(book["created_days_ago"], facts, config)
    for stage, state in _states(leads).items():
        book[stage] = state
    book["cycle_days"], book["cycle_ended"] = _cycle(leads, book["won"])
    won = (book["won"] == "reached").to_numpy()
    book["arr"] = leads["arr"].fillna(0.0).where(won, 0.0)
    book["arr_missing"] = won & leads["arr"].isna()
    book["net_new"] = _net_new(leads, facts, config)
    book = _with_scores(book, runs, facts, config.outcomes.run_match_days)
    rejected = leads["rejected_days_ago"].notna()
    told = zip(leads["rejection_reason"], rejected, strict=True)
    reasons = [type_of(text, config) if was else None for text, was in told]
    book["reason"] = pd.Series(reasons, index=book.index, dtype="object")
    book["reason_text"] = leads["rejection_reason"].where(rejected, None)
    return book


def quarters_of(days_ago: pd.Series, facts: Facts, config: Config) -> pd.Series:
    """Name of the quarter of each day count."""
    month = config.company.fiscal_year_start_month
    names = {d: quarter_name(facts.day(d), month) for d in days_ago.unique()}
    return days_ago.map(names).astype("object")


def _owner(leads: pd.DataFrame, facts: Facts) -> pd.Series:
    """Who raised the lead; else whose account it is now."""
    accounts = facts.accounts.drop_duplicates("account_id").set_index("account_id")["csm_id"]
    owner = leads["csm_id"].where(leads["csm_id"].notna(), leads["account_id"].map(accounts))
    return owner.astype("object").where(owner.notna(), UNKNOWN)


def _states(leads: pd.DataFrame) -> dict[str, np.ndarray]:
    """Per stage whether it was reached; a later stage implies the earlier ones: a CRM may skip their dates."""
    closed = leads["closed_days_ago"].notna()
    won = closed & leads["won"].eq(True).fillna(False).astype(bool)
    opportunity = won | leads["opportunity_days_ago"].notna()
    accepted = opportunity | leads["accepted_days_ago"].notna()
    over = closed | leads["rejected_days_ago"].notna()
    reached = {"accepted": accepted, "opportunity": opportunity, "won": won}
    return {stage: np.select([was, over], ["reached", "failed"], "open") for stage, was in reached.items()}


def _cycle(leads: pd.DataFrame, won: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Days from created to closed, or to the as-of date while it is open; nothing for rejected leads."""
    end = leads["closed_days_ago"].fillna(0.0)
    days = (leads["created_days_ago"] - end).clip(lower=0.0)
    rejected = leads["rejected_days_ago"].notna() & (won != "reached")
    ended = leads["closed_days_ago"].notna() & ~rejected
    return days.mask(rejected), ended


def _net_new(leads: pd.DataFrame, facts: Facts, config: Config) -> pd.Series:
    """Whether no opportunity of the account was open when the lead was raised; its own comes later."""
    if facts.opportunities is None:
        return pd.Series(None, index=leads.index, dtype="object")
    kinds = facts.opportunities["type"].isin(config.outcomes.net_new_blocked_by)
    opened = facts.opportunities[kinds][["account_id", "created_days_ago", "closed_days_ago"]]
    pairs = leads[["csql_id", "account_id", "created_days_ago"]].merge(opened, on="account_id", suffixes=("", "_opp"))
    before = pairs["created_days_ago_opp"] > pairs["created_days_ago"]
    still = pairs["closed_days_ago"].isna() | (pairs["closed_days_ago"] <= pairs["created_days_ago"])
    blocked = set(pairs.loc[before & still, "csql_id"])
    return pd.Series([lead not in blocked for lead in leads["csql_id"]], index=leads.index, dtype="object")


def _with_scores(book: pd.DataFrame, runs: pd.DataFrame, facts: Facts, reach: int) -> pd.DataFrame:
    """The newest run before each lead, of at most ``reach`` days; of two runs of a day the one named last."""
    scored = runs[["account_id", "model_version", "band", "propensity", "place"]].copy()
    scored["run_days_ago"] = [float(facts.days_ago(_date(d))) for d in runs["as_of"]]
    pairs = book[["csql_id", "account_id", "created_days_ago"]].merge(scored, on="account_id")
    age = pairs["run_days_ago"] - pairs["created_days_ago"]
    near = pairs[(age >= 0) & (age <= reach)]
    newest = near.sort_values(["csql_id", "run_days_ago", "place"], ascending=[True, True, False], kind="stable")
    newest = newest.drop_duplicates("csql_id").set_index("csql_id")
    keys = book["csql_id"]
    for column, name in (("band", "band"), ("version", "model_version")):
        found = keys.map(newest[name]).astype("object")
        book[column] = found.where(found.notna(), UNKNOWN)
    book["propensity"] = keys.map(newest["propensity"]).astype("float64")
    return book


def _date(value: object) -> date:
    return pd.Timestamp(str(value)).date()
