"""Whether a fact says what a metric's definition says: the sides on which a value may be a reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def sides(values: FloatArray, typical: FloatArray, directions: npt.NDArray[np.int_]) -> npt.NDArray[np.int8]:
    """+1 where a value speaks for an expansion, -1 where against, 0 where it says neither.

    Parameters
    ----------
    values
        (n, metrics) headline values, missing as NaN.
    typical
        (metrics,) value of the typical account, NaN where none is known.
    directions
        (metrics,) +1 or -1 as the metrics are defined; 0 for those that are never a reason.
    """
    with np.errstate(invalid="ignore"):
        away = np.sign(values - typical) * directions
    return np.asarray(np.nan_to_num(away, nan=0.0), dtype=np.int8)
