"""The weighted score in log-odds, as exactly additive parts; and a score learned where a company has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csql_ml.baseline.score_card import FULL_SCORE, ScoreCard
from csql_ml.logistic_fit import fit_bounded_logistic, fit_platt, log_odds
from csql_ml.metrics.definition import ScoreTerm

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Middle of the 0 to 100 scale, the centre of the prior map.
MIDDLE = FULL_SCORE / 2
#: Log-odds per point of the prior map: 20 points more multiply the odds by 2.2. A guess kept modest on purpose (labels
#: replace it); a score with a ROC-AUC of .76 and a spread of 20 points has about .05.
PRIOR_SLOPE = 0.04
#: Up to about this many columns a learned score forgives each one standard error.
FEW_COLUMNS = 50
#: L2 penalty on the weights of a learned score, for degrees of one standard deviation that chance has no part in.
WEIGHT_PENALTY = 10.0
#: More rows than this settle a learned score no further.
MOST_ROWS = 100_000


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

    def margin_and_parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margin` and `parts`."""
        return self.margin(matrix), self.parts(matrix)


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
    among: int = 0,
) -> tuple[ScoreTerm, ...]:
    """A plain weighted score for feature tables that come without one.

    Ramps from the 5th to the 95th percentile; rising or falling by the feature's own direction, else by the sign of its
    covariance with the label. Weights are those of a penalised logistic regression on the degrees, none of them
    negative, so that columns which say the same share a weight instead of counting twice. A column is penalised the
    more, the less of the difference between the mean degrees of both classes is left without what chance makes of it
    (soft threshold, as nearest shrunken centroids do: Tibshirani et al. 2002): columns of noise weigh nothing, however
    many there are. The largest weight is 1. Constant columns and categories are left out; where nothing is told apart,
    all weights are equal. All terms stand in one sub-score, since nothing says which part of the formula a foreign
    column belongs to.

    Parameters
    ----------
    matrix
        (n, columns) values, missing as NaN.
    positive, weight
        (n,) labels and sample weights.
    directions, numeric
        (columns,) the known direction (-1, 0, +1) and whether the column is a number.
    among
        Of how many columns these are the strongest, where they were chosen (`csql_ml.model.screening`).
    """
    if (step := -(-len(positive) // MOST_ROWS)) > 1:
        matrix, positive, weight = matrix[::step], positive[::step], weight[::step]
    ramps = {}
    for place, name in enumerate(names):
        ramp = _ramp(matrix[:, place], positive, weight, directions[place]) if numeric[place] else None
        if ramp is not None:
            ramps[name] = ramp
    # Among many columns of noise the luckiest lie ever further from 0: sqrt(2 log columns) standard errors.
    chance = max(1.0, float(np.sqrt(2 * np.log(max(max(len(ramps), among) / FEW_COLUMNS, 1.0)))))
    trust = np.array([max(r.gap - chance * r.error, 0.0) / max(r.gap, 1e-12) for r in ramps.values()])
    degrees = [r.degree(matrix[:, names.index(name)]) for name, r in ramps.items()]
    weights = _together(degrees, trust, positive, weight)
    return tuple(
        ScoreTerm(name, "engagement", r.zero_at, r.full_at, w)
        for (name, r), w in zip(ramps.items(), weights, strict=True)
    )


def _together(degrees: Sequence[FloatArray], trust: FloatArray, positive: BoolArray, weight: FloatArray) -> list[float]:
    """Weights of terms that are judged together, the largest 1; a missing degree counts as the mean of the others."""
    if not trust.any():
        return [1.0] * len(degrees)
    design, spread = np.zeros((len(positive), len(degrees))), np.ones(len(degrees))
    for place in np.flatnonzero(trust).tolist():
        known = ~np.isnan(degrees[place])
        share = weight[known] / weight[known].sum()
        mean = float(share @ degrees[place][known])
        away = np.where(known, degrees[place] - mean, 0.0)
        spread[place] = max(float(np.sqrt(weight @ away**2 / weight.sum())), 1e-3)
        design[:, place] = away / spread[place] * trust[place]
    lower = np.zeros(len(degrees))
    fit = fit_bounded_logistic(design, positive.astype(float), weight, penalty=WEIGHT_PENALTY, lower=lower)
    found = fit.coefficients * trust / spread
    most = float(found.max())
    return [float(w) / most for w in found] if most > 0 else [1.0] * len(degrees)


@dataclass(frozen=True)
class _Ramp:
    """A term's ramp, and how far apart the classes' mean degrees are along it."""

    zero_at: float
    full_at: float
    gap: float
    error: float

    def degree(self, value: FloatArray) -> FloatArray:
        """(n,) 0 to 1 along the ramp, missing as NaN."""
        return _along(value, self.zero_at, self.full_at)


def _along(value: FloatArray, zero_at: float, full_at: float) -> FloatArray:
    return np.asarray(np.clip((value - zero_at) / (full_at - zero_at), 0.0, 1.0))


def _ramp(value: FloatArray, positive: BoolArray, weight: FloatArray, direction: int) -> _Ramp | None:
    """None for a column that never varies."""
    known = ~np.isnan(value)
    value, share, won = value[known], weight[known], positive[known]
    if share.sum() <= 0:
        return None
    low, high = np.quantile(value, [0.05, 0.95], weights=share, method="inverted_cdf")
    if low == high:
        low, high = value.min(), value.max()
    if low == high:
        return None
    rising = direction or _covariance_sign(value, won, share)
    zero_at, full_at = (float(low), float(high)) if rising >= 0 else (float(high), float(low))
    return _Ramp(zero_at, full_at, *_apart(_along(value, zero_at, full_at), won, share))


def _apart(degree: FloatArray, positive: BoolArray, weight: FloatArray) -> tuple[float, float]:
    """Difference of the classes' means, and its standard error."""
    mass = np.array([weight[~positive].sum(), weight[positive].sum()])
    if not mass.all():
        return 0.0, 0.0
    means = [float(weight[of] @ degree[of]) / m for of, m in zip((~positive, positive), mass, strict=True)]
    away = degree - np.where(positive, means[1], means[0])
    # A column that parts the classes without a miss has no variance left; one row more would have shown some.
    variance = max(float(weight @ away**2) / float(mass.sum()), 1.0 / (float(mass.sum()) + 1.0))
    return means[1] - means[0], float(np.sqrt(variance * (1 / mass).sum()))


def _covariance_sign(value: FloatArray, positive: BoolArray, weight: FloatArray) -> int:
    share = weight / weight.sum()
    away = positive - float(share @ positive)
    return int(np.sign(share @ (value * away)))
