"""Very wide tables: which columns are chosen, and that no fold's own rows have a say in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import LabelledRows
from csql_ml.metrics.definition import Feature
from csql_ml.model import screening
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.figures import roc_auc
from csql_ml.model.plain_logistic import PlainLogistic
from csql_ml.model.screening import Screen, screen_of
from csql_ml.model.stacking import StackRecipe, out_of_fold

ONE_PART = {"engagement": 1.0, "fit": 0.0, "intent": 0.0}


def noise(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def won(margin: np.ndarray, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).random(len(margin)) < 1 / (1 + np.exp(-margin))


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(screening, "MOST_COLUMNS", 10)


def chosen(matrix: np.ndarray, positive: np.ndarray, sizes: list[int] | None = None, **more) -> list[int]:
    screen = screen_of(matrix, sizes or [0] * matrix.shape[1])
    assert screen is not None
    return screen.strongest(None, positive, np.ones(len(positive)), **more).tolist()


def test_narrow_tables_are_learned_from_whole():
    assert screen_of(noise(20, screening.MOST_COLUMNS), [0] * screening.MOST_COLUMNS) is None
    assert screen_of(noise(20, screening.MOST_COLUMNS + 1), [0] * (screening.MOST_COLUMNS + 1)) is not None


def test_effects_of_every_kind_are_found_among_noise(few):
    matrix = noise(2000, 300)
    codes = np.random.default_rng(3).integers(0, 4, 2000).astype(float)
    matrix[:, 7] = codes
    matrix[np.random.default_rng(4).random(2000) < 0.2, 11] = np.nan
    gap = np.isnan(matrix[:, 11])
    margin = 0.5 * matrix[:, 3] + 0.9 * (np.abs(matrix[:, 5]) > 1) + 0.9 * (codes == 2) + 0.9 * gap - 1
    sizes = [4 if i == 7 else 0 for i in range(300)]
    found = chosen(matrix, won(margin), sizes)
    assert len(found) == 10
    assert {3, 5, 7, 11} <= set(found)
    assert found == sorted(found)


def test_columns_of_a_given_score_are_always_taken(few):
    matrix = noise(200, 30)
    assert set(chosen(matrix, won(matrix[:, 0]), always=range(15, 30))) == set(range(15, 30))


def test_weights_count_as_repetitions(few):
    matrix = noise(300, 40)
    positive, times = won(matrix[:, 0]), np.random.default_rng(5).integers(1, 4, 300)
    screen, again = Screen.of(matrix, [0] * 40), np.repeat(np.arange(300), times)
    repeated = screen.strongest(again, positive, np.ones(300))
    assert repeated.tolist() == screen.strongest(None, positive, times.astype(float)).tolist()


def test_a_column_without_values_or_spread_is_never_preferred(few):
    matrix = noise(300, 40)
    matrix[:, 0], matrix[:, 1] = np.nan, 3.0
    assert not {0, 1} & set(chosen(matrix, won(matrix[:, 2])))


def test_rows_that_are_judged_have_no_say_in_what_is_chosen(monkeypatch):
    """Chosen from all rows, the luckiest columns of pure noise look like signal on the rows that chose them."""
    monkeypatch.setattr(screening, "MOST_COLUMNS", 20)
    matrix, positive = noise(400, 1500), won(np.zeros(400))
    names = tuple(f"c{i}" for i in range(1500))
    rows = LabelledRows(matrix, positive, np.ones(400), None, np.array([0, 1]))
    recipe = StackRecipe(FeatureEncoder(names), tuple(Feature(n, n) for n in names), None, ONE_PART, 1, 5.0, 7, 1)
    screen = Screen.of(matrix, [0] * 1500)
    honest = out_of_fold(recipe, rows, screen)
    every = screen.strongest(None, positive, rows.weight)
    cheating = out_of_fold(recipe.of_columns(every), rows.take(np.arange(400), every))
    label = positive.astype(float)
    for member in range(4):
        assert roc_auc(label[honest.rows], honest.margins[:, member]) < 0.6
    assert roc_auc(label[cheating.rows], cheating.margins[:, 2]) > 0.7


def test_a_wide_model_reads_the_chosen_columns_alone_and_ranks_well(few):
    matrix = noise(1500, 200)
    margin = 1.2 * matrix[:, 150] - 1.0 * matrix[:, 20]
    fitted = PropensityClassifier(weights=ONE_PART, bags=1).fit(matrix, won(margin))
    assert fitted.n_features_in_ == 200
    assert len(fitted.contribution_names_) == 10
    assert {"150", "20"} <= {f.name for f in fitted.features_}
    fresh = noise(3000, 200, seed=9)
    said = fitted.decision_function(fresh)
    np.testing.assert_allclose(fitted.base_ + fitted.contributions(fresh).sum(axis=1), said, atol=1e-9)
    truth = 1.2 * fresh[:, 150] - 1.0 * fresh[:, 20]
    label = won(truth, seed=8).astype(float)
    assert roc_auc(label, said) > roc_auc(label, truth) - 0.02


def test_the_comparison_model_chooses_by_the_same_rule(few):
    matrix = noise(500, 60)
    frame = pd.DataFrame(matrix, columns=[f"c{i}" for i in range(60)])
    features = tuple(Feature(n, n) for n in frame)
    fitted = PlainLogistic(features).fit(frame, won(2 * matrix[:, 44]))
    assert "c44" in fitted.encoder_.names
    assert len(fitted.encoder_.names) == 10
