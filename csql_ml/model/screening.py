"""Very wide tables: which columns a model looks at.

Up to `MOST_COLUMNS` columns all are learned from. Of more, only those are that say most about the outcome one by one;
what is chosen is part of the model, so it is chosen again from the training rows of every fold, and never from rows
that the fold is judged on. A column that matters only together with others, and alone says nothing at all, is lost.

Each column is cut into bins (its categories, or equally filled ranges; missing is a bin of its own), which takes no
labels. Two tests are made of the counts by class: a trend along the bins (Cochran-Armitage, one degree of freedom, the
stronger one where an effect goes one way) and the likelihood ratio over all bins. The smaller p-value counts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from scipy.stats import chi2

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

#: Columns that a model is made of at most.
MOST_COLUMNS = 256
#: Ranges of a number.
BINS = 12
#: Rows that the limits of bins are taken from.
_LIMITS_FROM = 2_000


def screen_of(matrix: FloatArray, category_sizes: Sequence[int]) -> Screen | None:
    """What columns are chosen by; None where there are few enough to learn from all."""
    return Screen.of(matrix, category_sizes) if matrix.shape[1] > MOST_COLUMNS else None


@dataclass(frozen=True, eq=False)
class Screen:
    """All columns in bins.

    Attributes
    ----------
    bins
        (columns, n) bin of each value; 0 is missing.
    category
        (columns,) whether the bins are categories and have no order.
    """

    bins: npt.NDArray[np.uint8]
    category: BoolArray

    @classmethod
    def of(cls, matrix: FloatArray, category_sizes: Sequence[int]) -> Screen:
        """Bins of a (n, columns) matrix; categories are codes, at most 254 of them."""
        category = np.array(category_sizes, dtype=np.intp) > 0
        bins = np.empty(matrix.shape[::-1], dtype=np.uint8)
        for place in range(matrix.shape[1]):
            values = np.ascontiguousarray(matrix[:, place])
            bins[place] = np.nan_to_num(values + 1.0, nan=0.0) if category[place] else _ranges(values)
        return cls(bins, category)

    def strongest(
        self, rows: IntArray | None, positive: BoolArray, weight: FloatArray, always: Collection[int] = ()
    ) -> IntArray:
        """Places of the columns to learn from, in order.

        Parameters
        ----------
        rows
            Places of the rows to judge by; None: all.
        positive, weight
            (n,) labels and sample weights of all rows; those of other rows are not looked at.
        always
            Places of columns that are taken in any case.
        """
        at = slice(None) if rows is None else rows
        strength = _strength(self._counts(at, positive[at], weight[at]), self.category)
        strength[list(always)] = np.inf
        order = np.argsort(-strength, kind="stable")[: max(MOST_COLUMNS, len(always))]
        return np.sort(order)

    def _counts(self, at: slice | IntArray, positive: BoolArray, weight: FloatArray) -> FloatArray:
        """(columns, bins, 2) weight of both classes per bin."""
        width = int(self.bins.max(initial=0)) + 1
        counts = np.empty((len(self.bins), width, 2))
        plain = None if (weight == 1.0).all() else weight
        for column, bins in enumerate(self.bins):
            cells = bins[at] * np.intp(2) + positive
            counts[column] = np.bincount(cells, plain, minlength=2 * width).reshape(width, 2)
        return counts


def _strength(counts: FloatArray, category: BoolArray) -> FloatArray:
    """(columns,) minus the logarithm of the smaller p-value."""
    mass, both = counts.sum(axis=2), counts.sum(axis=1)
    total = both.sum(axis=1)
    told = xlogy(counts, counts).sum(axis=(1, 2)) + xlogy(total, total)
    ratio = 2.0 * (told - xlogy(mass, mass).sum(axis=1) - xlogy(both, both).sum(axis=1))
    freedom = np.maximum((mass > 0).sum(axis=1) - 1, 1)
    over_bins = -chi2.logsf(np.maximum(ratio, 0.0), freedom)
    along = -chi2.logsf(_trend(counts[:, 1:]), 1)
    return np.asarray(np.where(category, over_bins, np.maximum(over_bins, along)))


def _trend(counts: FloatArray) -> FloatArray:
    """(columns,) Cochran-Armitage statistic of filled bins: n times the squared correlation of bin and label."""
    mass, place = counts.sum(axis=2), np.arange(counts.shape[1])
    total = np.maximum(mass.sum(axis=1), 1.0)
    share = counts[:, :, 1].sum(axis=1) / total
    mean = mass @ place / total
    together = counts[:, :, 1] @ place / total - mean * share
    spread = (mass @ place**2 / total - mean**2) * share * (1.0 - share)
    return np.asarray(total * together**2 / np.where(spread > 1e-12, spread, np.inf))


def _ranges(values: FloatArray) -> npt.NDArray[np.uint8]:
    gaps = np.isnan(values)
    known = values[~gaps] if gaps.any() else values
    some = np.sort(known[:: max(1, len(known) // _LIMITS_FROM)])
    if not len(some):
        return np.zeros(len(values), dtype=np.uint8)
    limits = np.unique(some[(np.arange(1, BINS) * len(some)) // BINS])
    bins = 1 + np.searchsorted(limits, values, side="right").astype(np.uint8)
    bins[gaps] = 0
    return bins
