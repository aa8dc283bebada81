from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.quarters import quarter_start
from csql_ml.simulate.timeline import END, Timeline, to_working_day


@pytest.mark.parametrize("quarters", [3, 8, 24, 40])
def test_quarters_are_calendar_quarters_that_end_at_the_scoring_date(quarters: int) -> None:
    timeline = Timeline.of(quarters)
    days = [timeline.date(start) for start in timeline.starts]
    assert days[0] == quarter_start(END, ahead=-quarters)
    assert days[quarters] == END == timeline.date(timeline.end)
    assert all(day == quarter_start(day) for day in days)
    assert len(days) == quarters + 2


@pytest.mark.parametrize("quarter", range(8))
def test_months_fill_the_quarter_and_the_last_two_have_30_days(quarter: int) -> None:
    timeline = Timeline.of(8)
    first, second, third = timeline.months(quarter)
    assert (first.start, third.end) == (timeline.starts[quarter], timeline.starts[quarter + 1])
    assert (first.end, second.end) == (second.start, third.start)
    assert 30 <= first.end - first.start <= 32
    assert second.end - second.start == third.end - third.start == 30
    assert list(third.holds(np.array([third.start - 1, third.start, third.end - 1, third.end]))) == [0, 1, 1, 0]


@given(st.dates(date(2010, 1, 1), date(2030, 1, 1)).filter(lambda d: d.day <= 28))
def test_a_year_later_is_the_same_day(day: date) -> None:
    timeline = Timeline.of(8)
    number = (day - timeline.date(0)).days
    assert timeline.date(int(timeline.year_later(np.array([number]))[0])) == day.replace(year=day.year + 1)


@given(st.integers(-3000, 3000))
def test_working_days_are_no_weekends_and_at_most_two_days_off(number: int) -> None:
    timeline = Timeline.of(8)
    moved = int(to_working_day(np.array([number]), timeline)[0])
    assert timeline.date(moved).weekday() < 5
    assert timedelta(0) <= timeline.date(moved) - timeline.date(number) <= timedelta(2)
    assert int(timeline.weekdays(np.array([number]))[0]) == timeline.date(number).weekday()
