"""What is different from last time: values that moved, accounts that come to the top of the list and leave it.

The lists are those of the training table: all accounts of a snapshot, whether they can be a lead today or not
(`csql retrain` prints the change among those that can).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.errors import FeatureError
from csql_ml.explain.contributions import points_from
from csql_ml.metrics.definition import Feature
from csql_ml.model.assembly import newest_rows
from csql_ml.model.champion import Champion
from csql_ml.model.distributions import Distribution, column_values
from csql_ml.model.guards import skewed
from csql_ml.model.reference import Estimator, contributions_of, in_chunks
from csql_ml.model.training_data import TrainingData, periods

#: Accounts at the top that are compared, in a table that has several times as many.
TOP, ONE_IN = 50, 4
#: Accounts named that came, and that went.
NAMED = 15
#: Accounts that points are counted from.
COMPARED = 200
#: Metrics in the table of drift.
MOST_DRIFTED = 15
Floats = npt.NDArray[np.float64]


# --- drift ------------------------------------------------------------------------------------------------------------


def drift(before: Champion | None, data: TrainingData) -> dict[str, Any]:
    """How the newest snapshot differs from the accounts the last champion learned from, furthest first.

    ``distance`` is half the sum of the differences between the shares per bin: the share of accounts that would have
    to move to make both alike. ``flagged`` where the change is both large and sure (`csql_ml.model.guards.skew`).
    """
    kept = before.reference.distributions if before is not None else None
    if before is None or kept is None:
        return {"absent": "no_champion" if before is None else "not_kept"}
    newest = newest_rows(data, 1).drop_duplicates("account_id", keep="last")
    shared = [m for m in before.metrics if m in kept.metrics and m in newest.columns]
    values = {m: column_values(newest[m]) for m in shared}
    found = skewed(before, values)
    flagged = {s.feature for s in found.suspects}
    rows = [_drifted(m, kept.metrics[m], values[m]) | {"flagged": m in flagged} for m in shared]
    rows.sort(key=lambda r: (not r["flagged"], -r["distance"], r["metric"]))
    return {
        "from": kept.as_of.isoformat(),
        "to": max(newest["as_of"]).isoformat(),
        "accounts": [kept.accounts, len(newest)],
        "metrics": rows[:MOST_DRIFTED],
        "of": len(rows),
        "flagged": len(flagged),
        "carried": found.carried,
        "holds": found.calibration_holds,
    }


def _drifted(metric: str, kept: Distribution, values: npt.NDArray[Any]) -> dict[str, Any]:
    comparable = kept.is_text == (values.dtype == object)
    now = kept.again(values) if comparable else None
    distance = 1.0 if now is None else 0.0
    if now is not None and now.known and kept.known:
        distance = float(np.abs(now.counts / now.known - kept.counts / kept.known).sum() / 2)
    blank = np.array([v is None or v != v for v in values], dtype=bool)
    return {
        "metric": metric,
        "distance": distance,
        "missing_before": kept.missing / max(kept.known + kept.missing, 1),
        "missing_now": float(blank.mean()) if len(blank) else 0.0,
    }


# --- the top of the list ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Ranking:
    """What orders a list: a champion, or the weighted score inside of one."""

    estimator: Estimator
    features: tuple[Feature, ...]

    def order(self, rows: pd.DataFrame) -> list[str]:
        """Account ids, highest propensity first."""
        said = in_chunks(rows, lambda part: np.asarray(self.estimator.predict_proba(part)[:, 1]))
        accounts = rows["account_id"].to_numpy(dtype=str)
        return [str(a) for a in accounts[np.lexsort((accounts, -said))]]

    def points(self, rows: pd.DataFrame, accounts: Sequence[str], seed: int = 7) -> pd.DataFrame:
        """Points per account (index) and metric, counted from a sample of the rows."""
        drawn = np.random.default_rng(seed).permutation(len(rows))[:COMPARED]
        rest = contributions_of(self.estimator, self.features, rows.iloc[np.sort(drawn)])
        chosen = rows[rows["account_id"].isin(set(accounts))]
        own = contributions_of(self.estimator, self.features, chosen)
        found = points_from(own.phi, own.margin, rest.phi, rest.margin, own.metrics)
        return pd.DataFrame(found.points, columns=list(found.metrics), index=chosen["account_id"].astype(str))


def changes(before: Champion | None, told: Champion, data: TrainingData) -> dict[str, Any]:
    """Who comes to the top of the list with the model trained now, and who leaves it, and why.

    Compared with the champion that was in force, on its own newest snapshot then and on today's; without one with the
    rules, on today's. ``cause`` is ``data`` where the old champion would have made the change by itself, ``model``
    where only the new one does, ``new`` or ``gone`` where the account is in one snapshot only.
    """
    new = _Ranking(told.estimator, told.features)
    if before is not None and before.model_version != told.model_version:
        old = _Ranking(before.estimator, before.features)
    elif told.kind == "rules":
        return {"absent": "rules_only" if before is None else "same_model"}
    elif before is not None:
        return {"absent": "same_model"}
    else:
        old = _Ranking(told.weighted_score, told.features)
    today = newest_rows(data, 1).drop_duplicates("account_id", keep="last")
    then = _then(data, before)
    try:
        return _compared(old, new, today if then is None else then, today) | {"against": _against(before)}
    except FeatureError:  # the old champion reads columns that are not there any more
        return {"absent": "cannot_score"}


def _against(before: Champion | None) -> str:
    return "rules" if before is None or before.kind == "rules" else "champion"


def _then(data: TrainingData, before: Champion | None) -> pd.DataFrame | None:
    """The snapshot that was newest when the old champion was trained; None where that is today's."""
    if before is None or before.trained_as_of is None:
        return None
    period = periods(data.frame["as_of"])
    days: list[date] = [d for d in sorted(period.unique()) if d <= before.trained_as_of]
    if not days or days[-1] == period.max():
        return None
    return data.frame[period == days[-1]].drop_duplicates("account_id", keep="last")


