"""Which quarter is judged, and which date to wait for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from csql_ml.company import LEAST_HISTORY
from csql_ml.config import Config
from csql_ml.errors import NotMatureError
from csql_ml.quarters import horizon_end, quarter_starts
from csql_ml.retraining.maturity import newest_mature, refuse_without_news, standing_on, told_from


@dataclass
class Calendar:
    """A company as far as its calendar goes: events from ``first`` on, newest news the day before ``today``."""

    today: date
    first: date = date(2025, 1, 1)
    config: Config = field(default_factory=Config)

    @property
    def builder(self) -> Any:
        return SimpleNamespace(first_day=self.first)

    def horizon_end(self, day: date) -> date:
        return horizon_end(day, self.config.labels.horizon_quarters, self.config.company.fiscal_year_start_month)

    def training_dates(self, now: date) -> list[date]:
        if self.config.snapshots:
            return [d for d in self.config.snapshots if d < now]
        month = self.config.company.fiscal_year_start_month
        return [d for d in quarter_starts(self.first + LEAST_HISTORY, now, month) if d < now]


@pytest.mark.parametrize(
    ("now", "quarter", "name", "complete", "following"),
    [
        (date(2025, 10, 1), date(2025, 4, 1), "2025Q2", date(2025, 10, 1), date(2026, 1, 1)),
        (date(2025, 12, 31), date(2025, 4, 1), "2025Q2", date(2025, 10, 1), date(2026, 1, 1)),
        (date(2026, 1, 1), date(2025, 7, 1), "2025Q3", date(2026, 1, 1), date(2026, 4, 1)),
    ],
)
def test_the_newest_quarter_whose_horizon_has_ended(now, quarter, name, complete, following):
    found = newest_mature(Calendar(now), now)
    assert (found.quarter, found.name, found.complete_from, found.following_from) == (
        quarter,
        name,
        complete,
        following,
    )


def test_fiscal_quarters():
    calendar = Calendar(date(2026, 2, 1), config=Config.model_validate({"company": {"fiscal_year_start_month": 2}}))
    found = newest_mature(calendar, date(2026, 2, 1))
    assert (found.quarter, found.complete_from) == (date(2025, 8, 1), date(2026, 2, 1))


def test_before_the_first_quarter_is_complete_the_date_is_named():
    now = date(2025, 9, 30)
    with pytest.raises(NotMatureError, match=r"first snapshot \(2025-04-01\) are complete from 2025-10-01 on"):
        newest_mature(Calendar(now), now)


def test_before_there_is_any_snapshot_the_date_is_named():
    now = date(2025, 1, 20)
    with pytest.raises(NotMatureError, match=r"first snapshot \(2025-04-01\) are complete from 2025-10-01 on"):
        newest_mature(Calendar(now), now)


def test_configured_snapshots_may_end():
    calendar = Calendar(date(2026, 3, 1), config=Config.model_validate({"snapshots": ["2025-05-15"]}))
    found = newest_mature(calendar, date(2026, 3, 1))
    assert (found.quarter, found.following, found.following_from) == (date(2025, 5, 15), None, None)
    with pytest.raises(NotMatureError, match="no later snapshot in the configuration"):
        refuse_without_news(found, None, change("2026-02-01"), date(2026, 3, 1))


def change(as_of: str | None) -> Any:
    return SimpleNamespace(as_of=as_of)


def is_refused(*given: Any) -> bool:
    try:
        refuse_without_news(*given)
    except NotMatureError:
        return True
    return False


def model(trained_as_of: date | None) -> Any:
    return SimpleNamespace(trained_as_of=trained_as_of)


@pytest.mark.parametrize(
    ("champion", "last"),
    [
        (None, None),
        (model(None), None),
        (model(date(2025, 12, 31)), None),
        (model(date(2025, 9, 1)), change("2025-12-31")),
    ],
)
def test_a_quarter_completed_since_is_news(champion, last):
    now = date(2026, 1, 5)
    assert not is_refused(newest_mature(Calendar(now), now), champion, last, now)
    assert is_refused(newest_mature(Calendar(now), now), champion, change("2026-01-01"), now)


@pytest.mark.parametrize(
    ("champion", "last"),
    [(model(date(2026, 1, 1)), None), (None, change("2026-01-01")), (model(date(2025, 9, 1)), change("2026-01-02"))],
)
def test_a_quarter_judged_before_is_none(champion, last):
    now = date(2026, 2, 5)
    with pytest.raises(NotMatureError, match=r"2025Q3.*is 2026-02-05.*2025-10-01\) are complete from 2026-04-01"):
        refuse_without_news(newest_mature(Calendar(now), now), champion, last, now)


def test_data_that_ends_early_is_not_taken_for_silence():
    calendar = Calendar(today=date(2025, 9, 20))
    assert standing_on(calendar, None) == date(2025, 9, 20)
    assert standing_on(calendar, date(2025, 9, 27)) == date(2025, 9, 27)
    with pytest.raises(NotMatureError, match=r"ends on 2025-09-19, long before 2025-10-01.*--as-of 2025-09-20"):
        standing_on(calendar, date(2025, 10, 1))


@pytest.mark.parametrize(
    ("trained", "told"), [(date(2025, 4, 1), date(2026, 1, 1)), (date(2025, 4, 2), date(2026, 1, 1))]
)
def test_a_challenger_can_know_more_only_on_a_later_quarter(trained, told):
    assert told_from(Calendar(trained), trained) == told
