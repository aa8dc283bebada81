"""Rank churn: how much of the top of the list changed, and why.

Three lists are compared: the old champion's of the old quarter, the old champion's of the new quarter, and the new
champion's of the new quarter. Who stands in the last and not in the first came in

* because of **data**, where the old champion would have listed the account today, too;
* because of the **model**, where only the new one does;
* as **new**, where the account could not be a lead on the old day: no customer yet, a lead in work, cooling down.

Points say which metrics moved: of the same model on two days (data), of two models on the same day (model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from csql_ml.config import Config
from csql_ml.explain.contributions import points
from csql_ml.model.bundle import Champion
from csql_ml.scoring import INELIGIBLE, NOT_YET, ineligible, ranked
from csql_ml.snapshots import Snapshot

Cause = Literal["data", "model", "new"]
#: Accounts at the top of the list that are compared, in a company that has several times as many.
TOP = 50
#: The top is at most one account in so many.
ONE_IN = 4
#: Metrics named per cause.
NAMED = 5


@dataclass(frozen=True)
class Entered:
    """An account that came into the top.

    Attributes
    ----------
    rank
        Its new rank, from 1.
    old_rank
        Its rank on the old list; None where it could not be a lead then.
    metric, points
        What moved most in its favour, and by how much probability; None for a new account.
    """

    account_id: str
    cause: Cause
    rank: int
    old_rank: int | None
    metric: str | None
    points: float | None


@dataclass(frozen=True)
class Churn:
    """What changed at the top of the list.

    Attributes
    ----------
    old_day, new_day
        ISO dates of the two lists.
    top
        How many accounts at the top are compared.
    entered
        Who came in, best first; as many went out.
    moved
        Cause (``data``, ``model``) -> metric -> mean absolute change of its points over the accounts that came in or
        went out; largest first.
    """

    old_day: str
    new_day: str
    top: int
    entered: tuple[Entered, ...]
    moved: Mapping[str, Mapping[str, float]]

    @property
    def changed(self) -> int:
        return len(self.entered)

    def count(self, cause: Cause) -> int:
        """How many came in for a cause."""
        return sum(e.cause == cause for e in self.entered)


def rank_churn(old: Snapshot, new: Snapshot, before: Champion, after: Champion, config: Config) -> Churn:
    """Compare what ``before`` listed on the old day with what ``after`` lists on the new one.

    Raises
    ------
    FeatureError
        A champion was trained on metrics that are not there any more.
    """
    first, second, third = _order(old, before, config), _order(new, before, config), _order(new, after, config)
    top = min(TOP, max(1, min(len(first), len(third)) // ONE_IN), len(first), len(third))
    was, stays, now = set(first[:top]), set(second[:top]), third[:top]
    came = [account for account in now if account not in was]
    turnover = sorted(set(came) | (was - set(now)))
    day, other_day, other = _points(old, before), _points(new, before), _points(new, after)
    moves = {"data": _difference(day, other_day), "model": _difference(other_day, other)}
    places = {account: rank for rank, account in enumerate(first, start=1)}

    def entered(account: str) -> Entered:
        cause: Cause = "new" if account not in places else "data" if account in stays else "model"
        rank = now.index(account) + 1
        if cause == "new":
            return Entered(account, cause, rank, None, None, None)
        steps = moves[cause]
        row = steps.to_numpy(dtype=float)[steps.index.get_loc(account)]
        most = int(row.argmax())
        return Entered(account, cause, rank, places[account], str(steps.columns[most]), float(row[most]))

    return Churn(
        old_day=old.as_of.isoformat(),
        new_day=new.as_of.isoformat(),
        top=top,
        entered=tuple(entered(account) for account in came),
        moved={cause: _largest(steps, turnover) for cause, steps in moves.items()},
    )


def _order(snapshot: Snapshot, champion: Champion, config: Config) -> list[str]:
    """Accounts that can be a lead, in the order of work."""
    barred = [bool(codes) for codes in ineligible(snapshot.facts, config)]
    scores = pd.DataFrame(
        {
            "account_id": snapshot.features["account_id"].astype(str),
            "propensity": champion.propensity(snapshot.features),
            "baseline_score": champion.baseline_score(snapshot.features),
            "status": [INELIGIBLE if no else NOT_YET for no in barred],
            "csm_id": snapshot.accounts["csm_id"].astype(object),
        }
    )
    workable = ranked(scores, config).sort_values("rank")
    return [str(account) for account in workable.loc[workable["status"] != INELIGIBLE, "account_id"]]


def _points(snapshot: Snapshot, champion: Champion) -> pd.DataFrame:
    """Points per account (index) and metric."""
    found = points(champion, snapshot.features)
    return pd.DataFrame(found.points, columns=list(found.metrics), index=snapshot.features["account_id"].astype(str))


def _difference(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Change of points of the accounts in both; a metric that a model does not know has none there."""
    accounts = [a for a in other.index if a in set(one.index)]
    metrics = sorted(set(one.columns) | set(other.columns))
    return other.reindex(index=accounts, columns=metrics).fillna(0.0) - one.reindex(
        index=accounts, columns=metrics
    ).fillna(0.0)


def _largest(steps: pd.DataFrame, accounts: list[str]) -> dict[str, float]:
    there = steps.loc[[a for a in accounts if a in steps.index]]
    mean = there.abs().mean().fillna(0.0).sort_index().sort_values(ascending=False, kind="stable")
    return {str(metric): float(size) for metric, size in mean.head(NAMED).items() if size > 0}
