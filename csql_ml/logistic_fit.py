"""Logistic regression with bounds, and a quadratic pull of the coefficients towards given values.

Every linear piece of the toolkit is fitted here: Platt scaling, the logistic members of the stack and the stack itself.
The objective is convex, so the result does not depend on a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

FloatArray = npt.NDArray[np.float64]

#: Log-odds per standard deviation of a score that ranks as usual: a ROC-AUC of about .74.
USUAL_SLOPE = 0.9
#: L2 penalty that draws the slope there, in units of the summed log loss.
SLOPE_PENALTY = 3.0


@dataclass(frozen=True)
class LinearFit:
    """Coefficients and intercept in log-odds."""

    coefficients: FloatArray
    intercept: float


def fit_bounded_logistic(
    design: FloatArray,
    target: FloatArray,
    weight: FloatArray,
    *,
    penalty: float = 0.0,
    sum_penalty: float = 0.0,
    pull_to: FloatArray | None = None,
    lower: FloatArray | None = None,
    upper: FloatArray | None = None,
) -> LinearFit:
    """Minimise ``sum(weight * log loss) + penalty / 2 * ||away||^2 + sum_penalty / 2 * sum(away)^2`` within bounds.

    ``away`` is coefficients minus ``pull_to``.

    Parameters
    ----------
    design
        (n, d) matrix without missing values.
    target
        (n,) values from 0 to 1 (soft targets are allowed).
    weight
        (n,) non-negative weights.
    pull_to, lower, upper
        (d,) each; default: zero, no bound, no bound. The intercept is free.
    """
    width = design.shape[1]
    centre = np.zeros(width) if pull_to is None else pull_to
    total = float(weight.sum())
    low = np.full(width, -np.inf) if lower is None else lower
    high = np.full(width, np.inf) if upper is None else upper

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        margin = design @ theta[:-1] + theta[-1]
        away = theta[:-1] - centre
        loss = weight @ (np.logaddexp(0.0, margin) - target * margin) + 0.5 * penalty * (away @ away)
        loss += 0.5 * sum_penalty * away.sum() ** 2
        residual = weight * (expit(margin) - target)
        gradient = np.append(design.T @ residual + penalty * away + sum_penalty * away.sum(), residual.sum())
        return loss / total, gradient / total

    start = np.append(np.clip(centre, low, high), log_odds(float(weight @ target) / total))
    bounds = [*zip(low, high, strict=True), (-np.inf, np.inf)]
    # One thread: a matrix product split over threads may differ in the last bit from machine to machine.
    with threadpool_limits(limits=1, user_api="blas"):
        found = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 500, "maxfun": 1000, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 20},
        )
    return LinearFit(np.asarray(found.x[:-1], dtype=float), float(found.x[-1]))


def log_odds(share: float, limit: float = 12.0) -> float:
    """Log-odds of a share, kept within ``limit`` so that 0 and 1 stay finite."""
    edge = float(expit(-limit))
    share = min(max(share, edge), 1.0 - edge)
    return float(np.log(share) - np.log1p(-share))


def fit_platt(score: FloatArray, positive: npt.NDArray[np.bool_], weight: FloatArray) -> tuple[float, float]:
    """Platt scaling of a score, with a slope that is never negative.

    Targets are smoothed as in Platt (1999), so that a score that separates few labels perfectly keeps a finite slope.
    The slope is drawn to `USUAL_SLOPE` with the strength of about ten labels: with 50 labels that takes out most of the
    chance in it (docs/benchmarks.md, "Learning curve"), with 500 nothing is left of it.

    Parameters
    ----------
    score
        (n,) any finite score.
    positive
        (n,) true labels.
    weight
        (n,) sample weights.

    Returns
    -------
    slope, intercept
        ``P = sigmoid(intercept + slope * score)``.
    """
    total = float(weight.sum())
    positives = float(weight[positive].sum())
    high, low = (positives + 1.0) / (positives + 2.0), 1.0 / (total - positives + 2.0)
    target = np.where(positive, high, low)
    mean = float(weight @ score) / total
    spread = float(np.sqrt(weight @ (score - mean) ** 2 / total))
    if spread <= 1e-12 * max(1.0, abs(mean)):
        return 0.0, log_odds(float(weight @ target) / total)
    standard = ((score - mean) / spread)[:, None]
    usual = np.array([USUAL_SLOPE])
    fit = fit_bounded_logistic(standard, target, weight, penalty=SLOPE_PENALTY, pull_to=usual, lower=np.zeros(1))
    slope = float(fit.coefficients[0]) / spread
    return slope, fit.intercept - slope * mean
