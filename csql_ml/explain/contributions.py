"""Points: how much each metric moves the probability, adding up exactly to the probability shown.

With z = base + sum(phi), g the map from log-odds to probability and R the frozen reference set:

    points(i, x) = mean over r in R of (phi_i(x) - phi_i(r)) * (g(z_x) - g(z_r)) / (z_x - z_r)

(the slope g' where z_x = z_r). They sum to g(z_x) - mean of g over R, whatever monotone g is (docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from csql_ml.feature_matrix import numeric_column
from csql_ml.model.bundle import Champion

FloatArray = npt.NDArray[np.float64]
#: A monotone map from log-odds to probability, element by element.
ProbabilityMap = Callable[[FloatArray], FloatArray]

#: Rows compared with the reference set at a time.
CHUNK = 512
#: Closer log-odds than this use the slope between them: the quotient of two rounded differences would be noise.
NEAR = 1e-5
#: Half width of the symmetric difference that stands for the slope of a map given as a function only.
SLOPE_STEP = 1e-4
REFERENCE = "reference"


@dataclass(frozen=True, eq=False)
class Points:
    """Points in probability space.

    Attributes
    ----------
    metrics
        Names, in the order of the columns of ``points``.
    points
        (n, metrics) probability points, 0.01 = one percentage point.
    reference
        Mean probability of the reference set, from which points are counted.
    propensity
        (n,) the probability: ``reference`` plus the sum of a row.
    """

    metrics: tuple[str, ...]
    points: FloatArray
    reference: float
    propensity: FloatArray


def points(champion: Champion, frame: pd.DataFrame, calibrator: ProbabilityMap | None = None) -> Points:
    """Exact additive points per metric.

    Parameters
    ----------
    frame
        (n, columns) feature rows.
    calibrator
        Monotone map from log-odds to probability; default: the sigmoid, the champion's own.

    Raises
    ------
    FeatureError
        A column is absent or of the wrong type.
    """
    found = champion.contributions(frame)
    return points_from(
        found.phi, found.margin, champion.reference.phi, champion.reference.margin, found.metrics, calibrator
    )


def points_from(
    phi: FloatArray,
    margin: FloatArray,
    reference_phi: FloatArray,
    reference_margin: FloatArray,
    metrics: Sequence[str],
    calibrator: ProbabilityMap | None = None,
) -> Points:
    """As `points`, from contributions already computed.

    Parameters
    ----------
    phi, margin
        (n, metrics) and (n,) log-odds.
    reference_phi, reference_margin
        (R, metrics) and (R,) log-odds of the reference set.
    """
    apply = expit if calibrator is None else calibrator
    result = np.empty_like(phi)
    for start in range(0, len(phi), CHUNK):
        rows = slice(start, start + CHUNK)
        slope = _slopes(margin[rows], reference_margin, calibrator) / len(reference_margin)
        # sum over r of slope * (phi(x) - phi(r)), without an array of accounts x references x metrics. Not a matrix
        # product: BLAS adds in another order for other numbers of rows, and points must not depend on the neighbours.
        of_reference = np.einsum("nr,rm->nm", slope, reference_phi, optimize=False)
        result[rows] = phi[rows] * slope.sum(axis=1, keepdims=True) - of_reference
    reference = float(np.mean(apply(reference_margin)))
    return Points(tuple(metrics), result, reference, np.asarray(apply(margin), dtype=float))


def _slopes(margin: FloatArray, reference: FloatArray, calibrator: ProbabilityMap | None) -> FloatArray:
    """(n, R) slope of the probability between each account and each reference account."""
    if calibrator is None:
        return _sigmoid_slopes(margin, reference)
    gap = margin[:, None] - reference[None, :]
    rise = calibrator(margin)[:, None] - calibrator(reference)[None, :]
    # An unknown map may jump between close values, so only equal log-odds use its slope.
    tangent = (calibrator(margin + SLOPE_STEP) - calibrator(margin - SLOPE_STEP)) / (2 * SLOPE_STEP)
    same = gap == 0.0
    return np.where(same, tangent[:, None], rise / np.where(same, 1.0, gap))


def _sigmoid_slopes(margin: FloatArray, reference: FloatArray) -> FloatArray:
    gap = margin[:, None] - reference[None, :]
    rise = expit(margin)[:, None] - expit(reference)[None, :]
    near = np.abs(gap) < NEAR
    slope = rise / np.where(near, 1.0, gap)
    account, other = np.nonzero(near)
    middle = expit((margin[account] + reference[other]) / 2)
    slope[account, other] = middle * (1.0 - middle)
    return np.asarray(slope)


def explain(
    champion: Champion,
    frame: pd.DataFrame,
    calibrator: ProbabilityMap | None = None,
    found: Points | None = None,
) -> pd.DataFrame:
    """One row per account and metric, and one for the reference, ready for ``explanations.parquet``.

    Parameters
    ----------
    frame
        Feature rows with ``account_id``; values and earlier values are read from ``<metric>`` and
        ``<metric>_previous`` where the table has them.
    found
        The points of these rows, where they are known already.

    Returns
    -------
    DataFrame
        ``account_id, metric, value, previous_value, points, rank, value_text``; per account ordered by rank. Rank 1
        has the largest absolute points (ties by name); rank 0 is the metric ``reference``, whose points are the
        reference probability, so that an account's points sum to its propensity. ``value_text`` holds the value of a
        categorical metric.
    """
    found = points(champion, frame, calibrator) if found is None else found
    n, width = found.points.shape
    by_name = np.argsort(np.array(found.metrics, dtype=object), kind="stable")
    ranked = by_name[np.argsort(-np.abs(found.points[:, by_name]), axis=1, kind="stable")]
    values, texts = _values(frame, found.metrics)
    previous, _ = _values(frame, [f"{m}_previous" for m in found.metrics])
    names = np.array([REFERENCE, *found.metrics], dtype=object)

    def in_order(matrix: npt.NDArray[np.generic], first: object) -> npt.NDArray[np.generic]:
        head = np.full((n, 1), first, dtype=matrix.dtype)
        return np.hstack([head, np.take_along_axis(matrix, ranked, axis=1)]).ravel()

    return pd.DataFrame(
        {
            "account_id": np.repeat(frame["account_id"].to_numpy(dtype=object), width + 1),
            "metric": names[np.hstack([np.zeros((n, 1), dtype=np.intp), ranked + 1]).ravel()],
            "value": in_order(values, np.nan),
            "previous_value": in_order(previous, np.nan),
            "points": in_order(found.points, found.reference),
            "rank": np.tile(np.arange(width + 1, dtype=np.int32), n),
            "value_text": in_order(texts, None),
        }
    ).astype({"account_id": "str", "metric": "str", "value_text": "str"})


def _values(frame: pd.DataFrame, names: Sequence[str]) -> tuple[FloatArray, npt.NDArray[np.object_]]:
    """(n, names) numbers and (n, names) texts; empty where the table has no such column."""
    numbers = np.full((len(frame), len(names)), np.nan)
    texts = np.full((len(frame), len(names)), None, dtype=object)
    for place, name in enumerate(names):
        if name not in frame.columns:
            continue
        if _is_text(frame[name]):
            column = frame[name].astype(object)
            texts[:, place] = column.where(column.notna(), None)
        else:
            numbers[:, place] = numeric_column(frame, name)
    return numbers, texts


def _is_text(column: pd.Series) -> bool:
    kind = column.dtype
    if pd.api.types.is_object_dtype(kind):
        return pd.api.types.infer_dtype(column, skipna=True) == "string"
    return isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_string_dtype(kind)
