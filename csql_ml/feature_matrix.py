"""A feature table -> one matrix of floats, by column name.

The model layer computes on float matrices only: columns are found by name (never by place), their types are checked,
categories become codes of a vocabulary frozen at training. Missing values are NaN, categories unknown at training too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.errors import FeatureError
from csql_ml.metrics.definition import Feature

FloatArray = npt.NDArray[np.float64]

#: Categories beyond the most frequent ones carry too few accounts to learn from and read as missing.
VOCABULARY_LIMIT = 100

_NUMBERS_IN_OBJECTS = {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty"}
_CATEGORIES_IN_OBJECTS = {"string", "empty", "boolean", "integer", "floating", "mixed-integer-float"}


def require_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise `FeatureError` unless every name is a column exactly once."""
    counts = frame.columns.value_counts()
    missing = [n for n in names if n not in counts]
    if missing:
        raise FeatureError(
            f"the feature table has no column {', '.join(missing)}; the model needs every column it was trained with: "
            "add it (empty where unknown) or train again without it"
        )
    twice = [n for n in names if counts[n] > 1]
    if twice:
        raise FeatureError(f"the feature table has column {', '.join(twice)} more than once; keep one of them")


def numeric_column(frame: pd.DataFrame, name: str) -> FloatArray:
    """One numeric or boolean column as float64, missing as NaN.

    Raises
    ------
    FeatureError
        The column is text, a date or a category, or holds infinity.
    """
    column = frame[name]
    kind = column.dtype
    numeric = pd.api.types.is_numeric_dtype(kind) and not isinstance(kind, pd.CategoricalDtype)
    objects = pd.api.types.is_object_dtype(kind)
    if not numeric and not (objects and pd.api.types.infer_dtype(column, skipna=True) in _NUMBERS_IN_OBJECTS):
        raise FeatureError(
            f"column {name} of the feature table is of type {kind}, expected a number or boolean; convert it, or "
            "declare the feature as categorical"
        )
    values = np.asarray(pd.to_numeric(column).to_numpy(dtype="float64", na_value=np.nan))
    if np.isinf(values).any():
        raise FeatureError(
            f"column {name} of the feature table holds {int(np.isinf(values).sum())} infinite values; expected finite "
            "numbers: leave them empty or fix the division that made them"
        )
    return values


def category_column(frame: pd.DataFrame, name: str) -> pd.Series:
    """One categorical column as text, missing as None.

    Raises
    ------
    FeatureError
        The column is neither text, category, boolean nor number.
    """
    column = frame[name]
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        texts = _as_text(pd.Series(kind.categories))
        codes = column.cat.codes.to_numpy()
        values = np.array([*texts, None], dtype=object)[codes]
        return pd.Series(values, dtype=object)
    plain = pd.api.types.is_string_dtype(kind) or pd.api.types.is_numeric_dtype(kind)
    objects = pd.api.types.is_object_dtype(kind)
    if (objects and pd.api.types.infer_dtype(column, skipna=True) not in _CATEGORIES_IN_OBJECTS) or not (
        plain or objects
    ):
        raise FeatureError(
            f"column {name} of the feature table is of type {kind}, expected categories (text, category, boolean or "
            "whole numbers); convert it to text"
        )
    return _as_text(column.reset_index(drop=True))


def _as_text(values: pd.Series) -> pd.Series:
    """Texts stay, numbers read the same whether a missing value turned them into floats or not."""

    def text(value: object) -> str:
        if isinstance(value, (bool, np.bool_)):
            return "true" if value else "false"
        if isinstance(value, (float, np.floating)) and float(value).is_integer():
            return str(int(value))
        return str(value)

    distinct = {v: text(v) for v in values.dropna().unique()}
    boxed = values.astype(object)
    return boxed.map(distinct).where(boxed.notna(), None)


@dataclass(frozen=True)
class FeatureEncoder:
    """Turns feature tables into matrices with the columns of training.

    Parameters
    ----------
    names
        Matrix columns, in order.
    vocabularies
        Category texts per categorical column; the code is the place in the tuple.
    """

    names: tuple[str, ...]
    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @classmethod
    def learn(cls, frame: pd.DataFrame, features: Sequence[Feature], others: Sequence[str] = ()) -> FeatureEncoder:
        """Freeze the columns and vocabularies of a training table.

        ``others`` are numeric columns needed beside the features (terms of the weighted score).
        """
        names = tuple(f.name for f in features)
        names += tuple(n for n in dict.fromkeys(others) if n not in names)
        if len(set(names)) < len(names):
            raise FeatureError("the list of features names a column twice; keep one definition of it")
        require_columns(frame, names)
        words = {f.name: _vocabulary(category_column(frame, f.name)) for f in features if f.categorical}
        return cls(names, words)

    def matrix(self, frame: pd.DataFrame) -> FloatArray:
        """(n, columns) float64 matrix of a feature table; further columns of the table are ignored."""
        require_columns(frame, self.names)
        matrix = np.empty((len(frame), len(self.names)))
        for place, name in enumerate(self.names):
            words = self.vocabularies.get(name)
            matrix[:, place] = numeric_column(frame, name) if words is None else _codes(frame, name, words)
        return matrix

    def take(self, columns: Iterable[int]) -> FeatureEncoder:
        """The encoder of some of the columns, by their places."""
        names = tuple(self.names[i] for i in columns)
        return FeatureEncoder(names, {n: self.vocabularies[n] for n in names if n in self.vocabularies})

    @property
    def category_sizes(self) -> tuple[int, ...]:
        """Per column the number of categories, 0 for numbers."""
        return tuple(len(self.vocabularies.get(n, ())) for n in self.names)


def _vocabulary(texts: pd.Series) -> tuple[str, ...]:
    counts = texts.dropna().value_counts()
    ordered = sorted(counts.index, key=lambda t: (-counts[t], t))
    return tuple(sorted(ordered[:VOCABULARY_LIMIT]))


def _codes(frame: pd.DataFrame, name: str, words: tuple[str, ...]) -> FloatArray:
    places = pd.Index(words, dtype=object).get_indexer(pd.Index(category_column(frame, name), dtype=object))
    return np.where(places < 0, np.nan, places.astype(float))