def _compared(old: _Ranking, new: _Ranking, then: pd.DataFrame, today: pd.DataFrame) -> dict[str, Any]:
    first, second, third = old.order(then), old.order(today), new.order(today)
    top = min(TOP, max(1, min(len(first), len(third)) // ONE_IN))
    was, stays, now = first[:top], set(second[:top]), third[:top]
    came = [a for a in now if a not in set(was)]
    went = [a for a in was if a not in set(now)]
    named = [*came[:NAMED], *went[:NAMED]]
    moves = {
        "data": _difference(old.points(then, named), old.points(today, named)),
        "model": _difference(old.points(today, named), new.points(today, named)),
    }
    at_first = {a: i for i, a in enumerate(first, start=1)}
    at_last = {a: i for i, a in enumerate(third, start=1)}

    def change(account: str, arrived: bool) -> dict[str, Any]:
        cause = _cause(account, arrived, at_first, at_last, stays)
        ranks = {"from": at_first.get(account), "to": at_last.get(account)}
        metric, size = _strongest(moves.get(cause), account, 1 if arrived else -1)
        return {"account_id": account, "cause": cause, **ranks, "metric": metric, "points": size}

    causes = [_cause(a, True, at_first, at_last, stays) for a in came]
    return {
        "from": max(then["as_of"]).isoformat(),
        "to": max(today["as_of"]).isoformat(),
        "top": top,
        "changed": len(came),
        "causes": {c: causes.count(c) for c in ("data", "model", "new")},
        "came": [change(a, True) for a in came[:NAMED]],
        "went": [change(a, False) for a in went[:NAMED]],
    }


def _cause(account: str, arrived: bool, first: dict[str, int], last: dict[str, int], stays: set[str]) -> str:
    if account not in first:
        return "new"
    if account not in last:
        return "gone"
    return "data" if (account in stays) is arrived else "model"


def _difference(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Change of points of the accounts in both; a metric that a model does not know has none there."""
    accounts = [a for a in other.index if a in set(one.index)]
    metrics = sorted(set(one.columns) | set(other.columns))
    later, earlier = (t.reindex(index=accounts, columns=metrics).fillna(0.0) for t in (other, one))
    return later - earlier


def _strongest(moves: pd.DataFrame | None, account: str, sign: int) -> tuple[str | None, float | None]:
    """The metric that moved an account most in a direction, and by how much; None where none did."""
    if moves is None or moves.empty or account not in moves.index:
        return None, None
    values = moves.to_numpy(dtype=float)[moves.index.get_loc(account)]
    most = int((sign * values).argmax())
    if sign * values[most] <= 0:
        return None, None
    return str(moves.columns[most]), float(values[most])
