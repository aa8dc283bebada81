"""Periods cut into buckets give what counting each period by itself gives."""

from __future__ import annotations

from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.metrics import measures as M
from csql_ml.metrics.buckets import MASK_BITS, ActivityMeasures, Buckets
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


def assert_as_by_hand(frame: pd.DataFrame, wanted: dict[str, tuple[Measure, Period]]) -> None:
    steps = ActivityMeasures(wanted).steps(ibis.memtable(frame))
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
