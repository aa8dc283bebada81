"""Freshness and volume: whether data still arrives, and as much of it as usual.

* The newest event known before the as-of date must be younger than ``fresh_days``.
* The events of the seven days before it are held against the twelve weeks before them: a prediction interval of
  Student's t on the logarithm of weekly sums (whole weeks, so that weekends do not matter). An alarm needs a change of
  at least ``volume_change``, too.
* A day without events whose weekday otherwise always has some is a hole in the delivery.
* A table has stopped when nothing became known for longer than ``silence`` times its longest gap in the year before,
  and for more than a week. Tables that get rows too seldom are not judged.

A row that became known on or after the as-of date does not count (`csql_ml.as_of`): the checks see what the run saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.as_of import known_before
from csql_ml.days import known_day
from csql_ml.monitoring.findings import Finding

if TYPE_CHECKING:
    from csql_ml.company import Company
    from csql_ml.config import Config

WEEKS = 12
_DAYS = 7 * (WEEKS + 1)
#: Chance that a week like the others lies outside of its interval.
_RATE = 0.001
#: Days in which holes are looked for; the same weekday must have had events in all the weeks before.
_RECENT = 28
#: Distinct days of news that a table needs in a year to be judged.
_FEWEST_DAYS = 6
_YEAR = 365
#: Contracts may be signed for the future, coverage is planned ahead.
_NO_NEWS = ("events", "contracts", "coverage")


@dataclass(frozen=True)
class Week:
    """Events of seven days; ``first`` is their first day."""

    first: date
    events: int


@dataclass(frozen=True)
class TableNews:
    """When a table last had news.

    Attributes
    ----------
    newest
        The last day on which a row became known; None without any in the year.
    silent, longest
        Days since then, and its longest gap in the year before.
    judged
        Whether it gets rows often enough.
    """

    table: str
    newest: date | None
    silent: int
    longest: int
    judged: bool


@dataclass(frozen=True)
class Arrivals:
    """What arrived before an as-of date.

    Attributes
    ----------
    weeks
        Oldest first; the last one are the seven days before the as-of date. Only weeks since the first event.
    low, high
        Between these the last week's events are expected; None with fewer than four earlier weeks.
    holes
        Days without events that should have some.
    """

    as_of: date
    newest_event: date | None
    weeks: tuple[Week, ...]
    low: float | None
    high: float | None
    holes: tuple[date, ...]
    tables: tuple[TableNews, ...]


def arrivals(company: Company, as_of: date, config: Config) -> Arrivals:
    """Read how much arrived when; of the events only counts per day."""
    daily = _daily(company, as_of)
    weeks = _weeks(daily, as_of)
    low, high = _expected([w.events for w in weeks[:-1]])
    return Arrivals(
        as_of=as_of,
        newest_event=company.builder.newest_event(as_of),
        weeks=weeks,
        low=low,
        high=high,
        holes=_holes(daily, as_of),
        tables=_tables(company, as_of, config),
    )


def _daily(company: Company, as_of: date) -> npt.NDArray[np.int64]:
    """(days,) events per day, [0] the day before the as-of date; as far back as there are any."""
    activity = company.builder.tables(as_of)["activity"]
    recent = activity.filter(activity.days_ago <= _DAYS)
    counted = recent.group_by("days_ago").aggregate(events=recent.events.sum())
    found = company.inputs.con.to_pandas(counted)
    daily = np.zeros(_DAYS, dtype=np.int64)
    daily[found["days_ago"].to_numpy(dtype=np.int64) - 1] = found["events"].to_numpy(dtype=np.int64)
    first = company.builder.first_day
    return daily[: max(0, (as_of - first).days)] if first is not None else daily[:0]


def _weeks(daily: npt.NDArray[np.int64], as_of: date) -> tuple[Week, ...]:
    whole = len(daily) // 7
    return tuple(
        Week(as_of - timedelta(days=7 * (i + 1)), int(daily[7 * i : 7 * i + 7].sum())) for i in reversed(range(whole))
    )


def _expected(earlier: list[int]) -> tuple[float | None, float | None]:
    """Prediction interval of one more week."""
    filled = np.log([e for e in earlier if e > 0])
    if len(filled) < 4:
        return None, None
    from scipy.stats import t

    reach = t.ppf(1 - _RATE / 2, len(filled) - 1) * filled.std(ddof=1) * np.sqrt(1 + 1 / len(filled))
    return float(np.exp(filled.mean() - reach)), float(np.exp(filled.mean() + reach))


def _holes(daily: npt.NDArray[np.int64], as_of: date) -> tuple[date, ...]:
    """Days before the newest event only: what comes after it is a matter of freshness."""
    filled = np.flatnonzero(daily)
    if not len(filled):
        return ()
    found = []
    for ago in range(int(filled[0]), min(_RECENT, len(daily))):
        same = daily[ago + 7 :: 7]
        if daily[ago] == 0 and len(same) >= 4 and (same > 0).all():
            found.append(as_of - timedelta(days=ago + 1))
    return tuple(sorted(found))


def _tables(company: Company, as_of: date, config: Config) -> tuple[TableNews, ...]:
    inputs = company.inputs
    found = []
    for name, rows in inputs.tables.items():
        if name in _NO_NEWS:
            continue
        days = rows.select(day=known_day(name, rows, config.company.time_zone))
        known = days.filter(known_before(days.day, as_of)).distinct()
        found.append(_news(name, inputs.con.to_pandas(known)["day"], as_of))
    return tuple(found)


def _news(table: str, days: pd.Series, as_of: date) -> TableNews:
    ago = sorted((as_of - pd.Timestamp(day).date()).days for day in days.dropna())
    ago = [a for a in ago if a <= ago[0] + _YEAR] if ago else []
    if not ago:
        return TableNews(table, None, 0, 0, judged=False)
    longest = int(max(np.diff(ago), default=0))
    return TableNews(table, as_of - timedelta(days=ago[0]), ago[0] - 1, longest, judged=len(ago) >= _FEWEST_DAYS)


def findings(found: Arrivals, config: Config) -> list[Finding]:
    """What is late, missing, or of an unusual amount."""
    return [_fresh(found, config), *_volume(found, config), *_holes_found(found), *_stopped(found, config)]


def _fresh(found: Arrivals, config: Config) -> Finding:
    if found.newest_event is None:
        return Finding("no_events", "alarm", "events", {"as_of": found.as_of})
    age = (found.as_of - found.newest_event).days
    values = {"day": found.newest_event, "days": age, "as_of": found.as_of, "limit": config.monitoring.fresh_days}
    late = age > config.monitoring.fresh_days
    return Finding("events_late" if late else "events_fresh", "alarm" if late else "fine", "events", values)


def _volume(found: Arrivals, config: Config) -> list[Finding]:
    if found.low is None or found.high is None:
        return [Finding("volume_short", "unknown", "events", {"weeks": max(len(found.weeks) - 1, 0)})]
    last, usual = found.weeks[-1].events, float(np.mean([w.events for w in found.weeks[:-1]]))
    change = last / usual - 1
    values: dict[str, Any] = {"events": last, "usual": usual, "low": found.low, "high": found.high, "change": change}
    if found.low <= last <= found.high:
        return [Finding("volume_usual", "fine", "events", values)]
    large = abs(change) >= config.monitoring.volume_change
    return [Finding("volume_changed", "alarm" if large else "watch", "events", values)]


def _holes_found(found: Arrivals) -> list[Finding]:
    if not found.holes:
        return []
    return [Finding("volume_holes", "alarm", "events", {"days": len(found.holes), "first": found.holes[0]})]


def _stopped(found: Arrivals, config: Config) -> list[Finding]:
    stopped = []
    for news in found.tables:
        limit = max(config.monitoring.silence * news.longest, 7)
        if news.judged and news.silent > limit:
            values = {"day": news.newest, "days": news.silent, "longest": news.longest}
            stopped.append(Finding("table_stopped", "alarm", news.table, values))
    return stopped
