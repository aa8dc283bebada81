from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.errors import FeatureError
from csql_ml.labelled_rows import OneClassError, labelled_rows
from csql_ml.metrics.definition import Feature
from csql_ml.model import stacking
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.plain_logistic import logistic_comparison
from csql_ml.model.trees import TreeBag, TreeSettings
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts

COLUMNS = [*(f.name for f in FEATURES), "icp_fit"]
NUMBERS = [c for c in COLUMNS if c != "plan"]


@pytest.fixture(scope="module")
def model() -> PropensityClassifier:
    """A fitted model in which every member has a say, whatever weights its labels would give them."""
    frame, won = accounts(600)
    fitted = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(frame, won)
    fitted.stack_ = replace(fitted.stack_, weights=(0.4, 0.2, 0.3, 0.2))
    return fitted


def by_rows_drawn(estimator: PropensityClassifier) -> dict[str, str]:
    reason = "folds and bags draw rows, so two rows are not one row of weight 2"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


@parametrize_with_checks([PropensityClassifier(bags=2)], expected_failed_checks=by_rows_drawn)
def test_scikit_learn_accepts_the_model_as_a_classifier(estimator: PropensityClassifier, check: Any) -> None:
    state = np.random.get_state()  # noqa: NPY002 - scikit-learn's checks draw from the global generator
    try:
        check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_contributions_add_up_to_the_log_odds(model: PropensityClassifier) -> None:
    frame, _ = accounts(500, seed=2)
    parts = model.contributions(frame)
    assert model.contribution_names_ == tuple(COLUMNS)
    assert parts.shape == (500, len(COLUMNS))
    np.testing.assert_allclose(model.base_ + parts.sum(axis=1), model.decision_function(frame), rtol=0, atol=1e-9)
    assert np.abs(parts[:, COLUMNS.index("icp_fit")]).max() > 0


gaps = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))


@given(st.lists(st.tuples(*[gaps] * len(NUMBERS), st.sampled_from(["pro", "basic", "new plan", None])), min_size=1))
@settings(max_examples=40)
def test_contributions_add_up_for_any_values_and_gaps(
    model: PropensityClassifier, table: list[tuple[float | str | None, ...]]
) -> None:
    frame = pd.DataFrame(table, columns=[*NUMBERS, "plan"]).astype(dict.fromkeys(NUMBERS, float))
    parts = model.contributions(frame)
    margin = model.decision_function(frame)
    assert np.isfinite(margin).all()
    np.testing.assert_allclose(model.base_ + parts.sum(axis=1), margin, rtol=0, atol=1e-9)


DIRECTED = [("seat_saturation", 1), ("intent_events", 1), ("open_tickets", -1), ("icp_fit", 1)]


@pytest.mark.parametrize(("column", "direction"), DIRECTED)
def test_the_propensity_keeps_every_direction(model: PropensityClassifier, column: str, direction: int) -> None:
    frame, _ = accounts(100, seed=3)
    steps = [frame.assign(**{column: v}) for v in np.linspace(-0.5, 8, 30)]
    chances = np.stack([model.predict_proba(s)[:, 1] for s in steps])
    assert (direction * np.diff(chances, axis=0) >= -1e-12).all()
    assert (direction * (chances[-1] - chances[0]) > 0).any()


def test_directions_hold_even_where_the_labels_contradict_them() -> None:
    frame, won = accounts(500)
    upside_down = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(frame, ~won)
    steps = [frame.head(50).assign(seat_saturation=v) for v in np.linspace(0, 1, 11)]
    chances = np.stack([upside_down.predict_proba(s)[:, 1] for s in steps])
    assert (np.diff(chances, axis=0) >= -1e-12).all()


def test_columns_are_found_by_name(model: PropensityClassifier) -> None:
    frame, _ = accounts(50, seed=4)
    turned = frame[frame.columns[::-1]].assign(unknown_to_the_model=1)
    np.testing.assert_array_equal(model.decision_function(turned), model.decision_function(frame))


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.astype({"plan": "category"}),
        lambda f: f.astype({"plan": object}),
        lambda f: f.astype({"plan": "str"}),
        lambda f: f.astype({"intent_events": "Int32", "seat_saturation": "Float64", "plan": "string[pyarrow]"}),
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.astype({"intent_events": "float32"}),
    ],
    ids=["category", "object", "str", "nullable", "arrow", "float32"],
)
def test_every_pandas_type_reads_the_same(model: PropensityClassifier, convert: Any) -> None:
    frame, _ = accounts(60, seed=5)
    np.testing.assert_array_equal(model.decision_function(convert(frame)), model.decision_function(frame))


def test_a_category_unknown_at_training_reads_as_missing(model: PropensityClassifier) -> None:
    frame, _ = accounts(20, seed=6)
    unknown, missing = frame.assign(plan="brand new"), frame.assign(plan=None)
    np.testing.assert_array_equal(model.decision_function(unknown), model.decision_function(missing))
    assert not np.array_equal(model.decision_function(unknown), model.decision_function(frame.assign(plan="pro")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns=["open_tickets", "icp_fit"]), "no column open_tickets, icp_fit"),
        (lambda f: f.assign(tenure_days="long"), "column tenure_days .* expected a number"),
        (lambda f: f.assign(tenure_days=pd.Timestamp("2026-01-01")), "column tenure_days .* expected a number"),
        (lambda f: f.assign(plan=pd.Timestamp("2026-01-01")), "column plan .* expected categories"),
        (lambda f: f.assign(tenure_days=np.inf), "column tenure_days .* infinite"),
        (lambda f: pd.concat([f, f[["plan"]]], axis=1), "column plan more than once"),
        (lambda f: f[COLUMNS].to_numpy(), "by column name, found ndarray"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(model: PropensityClassifier, change: Any, message: str) -> None:
    frame, _ = accounts(5)
    with pytest.raises(FeatureError, match=message):
        model.predict_proba(change(frame))


def test_an_empty_table_scores_nobody(model: PropensityClassifier) -> None:
    frame, _ = accounts(5)
    assert model.predict_proba(frame.head(0)).shape == (0, 2)
    assert model.contributions(frame.head(0)).shape == (0, len(COLUMNS))


def test_the_trees_do_not_depend_on_the_number_of_threads() -> None:
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(120, 3))
    rows = labelled_rows(matrix, matrix[:, 0] > rng.normal(size=120))
    one, two = (TreeBag.fit(rows, TreeSettings((1, 0, 0), (), 1, 7, threads)) for threads in (1, 2))
    np.testing.assert_array_equal(one.margin(matrix), two.margin(matrix))
    assert one.margin(matrix).std() > 0.1


