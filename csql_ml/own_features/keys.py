"""Keys of a feature table: account ids as text, as-of dates as plain days, each pair once."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.errors import FeatureError
from csql_ml.own_features.columns import texts

_DAY = r"^\s*(\d{4}-\d\d-\d\d)([T ]00:00(:00(\.0+)?)?)?\s*$"
_TIME = r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d"


def account_ids(column: pa.ChunkedArray) -> pd.Series:
    """(n,) ids as text, exactly as written.

    Raises
    ------
    FeatureError
        An id is missing, or the ids are neither text nor whole numbers.
    """
    fraction = pa.types.is_floating(column.type) and not pc.all(pc.equal(pc.round(column), column)).as_py()
    if fraction or pa.types.is_boolean(column.type):
        raise FeatureError("column account_id of the feature table holds no ids; expected text or whole numbers")
    ids = texts(column, "account_id")
    if missing := int(ids.isna().sum()):
        raise FeatureError(
            f"column account_id of the feature table is empty in {missing} of {len(ids)} rows; every row needs its "
            "account"
        )
    return ids


def as_of_days(column: pa.ChunkedArray) -> pd.Series:
    """(n,) plain dates; a midnight without a zone is its day.

    Raises
    ------
    FeatureError
        A value is missing, is no date, or has a time of day or a zone.
    """
    if column.null_count:
        raise FeatureError(
            f"column as_of of the feature table is empty in {column.null_count} of {len(column)} rows; expected a date"
        )
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        raise FeatureError(
            f"column as_of of the feature table is a time with a zone ({column.type.tz}); expected a date, the day in "
            "the company's own zone: cast it to a date"
        )
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        days = column.cast(pa.date32(), safe=False)
        if timed := pc.sum(pc.not_equal(days.cast(column.type), column)).as_py():
            raise FeatureError(_with_times(timed))
        return pd.Series(days.to_pylist(), dtype=object)
    return _days_of_text(texts(column, "as_of"))


def _days_of_text(values: pd.Series) -> pd.Series:
    matched = values.astype("object").map({v: _day(v) for v in values.unique()})
    wrong = matched.isna()
    if wrong.any():
        timed = int(values[wrong].astype(str).str.match(_TIME).sum())
        if timed == int(wrong.sum()):
            raise FeatureError(_with_times(timed))
        raise FeatureError(
            f"column as_of of the feature table is no date in {int(wrong.sum())} of {len(values)} rows (the first: "
            f"row {int(wrong.to_numpy().argmax()) + 1}); expected YYYY-MM-DD: write the dates so, as 2025-01-31"
        )
    return matched


def _day(text: str | None) -> date | None:
    found = pd.Series([text], dtype=object).astype(str).str.extract(_DAY)[0].iloc[0]
    try:
        return None if pd.isna(found) else date.fromisoformat(found)
    except ValueError:
        return None


def _with_times(count: int) -> str:
    return (
        f"column as_of of the feature table has a time of day in {count} rows; expected a date: what was known before "
        "that day's midnight; cut the time off"
    )


def refuse_duplicates(rows: pd.DataFrame) -> None:
    """Raise `FeatureError` where an account has two rows for one date."""
    twice = rows.duplicated(["account_id", "as_of"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise FeatureError(
            f"account {first['account_id']} has more than one row for {first['as_of']} ({int(twice.sum())} rows too "
            "many in the feature table); expected one row per account and as-of date: keep one of them, or correct the "
            "dates"
        )
