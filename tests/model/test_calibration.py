"""A calibrator is put on top where later snapshots ask for one, and nowhere else; ranks never change."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from csql_ml.model.calibration import calibration_in_time
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.training import train
from csql_ml.model.validation import Validation
from tests.model.training_world import CONFIG, FEATURES, TERMS, WEIGHTS, world

PERIODS = (date(2025, 1, 1), date(2025, 4, 1), date(2025, 7, 1))


def judged(slope: float, intercept: float = 0.0, *, periods: int = 3, accounts: int = 300, seed: int = 1) -> Validation:
    """Outcomes of ``intercept + slope * z``, where the model says ``z``; accounts come back in every snapshot."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=accounts)
    parts = []
    for period in PERIODS[:periods]:
        z = own + rng.normal(size=accounts) - 0.5
        won = rng.random(accounts) < expit(intercept + slope * z)
        names = [f"a{i}" for i in range(accounts)]
        parts.append(pd.DataFrame({"account_id": names, "period": period, "label": won * 1.0, "p_model": expit(z)}))
    return Validation(pd.concat(parts, ignore_index=True), ("model",), (), (), True)


@pytest.mark.parametrize(
    ("slope", "intercept", "applied"),
    [(0.3, 0.0, True), (1.0, -1.2, True), (2.5, 0.0, True), (1.0, 0.0, False), (0.97, 0.03, False)],
)
def test_it_is_applied_where_later_snapshots_ask_for_it(slope: float, intercept: float, applied: bool) -> None:
    found = calibration_in_time(judged(slope, intercept))
    assert found is not None
    assert found.applied == applied
    assert found.slope == pytest.approx(slope, abs=0.3)
    assert found.intercept == pytest.approx(intercept, abs=0.2)
    assert ("stands on top" in found.sentence()) == applied


def test_a_calibrated_model_seldom_gets_one() -> None:
    found = [calibration_in_time(judged(1.0, seed=seed)) for seed in range(60)]
    assert sum(f is not None and f.applied for f in found) <= 6, "5 % of 60 are 3"


def test_one_later_snapshot_or_folds_cannot_say() -> None:
    assert calibration_in_time(judged(0.3, periods=1)) is None
    folds = judged(0.3)
    assert calibration_in_time(Validation(folds.scored, folds.judged, (), (), in_time=False)) is None


def test_ranks_and_additivity_stay() -> None:
    data = world(120, 3)
    known = data.labelled(data.now)
    fitted = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(known[data.columns], known["label"])
    other, rows = fitted.recalibrated(0.5, 0.2), known[data.columns]
    before, after = fitted.decision_function(rows), other.decision_function(rows)
    np.testing.assert_allclose(after, 0.2 + 0.5 * before, atol=1e-12)
    np.testing.assert_allclose(other.base_ + other.contributions(rows).sum(axis=1), after, atol=1e-9)
    assert fitted.decision_function(rows).tolist() == before.tolist(), "the first one is as it was"
    with pytest.raises(ValueError, match="turn the ranking round"):
        fitted.recalibrated(0.0, 0.0)


def test_a_training_says_whether_it_needed_one() -> None:
    trained = train(world(200, 6, hidden=1.0), CONFIG)
    assert trained.calibration is not None
    assert not trained.calibration.applied
    assert trained.calibration.rows > 100
