from __future__ import annotations

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.explain.contributions import explain, points, points_from
from csql_ml.model.bundle import Champion, reference_set
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.reference import Estimator
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts


def champion_of(estimator: Estimator) -> Champion:
    reference = reference_set(estimator, FEATURES, accounts(400)[0], size=100)
    kind = "stack" if isinstance(estimator, PropensityClassifier) else "rules"
    return Champion(kind, FEATURES, TERMS, WEIGHTS, 0.5, {}, None, {}, estimator, reference)


@pytest.fixture(scope="module")
def model() -> PropensityClassifier:
    fitted = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(*accounts(400))
    fitted.stack_ = replace(fitted.stack_, weights=(0.4, 0.2, 0.3, 0.2))
    return fitted


@pytest.fixture(scope="module")
def stack(model: PropensityClassifier) -> Champion:
    return champion_of(model)


@pytest.fixture(scope="module")
def rules() -> Champion:
    return champion_of(WeightedScore.from_prior(TERMS, WEIGHTS))


@pytest.mark.parametrize("kind", ["stack", "rules"])
def test_points_add_up_to_the_propensity(kind: str, request: pytest.FixtureRequest) -> None:
    champion: Champion = request.getfixturevalue(kind)
    frame, _ = accounts(3000, seed=2)
    found = points(champion, frame)
    np.testing.assert_array_equal(found.propensity, champion.propensity(frame))
    np.testing.assert_allclose(found.reference + found.points.sum(axis=1), found.propensity, rtol=0, atol=1e-12)
    assert found.reference == pytest.approx(champion.propensity(accounts(400)[0]).mean(), abs=0.05)


def formula(phi, margin, reference_phi, reference_margin) -> np.ndarray:
    """The definition, pair by pair."""
    total = np.zeros_like(phi)
    for x, (row, z) in enumerate(zip(phi, margin, strict=True)):
        for other, z_other in zip(reference_phi, reference_margin, strict=True):
            gap = z - z_other
            slope = (expit(z) - expit(z_other)) / gap if gap else expit(z) * expit(-z)
            total[x] += (row - other) * slope
    return total / len(reference_margin)


log_odds = arrays(float, (7, 3), elements=st.floats(-6, 6))


@given(log_odds, st.sampled_from([0.0, 1e-12, 1e-7, 1e-3]))
def test_points_are_the_formula_also_for_neighbours(phi: np.ndarray, shift: float) -> None:
    reference = phi[3:] + 0.0
    reference[0] = phi[0] + [shift, 0, 0]
    margin, reference_margin = -1 + phi.sum(axis=1), -1 + reference.sum(axis=1)
    found = points_from(phi, margin, reference, reference_margin, ("a", "b", "c"))
    np.testing.assert_allclose(found.reference + found.points.sum(axis=1), expit(margin), rtol=0, atol=1e-12)
    gaps = np.abs(margin[:, None] - reference_margin)
    assume(((gaps == 0) | (gaps > 1e-4)).all() or shift in (1e-12, 1e-7))
    # The textbook quotient itself loses digits for close neighbours; the tolerance is its error, not that of points.
    np.testing.assert_allclose(found.points, formula(phi, margin, reference, reference_margin), atol=1e-2 * 0.25)


def test_a_near_neighbour_gives_the_points_of_an_equal_one() -> None:
    phi, reference = np.array([[3.0, -2.0]]), np.array([[1.0, 0.0]])
    exact = points_from(phi, np.array([1.0]), reference, np.array([1.0]), ("a", "b")).points
    for gap in (1e-14, 1e-10, 1e-6, 1.1e-5):
        near = points_from(phi, np.array([1.0 + gap]), reference, np.array([1.0]), ("a", "b")).points
        np.testing.assert_allclose(near, exact, rtol=0, atol=gap + 1e-10)