def test_the_same_rows_and_seed_give_the_same_model() -> None:
    frame, won = accounts(150)
    first, again = (PropensityClassifier(FEATURES, TERMS, bags=1, random_state=7).fit(frame, won) for _ in range(2))
    np.testing.assert_array_equal(first.decision_function(frame), again.decision_function(frame))
    other = PropensityClassifier(FEATURES, TERMS, bags=1, random_state=8).fit(frame, won)
    assert not np.array_equal(first.decision_function(frame), other.decision_function(frame))


def test_rows_of_weight_zero_do_not_count() -> None:
    frame, won = accounts(200)
    weight = (np.arange(200) < 150).astype(float)
    weighted = PropensityClassifier(FEATURES, TERMS, bags=1).fit(frame, won, sample_weight=weight)
    fewer = PropensityClassifier(FEATURES, TERMS, bags=1).fit(frame.head(150), won[:150])
    assert weighted.maturity_.labels == 150
    np.testing.assert_allclose(weighted.stack_.weights, fewer.stack_.weights)


def test_few_labels_leave_the_score_in_charge_and_many_take_over() -> None:
    few = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(*accounts(50)).maturity_
    many = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(*accounts(4000)).maturity_
    assert few.rules_share > 0.75 > 0.4 > many.rules_share
    assert "50 labels" in str(few)
    assert sum(many.shares.values()) == pytest.approx(1.0)


def test_with_hardly_any_outcome_the_model_is_the_score() -> None:
    frame, won = accounts(40)
    won = np.arange(40) < 2
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(frame, won)
    rules = WeightedScore(TERMS, WEIGHTS).fit(frame, won)
    np.testing.assert_allclose(model.predict_proba(frame), rules.predict_proba(frame), atol=1e-12)
    np.testing.assert_array_equal(model.weighted_score_.csql_score(frame), rules.csql_score(frame))


def test_an_account_never_stands_on_both_sides_of_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, won = accounts(200)
    groups = np.array([f"account {i % 40}" for i in range(200)])
    seen = []
    real = stacking._folds
    monkeypatch.setattr(stacking, "_folds", lambda rows, seed: seen.append(real(rows, seed)) or seen[-1])
    PropensityClassifier(FEATURES, TERMS, bags=1).fit(frame, won, groups=groups)
    assert len(seen[0]) == 5
    assert all(not set(groups[train]) & set(groups[test]) for train, test in seen[0])


def test_labels_of_one_class_are_refused() -> None:
    frame, _ = accounts(20)
    with pytest.raises(OneClassError, match="all 20 labels are of one class"):
        PropensityClassifier(FEATURES, TERMS).fit(frame, np.zeros(20))


def test_a_table_nobody_described_is_learned_from_as_it_comes() -> None:
    frame, won = accounts(400)
    table = frame.drop(columns="account_id")
    model = PropensityClassifier(bags=1).fit(table, won)
    assert [f.name for f in model.features_ if f.categorical] == ["plan"]
    assert {t.feature for t in model.terms_} <= set(table.columns) - {"plan"}
    parts = model.contributions(table)
    np.testing.assert_allclose(model.base_ + parts.sum(axis=1), model.decision_function(table), atol=1e-9)


def test_a_learned_score_keeps_the_directions_of_the_features() -> None:
    frame, won = accounts(300)
    against = (Feature("seat_saturation", "seat_saturation", -1), *FEATURES[1:])
    terms = {t.feature: t for t in PropensityClassifier(against, bags=1).fit(frame, won).terms_}
    assert terms["seat_saturation"].full_at < terms["seat_saturation"].zero_at


def test_columns_without_any_value_and_constant_columns_do_no_harm() -> None:
    frame, won = accounts(100)
    frame = frame.assign(tenure_days=np.nan, open_tickets=3, plan=None)
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(frame, won)
    places = [COLUMNS.index(c) for c in ("tenure_days", "open_tickets", "plan")]
    assert (model.contributions(frame)[:, places] == 0).all()


def test_the_stack_beats_the_score_where_labels_are_enough() -> None:
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(*accounts(1500))
    fresh, won = accounts(6000, seed=9)

    def loss(chance: np.ndarray) -> float:
        return float(-np.mean(np.log(np.where(won, chance, 1 - chance))))

    rules = model.weighted_score_.predict_proba(fresh)[:, 1]
    assert loss(model.predict_proba(fresh)[:, 1]) < loss(rules) - 0.02


def test_the_logistic_comparison_reads_the_same_table() -> None:
    frame, won = accounts(500)
    logistic = logistic_comparison(FEATURES, 7).fit(frame, won, sample_weight=np.ones(500))
    fresh, later = accounts(2000, seed=11)
    chance = logistic.predict_proba(fresh)
    np.testing.assert_allclose(chance.sum(axis=1), 1.0)
    assert chance[later, 1].mean() > chance[~later, 1].mean() + 0.1
