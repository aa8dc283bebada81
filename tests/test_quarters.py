"""Calendar arithmetic of quarters, of calendar and of fiscal years."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.quarters import horizon_end, quarter_name, quarter_start, quarter_starts
from tests.small_company import rows

QUARTERS = rows("""
day        | first_month | start      | horizon_end | name
2026-01-01 | 1           | 2026-01-01 | 2026-07-01  | 2026Q1
2026-03-31 | 1           | 2026-01-01 | 2026-07-01  | 2026Q1
2026-04-01 | 1           | 2026-04-01 | 2026-10-01  | 2026Q2
2026-12-31 | 1           | 2026-10-01 | 2027-04-01  | 2026Q4
2024-02-29 | 1           | 2024-01-01 | 2024-07-01  | 2024Q1
2026-01-31 | 2           | 2025-11-01 | 2026-05-01  | 2026Q4
2026-02-01 | 2           | 2026-02-01 | 2026-08-01  | 2027Q1
2026-08-15 | 7           | 2026-07-01 | 2027-01-01  | 2027Q1
2026-06-30 | 7           | 2026-04-01 | 2026-10-01  | 2026Q4
2026-11-30 | 12          | 2026-09-01 | 2027-03-01  | 2026Q4
2026-12-01 | 12          | 2026-12-01 | 2027-06-01  | 2027Q1
""")


@pytest.mark.parametrize("line", QUARTERS, ids=lambda line: f"{line['day']}, year from {line['first_month']}")
def test_quarters_are_those_of_the_table(line: dict[str, str]) -> None:
    day, month = date.fromisoformat(line["day"]), int(line["first_month"])
    found = (quarter_start(day, month), horizon_end(day, 1, month), quarter_name(day, month))
    assert found == (date.fromisoformat(line["start"]), date.fromisoformat(line["horizon_end"]), line["name"])


def test_the_horizon_of_no_further_quarter_is_the_rest_of_this_one() -> None:
    assert horizon_end(date(2026, 3, 31), quarters=0) == date(2026, 4, 1)
    assert horizon_end(date(2026, 3, 31), quarters=8) == date(2028, 4, 1)


def test_quarter_starts_hold_both_ends_and_nothing_outside() -> None:
    assert quarter_starts(date(2025, 10, 1), date(2026, 4, 1)) == [
        date(2025, 10, 1),
        date(2026, 1, 1),
        date(2026, 4, 1),
    ]
    assert quarter_starts(date(2025, 10, 2), date(2026, 3, 31)) == [date(2026, 1, 1)]
    assert quarter_starts(date(2025, 10, 2), date(2025, 12, 31)) == []
    assert quarter_starts(date(2025, 10, 2), date(2026, 2, 1), first_month=2) == [date(2025, 11, 1), date(2026, 2, 1)]


days = st.dates(date(1990, 1, 1), date(2090, 12, 31))
months = st.integers(1, 12)


@given(day=days, month=months)
def test_every_day_lies_in_exactly_one_quarter(day: date, month: int) -> None:
    start, following = quarter_start(day, month), quarter_start(day, month, ahead=1)
    assert start <= day < following
    assert start.day == 1
    assert (start.month - month) % 3 == 0
    assert quarter_start(following - timedelta(days=1), month) == start
    assert quarter_start(following, month, ahead=-1) == start


@given(day=days, month=months)
def test_a_quarter_has_one_name_and_the_next_one_another(day: date, month: int) -> None:
    start, following = quarter_start(day, month), quarter_start(day, month, ahead=1)
    name = quarter_name(day, month)
    assert quarter_name(start, month) == quarter_name(following - timedelta(days=1), month) == name
    assert quarter_name(following, month) != name


@given(day=days, month=months)
def test_a_fiscal_year_has_four_quarters_and_is_named_by_the_year_it_ends_in(day: date, month: int) -> None:
    first = date(day.year, month, 1)
    names = [quarter_name(quarter_start(first, month, ahead=i), month) for i in range(4)]
    last_day = quarter_start(first, month, ahead=4) - timedelta(days=1)
    assert names == [f"{last_day.year}Q{q}" for q in (1, 2, 3, 4)]


@given(first=days, length=st.integers(0, 2000), month=months)
def test_quarter_starts_are_all_first_days_between(first: date, length: int, month: int) -> None:
    last = first + timedelta(days=length)
    every = (first + timedelta(days=i) for i in range(length + 1))
    assert quarter_starts(first, last, month) == [d for d in every if quarter_start(d, month) == d]