@pytest.mark.parametrize(
    "calibrator",
    [
        lambda z: expit(0.7 * z - 0.3),
        lambda z: np.interp(z, [-2, 0, 0.5, 3], [0.05, 0.2, 0.2, 0.9]),
        lambda z: np.where(z > 0, 0.6, 0.2),
    ],
    ids=["platt", "isotonic", "steps"],
)
def test_any_monotone_map_on_top_still_adds_up(stack: Champion, calibrator) -> None:
    frame, _ = accounts(200, seed=4)
    found = points(stack, frame, calibrator)
    expected = calibrator(stack.contributions(frame).margin)
    np.testing.assert_allclose(found.reference + found.points.sum(axis=1), expected, rtol=0, atol=1e-9)


def test_the_trees_contributions_are_shap_values(model: PropensityClassifier) -> None:
    shap = pytest.importorskip("shap")
    frame, _ = accounts(400)
    numbers = frame[["seat_saturation", "intent_events", "open_tickets", "tenure_days"]]
    plain = PropensityClassifier(bags=2).fit(numbers, accounts(400)[1])
    trees, matrix = plain.stack_.members.trees, plain.encoder_.matrix(numbers)
    explainers = [shap.TreeExplainer(lgb.Booster(model_str=text)) for text in trees.texts]
    for explainer in explainers:
        # Left to itself shap asks LightGBM; this way it walks the trees with its own code.
        explainer.model.model_type = "internal"
    expected = np.mean([e.shap_values(matrix) for e in explainers], axis=0)
    np.testing.assert_allclose(trees.parts(matrix), expected, rtol=0, atol=1e-9)
    assert np.abs(expected).max() > 0.05


def test_an_explanation_is_the_points_in_order_with_the_facts(stack: Champion) -> None:
    frame, _ = accounts(40, seed=5)
    table = explain(stack, frame)
    assert list(table.columns) == [
        "account_id", "metric", "value", "previous_value", "points", "rank", "value_text",
    ]  # fmt: skip
    per_account = table.groupby("account_id", sort=False)
    np.testing.assert_allclose(per_account["points"].sum(), stack.propensity(frame), rtol=0, atol=1e-12)
    for account, rows in per_account:
        shown = frame.set_index("account_id").loc[account]
        assert rows["rank"].tolist() == list(range(len(stack.metrics) + 1))
        assert rows["metric"].iloc[0] == "reference"
        assert sorted(rows["metric"].iloc[1:]) == sorted(stack.metrics)
        assert rows["points"].iloc[1:].abs().is_monotonic_decreasing
        by_metric = rows.set_index("metric")
        for metric in ("seat_saturation", "intent_events", "icp_fit"):
            assert by_metric.loc[metric, "value"] == pytest.approx(shown[metric], nan_ok=True)
        assert by_metric.loc["seat_saturation", "previous_value"] == shown["seat_saturation_previous"]
        assert np.isnan(by_metric.loc["intent_events", "previous_value"])
        assert by_metric["value_text"].dropna().tolist() == ([] if pd.isna(shown["plan"]) else [shown["plan"]])


def test_equal_points_are_ranked_by_name(rules: Champion) -> None:
    table = explain(rules, accounts(3, seed=6)[0])
    without_a_term = table[table["points"] == 0].groupby("account_id")["metric"].agg(list)
    assert all(names == sorted(names) and len(names) >= 3 for names in without_a_term)


def test_an_empty_table_has_an_empty_explanation(stack: Champion) -> None:
    empty = explain(stack, accounts(3)[0].head(0))
    assert empty.empty
    assert empty.dtypes.equals(explain(stack, accounts(3)[0]).dtypes)


def test_the_same_account_explained_alone_or_among_others_has_the_same_points(stack: Champion) -> None:
    frame, _ = accounts(2500, seed=7)
    together, alone = points(stack, frame).points[-1], points(stack, frame.tail(1)).points[0]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-14)


def test_points_of_many_accounts_add_up_chunk_by_chunk() -> None:
    rng = np.random.default_rng(1)
    phi, reference = rng.normal(size=(20_000, 45)) / 5, rng.normal(size=(300, 45)) / 5
    found = points_from(phi, phi.sum(axis=1), reference, reference.sum(axis=1), [str(i) for i in range(45)])
    np.testing.assert_allclose(found.reference + found.points.sum(axis=1), found.propensity, rtol=0, atol=1e-12)
