"""Figures with their intervals: rates with open leads, medians under censoring, sums and shares of money.

========================  ==============================================================================================
figure                    interval, and why
========================  ==============================================================================================
rate                      Wilson (statsmodels): near its nominal coverage from ten leads on, never outside of 0 and 1.
                          With open leads: from Wilson's lower end if none of them makes it to its upper end if all do
median of a duration      Kaplan-Meier with log-log bounds, inverted (lifelines): open leads count for as long as they
                          were seen open, instead of being left out, which would make cycles look short
sums and shares of money  bootstrap over leads or accounts (scipy): amounts are skewed and mostly zero, and a share's
                          two sums are not independent
========================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: Values held at once while resampling; more are done in batches.
_MOST_VALUES = 4_000_000
#: The curve is a product of fractions: where it is one half, it may read as a little more.
_HALF = 0.5 + 1e-9


@dataclass(frozen=True)
class Rate:
    """How many of the leads reached a stage.

    Attributes
    ----------
    created, reached, open
        Leads, those that reached it, those that still may. The others were decided otherwise.
    low, high
        Ends of the interval of the final rate, whatever becomes of the open leads; None without leads.
    """

    created: int
    reached: int
    open: int
    low: float | None
    high: float | None

    @property
    def value(self) -> float | None:
        """Reached / created: the rate if none of the open leads makes it."""
        return self.reached / self.created if self.created else None

    @property
    def most(self) -> float | None:
        """The rate if all of the open leads make it."""
        return (self.reached + self.open) / self.created if self.created else None


@dataclass(frozen=True)
class Median:
    """A median duration in days, and from how many ended and open leads it comes.

    Attributes
    ----------
    value, low, high
        None: not reached yet, so longer than anything observed.
    """

    value: float | None
    low: float | None
    high: float | None
    ended: int
    open: int


@dataclass(frozen=True)
class Amount:
    """A sum or a ratio; the interval is None where there are too few units to tell."""

    value: float | None
    low: float | None
    high: float | None


def rate(reached: int, open_: int, created: int, confidence: float) -> Rate:
    """A rate of leads of which some are open."""
    if not created:
        return Rate(0, 0, 0, None, None)
    from statsmodels.stats.proportion import proportion_confint

    alpha = 1.0 - confidence
    low, _ = proportion_confint(reached, created, alpha=alpha, method="wilson")
    _, high = proportion_confint(reached + open_, created, alpha=alpha, method="wilson")
    # Rounding may put an end of the interval a hair on the wrong side of the figure.
    value, most = reached / created, (reached + open_) / created
    return Rate(created, reached, open_, min(max(float(low), 0.0), value), max(min(float(high), 1.0), most))


def median(days: Floats, ended: npt.NDArray[np.bool_], confidence: float) -> Median:
    """Median time to the end, with those that are not ended censored.

    Parameters
    ----------
    days
        (n,) days from the beginning to the end, or to the day it was last seen open.
    """
    count = int(ended.sum())
    if not count:
        return Median(None, None, None, 0, len(days))
    from lifelines import KaplanMeierFitter
    from lifelines.utils import qth_survival_times

    curve = KaplanMeierFitter(alpha=1.0 - confidence).fit(days, ended)
    value = float(qth_survival_times(_HALF, curve.survival_function_))
    bounds = qth_survival_times(_HALF, curve.confidence_interval_survival_function_)
    low, high = sorted(float(b) for b in bounds.to_numpy().ravel())
    return Median(_known(value), _known(low), _known(high), count, len(days) - count)


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def total(values: Floats, confidence: float, resamples: int) -> Amount:
    """Sum over units, each of which might as well not have been or have been twice."""
    return _resampled((values,), _sum, confidence, resamples)


def ratio(above: Floats, below: Floats, confidence: float, resamples: int) -> Amount:
    """Ratio of two sums over the same units; no value where the lower sum is zero."""
    if below.sum() <= 0:
        return Amount(None, None, None)
    return _resampled((above, below), _ratio, confidence, resamples)


def _sum(values: Any, axis: int = -1) -> Any:
    return np.sum(values, axis=axis)


def _ratio(above: Any, below: Any, axis: int = -1) -> Any:
    sums = np.sum(below, axis=axis)
    return np.divide(np.sum(above, axis=axis), sums, out=np.zeros_like(sums, dtype=float), where=sums > 0)


def _resampled(data: tuple[Floats, ...], statistic: Callable[..., Any], confidence: float, resamples: int) -> Amount:
    value = float(statistic(*data))
    units = len(data[0])
    if units < 2:
        return Amount(value, None, None)
    from scipy.stats import bootstrap

    found = bootstrap(
        data,
        statistic,
        n_resamples=resamples,
        batch=max(1, _MOST_VALUES // units),
        confidence_level=confidence,
        method="percentile",
        paired=len(data) > 1,
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Amount(value, float(found.low), float(found.high))
