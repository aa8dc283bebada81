"""Realised results: what was foretold against what came, with open leads, and the day to wait for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from csql_ml.config import Config
from csql_ml.monitoring.realised import Realised, _with_outcomes, calibration_p, findings

CONFIG = Config()
MATURE = Realised("r1", date(2026, 1, 1), "m1", date(2026, 7, 1), mature=True, prior=False)
WAITS = Realised("r2", date(2026, 7, 1), "m1", date(2027, 1, 1), mature=False, prior=False)


def rows(states: list[str], propensity: float | np.ndarray, qualified: int = 0) -> pd.DataFrame:
    count = len(states)
    return pd.DataFrame(
        {
            "account_id": [f"a{i:04d}" for i in range(count)],
            "csm_id": ["c1" if i % 2 else "c2" for i in range(count)],
            "status": ["qualified" if i < qualified else "not_yet" for i in range(count)],
            "propensity": np.broadcast_to(propensity, count).astype(float),
            "state": states,
        }
    )


def outcome(positive: int, negative: int, open_: int = 0, unobserved: int = 0) -> list[str]:
    return ["positive"] * positive + ["negative"] * negative + ["open"] * open_ + ["unobserved"] * unobserved


def test_a_small_example_by_hand() -> None:
    table = rows(outcome(3, 5, open_=1, unobserved=2), np.linspace(0.8, 0.1, 11), qualified=4)
    found = _with_outcomes(MATURE, table, CONFIG)
    assert (found.observed, found.open, found.unobserved, found.came) == (8, 1, 2, 3)
    assert found.foretold == pytest.approx(np.linspace(0.8, 0.1, 11)[:8].sum())
    assert (found.precision.reached, found.precision.of) == (3, 4)
    assert (found.precision.low, found.precision.high) == pytest.approx(proportion_confint(3, 4, method="wilson"))
    assert found.foretold_precision == pytest.approx(np.linspace(0.8, 0.1, 11)[:4].mean())
    assert found.p_value is None, "eight outcomes are too few to judge"


def test_precision_at_capacity_takes_the_top_of_each_portfolio() -> None:
    config = CONFIG.model_copy(update={"scoring": CONFIG.scoring.model_copy(update={"capacity_per_portfolio": 2})})
    table = rows(outcome(3, 5), np.linspace(0.8, 0.1, 8))
    found = _with_outcomes(MATURE, table, config)
    assert (found.at_capacity.reached, found.at_capacity.of) == (3, 4)


def test_calibration_p_agrees_with_the_binomial_test_where_all_propensities_are_equal() -> None:
    for came in (2, 5, 12, 20):
        exact = stats.binom.pmf(_as_far(came), 100, 0.1).sum()
        ours = calibration_p(np.full(100, 0.1), np.r_[np.ones(came), np.zeros(100 - came)], 3)
        assert ours == pytest.approx(min(1.0, 2 * exact), abs=0.02)


def _as_far(came: int) -> np.ndarray:
    places = np.arange(101)
    return places[np.abs(places - 10) >= abs(came - 10)]


def test_outcomes_drawn_from_the_propensities_are_rarely_called_wrong() -> None:
    rng = np.random.default_rng(5)
    propensity = rng.beta(1, 8, size=150)
    values = [calibration_p(propensity, (rng.random(150) < propensity).astype(float), 1) for _ in range(40)]
    assert sum(v <= 0.05 for v in values) <= stats.binom.ppf(0.99, 40, 0.05)


def test_too_many_foretold_is_an_alarm_and_a_small_difference_is_none() -> None:
    off = _with_outcomes(MATURE, rows(outcome(20, 380), 0.2), CONFIG)
    (finding, *_) = findings([off], CONFIG)
    assert (finding.code, finding.level) == ("calibration_off", "alarm")
    assert finding.values["off"] == pytest.approx(20 / 80 - 1)
    fine = _with_outcomes(MATURE, rows(outcome(76, 324), 0.2), CONFIG)
    assert findings([fine], CONFIG)[0].code == "calibration_fine"


def test_the_right_sum_of_the_wrong_accounts_is_told() -> None:
    table = rows(outcome(60, 340), np.r_[np.full(200, 0.05), np.full(200, 0.25)])
    crooked = _with_outcomes(MATURE, table, CONFIG)
    finding = findings([crooked], CONFIG)[0]
    assert (finding.code, finding.level) == ("calibration_crooked", "watch")
    assert [(b.realised.reached, round(b.foretold, 2)) for b in crooked.bins] == [(60, 0.05), (0, 0.25)]


def test_open_leads_may_still_be_won_so_they_hold_an_alarm_back() -> None:
    without, with_open = outcome(20, 380), outcome(20, 380, open_=70)
    assert findings([_with_outcomes(MATURE, rows(without, 0.2), CONFIG)], CONFIG)[0].level == "alarm"
    assert findings([_with_outcomes(MATURE, rows(with_open, 0.2), CONFIG)], CONFIG)[0].code == "calibration_fine"


def test_until_outcomes_are_complete_the_day_is_said() -> None:
    (waits,) = findings([WAITS], CONFIG)
    assert (waits.code, waits.values["day"]) == ("outcomes_wait", date(2027, 1, 1))
    mature = _with_outcomes(MATURE, rows(outcome(76, 324), 0.2, qualified=10), CONFIG)
    assert [f.code for f in findings([mature, WAITS], CONFIG)] == ["calibration_fine", "precision", "outcomes_wait"]


def test_a_starting_assumption_is_not_judged() -> None:
    prior = _with_outcomes(replace(MATURE, prior=True), rows(outcome(200, 200), 0.1), CONFIG)
    assert (findings([prior], CONFIG)[0].code, prior.p_value) == ("calibration_prior", None)
