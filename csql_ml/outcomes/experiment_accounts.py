"""Outcomes of accounts over an experiment's window, from rows known before a date."""

from __future__ import annotations

from datetime import date

import pandas as pd

from csql_ml.errors import ContractError
from csql_ml.outcomes.facts import Facts
from csql_ml.outcomes.revenue import Period, arr_in_force


def account_outcomes(facts: Facts, accounts: pd.Series, start: date, end: date) -> pd.DataFrame:
    """What became of accounts from ``start`` up to, but without, ``end``.

    Expansions are the won opportunities of kind expansion, whoever found them: what sales would have sold anyway is in
    both arms, and only the difference is due to the leads.

    Returns
    -------
    DataFrame
        ``account_id, expanded`` (0/1), ``arr`` (won), ``start_arr, end_arr`` (in force); in the order of ``accounts``.
    """
    if facts.opportunities is None:
        raise ContractError(
            "table opportunities is not mapped: accounts that were not worked have no leads, so what they bought "
            "stands only there; map it under data.tables.opportunities"
        )
    period = Period(start, end)
    won = facts.opportunities["won"].eq(True).fillna(False).astype(bool)
    won &= facts.opportunities["type"] == "expansion"
    won &= period.holds(facts.opportunities["closed_days_ago"], facts)
    sold = facts.opportunities[won].groupby("account_id")["arr"]
    out = pd.DataFrame({"account_id": accounts.to_numpy()})
    out["expanded"] = out["account_id"].isin(set(sold.groups)).astype("float64")
    out["arr"] = out["account_id"].map(sold.sum()).fillna(0.0).astype("float64")
    for column, day in (("start_arr", start), ("end_arr", end)):
        out[column] = out["account_id"].map(arr_in_force(facts, day)).fillna(0.0).astype("float64")
    return out
