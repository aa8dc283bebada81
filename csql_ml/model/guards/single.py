"""What one column alone says: out-of-fold ROC-AUC, gaps by label, changes that go with the label.

A column is cut into bins (its categories, or about equally filled ranges; missing is a bin of its own), each bin's rate
of positives is learned on four fifths of the accounts, and the other fifth is ranked by it. So a column may go up, down
or up and down, and noise has a ROC-AUC of .5 and not of what was fitted to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csql_ml.model.guards.sample import FOLDS, Sample

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

BINS = 16
#: Rows that the limits of bins are taken from.
_LIMITS_FROM = 5_000
#: Rows of a bin that are imagined at the mean rate, so that few labels do not make a rate of 0 or 1.
_SMOOTHING = 4.0


@dataclass(frozen=True, eq=False)
class SingleColumns:
    """Figures of every column, in the order of the sample's features.

    Attributes
    ----------
    auc
        (columns,) out-of-fold ROC-AUC.
    missing
        (columns, 2) share of rows without a value, of positives and of negatives.
    """

    auc: FloatArray
    missing: FloatArray


def single_columns(sample: Sample) -> SingleColumns:
    """Judge every column by itself."""
    auc, missing = [], []
    for place, size in enumerate(sample.sizes):
        values = sample.matrix[:, place]
        gaps = np.isnan(values)
        missing.append((gaps[sample.positive].mean(), gaps[~sample.positive].mean()))
        bins = np.where(gaps, 0, np.nan_to_num(values) + 1).astype(np.intp) if size else _bins(values, gaps)
        auc.append(_out_of_fold_auc(bins, sample))
    return SingleColumns(np.array(auc), np.array(missing).reshape(-1, 2))


def _bins(values: FloatArray, gaps: npt.NDArray[np.bool_]) -> IntArray:
    """0 where missing, else 1 and up."""
    known = values[~gaps]
    step = max(1, len(known) // _LIMITS_FROM)
    distinct = np.unique(known[::step])
    if len(distinct) > BINS:
        distinct = np.unique(np.quantile(known[::step], np.arange(1, BINS) / BINS, method="inverted_cdf"))
    return np.where(gaps, 0, 1 + np.searchsorted(distinct, values, side="left"))


def _out_of_fold_auc(bins: IntArray, sample: Sample) -> float:
    """Pairs are compared within a fold only: rates of different folds were learned on different rows."""
    width = int(bins.max()) + 1
    cells = sample.fold * width + bins
    shape = (FOLDS, width)
    every = np.bincount(cells, minlength=FOLDS * width).reshape(shape).astype(float)
    won = np.bincount(cells[sample.positive], minlength=FOLDS * width).reshape(shape).astype(float)
    others, others_won = every.sum(axis=0) - every, won.sum(axis=0) - won
    overall = others_won.sum(axis=1, keepdims=True) / np.maximum(others.sum(axis=1, keepdims=True), 1)
    rate = (others_won + _SMOOTHING * overall) / (others + _SMOOTHING)
    right = pairs = 0.0
    for fold in range(FOLDS):
        fold_pairs = won[fold].sum() * (every[fold] - won[fold]).sum()
        right += _concordant(rate[fold], won[fold], every[fold] - won[fold])
        pairs += fold_pairs
    return right / pairs if pairs else 0.5


def _concordant(rate: FloatArray, won: FloatArray, lost: FloatArray) -> float:
    """Pairs of a positive and a negative that the rate puts in the right order; equal rates count half."""
    order = np.argsort(rate, kind="stable")
    rate, won, lost = rate[order], won[order], lost[order]
    starts = np.flatnonzero(np.r_[True, rate[1:] != rate[:-1]])
    won, lost = np.add.reduceat(won, starts), np.add.reduceat(lost, starts)
    below = np.cumsum(lost) - lost
    return float((won * (below + lost / 2)).sum())


def auc_error(auc: float, positives: int, negatives: int) -> float:
    """Standard error of a ROC-AUC (Hanley and McNeil 1982)."""
    a = min(max(auc, 0.5), 0.999)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
    return float(np.sqrt(max(variance, 0.0) / max(positives * negatives, 1)))


def changes_by_label(sample: Sample) -> tuple[FloatArray, int, int]:
    """Where columns differ from the same account's row one snapshot earlier.

    Returns
    -------
    shares, positives, negatives
        (columns, 2) share of rows that differ, of positive and of negative rows; and how many such rows there are.
    """
    order = np.lexsort((sample.period, sample.account))
    same = sample.account[order][1:] == sample.account[order][:-1]
    later, earlier = order[1:][same], order[:-1][same]
    positive = sample.positive[later]
    won, lost = int(positive.sum()), int((~positive).sum())
    shares = np.zeros((len(sample.sizes), 2))
    if won and lost:
        for place in range(len(sample.sizes)):
            one, other = sample.matrix[later, place], sample.matrix[earlier, place]
            differs = ~((one == other) | (np.isnan(one) & np.isnan(other)))
            shares[place] = differs[positive].mean(), differs[~positive].mean()
    return shares, won, lost
