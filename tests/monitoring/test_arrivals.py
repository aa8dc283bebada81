"""Freshness and volume of a small company whose events and tables are written by hand."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from csql_ml.company import open_company
from csql_ml.monitoring.arrivals import Arrivals, arrivals, findings
from tests.small_company import written_company

AS_OF = date(2026, 7, 1)


def events(
    last: int = 1, per_day: int = 4, holes: Collection[int] = (), last_week: int | None = None
) -> list[dict[str, Any]]:
    """Events of the 120 days before the as-of date, up to ``last`` days before it."""
    rows = []
    for ago in range(last, 121):
        count = per_day + ago // 7 % 2 if ago > 7 or last_week is None else last_week
        day = (AS_OF - timedelta(days=ago)).isoformat()
        rows += [
            {"account_id": "a1", "user_id": f"u{i}", "occurred_at": f"{day}T10:00:0{i % 10}", "event_name": "login"}
            for i in range(0 if ago in holes else count)
        ]
    return rows


def tickets(days_ago: Collection[int]) -> list[dict[str, Any]]:
    return [
        {
            "ticket_id": f"t{ago}",
            "account_id": "a1",
            "opened_at": (AS_OF - timedelta(days=ago)).isoformat(),
            "severity": "low",
        }
        for ago in days_ago
    ]


def seen(folder: Path, **tables: Any) -> tuple[Arrivals, dict[str, Any]]:
    config = written_company(folder, {"events": events(), **tables})
    with open_company(config) as company:
        found = arrivals(company, AS_OF, config)
    return found, {f.code: f for f in findings(found, config)}


def test_all_is_as_usual(tmp_path: Path) -> None:
    found, codes = seen(tmp_path, tickets=tickets(range(3, 300, 5)))
    assert set(codes) == {"events_fresh", "volume_usual"}
    assert (len(found.weeks), found.weeks[-1].first) == (13, AS_OF - timedelta(days=7))
    assert sum(w.events for w in found.weeks) == sum(1 for e in events() if e["occurred_at"][:10] >= "2026-04-01")
    (news,) = (t for t in found.tables if t.table == "tickets")
    assert (news.newest, news.silent, news.longest) == (AS_OF - timedelta(days=3), 2, 5)


def test_events_that_are_late(tmp_path: Path) -> None:
    _, codes = seen(tmp_path, events=events(last=9))
    assert codes["events_late"].level == "alarm"
    assert codes["events_late"].values["days"] == 9
    assert "volume_holes" not in codes, "days after the newest event are late, not holes"


@pytest.mark.parametrize(("count", "level"), [(9, "alarm"), (1, "alarm"), (4, None)])
def test_a_week_with_more_or_fewer_events_than_usual(tmp_path: Path, count: int, level: str | None) -> None:
    _, codes = seen(tmp_path, events=events(last_week=count))
    assert (codes["volume_changed"].level if "volume_changed" in codes else None) == level


def test_days_without_events_are_found_where_there_always_were_some(tmp_path: Path) -> None:
    found, codes = seen(tmp_path, events=events(holes={10, 11}))
    assert found.holes == (AS_OF - timedelta(days=11), AS_OF - timedelta(days=10))
    assert codes["volume_holes"].values == {"days": 2, "first": found.holes[0]}


def test_weekends_that_are_always_quiet_are_no_holes(tmp_path: Path) -> None:
    quiet = {ago for ago in range(1, 121) if (AS_OF - timedelta(days=ago)).weekday() >= 5}
    found, _ = seen(tmp_path, events=events(holes=quiet))
    assert found.holes == ()


def test_a_table_that_stopped_and_one_that_is_always_slow(tmp_path: Path) -> None:
    slow = [
        {"account_id": "a1", "responded_at": (AS_OF - timedelta(days=d)).isoformat(), "score": 9}
        for d in range(60, 600, 60)
    ]
    found, codes = seen(tmp_path, tickets=tickets(range(30, 330, 3)), nps=slow)
    assert (codes["table_stopped"].subject, codes["table_stopped"].values["days"]) == ("tickets", 29)
    news = {t.table: t for t in found.tables}
    assert (news["nps"].judged, news["nps"].longest, news["nps"].silent) == (True, 60, 59)
    assert not news["accounts"].judged, "two accounts of one day are no rhythm"


def test_rows_known_only_later_do_not_count(tmp_path: Path) -> None:
    found, codes = seen(tmp_path, tickets=[*tickets(range(30, 330, 3)), *tickets([-5, 0])])
    assert codes["table_stopped"].values["day"] == AS_OF - timedelta(days=30)
    assert found.newest_event == AS_OF - timedelta(days=1)
