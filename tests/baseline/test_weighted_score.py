from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from csql_ml.baseline.score_logit import learn_terms
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.errors import ConfigError, FeatureError
from csql_ml.labelled_rows import OneClassError
from csql_ml.metrics.definition import ScoreTerm

SEATS = ScoreTerm("seat_saturation", "engagement", 0.4, 0.8, 1.0)
ADOPTION = ScoreTerm("feature_adoption", "engagement", 0.0, 0.6, 3.0)
ICP = ScoreTerm("icp_fit", "fit", 0.0, 1.0, 1.0)
INTENT = ScoreTerm("intent_events", "intent", 0.0, 2.0, 1.0)
RENEWAL = ScoreTerm("days_to_renewal", "intent", 180.0, 60.0, 1.0)
TERMS = (SEATS, ADOPTION, ICP, INTENT, RENEWAL)
NAMES = [t.feature for t in TERMS]
WEIGHTS = {"engagement": 0.5, "fit": 0.2, "intent": 0.3}

values = st.one_of(st.just(np.nan), st.floats(-50, 400, allow_nan=False))
rows = st.lists(st.tuples(*[values] * len(TERMS)), min_size=1, max_size=8)


def account(**known: float) -> pd.DataFrame:
    return pd.DataFrame([{n: known.get(n, np.nan) for n in NAMES}])


@parametrize_with_checks([WeightedScore()])
def test_scikit_learn_accepts_the_score_as_a_classifier(estimator: WeightedScore, check: Any) -> None:
    state = np.random.get_state()  # noqa: NPY002 - scikit-learn's checks draw from the global generator
    check(estimator)
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("known", "score"),
    [
        # engagement (1 * 0.5 + 3 * 1) / 4 = 87.5, fit 40, intent (50 + 100) / 2 = 75
        (
            {
                "seat_saturation": 0.6,
                "feature_adoption": 0.6,
                "icp_fit": 0.4,
                "intent_events": 1,
                "days_to_renewal": 60,
            },
            0.5 * 87.5 + 0.2 * 40 + 0.3 * 75,
        ),
        ({"seat_saturation": 0.6, "icp_fit": 0.4, "intent_events": 1}, 0.5 * 50 + 0.2 * 40 + 0.3 * 50),
        ({"seat_saturation": 0.6, "icp_fit": 0.4}, (0.5 * 50 + 0.2 * 40) / 0.7),
        ({"days_to_renewal": 200}, 0.0),
        ({"days_to_renewal": 120}, 50.0),
        ({"days_to_renewal": 5}, 100.0),
        ({}, 0.0),
    ],
)
def test_the_score_is_the_guides_formula_over_what_is_known(known: dict[str, float], score: float) -> None:
    assert WeightedScore.from_prior(TERMS, WEIGHTS).csql_score(account(**known))[0] == pytest.approx(score)


def test_a_sub_score_without_any_value_is_missing_not_zero() -> None:
    sub = WeightedScore.from_prior(TERMS, WEIGHTS).sub_scores(account(seat_saturation=0.6, intent_events=0))
    assert sub["engagement"].tolist() == [pytest.approx(50.0)]
    assert sub["fit"].isna().all()
    assert sub["intent"].tolist() == [0.0]


@given(rows)
def test_parts_add_up_to_the_score_and_to_the_log_odds_whatever_is_missing(table: list[tuple[float, ...]]) -> None:
    frame = pd.DataFrame(table, columns=NAMES)
    score = WeightedScore.from_prior(TERMS, WEIGHTS)
    points = score.csql_score(frame)
    assert ((points >= 0) & (points <= 100)).all()
    np.testing.assert_allclose(score.linear_parts(frame).sum(axis=1), points, rtol=0, atol=1e-10)
    parts = score.contributions(frame)
    np.testing.assert_allclose(score.base_ + parts.sum(axis=1), score.decision_function(frame), rtol=0, atol=1e-12)
    some_known = frame.notna().any(axis=1).to_numpy()
    assert (parts[frame.isna().to_numpy() & some_known[:, None]] == 0).all()


@given(st.tuples(*[values] * len(TERMS)), st.integers(0, len(TERMS) - 1), st.floats(0, 300))
def test_more_of_a_signal_never_lowers_the_score(row: tuple[float, ...], place: int, more: float) -> None:
    frame = pd.DataFrame([row, row], columns=NAMES)
    rises = TERMS[place].full_at > TERMS[place].zero_at
    frame.iloc[1, place] += more if rises else -more
    before, after = WeightedScore.from_prior(TERMS, WEIGHTS).csql_score(frame)
    assert after >= before - 1e-9


