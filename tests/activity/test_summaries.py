"""The summaries that snapshots read say what the rollup says."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.activity.summaries import account_days, no_user_months, user_months_sql
from tests.activity.summary_checks import account_days_by_hand, in_order, user_months_as_days, user_months_by_hand

DAY = date(2025, 3, 30)
SCHEMA = pa.schema(
    {
        "account_id": pa.string(),
        "user_id": pa.string(),
        "day": pa.date32(),
        "known_day": pa.date32(),
        "events": pa.int64(),
        "usage": pa.decimal128(38, 6),
        "core_mask": pa.int64(),
    }
)
LARGE = Decimal(10) ** 20
row = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["a1", "a2", "a3"]),
        "user_id": st.sampled_from(["u1", "u2", None]),
        "lag": st.sampled_from([0, 0, 0, 1, 5]),
        "events": st.integers(0, 9),
        "usage": st.sampled_from([Decimal(1), Decimal("0.000001"), Decimal("-2.5"), LARGE, -LARGE]),
        "core_mask": st.integers(0, 31),
    }
)


def table(rows: list[dict[str, Any]], day: date = DAY) -> pa.Table:
    """One day's rows as the rollup has them: by account and user."""
    dated = [{**r, "day": day, "known_day": day + timedelta(days=r["lag"])} for r in rows]
    dated.sort(key=lambda r: (r["account_id"], r["user_id"] is None, r["user_id"] or "", r["lag"]))
    return pa.Table.from_pylist([{name: r[name] for name in SCHEMA.names} for r in dated], SCHEMA)


@given(st.lists(row, max_size=12))
def test_account_days_are_the_rows_of_a_day_added_up_over_users(rows: list[dict[str, Any]]) -> None:
    day = table(rows)
    found = account_days(day)
    assert found.column_names == [name for name in SCHEMA.names if name != "user_id"]
    pd.testing.assert_frame_equal(in_order(found.to_pandas()), account_days_by_hand(day.to_pandas()), check_dtype=False)


def test_sums_beyond_64_bits_are_exact() -> None:
    amounts = (LARGE, LARGE, Decimal("0.000001"))
    one = {"account_id": "a1", "lag": 0, "events": 1, "core_mask": 0}
    rows = [{**one, "user_id": f"u{i}", "usage": amount} for i, amount in enumerate(amounts)]
    assert account_days(table(rows))["usage"].to_pylist() == [Decimal("200000000000000000000.000001")]


@given(st.lists(st.tuples(row, st.integers(1, 31)), max_size=12))
def test_user_months_have_a_bit_per_active_day(dated: list[tuple[dict[str, Any], int]]) -> None:
    rollup = pa.concat_tables([SCHEMA.empty_table(), *(table([r], date(2025, 3, d)) for r, d in dated)])
    months = duckdb.sql(user_months_sql("rollup", "2025-03")).to_arrow_table()
    months = months.append_column("month", pa.array([date(2025, 3, 1)] * len(months), pa.date32()))
    assert months.column_names == no_user_months().column_names
    assert user_months_as_days(months.to_pandas()) == user_months_by_hand(rollup.to_pandas())
