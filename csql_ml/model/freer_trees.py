"""Freer trees where the outcomes ask for them.

Small trees under strong penalties win up to some thousand labels of customer data. Where a few columns decide, or many
only together, they learn too little. Which of the two a company has shows out of fold: from `FROM_LABELS` labels on,
one model of each of the `FREER` shapes is fitted without the first fold, and, where it beats the recipe's trees there,
without each of the others. The best is used if its gain in log loss is more than `PROVEN` standard errors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from csql_ml.labelled_rows import LabelledRows
from csql_ml.model.account_folds import taught
from csql_ml.model.stack_weights import LARGEST_MARGIN, OutOfFold, losses, mean_and_error
from csql_ml.model.tree_shape import TreeShape

if TYPE_CHECKING:
    from csql_ml.model.stacking import StackRecipe

FloatArray = npt.NDArray[np.float64]

_FREE = TreeShape(rounds=2.0, lambda_l2=1.0, path_smooth=0.0, min_data=0.5)
_LARGER = replace(_FREE, bagging_fraction=0.8, max_bin=255)
#: From the nearest to the recipe to the furthest: the same trees with less penalty, trees of 8 leaves, and of 15.
FREER = (
    _FREE,
    replace(_LARGER, leaves=8, depth=4, feature_fraction=0.6),
    replace(_LARGER, leaves=15, depth=8, feature_fraction=0.5),
)
FROM_LABELS = 400
#: Standard errors: the one-sided 95 % bound, where three are tried.
PROVEN = 2.13


def with_freer_trees(recipe: StackRecipe, rows: LabelledRows, judged: OutOfFold) -> tuple[StackRecipe, OutOfFold]:
    """The recipe with freer trees and what they said out of fold, where they are proven better; else as given."""
    if recipe.shape is not None or len(judged.rows) < FROM_LABELS:
        return recipe, judged
    usual, best = judged.margins[:, -1], 0.0
    chosen = recipe, judged
    for shape in FREER:
        margin = _out_of_fold(replace(recipe, shape=shape, bags=1), rows, judged)
        if margin is None:
            continue
        gain, error = _gain(usual, margin, rows, judged, np.ones(len(usual), dtype=bool))
        if gain > max(best, PROVEN * error):
            margins = np.column_stack([judged.margins[:, :-1], margin])
            best, chosen = gain, (replace(recipe, shape=shape), replace(judged, margins=margins))
    return chosen


def _out_of_fold(freer: StackRecipe, rows: LabelledRows, judged: OutOfFold) -> FloatArray | None:
    """Log-odds of freer trees for the judged rows; None as soon as they are no better in one of the folds."""
    usual = judged.margins[:, -1]
    margin = usual.copy()
    for number in np.unique(judged.fold):
        test = judged.fold == number
        others = np.setdiff1d(np.arange(len(rows.positive)), judged.rows[test])
        train = taught(others, rows.groups, freer.seed)
        said = _said(freer, rows, train, judged.rows[test], judged.columns.get(int(number)))
        margin[test] = np.clip(said, -LARGEST_MARGIN, LARGEST_MARGIN)
        if _gain(usual, margin, rows, judged, test)[0] <= 0:
            return None
    return margin


def _said(
    freer: StackRecipe,
    rows: LabelledRows,
    train: npt.NDArray[np.intp],
    held_out: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp] | None,
) -> FloatArray:
    """Log-odds of freer trees for the rows of a fold, from the columns that the fold was given."""
    if columns is None:
        return freer.fit_trees(rows.take(train)).margin(rows.matrix[held_out])
    trees = freer.of_columns(columns).fit_trees(rows.take(train, columns))
    return trees.margin(rows.matrix[np.ix_(held_out, columns)])


def _gain(
    usual: FloatArray, freer: FloatArray, rows: LabelledRows, judged: OutOfFold, where: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Log loss of the recipe's trees minus that of the freer ones per outcome, and its standard error."""
    places = judged.rows[where]
    positive = rows.positive[places]
    groups = None if rows.groups is None else rows.groups[places]
    gains = losses(usual[where], positive) - losses(freer[where], positive)
    return mean_and_error(gains, rows.weight[places], groups)
