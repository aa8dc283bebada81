from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from csql_ml.model.stack_weights import SCORE_ALONE, OutOfFold, pulled, stack_weights


def judged(n: int, right: int, seed: int = 3) -> tuple[OutOfFold, np.ndarray]:
    """Out-of-fold log-odds of four members, of which only number ``right`` knows anything, and the labels."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0, 1.5, size=(n, 4))
    return OutOfFold(np.arange(n), margins, np.arange(n) % 5), rng.random(n) < expit(margins[:, right])


def test_nothing_judged_leaves_the_score_alone():
    none = OutOfFold(np.zeros(0, dtype=int), np.zeros((0, 4)), np.zeros(0, dtype=int))
    found = stack_weights(none, np.zeros(0, dtype=bool), np.zeros(0), None, 5.0)
    assert (found.weights, found.intercept, found.trust) == (SCORE_ALONE, 0.0, 0.0)


def test_where_nothing_is_gained_out_of_fold_the_model_stays_the_score():
    found = [stack_weights(*judged_by_score(seed)) for seed in range(12)]
    nothing = [f for f in found if f.gain <= 0]
    assert len(nothing) > 6
    assert all((f.weights, f.intercept, f.trust) == (SCORE_ALONE, 0.0, 0.0) for f in nothing)
    assert all(f.weights[0] > 0.8 for f in found)


def judged_by_score(seed: int) -> tuple[OutOfFold, np.ndarray, np.ndarray, None, float]:
    out_of_fold, won = judged(200, right=0, seed=seed)
    return out_of_fold, won, np.ones(200), None, 5.0


def test_a_member_that_knows_a_little_more_takes_over_with_the_outcomes():
    shares = []
    for n in (60, 600, 6000):
        learned = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            score, trees = rng.normal(0, 0.8, size=(2, n))
            blank = np.zeros(n)
            out_of_fold = OutOfFold(np.arange(n), np.stack([score, blank, blank, trees], axis=1), np.arange(n) % 5)
            found = stack_weights(out_of_fold, rng.random(n) < expit(0.5 * score + trees), np.ones(n), None, 5.0)
            learned.append(found.weights[3] / sum(found.weights))
        shares.append(np.mean(learned))
    assert shares[0] < 0.2
    assert shares[1:] == pytest.approx([2 / 3, 2 / 3], abs=0.05)


def test_members_that_say_the_same_share_the_say():
    rng = np.random.default_rng(5)
    said = rng.normal(0, 1.5, size=300)
    won = rng.random(300) < expit(1.5 * said)
    fit = pulled(np.stack([said] * 4, axis=1), won, np.ones(300), 5.0)
    assert fit.coefficients.sum() == pytest.approx(1.0, abs=0.35)


def test_copies_of_an_account_do_not_make_a_gain_more_certain():
    out_of_fold, won = judged(100, right=3)
    copies = np.tile(np.arange(100), 6)
    more = OutOfFold(np.arange(600), out_of_fold.margins[copies], out_of_fold.fold[copies])
    alike = stack_weights(more, won[copies], np.full(600, 1 / 6), copies, 5.0)
    once = stack_weights(out_of_fold, won, np.ones(100), None, 5.0)
    apart = stack_weights(more, won[copies], np.full(600, 1 / 6), None, 5.0)
    assert alike.error == pytest.approx(once.error, rel=1e-6)
    assert apart.error < 0.6 * once.error
    assert alike.weights == pytest.approx(once.weights, abs=1e-6)
