"""Periods cut into buckets give what counting each period by itself gives."""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.metrics import measures as M
from csql_ml.metrics.buckets import MASK_BITS, ActivityMeasures, Buckets, Summaries
from csql_ml.metrics.definition import Measure, Merge, Period

periods = st.builds(Period, st.integers(1, 90), st.integers(0, 90))


def measure(how: Any, column: str | None = None, always: Period | None = None) -> Measure:
    merge = Merge(how, column, always)
    return Measure(f"{how}_{column}", "activity", merge.value, empty=0, merge=merge)


MEASURES = (
    measure("sum", "used"),
    measure("or", "bits"),
    measure("min", "used"),
    measure("max", "used"),
    measure("users"),
    measure("users", "used"),
    measure("or", "used", always=Period(20, 3)),
)
#: Rows as the as-of cut leaves them: some without a user, some with nothing in a column.
rollup_rows = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(["a1", "a2", "a3"]),
            "user_id": st.sampled_from(["u1", "u2", "u3", None]),
            "days_ago": st.integers(1, 200),
            "used": st.integers(0, 3),
            "bits": st.integers(0, 31),
        }
    ),
    min_size=1,
    max_size=40,
)


@given(st.lists(periods, min_size=1, max_size=8))
def test_every_period_is_made_of_whole_buckets(chosen: list[Period]) -> None:
    buckets = Buckets.of(chosen)
    for period in chosen:
        first, last = buckets.within(period)
        assert (buckets.edges[first], buckets.edges[last + 1]) == (period.ago, period.reach)
        bits = sum(buckets.bits(period, mask) << (mask * MASK_BITS) for mask in buckets.masks)
        assert bits == sum(1 << i for i in range(first, last + 1))


def by_hand(rows: pd.DataFrame, wanted: Measure, asked: Period) -> dict[str, int]:
    """The value per account that has one, row by row."""
    merge = wanted.merge
    assert merge is not None
    period = merge.always or asked
    chosen = rows[(rows["days_ago"] > period.ago) & (rows["days_ago"] <= period.reach)]
    found: dict[str, int] = {}
    for account, group in chosen.groupby("account_id"):
        if merge.how == "users":
            named = group if merge.column is None else group[group[merge.column] > 0]
            found[str(account)] = named["user_id"].nunique()
        elif merge.how == "or":
            found[str(account)] = 0
            for value in group[merge.column]:
                found[str(account)] |= int(value)
        else:
            found[str(account)] = int(group[merge.column].agg(merge.how))
    return {account: value for account, value in found.items() if value}


@settings(max_examples=25)
@given(rollup_rows, st.lists(periods, min_size=1, max_size=6, unique=True))
def test_all_periods_at_once_equal_each_by_hand(rows: list[dict[str, Any]], chosen: list[Period]) -> None:
    frame = pd.DataFrame(rows).astype({"user_id": "string"})
    assert_as_by_hand(frame, {m.column(p): (m, p) for m in MEASURES for p in chosen})


def test_more_buckets_than_one_mask_has_bits() -> None:
    frame = pd.DataFrame(
        [
            {"account_id": f"a{i % 3}", "user_id": f"u{i % 7}", "days_ago": 1 + i * 37 % 150, "used": i % 2, "bits": i}
            for i in range(60)
        ]
    )
    chosen = [Period(length) for length in range(1, 160)] + [Period(40, 50), Period(3, 61), Period(70, 60)]
    wanted = {m.column(p): (m, p) for p, m in zip(chosen, MEASURES * len(chosen), strict=False)}
    assert len(ActivityMeasures(wanted).buckets.masks) == 3
    assert_as_by_hand(frame, wanted)


@settings(max_examples=25)
@given(rollup_rows, st.lists(periods, min_size=1, max_size=6, unique=True), st.integers(1, 28))
def test_summaries_give_what_the_rows_give(rows: list[dict[str, Any]], chosen: list[Period], today: int) -> None:
    """Also with more buckets than a mask has bits."""
    frame = pd.DataFrame(rows).astype({"user_id": "string"})
    as_of = date(2025, 12, today)
    chosen = [*chosen, *(Period(length) for length in range(1, 70, len(chosen)))]
    measures = (measure("sum", "used"), measure("or", "bits"), measure("users"))
    wanted = {m.column(p): (m, p) for m in measures for p in chosen}
    assert_as_by_hand(frame, wanted, Summaries(_account_days(frame), _user_months(frame, as_of)))


def _account_days(frame: pd.DataFrame) -> ir.Table:
    united: dict[str, Any] = {"used": "sum", "bits": lambda bits: reduce(or_, bits)}
    return ibis.memtable(frame.groupby(["account_id", "days_ago"], as_index=False).agg(united))


def _user_months(frame: pd.DataFrame, as_of: date) -> ir.Table:
    """By calendar month; one user is active only on a day that is yet to come."""
    found: dict[tuple[str, str, int], int] = {("a1", "nobody yet", as_of.day - 1): 1 << 30}
    for row in frame[frame["user_id"].notna()].to_dict("records"):
        day = as_of - timedelta(days=row["days_ago"])
        key = (row["account_id"], row["user_id"], (as_of - day.replace(day=1)).days)
        found[key] = found.get(key, 0) | 1 << (day.day - 1)
    months = [(*key, active) for key, active in found.items()]
    return ibis.memtable(pd.DataFrame(months, columns=["account_id", "user_id", "month_days_ago", "active"]))


def test_smallest_and_largest_are_taken_from_the_rows() -> None:
    wanted = {m.column(Period(30)): (m, Period(30)) for m in (measure("max", "used"), measure("users", "used"))}
    assert not ActivityMeasures(wanted).without_users
    assert not ActivityMeasures(wanted).by_active_days


def assert_as_by_hand(
    frame: pd.DataFrame, wanted: dict[str, tuple[Measure, Period]], summaries: Summaries | None = None
) -> None:
    rows = ibis.memtable(frame) if summaries is None else ibis.memtable(frame.iloc[:0])
    steps = ActivityMeasures(wanted).steps(rows, summaries)
    found = {}
    for step in ("activity", "active_users"):
        values = ibis.duckdb.connect().to_pandas(steps[step]).set_index("account_id")
        found |= {column: {a: int(v) for a, v in values[column].items() if not pd.isna(v) and v} for column in values}
    assert found == {column: by_hand(frame, m, p) for column, (m, p) in wanted.items()}


def test_what_does_not_merge_is_refused() -> None:
    free = Measure("free", "activity", lambda rows, period, _: rows.used.sum())
    with pytest.raises(ValueError, match="measure free does not merge"):
        ActivityMeasures({"free": (free, Period(30))}).steps(ibis.table({"days_ago": "int64"}, name="rows"))


def test_measures_of_the_rollup_merge() -> None:
    assert M.used("exports", "own_exports", "own:exports").merge == Merge("sum", "own_exports")
    assert M.bits_of("set", "core_mask").merge == Merge("or", "core_mask")
    assert M.users_of("exporters", "own_exports", "own:exports").needs == ("own:exports", "users")
