"""The batch run's arithmetic: scores, ranks, statuses and explanations of one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.baseline import gates as gate_rules
from csql_ml.baseline import risk as risk_rules
from csql_ml.baseline.hypothesis import Hypothesis, hypotheses
from csql_ml.explain.contributions import Points, explain, points
from csql_ml.metrics.definition import Metric
from csql_ml.snapshots import Snapshot

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.model.bundle import Champion

QUALIFIED, NOT_YET, HELD, INELIGIBLE = "qualified", "not_yet", "held_for_risk", "ineligible"
SCORE_COLUMNS = (
    "account_id",
    "as_of",
    "run_id",
    "model_version",
    "propensity",
    "baseline_score",
    "percentile",
    "band",
    "rank",
    "rank_in_portfolio",
    "expected_arr",
    "status",
    "lead_type",
    "risk_flags",
    "failed_gates",
    "csm_id",
)
#: What says where an account stands among all of its run.
STANDING = ("percentile", "band", "rank", "rank_in_portfolio")


@dataclass(frozen=True)
class Scored:
    """A scored snapshot; every list and frame has one row per account, in the snapshot's order.

    Attributes
    ----------
    scores
        `SCORE_COLUMNS`.
    explanations
        ``account_id, metric, value, previous_value, points, rank``; points of an account sum to its propensity.
    sub_scores
        The weighted score's parts, 0 to 100: ``engagement, fit, intent``.
    potential_arr
        Incremental ARR if the lead is won.
    barred
        Codes why an account cannot be a lead now: ``tenure``, ``lead_in_work``, ``cooldown``.
    """

    scores: pd.DataFrame
    explanations: pd.DataFrame
    points: Points
    sub_scores: pd.DataFrame
    risks: pd.DataFrame
    gates: gate_rules.GateResults
    hypotheses: Sequence[Hypothesis | None]
    potential_arr: pd.Series
    barred: Sequence[tuple[str, ...]]


def score_snapshot(
    snapshot: Snapshot, metrics: Sequence[Metric], champion: Champion, config: Config, run_id: str
) -> Scored:
    """Score, rank, gate and explain every account of a snapshot.

    Returns
    -------
    Scored
        Ranks never depend on row order; see `ranked`.
    """
    found = score_accounts(snapshot, metrics, champion, config)
    scores = ranked(found.scores, config).assign(run_id=run_id)
    return replace(found, scores=scores[list(SCORE_COLUMNS)])


def score_accounts(snapshot: Snapshot, metrics: Sequence[Metric], champion: Champion, config: Config) -> Scored:
    """Everything about an account that needs no other account of the run.

    Any part of a snapshot's rows gives the same rows of the result, so that parts can be scored apart.

    Returns
    -------
    Scored
        Its ``scores`` lack the run id and `STANDING`.
    """
    features = snapshot.features
    explained = points(champion, features)
    risks = risk_rules.flags(features, config)
    gates = gate_rules.check(metrics, features, config, snapshot.as_of)
    barred = ineligible(snapshot.facts, config)
    found = hypotheses(features, snapshot.facts, config)
    potential = potential_arr(snapshot.facts["arr_in_force"], found, champion.arr_share)
    scores = _numbers(snapshot, champion, explained.propensity, potential)
    over = scores["baseline_score" if champion.kind == "rules" else "propensity"] >= champion.threshold
    lead_types: list[Any] = [h.type if h else None for h in found]
    scores = scores.assign(
        status=_statuses(barred, risks, gates, over.to_numpy()),
        lead_type=lead_types,
        risk_flags=[",".join(risks.columns[row]) for row in risks.to_numpy(dtype=bool)],
        failed_gates=[",".join(gates.failed(row)) for row in range(len(features))],
    )
    return Scored(
        scores=scores[[c for c in SCORE_COLUMNS if c in scores]],
        explanations=explain(champion, features, found=explained),
        points=explained,
        sub_scores=champion.weighted_score.sub_scores(features),
        risks=risks,
        gates=gates,
        hypotheses=found,
        potential_arr=potential,
        barred=barred,
    )


def _numbers(
    snapshot: Snapshot, champion: Champion, propensity: npt.NDArray[np.float64], potential: pd.Series
) -> pd.DataFrame:
    """What each account is, and what the champion and the rules make of it."""
    return pd.DataFrame(
        {
            "account_id": snapshot.features["account_id"],
            "as_of": snapshot.as_of,
            "model_version": champion.model_version,
            "propensity": propensity,
            "baseline_score": champion.baseline_score(snapshot.features),
            "expected_arr": propensity * potential,
            "csm_id": _text(snapshot.accounts["csm_id"]),
        }
    )


def typical_values(champion: Champion) -> dict[str, float]:
    """Median of each numeric column among the champion's reference accounts; NaN where all are missing."""
    encoder, rows = champion.estimator.encoder_, champion.reference.rows
    numeric = [i for i, size in enumerate(encoder.category_sizes) if size == 0]
    return {encoder.names[i]: float(pd.Series(rows[:, i]).median()) for i in numeric}


