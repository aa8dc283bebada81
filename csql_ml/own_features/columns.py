"""What a column of a feature table is: a number, a yes or no, a date or a category. Decided over whole columns.

A CSV column is a number if every filled cell is one (``NA``, ``nan``, ``null``, ``none``, ``?`` and spreadsheet errors
then read as missing), a yes or no if every filled cell is ``true`` or ``false``, ``yes`` or ``no``, ``y`` or ``n``, a
date if every one begins with ``YYYY-MM-DD``, else a category. Numbers may be written for people ("1,250.50", "$ 99",
"12 %", "1.250,50"); numbers with leading zeros are codes (postal codes, ids), hence categories. In Parquet the type
decides, save that texts throughout yes or no, or numbers with decimals, are what they say: they were read in as texts
because of a blank, and as categories they would have no place in a score.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.errors import FeatureError

Kind = Literal["number", "yes_or_no", "date", "category", "empty"]

_NUMBER = r"^\s*[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?)\s*$"
#: Numbers written for people: groups of thousands, a currency sign, per cent; with a decimal point, or a decimal comma.
_WITH_POINT = r"^\s*[+-]?\s*[$€£]?\s*(\d{1,3}(,\d{3})+|\d+)(\.\d*)?\s*[$€£%]?\s*$"
_WITH_COMMA = r"^\s*[+-]?\s*[$€£]?\s*(\d{1,3}(\.\d{3})+|\d+)(,\d*)?\s*[$€£%]?\s*$"
_CODE = r"^\s*[+-]?0\d"
_TRUTH = r"(?i)^\s*(true|false|yes|no|y|n)\s*$"
_TRUE = r"^\s*[tTyY]"
_ABSENT = r"^\s*([nN]/?[aA]([nN])?|[nN][uU][lL][lL]|[nN][oO][nN][eE]|\?+|-+|#[A-Z0-9/]+[!?]?)?\s*$"
_BLANK = r"^\s*$"
_DAY = r"^\s*\d{4}-\d\d-\d\d([T ].*)?$"
_OTHER_DAY = r"^\s*\d{1,2}[./-]\d{1,2}[./-](\d\d|\d{4})([T ].*)?$"
#: Dates from this year on stand for "never".
_NEVER = 9000


def kind_of(column: pa.ChunkedArray, name: str, *, inferred: bool) -> Kind:
    """What a feature column is.

    Parameters
    ----------
    inferred
        The column comes from CSV: its text is judged.

    Raises
    ------
    FeatureError
        The column is a list or another type that is no feature.
    """
    if column.null_count == len(column):
        return "empty"
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return "date"
    if pa.types.is_dictionary(column.type):
        return "yes_or_no" if is_text(column.type.value_type) and _says_yes_or_no(_distinct(column)) else "category"
    if is_text(column.type):
        return _kind_of_text(column, inferred=inferred)
    if pa.types.is_boolean(column.type):
        return "yes_or_no"
    if _is_number(column.type):
        return "empty" if np.isnan(_float(column)).all() else "number"
    raise FeatureError(
        f"column {name} of the feature table is {column.type}, expected a number, yes or no, a date, or text; turn it "
        "into one, or leave the column out"
    )


def _kind_of_text(column: pa.ChunkedArray, *, inferred: bool) -> Kind:
    filled = _distinct(column)
    if inferred:
        told = pc.filter(filled, pc.invert(_matches(filled, _ABSENT)))
        if len(told) and _written(told) is not None and not pc.any(_matches(told, _CODE)).as_py():
            return "number"
        if _says_yes_or_no(told):
            return "yes_or_no"
        if len(told) and _all(told, _DAY):
            return "date"
    filled = pc.filter(filled, pc.invert(_matches(filled, _BLANK)))
    if not len(filled):
        return "empty"
    if _says_yes_or_no(filled):
        return "yes_or_no"
    if not inferred and _measured(filled):
        return "number"
    return "date" if _all(filled, _DAY) else "category"


def _measured(filled: pa.Array) -> bool:
    """Whether texts of Parquet are numbers, some of them with decimals: whole ones may be codes, and stay texts."""
    told = pc.filter(filled, pc.invert(_matches(filled, _ABSENT)))
    pattern = _written(told) if len(told) else None
    if pattern is None or pc.any(_matches(told, _CODE)).as_py():
        return False
    return bool(pc.any(_matches(_plain(told, pattern), r"\.\d*[1-9]")).as_py())


def _says_yes_or_no(told: pa.Array) -> bool:
    return bool(len(told)) and _all(told, _TRUTH)


def _written(told: pa.Array) -> str | None:
    """The pattern all of them are numbers by; None where some are none."""
    return next((p for p in (_NUMBER, _WITH_POINT, _WITH_COMMA) if _all(told, p)), None)


def is_other_date(column: pa.ChunkedArray) -> bool:
    """Whether a column of text holds dates in an order that no rule tells: 03/04/2025 is in March or in April."""
    if not is_text(column.type):
        return False
    filled = _distinct(column)
    filled = pc.filter(filled, pc.invert(_matches(filled, _ABSENT)))
    return bool(len(filled)) and _all(filled, _OTHER_DAY)


def numbers(column: pa.ChunkedArray, name: str) -> pd.Series:
    """(n,) float64, missing as NaN; yes is 1, no is 0.

    Raises
    ------
    FeatureError
        Some text is not a number, or the type is neither number nor boolean.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count == len(column):
        return pd.Series(np.full(len(column), np.nan))
    if _is_number(column.type) or pa.types.is_boolean(column.type):
        return pd.Series(_float(column))
    if not is_text(column.type):
        raise FeatureError(f"column {name} of the feature table is {column.type}, expected numbers")
    try:
        return pd.Series(_float(column))  # the usual case, and the quick one
    except pa.ArrowInvalid:
        return _numbers_of_text(column.cast(pa.large_string()), name)


