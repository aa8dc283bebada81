"""Active days of users: from numbers the same as from the rollup's rows."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.activity.counting import Events, Kinds, People, roll_up
from csql_ml.activity.summaries import user_months_sql
from csql_ml.activity.user_months import UserDays

PEOPLE = People(pa.array(["a1", "a1", "a1", "a2"]), pa.array(["u1", "u2", None, "u1"]))
KINDS = Kinds({}, {"core_mask": np.zeros(1, np.int64)})
COLUMNS = ("account_id", "user_id", "day", "known_day", "events")
FIRST = (date(2025, 1, 30) - date(1970, 1, 1)).days

#: An event's day, how many days later it became known, and whose it is.
event = st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 0, 1, 45]), st.integers(0, 3))


def _events(made: list[tuple[int, int, int]]) -> Events:
    day, lag, place = (np.array(column, np.int32) for column in zip(*made, strict=True))
    return Events(day + FIRST, day + FIRST + lag, place, np.zeros(len(made), np.int32), None)


def _months(made: list[tuple[int, int, int]]) -> dict[str, pa.Table]:
    collected = UserDays(PEOPLE)
    collected.add(_events(made))
    return collected.months()


@settings(max_examples=60)
@given(made=st.lists(event, min_size=1, max_size=30))
def test_they_are_those_of_the_rollup(made: list[tuple[int, int, int]]) -> None:
    rows = pa.concat_tables(table for _, table, _ in roll_up(_events(made), PEOPLE, KINDS, COLUMNS))
    found = _months(made)
    with duckdb.connect() as connection:
        connection.register("rollup", rows)
        for month in ("2025-01", "2025-02", "2025-03"):
            of_month = f"(SELECT * FROM rollup WHERE strftime(day, '%Y-%m') = '{month}')"
            expected = connection.execute(user_months_sql(of_month, month)).to_arrow_table()
            assert found.get(month, expected.slice(0, 0)).to_pylist() == expected.to_pylist()


def test_events_of_no_user_are_none_of_theirs() -> None:
    assert _months([(0, 0, 2), (3, 1, 2)]) == {}


def test_a_day_s_bit_and_a_late_day_of_its_own() -> None:
    found = _months([(0, 0, 0), (1, 0, 0), (1, 45, 0), (2, 0, 0)])
    rows = {month: [tuple(row.values()) for row in table.to_pylist()] for month, table in found.items()}
    assert rows == {
        "2025-01": [("a1", "u1", date(2025, 3, 17), 1 << 30), ("a1", "u1", None, 1 << 29 | 1 << 30)],
        "2025-02": [("a1", "u1", None, 1)],
    }


@settings(max_examples=60)
@given(made=st.lists(event, min_size=1, max_size=30), cuts=st.sets(st.integers(1, 40), max_size=3))
def test_month_by_month_the_same_as_at_once(made: list[tuple[int, int, int]], cuts: set[int]) -> None:
    collected, found = UserDays(PEOPLE), {}
    bounds = [0, *sorted(cuts), 41]
    for first, end in pairwise(bounds):
        if of_group := [one for one in made if first <= one[0] < end]:
            collected.add(_events(of_group))
        months = collected.months(date(2025, 1, 30) + timedelta(days=end - 1) if end < 41 else None)
        assert not months.keys() & found.keys(), "a month is given once"
        found |= months
    assert {month: table.to_pylist() for month, table in found.items()} == {
        month: table.to_pylist() for month, table in _months(made).items()
    }
