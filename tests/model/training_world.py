"""A small company with quarterly snapshots, for tests of training and judging.

Two columns stand in the weighted score, one signal (``hidden``) does not, one is noise. Outcomes are complete 181 days
after their snapshot; wins become known earlier, as they do in a real company.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.special import expit

from csql_ml.config import Config
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.training_data import TrainingData

FEATURES = (
    Feature("saturation", "saturation", 1),
    Feature("intent", "intent", 1, skewed=True),
    Feature("hidden", "hidden", 1),
    Feature("segment", "segment", 0, categorical=True),
    Feature("noise", "noise"),
)
TERMS = (
    ScoreTerm("saturation", "engagement", 0.4, 0.9, 1.0),
    ScoreTerm("intent", "intent", 0.0, 6.0, 1.0),
)
WEIGHTS = {"engagement": 0.5, "fit": 0.0, "intent": 0.5}
QUARTERS = tuple(date(2023 + q // 4, 3 * (q % 4) + 1, 1) for q in range(12))
HORIZON = timedelta(days=181)
CONFIG = Config.model_validate(
    {"model": {"bootstrap": 60, "min_positives": 20, "bags": 1, "refits": 3, "reference_size": 40, "test_snapshots": 3}}
)


def world(
    accounts: int = 250,
    snapshots: int = 5,
    *,
    score: float = 1.0,
    hidden: float = 0.0,
    rate: float = -1.2,
    seed: int = 1,
    now: date = date(2026, 1, 1),
) -> TrainingData:
    """``score`` and ``hidden`` say how strongly the rules' signals, and the one they do not know, drive outcomes."""
    rng = np.random.default_rng(seed)
    days = QUARTERS[:snapshots]
    rows = accounts * snapshots
    frame = pd.DataFrame(
        {
            "account_id": [f"A{i:04d}" for i in range(accounts)] * snapshots,
            "as_of": [day for day in days for _ in range(accounts)],
            "portfolio": [f"csm{i % 5}" for i in range(accounts)] * snapshots,
            "arr": np.tile(rng.lognormal(10, 0.7, accounts).round(2), snapshots),
            "saturation": rng.uniform(0.2, 1.0, rows).round(3),
            "intent": rng.poisson(2, rows).astype(float),
            "hidden": np.where(rng.random(rows) < 0.05, np.nan, rng.normal(size=rows).round(3)),
            "segment": rng.choice(["small", "large", "huge"], rows),
            "noise": rng.normal(size=rows).round(3),
        }
    )
    z = score * (3 * (frame["saturation"] - 0.6) + 0.35 * (frame["intent"] - 2)) + hidden * frame["hidden"].fillna(0)
    truth = expit(rate + z.to_numpy())
    won = rng.random(rows) < truth
    outcomes = frame[["account_id", "as_of"]].assign(
        truth=truth,
        won=won,
        share=rng.uniform(0.1, 0.5, rows),
        won_after=[timedelta(days=int(d)) for d in rng.integers(20, 180, rows)],
        covered=rng.random(rows) < 0.9,
    )
    outcomes["amount"] = np.where(won, outcomes["share"] * frame["arr"], np.nan)
    data = TrainingData(frame, lambda day: labels(outcomes, day), now, FEATURES, TERMS, WEIGHTS)
    object.__setattr__(data, "truth", outcomes)
    return data


def labels(outcomes: pd.DataFrame, day: date) -> pd.DataFrame:
    """Labels as known on a day: wins from the day they came, everything else when the horizon has ended."""
    known = outcomes[[d < day for d in outcomes["as_of"]]].copy()
    complete = np.array([d + HORIZON <= day for d in known["as_of"]], dtype=bool)
    early = np.array([d + w < day for d, w in zip(known["as_of"], known["won_after"], strict=True)], dtype=bool)
    won, covered = known["won"].to_numpy(dtype=bool), known["covered"].to_numpy(dtype=bool)
    positive = won & covered & (early | complete)
    known["state"] = np.select(
        [positive, complete & ~covered, complete], ["positive", "unobserved", "negative"], default="open"
    )
    known["reason"] = known["state"]
    known["label"] = known["state"].map({"positive": 1.0, "negative": 0.0})
    known["amount"] = known["amount"].where(positive)
    known["lead_type"] = np.where(positive, "upsell", None)
    return known[["account_id", "as_of", "state", "reason", "label", "amount", "lead_type"]]
