"""A calibrator on top of the stack, only where later quarters ask for one.

The stack's weights are fitted out of fold, so it is calibrated for rows like those it learned from. Whether that holds
in time is seen on the judged snapshots: a line in log-odds (Platt scaling, slope above 0) is fitted on the earlier ones
and tried on each later one. It is put on top only if it lowers the log loss there by more than chance, with accounts as
the independent units. A line keeps every ranking, makes no ties, and is multiplied into the stack's own weights, so
that contributions stay exact. Isotonic regression and Venn-Abers do neither, and were not better where they were tried.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from csql_ml.logistic_fit import fit_bounded_logistic
from csql_ml.model.validation import FEWEST, Validation

Floats = npt.NDArray[np.float64]

#: A gain counts from so many standard errors on: one-sided 5 %.
NEEDED = 1.645
LEAST_SLOPE = 0.1
_EDGE = 1e-9


@dataclass(frozen=True)
class Calibration:
    """What later snapshots say of the model's calibration.

    Attributes
    ----------
    slope, intercept
        Of the line in log-odds over all judged rows; 1 and 0 say that nothing is to be changed.
    gain, error
        Mean fall of the log loss on later snapshots by lines fitted on earlier ones, and its standard error.
    rows
        Judged rows on which it was tried.
    """

    slope: float
    intercept: float
    gain: float
    error: float
    rows: int

    @property
    def applied(self) -> bool:
        """Whether the evidence asks for it."""
        return self.gain > NEEDED * self.error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "applied": self.applied}

    def sentence(self) -> str:
        """For the model card."""
        line = f"slope {self.slope:.2f}, intercept {self.intercept:+.2f} in log-odds"
        tried = f"log loss {-self.gain:+.4f} (standard error {self.error:.4f}) on {self.rows:,} later rows"
        if self.applied:
            return (
                f"A calibrator stands on top ({line}), because earlier snapshots' lines helped on later ones: {tried}."
            )
        return f"No calibrator on top: lines fitted on earlier snapshots ({line}) did not prove to help later: {tried}."


def calibration_in_time(validation: Validation, judged: str = "model") -> Calibration | None:
    """Whether a calibrator on top of a judged model would help; None where no later snapshot can say.

    Parameters
    ----------
    validation
        Out-of-sample propensities over at least two later snapshots.
    """
    if not validation.in_time:
        return None
    rows = validation.scored.assign(margin=_margin(validation.scored[f"p_{judged}"]))
    periods = sorted(rows["period"].unique())
    tried = [t for period in periods[1:] if (t := _tried(rows, period)) is not None]
    if not tried:
        return None
    later = pd.concat(tried)
    sums = later.groupby("account_id")["gain"].sum()
    spread = float(np.sqrt((sums**2).sum() - len(sums) * sums.mean() ** 2)) / len(later)
    slope, intercept = _line(rows)
    return Calibration(slope, intercept, float(later["gain"].mean()), spread, len(later))


def _tried(rows: pd.DataFrame, period: object) -> pd.DataFrame | None:
    """Rows of a snapshot with what the line of earlier ones gains on them."""
    earlier, later = rows[rows["period"] < period], rows[rows["period"] == period]
    positives = int(earlier["label"].sum())
    if min(positives, len(earlier) - positives) < FEWEST:
        return None
    slope, intercept = _line(earlier)
    before, after = _loss(later["label"], later["margin"]), _loss(later["label"], intercept + slope * later["margin"])
    return later.assign(gain=before - after)


def _line(rows: pd.DataFrame) -> tuple[float, float]:
    found = fit_bounded_logistic(
        rows[["margin"]].to_numpy(dtype=np.float64),
        rows["label"].to_numpy(dtype=np.float64),
        np.ones(len(rows)),
        lower=np.array([LEAST_SLOPE]),
    )
    return float(found.coefficients[0]), found.intercept


def _margin(propensity: pd.Series) -> Floats:
    return np.asarray(logit(np.clip(propensity.to_numpy(dtype=np.float64), _EDGE, 1.0 - _EDGE)))


def _loss(label: pd.Series, margin: pd.Series) -> Floats:
    z = margin.to_numpy(dtype=np.float64)
    return np.asarray(np.logaddexp(0.0, z) - label.to_numpy(dtype=np.float64) * z)
