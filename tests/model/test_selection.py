"""Worked accounts are no sample of all; the correction knows it and says how much it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from csql_ml.metrics.definition import Feature
from csql_ml.model.selection import LARGEST_WEIGHT, WEIGHT, selection, steps, weighed, worked_weights
from csql_ml.model.training_data import TrainingData
from csql_ml.model.validation import Validation

DAY, NOW = date(2025, 1, 1), date(2026, 1, 1)


def world(rows: int = 4000, pull: float = 1.2, seed: int = 1) -> tuple[TrainingData, np.ndarray, np.ndarray]:
    """Large accounts are worked more often, and expand more often; ``x`` is the size."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=rows)
    worked = rng.random(rows) < 1 / (1 + np.exp(-pull * size))
    won = rng.random(rows) < 1 / (1 + np.exp(1.0 - size))
    frame = pd.DataFrame(
        {"account_id": [f"a{i:05d}" for i in range(rows)], "as_of": DAY, "portfolio": "", "arr": 1.0, "x": size}
    )
    labels = frame[["account_id", "as_of"]].assign(
        state=np.select([~worked, won], ["unobserved", "positive"], "negative"),
        label=np.where(worked, won.astype(float), np.nan),
        amount=np.nan,
        lead_type=None,
        worked=worked.astype(float),
        accepted=np.where(worked, won.astype(float), np.nan),
        won=np.nan,
    )
    data = TrainingData(frame, lambda day: labels, NOW, (Feature("x", "x"),), (), {"engagement": 1.0})
    return data, worked, won


def test_weights_bring_the_rate_of_worked_accounts_to_that_of_all():
    data, worked, won = world()
    weights = worked_weights(data)
    assert weights is not None
    assert weights.auc > 0.7
    assert weights.of[WEIGHT].mean() == pytest.approx(1.0)
    assert weights.effective < worked.sum()
    plain = won[worked].mean()
    corrected = np.average(won[worked], weights=weights.of[WEIGHT])
    assert abs(plain - won.mean()) > 0.06
    assert abs(corrected - won.mean()) < 0.03


def test_weights_are_clipped():
    weights = worked_weights(world(pull=4.0)[0])
    assert weights is not None
    spread = weights.of[WEIGHT]
    assert weights.clipped > 0
    assert spread.max() / spread.min() <= LARGEST_WEIGHT**2 * (1 + 1e-9)


def test_where_chance_chose_nothing_changes_much():
    data, worked, _ = world(pull=0.0)
    weights = worked_weights(data)
    assert weights is not None
    assert weights.effective > 0.98 * worked.sum()


def test_without_unworked_accounts_there_is_nothing_to_correct():
    data, _, _ = world(200)
    everybody = data.labels_known(NOW).assign(worked=1.0)
    assert worked_weights(replace(data, labels_known=lambda day: everybody)) is None
    unknown = everybody.drop(columns="worked")
    assert worked_weights(replace(data, labels_known=lambda day: unknown)) is None
    assert weighed(data, None) is data


def test_labelled_rows_carry_the_weight():
    data, worked, _ = world(400)
    rows = weighed(data, worked_weights(data)).labelled(NOW)
    assert len(rows) == worked.sum()
    assert rows[WEIGHT].mean() == pytest.approx(1.0)


def test_steps_leave_open_leads_out_and_their_interval_holds_both_ends():
    labels = pd.DataFrame(
        {
            "worked": [1, 1, 1, 1, 1, 1, 0, 0, 0, np.nan],
            "accepted": [1, 1, 1, 0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan],
            "won": [1, 0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan],
        }
    )
    worked, accepted, won = steps(labels)
    assert (worked.of, worked.reached, worked.open) == (9, 6, 0)
    assert (accepted.of, accepted.reached, accepted.open, accepted.value) == (6, 3, 2, 0.75)
    assert (won.of, won.reached, won.open, won.value) == (3, 1, 1, 0.5)
    assert accepted.low is not None
    assert accepted.high is not None
    assert accepted.low < 3 / 6 < 5 / 6 < accepted.high
    assert steps(labels.drop(columns="worked")) == ()


def test_figures_stand_side_by_side():
    data, worked, won = world()
    weights = worked_weights(data)
    size = data.frame["x"].to_numpy()
    scored = data.frame.loc[worked, ["account_id", "as_of", "portfolio"]].assign(
        period=DAY, label=won[worked].astype(float), amount=np.nan, repetition=0, seen=True
    )
    scored["p_model"] = 1 / (1 + np.exp(1.0 - size[worked]))
    found = selection(data, Validation(scored, ("model",), (), (), True), weights, applied=False)
    figures = found.figures["model"]
    assert figures["rate"][0] > figures["rate"][1] + 0.05
    assert figures["rate"][1] == pytest.approx(won.mean(), abs=0.03)
    assert figures["mean_propensity"][1] == pytest.approx(figures["rate"][1], abs=0.03)
    assert 0.6 < figures["roc_auc"][1] < 0.9
    assert figures["log_loss"][0] > 0
    assert found.to_dict()["figures"]["model"]["rate"]["worked"] == figures["rate"][0]
    assert not found.applied
