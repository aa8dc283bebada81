"""What a column of a feature table is: a number, a yes or no, or a category. Decided over whole columns, never a part.

A CSV column is a number if every filled cell is one (``NA``, ``nan``, ``null`` and ``none`` then read as missing), a
yes or no if every filled cell is ``true`` or ``false``, else a category. Numbers with leading zeros are codes (postal
codes, ids), hence categories. In Parquet the type decides.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.errors import FeatureError

Kind = Literal["number", "yes_or_no", "category", "empty"]

_NUMBER = r"^\s*[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?)\s*$"
_CODE = r"^\s*[+-]?0\d"
_TRUTH = r"^\s*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])\s*$"
_TRUE = r"^\s*[tT]"
_ABSENT = r"^\s*([nN]/?[aA]([nN])?|[nN][uU][lL][lL]|[nN][oO][nN][eE])?\s*$"
_BLANK = r"^\s*$"
_DAY = r"^\s*\d{4}-\d\d-\d\d([T ].*)?$"


def kind_of(column: pa.ChunkedArray, name: str, *, inferred: bool) -> Kind:
    """What a feature column is.

    Parameters
    ----------
    inferred
        The column comes from CSV: its text is judged.

    Raises
    ------
    FeatureError
        The column is a date, a list or another type that is no feature.
    """
    if column.null_count == len(column):
        return "empty"
    if pa.types.is_dictionary(column.type):
        return "category"
    if _is_text(column.type):
        return _kind_of_text(column, name, inferred=inferred)
    if pa.types.is_boolean(column.type):
        return "yes_or_no"
    if _is_number(column.type):
        return "empty" if np.isnan(_float(column)).all() else "number"
    raise FeatureError(_no_feature(name, str(column.type)))


def _kind_of_text(column: pa.ChunkedArray, name: str, *, inferred: bool) -> Kind:
    filled = _distinct(column)
    if inferred:
        told = pc.filter(filled, pc.invert(_matches(filled, _ABSENT)))
        if len(told) and _all(told, _NUMBER) and not pc.any(_matches(told, _CODE)).as_py():
            return "number"
        if len(told) and _all(told, _TRUTH):
            return "yes_or_no"
    filled = pc.filter(filled, pc.invert(_matches(filled, _BLANK)))
    if not len(filled):
        return "empty"
    if _all(filled, _DAY):
        raise FeatureError(_no_feature(name, "a date"))
    return "category"


def _no_feature(name: str, found: str) -> str:
    return (
        f"column {name} of the feature table is {found}, expected a number, yes or no, or text; turn it into one "
        "(a date into days before as_of), or leave the column out"
    )


def numbers(column: pa.ChunkedArray, name: str) -> pd.Series:
    """(n,) float64, missing as NaN; yes is 1, no is 0.

    Raises
    ------
    FeatureError
        Some text is not a number, or the type is neither number nor boolean.
    """
    if column.null_count == len(column):
        return pd.Series(np.full(len(column), np.nan))
    if _is_number(column.type) or pa.types.is_boolean(column.type):
        return pd.Series(_float(column))
    if not _is_text(column.type):
        raise FeatureError(f"column {name} of the feature table is {column.type}, expected numbers")
    try:
        return pd.Series(_float(column))  # the usual case, and the quick one
    except pa.ArrowInvalid:
        return _numbers_of_text(column.cast(pa.large_string()), name)


def _numbers_of_text(text: pa.ChunkedArray, name: str) -> pd.Series:
    """Text with spellings of missing, of yes and no, or with signs and blanks."""
    filled = pc.invert(pc.fill_null(_matches(text, _ABSENT), True))
    truth, number = _matches(text, _TRUTH), _matches(text, _NUMBER)
    wrong = pc.and_(filled, pc.invert(pc.or_(truth, number)))
    if count := pc.sum(wrong).as_py():
        raise FeatureError(
            f"column {name} of the feature table holds text in {count} rows, expected numbers (or empty) throughout"
        )
    known = pc.if_else(truth, pc.if_else(_matches(text, _TRUE), "1", "0"), text)
    plain = pc.if_else(filled, known, pa.scalar(None, known.type))
    return pd.to_numeric(_objects(plain)).astype("float64")


def texts(column: pa.ChunkedArray, name: str) -> pd.Series:
    """(n,) text objects, missing or blank as None; whole numbers without a decimal point.

    Raises
    ------
    FeatureError
        The type has no plain text.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count == len(column):
        return pd.Series([None] * len(column), dtype=object)
    if _is_text(column.type):
        blank = _matches(column.cast(pa.large_string()), _BLANK)
        return _objects(pc.if_else(blank, pa.scalar(None, column.type), column))
    if not (_is_number(column.type) or pa.types.is_boolean(column.type)):
        raise FeatureError(f"column {name} of the feature table is {column.type}, expected text or whole numbers")
    return pd.Series([_text(v) for v in column.to_pylist()], dtype=object)


def _text(value: object) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _objects(column: pa.ChunkedArray) -> pd.Series:
    """Python texts and None, whatever type pandas would rather make of them."""
    return pd.Series(np.asarray(column.to_numpy(), dtype=object), dtype=object)


def _float(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    return pc.drop_null(pc.unique(column.cast(pa.large_string())))


def _matches(values: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(values, pattern)


def _all(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(_matches(values, pattern)).as_py())
