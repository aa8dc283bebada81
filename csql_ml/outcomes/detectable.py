"""The smallest effect an experiment could see, from what the same accounts did in the same length of time before."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

import pandas as pd

from csql_ml.outcomes.effects import ARR, NRR, RATE, fitted, unit_sums
from csql_ml.outcomes.two_part import two_part


@dataclass(frozen=True)
class Detectable:
    """Smallest detectable effects; None where nothing before the start says how outcomes vary.

    Attributes
    ----------
    base_rate
        Expansion rate before the start, or the configured prior where nobody expanded.
    base_from_data
        Whether it comes from the data.
    rate, arr, nrr
        Differences that are seen with the wanted power: shares for the rate and NRR, money per account for ARR.
    """

    base_rate: float
    base_from_data: bool
    rate: float | None
    arr: float | None
    nrr: float | None


def detectable(before: pd.DataFrame, unit: str, prior: float, confidence: float, power: float) -> Detectable:
    """Smallest effects for an assignment, from the outcomes of a stretch of time in which nobody was treated apart.

    Parameters
    ----------
    before
        As `effects` takes them, of a window before the start as long as the one to come.
    prior
        Expansion rate to plan with where nobody expanded.
    """
    rate = float(before["expanded"].mean())
    base = rate if rate > 0 else prior
    return Detectable(
        base_rate=base,
        base_from_data=rate > 0,
        rate=_of_rate(before, unit, base, confidence, power),
        arr=_of_means(before, unit, ARR, confidence, power),
        nrr=_of_means(before, unit, NRR, confidence, power),
    )


def _of_rate(before: pd.DataFrame, unit: str, base: float, confidence: float, power: float) -> float | None:
    """Accounts: from the base rate alone; portfolios: also at least what their spread before the start asks for."""
    worked = before["worked"].to_numpy(dtype=bool)
    simple = _rate_of_accounts(base, int(worked.sum()), int((~worked).sum()), confidence, power)
    if unit == "account":
        return simple
    spread = _of_means(before, unit, RATE, confidence, power)
    return max((d for d in (simple, spread) if d is not None), default=None)


def _rate_of_accounts(base: float, worked: int, held: int, confidence: float, power: float) -> float | None:
    """Smallest rise of a rate that a test of two proportions sees with the wanted power."""
    if not worked or not held:
        return None
    from scipy.optimize import brentq
    from statsmodels.stats.proportion import power_proportions_2indep

    def short(rise: float) -> float:
        seen = power_proportions_2indep(
            rise, base, nobs1=worked, ratio=held / worked, alpha=1.0 - confidence, return_results=False
        )
        return float(seen) - power

    most = 1.0 - base - 1e-6
    if short(most) < 0:
        return None
    return float(brentq(short, 1e-6, most, xtol=1e-6))


def _of_means(before: pd.DataFrame, unit: str, outcome: str, confidence: float, power: float) -> float | None:
    """What a t-test of as many units sees, at the spread that the estimator itself found before the start."""
    sums = unit_sums(before, outcome)
    worked = int(sums["worked"].sum())
    held = len(sums) - worked
    error = _standard_error(before, unit, outcome, confidence)
    if error is None or not isfinite(error) or error <= 0:
        return None
    from statsmodels.stats.power import tt_ind_solve_power

    seen = tt_ind_solve_power(effect_size=None, nobs1=worked, ratio=held / worked, alpha=1.0 - confidence, power=power)
    return float(seen) * error / sqrt(1 / worked + 1 / held)


def _standard_error(before: pd.DataFrame, unit: str, outcome: str, confidence: float) -> float | None:
    """The error of the difference where there is none yet, from the estimator that will be used."""
    if outcome != ARR:
        fit = fitted(unit_sums(before, outcome), outcome)
        return None if fit is None else float(fit.bse[1])
    found = two_part(before, unit != "account", confidence)
    if found is None:
        return None
    from scipy.stats import norm

    return (found.high - found.low) / (2.0 * float(norm.ppf(0.5 + confidence / 2.0)))
