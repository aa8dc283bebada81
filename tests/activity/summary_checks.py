"""What the summaries of a rollup must be, row by row in pandas."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

GRAIN = ["account_id", "day", "known_day"]


def account_days_by_hand(rollup: pd.DataFrame) -> pd.DataFrame:
    """The rollup added up over users; feature sets united."""
    amounts = [c for c in rollup.columns if c not in (*GRAIN, "user_id")]
    how: dict[str, Any] = {c: _united if c.endswith("_mask") else "sum" for c in amounts}
    added = rollup.groupby(GRAIN, as_index=False).agg(how) if len(rollup) else rollup
    return in_order(added[[*GRAIN, *amounts]])


def _united(sets: pd.Series) -> int:
    united = 0
    for bits in sets:
        united |= int(bits)
    return united


def user_months_by_hand(rollup: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Account, user, month, late known day and the sorted days of the month of each row of ``user_months``."""
    found: dict[tuple[Any, ...], set[int]] = {}
    for row in rollup[rollup["user_id"].notna()].to_dict("records"):
        day, known = _day(row["day"]), _day(row["known_day"])
        key = (row["account_id"], row["user_id"], day.replace(day=1), known if known > day else None)
        found.setdefault(key, set()).add(day.day)
    return sorted(((*key, sorted(days)) for key, days in found.items()), key=str)


def user_months_as_days(months: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The same of a table of ``user_months``."""
    found = []
    for row in months.to_dict("records"):
        known = None if pd.isna(row["known_day"]) else _day(row["known_day"])
        days = [i + 1 for i in range(31) if int(row["active"]) >> i & 1]
        found.append((row["account_id"], row["user_id"], _day(row["month"]), known, days))
    return sorted(found, key=str)


def _day(value: Any) -> date:
    return pd.Timestamp(value).date()


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by account and days, with days as text and numbers as Python has them."""
    plain = rows.assign(day=rows["day"].astype(str).str[:10], known_day=rows["known_day"].astype(str).str[:10])
    return plain.sort_values(GRAIN).reset_index(drop=True).astype("object")


def assert_of_rollup(rollup: pd.DataFrame, account_days: pd.DataFrame | pa.Table, user_months: pd.DataFrame) -> None:
    """Both summaries are those of the rollup."""
    days = account_days.to_pandas() if isinstance(account_days, pa.Table) else account_days
    pd.testing.assert_frame_equal(in_order(days), account_days_by_hand(rollup), check_dtype=False)
    assert user_months_as_days(user_months) == user_months_by_hand(rollup)