def test_without_labels_the_probability_is_the_expected_rate_at_the_middle() -> None:
    score = WeightedScore.from_prior((ICP,), {"fit": 1.0}, prior_rate=0.2)
    frame = pd.DataFrame({"icp_fit": np.linspace(0, 1, 101)})
    chance = score.predict_proba(frame)[:, 1]
    assert chance[50] == pytest.approx(0.2)
    assert (np.diff(chance) > 0).all()
    assert chance[30:71].mean() == pytest.approx(0.2, abs=0.02)
    assert not score.calibrated_


def labelled(n: int = 400, sign: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"icp_fit": rng.random(n)})
    return frame, rng.random(n) < 1 / (1 + np.exp(-sign * (4 * frame["icp_fit"] - 3)))


def test_labels_calibrate_the_score() -> None:
    frame, won = labelled()
    score = WeightedScore((ICP,), {"fit": 1.0}).fit(frame, won)
    assert score.calibrated_
    assert score.predict_proba(frame)[:, 1].mean() == pytest.approx(won.mean(), abs=0.01)
    assert score.logit_.slope == pytest.approx(0.04, abs=0.012)


def test_labels_that_contradict_the_score_flatten_it_but_never_turn_it_round() -> None:
    frame, won = labelled(sign=-1)
    score = WeightedScore((ICP,), {"fit": 1.0}).fit(frame, won)
    assert score.logit_.slope == 0.0
    assert score.predict_proba(frame)[:, 1] == pytest.approx(won.mean(), abs=0.01)


def test_a_weight_counts_like_repeated_rows() -> None:
    frame, won = labelled(60)
    times = np.arange(60) % 3
    weighted = WeightedScore((ICP,)).fit(frame, won, sample_weight=times)
    repeated = WeightedScore((ICP,)).fit(frame.loc[frame.index.repeat(times)], np.repeat(won, times))
    np.testing.assert_allclose(weighted.predict_proba(frame), repeated.predict_proba(frame), atol=1e-7)


def test_a_learned_score_finds_the_direction_of_each_column() -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"up": rng.normal(size=300), "down": rng.normal(size=300), "same": 1.0})
    won = table["up"] - table["down"] + rng.normal(size=300) > 0
    rising = {t.feature: t.full_at > t.zero_at for t in WeightedScore().fit(table, won).terms_}
    assert rising == {"up": True, "down": False}


def test_an_absent_column_is_named() -> None:
    with pytest.raises(FeatureError, match="no column icp_fit"):
        WeightedScore.from_prior(TERMS).csql_score(account().drop(columns="icp_fit"))


def test_a_column_of_text_is_named() -> None:
    with pytest.raises(FeatureError, match=r"column icp_fit .* expected a number"):
        WeightedScore.from_prior(TERMS).csql_score(account().assign(icp_fit="high"))


def test_infinity_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"column icp_fit .* 1 infinite"):
        WeightedScore.from_prior(TERMS).csql_score(account().assign(icp_fit=np.inf))


def test_labels_of_one_class_are_refused() -> None:
    frame, won = labelled(20)
    with pytest.raises(OneClassError, match="all 20 labels are of one class"):
        WeightedScore((ICP,)).fit(frame, np.ones(len(won)))


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        (TERMS, {"engagement": 0.0, "fit": 0.0, "intent": 0.0}, "one of them above 0"),
        (TERMS, {"engagment": 1.0}, "unknown part"),
        ((ICP,), {"intent": 1.0}, "no term of the weighted score has a weight above 0"),
        ((ScoreTerm("icp_fit", "fit", 0.0, np.nan, 1.0),), None, "finite zero_at and full_at"),
    ],
)
def test_weights_that_make_no_score_are_refused(
    terms: tuple[ScoreTerm, ...], weights: dict[str, float] | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        WeightedScore.from_prior(terms, weights)


def test_columns_that_say_the_same_share_a_weight_in_a_learned_score():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 4000))
    won = rng.random(4000) < 1 / (1 + np.exp(-one - other))
    matrix = np.column_stack([one, one, one, other, rng.normal(size=4000)])
    terms = learn_terms(matrix, ["a", "b", "c", "d", "noise"], won, np.ones(4000), [0] * 5, [True] * 5)
    weight = {t.feature: t.weight for t in terms}
    assert weight["a"] == pytest.approx(weight["b"]) == pytest.approx(weight["c"])
    assert weight["a"] + weight["b"] + weight["c"] == pytest.approx(weight["d"], rel=0.15)
    assert weight["d"] == 1.0
    assert weight["noise"] < 0.05