def _text(values: pd.Series) -> pd.Series:
    return values.astype("object").where(values.notna(), None)


def ineligible(facts: pd.DataFrame, config: Config) -> list[tuple[str, ...]]:
    """Why each account cannot be a lead now; empty where it can. Unknown history bars nobody."""
    rules = {
        "tenure": facts["tenure"] < config.eligibility.min_tenure_days,
        "lead_in_work": (facts["open_leads"] > 0) | (facts["open_expansions"] > 0),
        "cooldown": facts["days_since_failed_lead"] <= config.eligibility.cooldown_days,
    }
    hits = pd.DataFrame(rules)
    return [tuple(hits.columns[row]) for row in hits.to_numpy(dtype=bool)]


def potential_arr(arr: pd.Series, found: Sequence[Hypothesis | None], shares: Mapping[str, float]) -> pd.Series:
    """Incremental ARR of a won lead: today's ARR times the share usual for the type; missing without a hypothesis."""
    share = pd.Series([shares[h.type] if h else np.nan for h in found], index=arr.index, dtype="float64")
    return arr.astype("float64") * share


def _statuses(
    barred: Sequence[tuple[str, ...]], risks: pd.DataFrame, gates: gate_rules.GateResults, over: np.ndarray
) -> np.ndarray:
    """First that applies: ineligible, held for risk, qualified (all gates and the score), not yet."""
    passed = (gates.states != gate_rules.FAILED).all(axis=1).to_numpy()
    return np.select(
        [np.array([bool(b) for b in barred]), risks.any(axis=1).to_numpy(), passed & over],
        [INELIGIBLE, HELD, QUALIFIED],
        default=NOT_YET,
    )


def ranked(scores: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Scores with rank, rank in the portfolio, percentile and band; ties go by score and account id.

    Ranks are the order of work, so accounts that cannot be a lead now come last; percentile and band say where the
    propensity stands among all.
    """
    order = scores.assign(barred=scores["status"] == INELIGIBLE).sort_values(
        ["propensity", "baseline_score", "account_id"], ascending=[False, False, True], kind="stable"
    )
    percentile = pd.Series(percentiles(np.arange(len(order)), len(order)), index=order.index)
    order = order.sort_values("barred", kind="stable")
    rank = pd.Series(np.arange(1, len(order) + 1), index=order.index)
    in_portfolio = order.groupby(order["csm_id"].fillna(""), sort=False).cumcount() + 1
    ordered = scores.assign(rank=rank, rank_in_portfolio=in_portfolio, percentile=percentile)
    return ordered.assign(band=bands(ordered["percentile"].to_numpy(), config))


def percentiles(ahead: npt.NDArray[np.int64], accounts: int) -> npt.NDArray[np.float64]:
    """(n,) share of a run's accounts that stand no higher, from how many stand ahead of each (by propensity)."""
    return np.asarray(1.0 - ahead / accounts)


def bands(percentile: npt.NDArray[np.float64], config: Config) -> npt.NDArray[np.str_]:
    """(n,) ``high``, ``medium`` or ``low``."""
    limits = config.scoring
    return np.select([percentile > limits.high_band, percentile > limits.medium_band], ["high", "medium"], "low")
