"""Feature matrix -> design matrix of the logistic members: transformed, imputed, scaled, one column per category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Share of the training rows beyond which a value is pulled in at either end: one absurd account must not steer a line.
CLIPPED_SHARE = 0.005
#: Rows handled at a time: what is made on the way is as large as the result.
_CHUNK = 65_536


@dataclass(frozen=True)
class LinearDesign:
    """A frozen transformation; every design column is made of one matrix column.

    Attributes
    ----------
    skewed
        (numbers,) whether log1p is taken first (of the absolute value, the sign kept).
    numbers, low, high, median, mean, scale
        (numbers,) matrix column, clipping bounds, imputed value, centre and spread after the transformation.
    indicators
        Matrix columns that get a column "is missing".
    categories
        (matrix column, code) of each one-hot column.
    """

    numbers: IntArray
    skewed: npt.NDArray[np.bool_]
    low: FloatArray
    high: FloatArray
    median: FloatArray
    mean: FloatArray
    scale: FloatArray
    indicators: IntArray
    categories: IntArray

    @classmethod
    def fit(
        cls, matrix: FloatArray, weight: FloatArray, skewed: Sequence[bool], category_sizes: Sequence[int]
    ) -> LinearDesign:
        """Learn the transformation; columns without spread are left out."""
        bent = np.array(skewed, dtype=bool)
        candidates = [c for c in range(matrix.shape[1]) if not category_sizes[c]]
        learned = [(c, _numeric_facts(_bend(np.ascontiguousarray(matrix[:, c]), bent[c]), weight)) for c in candidates]
        kept = [(c, facts) for c, facts in learned if facts is not None]
        facts = np.array([f for _, f in kept]).reshape(len(kept), 5)
        low, high, median, mean, scale = facts.T.copy()
        numbers = np.array([c for c, _ in kept], dtype=np.intp)
        gaps = np.isnan(matrix).mean(axis=0)
        indicators = np.flatnonzero((gaps > 0) & (gaps < 1))
        seen = [(c, k) for c, size in enumerate(category_sizes) for k in range(size) if (matrix[:, c] == k).any()]
        categories = np.array(seen, dtype=np.intp).reshape(len(seen), 2)
        return cls(numbers, bent[numbers], low, high, median, mean, scale, indicators, categories)

    @property
    def owner(self) -> IntArray:
        """(design columns,) the matrix column each design column is made of."""
        return np.concatenate([self.numbers, self.indicators, self.categories[:, 0]])

    def matrix(self, matrix: FloatArray) -> FloatArray:
        """(n, design columns) design matrix, without missing values."""
        made = np.empty((len(matrix), len(self.owner)))
        for start in range(0, len(matrix), _CHUNK):
            made[start : start + _CHUNK] = self._of(matrix[start : start + _CHUNK])
        return made

    def _of(self, matrix: FloatArray) -> FloatArray:
        values = matrix[:, self.numbers]
        values = np.where(self.skewed, _bend(values, True), values)
        values = np.where(np.isnan(values), self.median, np.clip(values, self.low, self.high))
        missing = np.isnan(matrix[:, self.indicators]).astype(float)
        one_hot = (matrix[:, self.categories[:, 0]] == self.categories[:, 1]).astype(float)
        return np.hstack([(values - self.mean) / self.scale, missing, one_hot])

    def bounds(self, directions: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """(design columns,) lower and upper bounds that keep numbers to their directions (-1, 0, +1)."""
        direction = np.zeros(len(self.owner))
        direction[: len(self.numbers)] = np.array(directions, dtype=float)[self.numbers]
        return np.where(direction > 0, 0.0, -np.inf), np.where(direction < 0, 0.0, np.inf)


def _bend(values: FloatArray, skewed: bool) -> FloatArray:
    return np.sign(values) * np.log1p(np.abs(values)) if skewed else values


def _numeric_facts(values: FloatArray, weight: FloatArray) -> tuple[float, float, float, float, float] | None:
    """Clipping bounds, median, mean and spread of one column; None if it never varies."""
    known = ~np.isnan(values)
    if not known.any():
        return None
    points = [CLIPPED_SHARE, 1 - CLIPPED_SHARE, 0.5]
    low, high, median = np.quantile(values[known], points, weights=weight[known], method="inverted_cdf")
    filled = np.where(known, np.clip(values, low, high), median)
    mean = float(weight @ filled) / float(weight.sum())
    scale = float(np.sqrt(weight @ (filled - mean) ** 2 / weight.sum()))
    if scale <= 1e-12 * max(1.0, abs(mean)):
        return None
    return float(low), float(high), float(median), mean, scale
