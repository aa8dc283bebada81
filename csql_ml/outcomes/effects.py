"""The effect of working leads: differences between two randomised arms, with intervals.

=================  =====================================  ==============================================================
outcome            is                                     interval
=================  =====================================  ==============================================================
expansion rate     share of accounts that expanded        accounts randomised: Newcombe's hybrid of Wilson intervals,
                                                          which keeps its coverage at few expansions and never leaves
                                                          -1 to 1; portfolios randomised: as NRR, weighted by
                                                          accounts, variance HC3
ARR per account    expansion ARR won, mean                two regressions, of who expands and by what share of the ARR
                                                          at the start (`csql_ml.outcomes.two_part` says why)
NRR                ARR at the end / ARR at the start      weighted least squares on the arm, weights the ARR at the
                                                          start, which make the mean the ratio of sums that NRR is;
                                                          variance HC2, which is Welch's where weights are equal;
                                                          Student's t
=================  =====================================  ==============================================================

Where portfolios are randomised, a portfolio is one observation: accounts of one CSM are alike, and counting them one by
one would make intervals too narrow. docs/benchmarks.md has the measured coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.outcomes.two_part import two_part

Floats = npt.NDArray[np.float64]
RATE, ARR, NRR = "expansion rate", "ARR per account", "NRR"
#: Variance that widens for units which pull the mean towards themselves: HC2 is Welch's where weights are equal; few
#: portfolios of uneven size need more. Both were chosen by their coverage.
_VARIANCE = {RATE: "HC3", NRR: "HC2"}
#: Columns of accounts' outcomes: per outcome what is summed above and below.
PARTS = {RATE: ("expanded", "accounts"), ARR: ("arr", "accounts"), NRR: ("end_arr", "start_arr")}


@dataclass(frozen=True)
class Effect:
    """One outcome in both arms.

    Attributes
    ----------
    worked, held_out
        The outcome of each arm; for ARR as the regressions have it for all accounts.
    difference, low, high
        Worked less held out, and its interval; None where an arm has too few units to tell.
    units
        Units of each arm that the outcome is defined for, worked first.
    method
        Name of the interval.
    """

    outcome: str
    worked: float | None
    held_out: float | None
    difference: float | None
    low: float | None
    high: float | None
    units: tuple[int, int]
    method: str

    @property
    def tells(self) -> bool:
        """Whether the interval excludes no effect."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def effects(accounts: pd.DataFrame, unit: str, confidence: float) -> tuple[Effect, ...]:
    """The effects on all three outcomes.

    Parameters
    ----------
    accounts
        ``unit`` (what was randomised), ``worked`` (bool), ``expanded`` (0/1), ``arr``, ``start_arr``, ``end_arr``; one
        row per account.
    unit
        ``account`` or ``csm``.
    """
    rates = unit_sums(accounts, RATE)
    return (
        _newcombe(rates, confidence) if unit == "account" else _weighted(RATE, rates, confidence),
        _money(accounts, unit, confidence),
        _weighted(NRR, unit_sums(accounts, NRR), confidence),
    )


def unit_sums(accounts: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Per unit what is summed above and below: ``unit, worked`` and the columns of `PARTS`; none with 0 below."""
    above, below = PARTS[outcome]
    frame = accounts.assign(accounts=1.0)
    sums = frame.groupby(["unit", "worked"], sort=True)[[above, below]].sum().reset_index()
    return sums[sums[below] > 0]


def _money(accounts: pd.DataFrame, unit: str, confidence: float) -> Effect:
    sums = unit_sums(accounts, ARR)
    units = int(sums["worked"].sum()), int((~sums["worked"].astype(bool)).sum())
    found = two_part(accounts, unit != "account", confidence)
    if found is None:
        return Effect(ARR, None, None, None, None, None, units, "two-part model")
    difference = found.worked - found.held_out
    return Effect(ARR, found.worked, found.held_out, difference, found.low, found.high, units, "two-part model")


def _newcombe(sums: pd.DataFrame, confidence: float) -> Effect:
    counts = [(float(a["expanded"].sum()), len(a)) for a in _arms(sums)]
    (worked, n1), (held, n0) = counts
    if not n1 or not n0:
        return Effect(RATE, None, None, None, None, None, (n1, n0), "Newcombe")
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(
        worked, n1, held, n0, method="newcomb", compare="diff", alpha=1.0 - confidence
    )
    rates = worked / n1, held / n0
    return Effect(RATE, *rates, rates[0] - rates[1], float(low), float(high), (n1, n0), "Newcombe")


def _arms(sums: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    worked = sums["worked"].to_numpy(dtype=bool)
    return sums[worked], sums[~worked]


def _weighted(outcome: str, sums: pd.DataFrame, confidence: float) -> Effect:
    above, below = PARTS[outcome]
    worked, held = _arms(sums)
    units = len(worked), len(held)
    levels = [float(a[above].sum() / a[below].sum()) if len(a) else None for a in (worked, held)]
    fit, method = fitted(sums, outcome), f"{_VARIANCE[outcome]} with t"
    if fit is None or levels[0] is None or levels[1] is None:
        return Effect(outcome, levels[0], levels[1], None, None, None, units, method)
    low, high = (float(end) for end in fit.conf_int(alpha=1.0 - confidence)[1])
    return Effect(outcome, levels[0], levels[1], float(fit.params[1]), low, high, units, method)


def fitted(sums: pd.DataFrame, outcome: str) -> Any:
    """Weighted least squares of one outcome on the arm; None with fewer than two units in an arm."""
    worked = sums["worked"].to_numpy(dtype=bool)
    if min(worked.sum(), (~worked).sum()) < 2:
        return None
    from statsmodels.regression.linear_model import WLS

    above, below = PARTS[outcome]
    design = np.column_stack([np.ones(len(worked)), worked.astype(float)])
    mean = (sums[above] / sums[below]).to_numpy(dtype=float)
    weights = sums[below].to_numpy(dtype=float)
    return WLS(mean, design, weights=weights / weights.mean()).fit(cov_type=_VARIANCE[outcome], use_t=True)
