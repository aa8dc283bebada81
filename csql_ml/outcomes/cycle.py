"""How long leads take: the share that is closed after so many days, with open leads counted for as long as they were.

Kaplan and Meier's estimate with log-log bounds (lifelines), the same curve that the median cycle is read from.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Step:
    """The curve from a day on, up to the next step.

    Attributes
    ----------
    days
        Days since the lead was created.
    closed, low, high
        Share of the leads that are closed by then, and its interval.
    at_risk
        Leads that were seen open at least until then.
    """

    days: float
    closed: float
    low: float
    high: float
    at_risk: int


def curve(days: npt.NDArray[np.float64], ended: npt.NDArray[np.bool_], confidence: float) -> tuple[Step, ...]:
    """The steps of the curve, by days; none where no lead is closed.

    Parameters
    ----------
    days
        (n,) days from the beginning to the end, or to the day it was last seen open.
    ended
        (n,) whether it ended.
    """
    if not ended.any():
        return ()
    from lifelines import KaplanMeierFitter

    fitted = KaplanMeierFitter(alpha=1.0 - confidence).fit(days, ended)
    still = fitted.survival_function_.iloc[:, 0]
    bounds = fitted.confidence_interval_survival_function_
    table = fitted.event_table
    steps = [Step(0.0, 0.0, 0.0, 0.0, len(days))]
    for day in table.index[table["observed"] > 0]:
        closed = 1.0 - float(still.loc[day])
        lower, upper = (1.0 - _known(bound, 1.0 - closed) for bound in sorted(bounds.loc[day])[::-1])
        steps.append(Step(float(day), closed, min(lower, closed), max(upper, closed), int(table.loc[day, "at_risk"])))
    return tuple(steps)


def _known(bound: Any, else_: float) -> float:
    """A bound of the curve; at its very ends there is none but the curve itself."""
    return float(bound) if isfinite(bound) else else_
