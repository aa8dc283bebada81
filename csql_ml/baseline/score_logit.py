"""The weighted score in log-odds, as exactly additive parts; and a score learned where a company has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csql_ml.baseline.score_card import FULL_SCORE, ScoreCard
from csql_ml.logistic_fit import fit_platt, log_odds
from csql_ml.metrics.definition import ScoreTerm

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Middle of the 0 to 100 scale, the centre of the prior map.
MIDDLE = FULL_SCORE / 2
#: Log-odds per point of the prior map: 20 points more multiply the odds by 2.2. A guess kept modest on purpose (labels
#: replace it); a score with a ROC-AUC of .76 and a spread of 20 points has about .05.
PRIOR_SLOPE = 0.04


@dataclass(frozen=True)
class ScoreLogit:
    """``log-odds = intercept + slope * score``; at the score ``centre`` all parts together are 0."""

    card: ScoreCard
    slope: float
    intercept: float
    centre: float

    @classmethod
    def fit(cls, card: ScoreCard, matrix: FloatArray, positive: BoolArray, weight: FloatArray) -> ScoreLogit:
        """Platt scaling with a slope that is never negative."""
        score = card.score(matrix)
        slope, intercept = fit_platt(score, positive, weight)
        return cls(card, slope, intercept, float(weight @ score) / float(weight.sum()))

    @classmethod
    def prior(cls, card: ScoreCard, rate: float) -> ScoreLogit:
        """The map used while there are no labels: ``rate`` at the middle of the scale, `PRIOR_SLOPE` per point."""
        return cls(card, PRIOR_SLOPE, log_odds(rate) - PRIOR_SLOPE * MIDDLE, MIDDLE)

    @property
    def base(self) -> float:
        """Log-odds of an account whose score is ``centre``."""
        return self.intercept + self.slope * self.centre

    def margin(self, matrix: FloatArray) -> FloatArray:
        """(n,) log-odds."""
        return self.intercept + self.slope * self.card.score(matrix)

    def parts(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) log-odds by column: ``base`` plus a row's sum is its margin, a missing value has 0.

        With a row's shares a_t (which sum to 1) and degrees d_t, score - centre = sum of a_t * (100 * d_t - centre):
        scaling up the weights of the known terms therefore needs no term of its own.
        """
        weights = self.card.weigh(matrix)
        by_term = self.slope * weights.of_score * (FULL_SCORE * weights.degree - self.centre)
        return by_column(by_term, self.card.columns, matrix.shape[1])


def by_column(by_term: FloatArray, columns: Sequence[int], width: int) -> FloatArray:
    """Add up (n, terms) by the matrix column that each term reads."""
    parts = np.zeros((by_term.shape[0], width))
    for place, column in enumerate(columns):
        parts[:, column] += by_term[:, place]
    return parts


def learn_terms(
    matrix: FloatArray,
    names: Sequence[str],
    positive: BoolArray,
    weight: FloatArray,
    directions: Sequence[int],
    numeric: Sequence[bool],
) -> tuple[ScoreTerm, ...]:
    """A plain weighted score for feature tables that come without one.

    Equal weights; ramps from the 5th to the 95th percentile; rising or falling by the feature's own direction, else by
    the sign of its covariance with the label. Constant columns and categories are left out. All terms stand in one
    sub-score, since nothing says which part of the formula a foreign column belongs to.

    Parameters
    ----------
    matrix
        (n, columns) values, missing as NaN.
    positive, weight
        (n,) labels and sample weights.
    directions, numeric
        (columns,) the known direction (-1, 0, +1) and whether the column is a number.
    """
    terms = []
    for place, name in enumerate(names):
        known = ~np.isnan(matrix[:, place])
        if not numeric[place] or weight[known].sum() <= 0:
            continue
        value, share = matrix[known, place], weight[known]
        low, high = np.quantile(value, [0.05, 0.95], weights=share, method="inverted_cdf")
        if low == high:
            low, high = value.min(), value.max()
        if low == high:
            continue
        rising = directions[place] or _covariance_sign(value, positive[known], share)
        ramp = (float(low), float(high)) if rising >= 0 else (float(high), float(low))
        terms.append(ScoreTerm(name, "engagement", *ramp, 1.0))
    return tuple(terms)


def _covariance_sign(value: FloatArray, positive: BoolArray, weight: FloatArray) -> int:
    share = weight / weight.sum()
    away = positive - float(share @ positive)
    return int(np.sign(share @ (value * away)))
