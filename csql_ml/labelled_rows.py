"""Rows with a label, checked and ready to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d

from csql_ml.errors import TrainingError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class OneClassError(TrainingError, ValueError):
    """All labels are the same; also a ValueError because scikit-learn expects one."""


@dataclass(frozen=True)
class LabelledRows:
    """What a classifier learns from; rows of weight 0 are already gone.

    Attributes
    ----------
    matrix
        (n, columns) values, missing as NaN.
    positive
        (n,) whether the label is the second class.
    weight
        (n,) weights above 0.
    groups
        (n,) number of the group (account) a row belongs to, or None.
    classes
        (2,) the labels, sorted.
    """

    matrix: FloatArray
    positive: BoolArray
    weight: FloatArray
    groups: npt.NDArray[np.intp] | None
    classes: npt.NDArray[Any]

    def take(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp] | None = None) -> LabelledRows:
        """Some of the rows, with all or some of the columns."""
        groups = None if self.groups is None else self.groups[rows]
        matrix = self.matrix[rows] if columns is None else self.matrix[np.ix_(rows, columns)]
        return LabelledRows(matrix, self.positive[rows], self.weight[rows], groups, self.classes)


def labelled_rows(matrix: FloatArray, y: Any, sample_weight: Any = None, groups: Any = None) -> LabelledRows:
    """Check labels, weights and groups, and leave out rows of weight 0.

    Raises
    ------
    ValueError
        Labels are missing, of more than two classes, or not as many as rows.
    OneClassError
        All labels are the same.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    check_consistent_length(matrix, y, groups)
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind != "binary" and len(np.unique(y)) > 2:
        raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
    weight = _check_sample_weight(sample_weight, matrix, dtype=np.float64, ensure_non_negative=True)
    kept = np.flatnonzero(weight > 0)
    classes = np.unique(y[kept])
    if len(classes) < 2:
        raise OneClassError(
            f"all {len(kept)} labels are of one class, expected both; wait for more outcomes, until then the weighted "
            "score needs no labels (WeightedScore.from_prior)"
        )
    codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1][kept]
    matrix = matrix if len(kept) == len(matrix) else matrix[kept]
    return LabelledRows(matrix, y[kept] == classes[1], weight[kept], codes, classes)
