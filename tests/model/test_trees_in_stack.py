"""Scoring in chunks: a row's score and contributions are the same to the last bit, whatever rows it is scored with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csql_ml.baseline.score_card import PARTS, ScoreCard
from csql_ml.metrics.definition import ScoreTerm
from csql_ml.model import reference
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.reference import contributions_of
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts


@pytest.fixture(scope="module")
def model() -> PropensityClassifier:
    """Every member has a say."""
    fitted = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(*accounts(400))
    fitted.stack_ = replace(fitted.stack_, weights=(0.4, 0.2, 0.3, 0.2))
    return fitted


def test_one_pass_says_what_two_say(model: PropensityClassifier) -> None:
    frame, _ = accounts(300, seed=2)
    margin, parts = model.margin_and_contributions(frame)
    np.testing.assert_array_equal(margin, model.decision_function(frame))
    np.testing.assert_array_equal(parts, model.contributions(frame))


@pytest.mark.parametrize("rows", [slice(0, 1), slice(7, 9), slice(100, 131)])
def test_a_row_does_not_depend_on_the_rows_beside_it(model: PropensityClassifier, rows: slice) -> None:
    frame, _ = accounts(300, seed=3)
    margin, parts = model.margin_and_contributions(frame)
    alone = model.margin_and_contributions(frame.iloc[rows])
    np.testing.assert_array_equal(alone[0], margin[rows])
    np.testing.assert_array_equal(alone[1], parts[rows])


@pytest.mark.parametrize("chunk", [1, 16, 59])
def test_contributions_do_not_depend_on_the_size_of_chunks(
    model: PropensityClassifier, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, _ = accounts(60, seed=4)
    whole = contributions_of(model, FEATURES, frame)
    monkeypatch.setattr(reference, "CHUNK", chunk)
    by_chunk = contributions_of(model, FEATURES, frame)
    np.testing.assert_array_equal(by_chunk.phi, whole.phi)
    np.testing.assert_array_equal(by_chunk.margin, whole.margin)


def test_a_score_of_many_terms_does_not_depend_on_the_rows_beside_it() -> None:
    """From eight numbers on NumPy adds in pairs, where it can."""
    names = [f"m{i}" for i in range(20)]
    terms = tuple(ScoreTerm(n, PARTS[i % 3], 0.0, 1.0 + i / 7, 1.0 + i / 3) for i, n in enumerate(names))
    card = ScoreCard.bind(terms, None, names)
    matrix = np.random.default_rng(1).uniform(0, 3, (200, 20))
    matrix[matrix < 0.3] = np.nan
    scores, subs = card.score(matrix), card.sub_scores(matrix)
    alone = [(card.score(matrix[i : i + 1])[0], card.sub_scores(matrix[i : i + 1])[0]) for i in range(200)]
    np.testing.assert_array_equal([score for score, _ in alone], scores)
    np.testing.assert_array_equal([sub for _, sub in alone], subs)
