"""What the bootstrap refits of a champion say of single accounts: an interval per score, and which reasons stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.model.bundle import Champion
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.reference import metrics_of
from csql_ml.model.refits import LEAST_SHARE, LEVEL

FloatArray = npt.NDArray[np.float64]

#: Rows handled at a time, so that memory does not grow with the number of accounts.
CHUNK = 4_096


@dataclass(frozen=True, eq=False)
class Stability:
    """How far the numbers of each account can be trusted.

    Attributes
    ----------
    low, high
        (n,) interval of the propensity, meant to cover `level` of the true propensities.
    shares
        (n, metrics) share of refits in which a metric is among the strongest reasons of its side, in the order of
        `Champion.metrics`.
    level
        Nominal coverage of the interval; what was measured stands in docs/benchmarks.md.
    least_share
        The share from which a reason is printed.
    """

    low: FloatArray
    high: FloatArray
    shares: FloatArray
    level: float = LEVEL
    least_share: float = LEAST_SHARE


def stability(champion: Champion, frame: pd.DataFrame, agree: npt.NDArray[np.int8]) -> Stability | None:
    """Ask every refit of a champion about every row.

    Parameters
    ----------
    frame
        (n, columns) feature rows.
    agree
        (n, metrics) side on which each fact may be a reason: see `csql_ml.explain.evidence.agreement`.

    Returns
    -------
    Stability or None
        None for rules, whose reasons are exact, and for bundles without refits.
    """
    model, refits = champion.estimator, champion.refits
    if refits is None or not isinstance(model, PropensityClassifier):
        return None
    _, place = metrics_of(model, champion.features)
    low, high, shares = np.empty(len(frame)), np.empty(len(frame)), np.zeros(agree.shape)
    for start in range(0, len(frame), CHUNK):
        rows = slice(start, start + CHUNK)
        matrix = model.encoder_.matrix(frame.iloc[rows])
        margin = model.stack_.margin(matrix)
        low[rows], high[rows] = refits.interval(model.stack_, matrix, margin)
        shares[rows] = refits.shares(matrix, agree[rows], place, champion.reference.rows)
    return Stability(low, high, shares)
