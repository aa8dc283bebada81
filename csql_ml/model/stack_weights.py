"""Weights of the stack's members, fitted on out-of-fold log-odds so that few labels cannot do harm.

Two things hold the weights back, and both let go as outcomes come in:

* **The pull.** An L2 penalty towards the weighted score alone, ``shrinkage + SCARCITY / effective labels``. Effective
  labels are 4 n r (1 - r) at a positive rate r: as many labels of two equal classes would tell about as much. The sum
  of the weights is pulled to 1 more strongly still: members that say the same must share the say, not add to it.
* **The guard.** The weights are fitted without each fold in turn and judged on it. With t, the gain in log loss over
  the weighted score in standard errors, the stack goes only the share ``max(0, 2 * normal(t) - 1)`` of the way from the
  score to its weights: nothing where nothing was gained, two thirds at one standard error, all at three.

The constants were chosen on other draws from four of the five worlds that `benchmarks/learning_curve.py` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from csql_ml.logistic_fit import LinearFit, fit_bounded_logistic

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

#: The stack without evidence: the weighted score alone.
SCORE_ALONE = (1.0, 0.0, 0.0, 0.0)
#: Out-of-fold log-odds are bounded: one wildly confident row must not decide the weights.
LARGEST_MARGIN = 8.0
#: Additional pull with few labels: this, divided by the number of effective labels.
SCARCITY = 1000.0
#: The sum of the weights is pulled to 1 so many times as strongly as each of them is pulled to its place.
SUM_PULL = 16.0


@dataclass(frozen=True)
class OutOfFold:
    """What the members said about rows they were not trained on.

    Attributes
    ----------
    rows
        (m,) places of the judged rows; none if there are too few labels.
    margins
        (m, members) log-odds.
    fold
        (m,) number of the fold a row was held out in.
    columns
        By fold the columns it was given, where the table has too many to learn from all.
    """

    rows: IntArray
    margins: FloatArray
    fold: IntArray
    columns: Mapping[int, IntArray] = field(default_factory=dict)


@dataclass(frozen=True)
class StackWeights:
    """Weights and intercept, and what they rest on.

    Attributes
    ----------
    weights, intercept
        Of the stack, in log-odds.
    gain, error
        Log loss per outcome by which the freely fitted weights beat the weighted score out of fold, and its standard
        error; NaN where nothing could be judged.
    trust
        Share of the way from the weighted score to the fitted weights, 0 to 1.
    """

    weights: tuple[float, ...] = SCORE_ALONE
    intercept: float = 0.0
    gain: float = float("nan")
    error: float = float("nan")
    trust: float = 0.0


def stack_weights(
    judged: OutOfFold, positive: BoolArray, weight: FloatArray, groups: IntArray | None, shrinkage: float
) -> StackWeights:
    """Fit, judge and hold back the weights.

    Parameters
    ----------
    positive, weight, groups
        (m,) labels, sample weights and accounts of the judged rows; accounts, where known, are what the standard
        error takes as independent.
    """
    if not len(judged.rows):
        return StackWeights()
    gains = np.zeros(len(positive))
    for number in np.unique(judged.fold):
        test = judged.fold == number
        if len(np.unique(positive[~test])) < 2:
            continue
        fit = pulled(judged.margins[~test], positive[~test], weight[~test], shrinkage)
        said = judged.margins[test] @ fit.coefficients + fit.intercept
        gains[test] = losses(judged.margins[test, 0], positive[test]) - losses(said, positive[test])
    gain, error = mean_and_error(gains, weight, groups)
    trust = max(0.0, 2.0 * float(norm.cdf(gain / error)) - 1.0) if error > 0 else 0.0
    fit = pulled(judged.margins, positive, weight, shrinkage)
    alone = np.array(SCORE_ALONE)
    held_back = alone + trust * (fit.coefficients - alone)
    return StackWeights(tuple(held_back.tolist()), trust * fit.intercept, gain, error, trust)


def pulled(margins: FloatArray, positive: BoolArray, weight: FloatArray, shrinkage: float) -> LinearFit:
    """Non-negative weights with the pull towards the weighted score, without the guard."""
    rate = float(weight @ positive) / float(weight.sum())
    effective = 4.0 * float(weight.sum()) * rate * (1.0 - rate)
    penalty = shrinkage + (SCARCITY / max(effective, 1.0) if shrinkage else 0.0)
    return fit_bounded_logistic(
        margins,
        positive.astype(float),
        weight,
        penalty=penalty,
        sum_penalty=SUM_PULL * penalty,
        pull_to=np.array(SCORE_ALONE),
        lower=np.zeros(len(SCORE_ALONE)),
    )


def losses(margin: FloatArray, positive: BoolArray) -> FloatArray:
    """(n,) log loss of log-odds."""
    return np.asarray(np.logaddexp(0.0, margin) - positive * margin)


def mean_and_error(gains: FloatArray, weight: FloatArray, groups: IntArray | None) -> tuple[float, float]:
    """Weighted mean, and its standard error with accounts as the independent units."""
    total = float(weight.sum())
    mean = float(weight @ gains) / total
    units = np.arange(len(gains)) if groups is None else groups
    away = np.bincount(units, weight * (gains - mean))
    return mean, float(np.sqrt(np.sum(away**2))) / total
