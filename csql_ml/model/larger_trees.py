"""Larger trees where the outcomes ask for them.

Trees of four leaves win up to some thousand labels of customer data, and lose badly where what matters are deep
interactions of many columns. Which of the two a company has shows out of fold: from `FROM_LABELS` labels on, one model
of larger trees is fitted without the first fold, and, where it beats the small ones there, without each of the others.
Larger trees are used if their gain in log loss over the small ones is more than `PROVEN` standard errors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from csql_ml.labelled_rows import LabelledRows
from csql_ml.model.account_folds import taught
from csql_ml.model.stack_weights import OutOfFold, losses, mean_and_error
from csql_ml.model.tree_shape import TreeShape

if TYPE_CHECKING:
    from csql_ml.model.stacking import StackRecipe

FloatArray = npt.NDArray[np.float64]

LARGER = TreeShape(
    leaves=31,
    depth=12,
    learning_rate=0.05,
    rounds=2.5,
    min_data=0.5,
    lambda_l2=1.0,
    feature_fraction=0.3,
    bagging_fraction=0.8,
    path_smooth=0.0,
)
FROM_LABELS = 1000
#: Standard errors: the one-sided 95 % bound.
PROVEN = 1.645
_LARGEST_MARGIN = 8.0


def with_larger_trees(recipe: StackRecipe, rows: LabelledRows, judged: OutOfFold) -> tuple[StackRecipe, OutOfFold]:
    """The recipe with larger trees and what they said out of fold, where they are proven better; else as given."""
    if recipe.shape is not None or len(judged.rows) < FROM_LABELS:
        return recipe, judged
    larger = replace(recipe, shape=LARGER, bags=1)
    small = judged.margins[:, -1]
    margin = small.copy()
    for number in np.unique(judged.fold):
        test = judged.fold == number
        others = np.setdiff1d(np.arange(len(rows.positive)), judged.rows[test])
        train = taught(others, rows.groups, recipe.seed)
        held_out = judged.rows[test]
        said = _said(larger, rows, train, held_out, judged.columns.get(int(number)))
        margin[test] = np.clip(said, -_LARGEST_MARGIN, _LARGEST_MARGIN)
        if _gain(small, margin, rows, judged, test)[0] <= 0:
            return recipe, judged
    gain, error = _gain(small, margin, rows, judged, np.ones(len(small), dtype=bool))
    if gain <= PROVEN * error:
        return recipe, judged
    margins = np.column_stack([judged.margins[:, :-1], margin])
    return replace(recipe, shape=LARGER), replace(judged, margins=margins)


def _said(
    larger: StackRecipe,
    rows: LabelledRows,
    train: npt.NDArray[np.intp],
    held_out: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp] | None,
) -> FloatArray:
    """Log-odds of larger trees for the rows of a fold, from the columns that the fold was given."""
    if columns is None:
        return larger.fit_trees(rows.take(train)).margin(rows.matrix[held_out])
    trees = larger.of_columns(columns).fit_trees(rows.take(train, columns))
    return trees.margin(rows.matrix[np.ix_(held_out, columns)])


def _gain(
    small: FloatArray, larger: FloatArray, rows: LabelledRows, judged: OutOfFold, where: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Log loss of the small trees minus that of the larger ones per outcome, and its standard error."""
    places = judged.rows[where]
    positive = rows.positive[places]
    groups = None if rows.groups is None else rows.groups[places]
    gains = losses(small[where], positive) - losses(larger[where], positive)
    return mean_and_error(gains, rows.weight[places], groups)
