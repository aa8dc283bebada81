"""Points against other ways of computing them: the members' own parts, and brute force (shap: test_contributions)."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import factorial
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from scipy.special import expit

from csql_ml.errors import BundleError, FeatureError
from csql_ml.explain import explain
from csql_ml.explain.contributions import points
from csql_ml.model.bundle import Champion, reference_set, save
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.reference import metrics_of
from csql_ml.model.stacking import Stack
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts

#: All four members count, the trees most: the others are exact by construction.
MIXED = (0.3, 0.2, 0.3, 0.5)


@pytest.fixture(scope="module")
def champion() -> Champion:
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(*accounts(600))
    model.stack_ = replace(model.stack_, weights=MIXED)
    reference = reference_set(model, model.features_, accounts(400, seed=2)[0], size=60)
    return Champion("stack", model.features_, TERMS, WEIGHTS, 0.5, {}, None, {}, model, reference)


def test_the_stack_is_the_weighted_sum_of_its_members_parts_as_lightgbm_has_them(champion: Champion) -> None:
    model, (frame, _) = champion.estimator, accounts(500, seed=3)
    stack: Stack = model.stack_
    matrix = model.encoder_.matrix(frame)
    texts = stack.members.trees.texts
    of_trees = np.mean([lgb.Booster(model_str=t).predict(matrix, pred_contrib=True) for t in texts], axis=0)
    parts = [m.parts(matrix) for m in stack.members[:3]] + [of_trees[:, :-1]]
    expected = sum(w * p for w, p in zip(MIXED, parts, strict=True))
    np.testing.assert_allclose(stack.parts(matrix), expected, rtol=0, atol=1e-9)
    found = champion.contributions(frame)
    names, place = metrics_of(model, champion.features)
    by_metric = np.stack([expected[:, place == i].sum(axis=1) for i in range(len(names))], axis=1)
    np.testing.assert_allclose(found.phi, by_metric, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.base_ + found.phi.sum(axis=1), found.margin, rtol=0, atol=1e-9)
    assert np.abs(of_trees[:, :-1]).max() > 0.1, "trees that say nothing prove nothing"


def brute_force(champion: Champion, rows: np.ndarray) -> np.ndarray:
    """(n, metrics) interventional Shapley values of the propensity: every coalition of metrics, every reference row."""
    model, others = champion.estimator, champion.reference.rows
    names, place = metrics_of(model, champion.features)
    m = len(names)
    worth = {}
    for size in range(m + 1):
        for coalition in combinations(range(m), size):
            theirs = np.isin(place, coalition)
            mixed = np.where(theirs, rows[:, None, :], others[None, :, :])
            chance = expit(model.stack_.margin(mixed.reshape(-1, rows.shape[1])))
            worth[coalition] = chance.reshape(len(rows), len(others)).mean(axis=1)
    values = np.zeros((len(rows), m))
    for metric in range(m):
        for coalition in (c for c in worth if metric not in c):
            share = factorial(len(coalition)) * factorial(m - len(coalition) - 1) / factorial(m)
            values[:, metric] += share * (worth[tuple(sorted((*coalition, metric)))] - worth[coalition])
    return values


def test_points_are_close_to_brute_force_shapley_values_of_the_probability(champion: Champion) -> None:
    frame, _ = accounts(40, seed=8)
    found = points(champion, frame)
    exact = brute_force(champion, champion.estimator.encoder_.matrix(frame))
    np.testing.assert_allclose(found.reference + exact.sum(axis=1), found.propensity, rtol=0, atol=1e-9)
    gaps = np.abs(found.points - exact)
    assert gaps.mean() < 0.01, f"mean absolute gap {100 * gaps.mean():.2f} percentage points"
    seen = np.abs(exact) > 0.01
    assert (np.sign(found.points[seen]) == np.sign(exact[seen])).all()
    assert seen.mean() > 0.3, "accounts whose metrics hardly matter prove nothing"


def test_explain_takes_a_bundle_or_its_folder(champion: Champion, tmp_path: Path) -> None:
    frame, _ = accounts(20, seed=4)
    table = explain(champion, frame)
    assert table.equals(explain(save(champion, tmp_path / "bundle"), frame))
    assert table.equals(explain(str(tmp_path / "bundle"), frame))
    sums = table.groupby("account_id", sort=False)["points"].sum()
    np.testing.assert_allclose(sums, champion.propensity(frame), rtol=0, atol=1e-12)


def test_explain_says_what_it_lacks(champion: Champion, tmp_path: Path) -> None:
    frame, _ = accounts(5)
    with pytest.raises(FeatureError, match="account_id"):
        explain(champion, frame.drop(columns="account_id"))
    with pytest.raises(FeatureError, match="intent_events"):
        explain(champion, frame.drop(columns="intent_events"))
    with pytest.raises(BundleError, match="no model bundle"):
        explain(tmp_path / "nothing", frame)


def test_points_do_not_depend_on_how_many_accounts_stand_beside(champion: Champion) -> None:
    frame, _ = accounts(1_500, seed=6)
    whole = points(champion, frame).points
    for start, size in [(0, 2), (3, 3), (500, 7), (511, 100), (1_000, 500)]:
        part = points(champion, frame.iloc[start : start + size]).points
        np.testing.assert_array_equal(part, whole[start : start + size])
