"""Rows are handled some at a time where there are very many; what comes out is the same to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from csql_ml.baseline import score_card, score_logit
from csql_ml.baseline.score_card import ScoreCard
from csql_ml.baseline.score_logit import learn_terms
from csql_ml.metrics.definition import ScoreTerm
from csql_ml.model import linear_design
from csql_ml.model.linear_design import LinearDesign


@pytest.fixture
def matrix() -> np.ndarray:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(50, 4))
    values[:, 3] = rng.integers(0, 3, 50)
    values[rng.random((50, 4)) < 0.2] = np.nan
    values[7] = np.nan
    return values


def test_scores_are_those_of_all_rows_at_once(matrix, monkeypatch):
    terms = [ScoreTerm("a", "engagement", -1.0, 1.0, 2.0), ScoreTerm("b", "fit", 1.0, -1.0, 1.0)]
    card = ScoreCard.bind(terms, None, ["a", "b", "c", "d"])
    score, parts = card.score(matrix), card.sub_scores(matrix)
    monkeypatch.setattr(score_card, "CHUNK", 8)
    assert card.score(matrix).tobytes() == score.tobytes()
    assert card.sub_scores(matrix).tobytes() == parts.tobytes()


def test_the_design_is_that_of_all_rows_at_once(matrix, monkeypatch):
    design = LinearDesign.fit(matrix, np.ones(50), [True, False, False, False], [0, 0, 0, 3])
    whole = design.matrix(matrix)
    assert whole.shape == (50, len(design.owner))
    monkeypatch.setattr(linear_design, "_CHUNK", 8)
    assert design.matrix(matrix).tobytes() == whole.tobytes()
    assert design.matrix(matrix[:0]).shape == (0, len(design.owner))


def test_a_score_is_learned_from_some_of_very_many_rows(monkeypatch):
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(3000, 3))
    won = rng.random(3000) < 1 / (1 + np.exp(-matrix[:, 0] + matrix[:, 1]))
    names, facts = ["a", "b", "c"], ([0, 0, 0], [True, True, True])
    third = learn_terms(matrix[::3], names, won[::3], np.ones(1000), *facts)
    monkeypatch.setattr(score_logit, "MOST_ROWS", 1100)
    assert learn_terms(matrix, names, won, np.ones(3000), *facts) == third
    assert [t.weight > 0.5 for t in third] == [True, True, False]
