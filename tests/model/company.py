"""A small company for the tests of the model: five metrics, a category, gaps, and known true propensities."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from csql_ml.metrics.definition import Feature, ScoreTerm

FEATURES = (
    Feature("seat_saturation", "seat_saturation", 1),
    Feature("seat_saturation_change", "seat_saturation", 1),
    Feature("intent_events", "intent_events", 1, skewed=True),
    Feature("open_tickets", "open_tickets", -1, skewed=True),
    Feature("plan", "plan", categorical=True),
    Feature("tenure_days", "tenure_days"),
)
TERMS = (
    ScoreTerm("seat_saturation", "engagement", 0.3, 0.9, 2.0),
    ScoreTerm("icp_fit", "fit", 0.0, 1.0, 1.0),
    ScoreTerm("intent_events", "intent", 0.0, 4.0, 1.0),
)
WEIGHTS = {"engagement": 0.5, "fit": 0.2, "intent": 0.3}


def accounts(n: int, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    """Feature rows and outcomes; ``icp_fit`` is read by the weighted score only."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(n)],
            "seat_saturation": rng.beta(3, 2, n),
            "seat_saturation_previous": rng.beta(3, 2, n),
            "intent_events": rng.poisson(1.5, n),
            "open_tickets": rng.poisson(1.0, n),
            "plan": rng.choice(["basic", "pro", "enterprise"], n, p=[0.5, 0.3, 0.2]),
            "tenure_days": rng.integers(30, 2000, n),
            "icp_fit": rng.random(n),
        }
    )
    frame["seat_saturation_change"] = frame["seat_saturation"] - frame["seat_saturation_previous"]
    margin = 4 * frame["seat_saturation"] + 0.7 * np.log1p(frame["intent_events"]) - 0.5 * frame["open_tickets"]
    margin += 0.8 * (frame["plan"] == "pro") + 0.5 * frame["icp_fit"] - 3.8
    won = rng.random(n) < expit(margin.to_numpy())
    frame["icp_fit"] = frame["icp_fit"].mask(rng.random(n) < 0.2)
    frame["seat_saturation"] = frame["seat_saturation"].mask(rng.random(n) < 0.1)
    frame["plan"] = frame["plan"].mask(rng.random(n) < 0.1)
    return frame, won