def _numbers_of_text(text: pa.ChunkedArray, name: str) -> pd.Series:
    """Text with spellings of missing, of yes and no, or numbers as people write them."""
    filled = pc.invert(pc.fill_null(_matches(text, _ABSENT), True))
    truth = pc.and_(filled, _matches(text, _TRUTH))
    counted = pc.and_(filled, pc.invert(truth))
    told = pc.unique(pc.filter(text, counted))
    pattern = (_written(told) if len(told) else None) or _NUMBER
    if wrong := pc.sum(pc.and_(counted, pc.invert(_matches(text, pattern)))).as_py():
        raise FeatureError(
            f"column {name} of the feature table holds text in {wrong} rows, expected numbers (or empty) throughout"
        )
    plain = pc.if_else(counted, _plain(text, pattern), pa.scalar(None, text.type))
    known = pc.if_else(truth, pc.if_else(_matches(text, _TRUE), "1", "0"), plain)
    return pd.to_numeric(_objects(known)).astype("float64")


def _plain(text: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Numbers as a machine writes them."""
    if pattern == _NUMBER:
        return text
    bare = pc.replace_substring_regex(text, r"[$€£%\s]", "")
    if pattern == _WITH_POINT:
        return pc.replace_substring(bare, ",", "")
    return pc.replace_substring(pc.replace_substring(bare, ".", ""), ",", ".")


def days_before(column: pa.ChunkedArray, as_of: pd.Series) -> pd.Series:
    """(n,) float64 days from a column of dates to each row's as-of date; negative ahead of it, missing as NaN.

    A time counts as its day, one with a zone as its day in UTC; years from 9000 on stand for "never" and are missing.
    """
    if is_text(column.type):
        days = texts(column, "date").str.strip().str.slice(0, 10)
    else:
        days = pd.Series(column.cast(pa.date32(), safe=False).to_pylist(), dtype=object)
    known = {day: _ordinal(day) for day in days.dropna().unique()}
    then = days.map(known).astype("float64")
    return as_of.map({day: day.toordinal() for day in as_of.unique()}).astype("float64") - then


def _ordinal(day: object) -> float:
    try:
        found = day if isinstance(day, date) else date.fromisoformat(str(day))
    except ValueError:  # no such day
        return float("nan")
    return float("nan") if found.year >= _NEVER else float(found.toordinal())


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
    if is_text(column.type):
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


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's for texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    return pc.drop_null(pc.unique(column.cast(pa.large_string())))


def _matches(values: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(values, pattern)


def _all(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(_matches(values, pattern)).as_py())
