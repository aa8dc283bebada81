"""Product events -> daily rollup: what counts, on which day, and that nothing is lost or counted twice."""

# ruff: noqa: E501 - a table is read along its lines

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml import activity
from csql_ml.config import Config
from tests.properties.typed_inputs import typed_inputs
from tests.small_company import SETTINGS, rows, small_company

COUNTS = (
    "events",
    "usage",
    "core_events",
    "core_mask",
    "advanced_events",
    "advanced_mask",
    "gated_clicks",
    "gated_mask",
    "upgrade_attempts",
    "workflow_starts",
    "workflow_completions",
)


def rolled_up(events: list[dict[str, Any]], zone: str = "UTC", **sections: Any) -> pd.DataFrame:
    """The rollup, sorted, days as dates and counts as whole numbers where they are."""
    config = Config(**{**SETTINGS, "company": {"time_zone": zone}, **sections})
    inputs = typed_inputs({"events": [{k: v or None for k, v in e.items()} for e in events]})
    return as_dates(inputs.con.to_pandas(activity.build(inputs, config)))


def as_dates(frame: pd.DataFrame) -> pd.DataFrame:
    for column in ("day", "known_day"):
        frame[column] = [pd.Timestamp(d).date() for d in frame[column]]
    frame["usage"] = frame["usage"].astype("float64")
    return frame.sort_values(list(activity.GRAIN), ignore_index=True)


#: Features carry one bit each, in the order of the configuration; a gated click is interest, not use.
SIGNALS = """
account_id | occurred_at | event_name         | feature    | quantity | usage | core_mask | advanced_mask | gated_clicks | gated_mask | upgrade_attempts | workflow_starts | workflow_completions
boards     | 2025-05-01  | used               | boards     |          | 1     | 1         |               |              |            |                  |                 |
reports    | 2025-05-01  | used               | reports    | 2.5      | 2.5   | 2         |               |              |            |                  |                 |
alerts     | 2025-05-01  | used               | alerts     | 0        | 0     | 16        |               |              |            |                  |                 |
rules      | 2025-05-01  | used               | rules      |          | 1     |           | 2             |              |            |                  |                 |
by_name    | 2025-05-01  | search             |            |          | 1     | 4         |               |              |            |                  |                 |
not_named  | 2025-05-01  | used               | else       |          | 1     |           |               |              |            |                  |                 |
gated      | 2025-05-01  | gated_click        | dashboards |          | 1     |           |               | 1            | 1          |                  |                 |
gated_bots | 2025-05-01  | gated_click        | bots       |          | 1     |           |               | 1            | 2          |                  |                 |
gated_core | 2025-05-01  | gated_click        | boards     |          | 1     |           |               | 1            |            |                  |                 |
upgrade    | 2025-05-01  | upgrade_attempt    | bots       |          | 1     |           |               |              | 2          | 1                |                 |
used_bots  | 2025-05-01  | used               | bots       |          | 1     |           |               |              |            |                  |                 |
start      | 2025-05-01  | workflow_started   |            |          | 1     |           |               |              |            |                  | 1               |
completion | 2025-05-01  | workflow_completed | boards     |          | 1     | 1         |               |              |            |                  |                 | 1
"""


def test_an_event_counts_for_the_signals_it_is_mapped_to() -> None:
    table = {row["account_id"]: row for row in rolled_up(rows(SIGNALS)).to_dict("records")}
    for line in rows(SIGNALS):
        expected = {name: float(text or 0) for name, text in line.items() if name in COUNTS}
        found = {name: float(table[line["account_id"]][name]) for name in expected}
        assert found == expected, line["account_id"]


def test_users_and_days_have_rows_of_their_own_and_masks_are_united() -> None:
    events = rows("""
account_id | user_id | occurred_at      | event_name | feature
a          | u1      | 2025-05-01 08:00 | used       | boards
a          | u1      | 2025-05-01 09:00 | used       | boards
a          | u1      | 2025-05-01 10:00 | used       | search
a          | u2      | 2025-05-01 08:00 | used       | reports
a          |         | 2025-05-01 08:00 | used       |
a          | u1      | 2025-05-02 08:00 | used       | reports
b          | u1      | 2025-05-01 08:00 | used       | export
""")
    found = rolled_up(events)[["account_id", "user_id", "day", "events", "core_events", "core_mask"]]
    found["user_id"] = found["user_id"].fillna("")
    assert found.sort_values(["account_id", "user_id", "day"]).to_numpy().tolist() == [
        ["a", "", date(2025, 5, 1), 1, 0, 0],
        ["a", "u1", date(2025, 5, 1), 3, 3, 5],
        ["a", "u1", date(2025, 5, 2), 1, 1, 2],
        ["a", "u2", date(2025, 5, 1), 1, 1, 2],
        ["b", "u1", date(2025, 5, 1), 1, 1, 8],
    ]


#: Midnight in New York is 04:00 UTC in summer, 05:00 in winter; clocks change on 2025-11-02 and 2025-03-09.
DAYS = """
occurred_at                | zone             | day
2025-05-01 03:59:59.999999 | America/New_York | 2025-04-30
2025-05-01 04:00           | America/New_York | 2025-05-01
2025-12-01 04:59:59.999999 | America/New_York | 2025-11-30
2025-12-01 05:00           | America/New_York | 2025-12-01
2025-11-02 04:00           | America/New_York | 2025-11-02
2025-11-03 04:59           | America/New_York | 2025-11-02
2025-03-09 05:00           | America/New_York | 2025-03-09
2025-03-10 04:00           | America/New_York | 2025-03-10
2025-05-01 15:00           | Asia/Tokyo       | 2025-05-02
2025-05-01 23:59:59        | UTC              | 2025-05-01
"""


def test_a_day_is_the_company_s_day() -> None:
    for line in rows(DAYS):
        event = {"account_id": "a", "occurred_at": line["occurred_at"], "event_name": "used"}
        assert rolled_up([event], line["zone"])["day"].tolist() == [date.fromisoformat(line["day"])], line


def test_an_event_recorded_late_is_known_late_and_never_before_it_happened() -> None:
    events = rows("""
account_id | user_id | occurred_at      | event_name | recorded_at
a          | u1      | 2025-05-01 10:00 | used       |
a          | u1      | 2025-05-01 11:00 | used       | 2025-05-01 23:00
a          | u1      | 2025-05-01 12:00 | used       | 2025-05-04 01:00
a          | u1      | 2025-05-01 13:00 | used       | 2025-04-01 01:00
""")
    found = rolled_up(events)[["day", "known_day", "events"]].to_numpy().tolist()
    first, late = date(2025, 5, 1), date(2025, 5, 4)
    assert found == [[first, first, 3], [first, late, 1]]


def test_an_event_that_arrives_twice_counts_once_from_its_first_arrival_on(tmp_path: Path) -> None:
    events = """
account_id | user_id | occurred_at      | event_name | feature | event_id | recorded_at
a1         | u1      | 2025-05-01 10:00 | used       | boards  | e1       | 2025-05-03
a1         | u1      | 2025-05-01 10:00 | used       | boards  | e1       | 2025-05-02
a1         | u1      | 2025-05-01 10:00 | used       | boards  | e2       | 2025-05-02
a1         | u1      | 2025-05-01 10:00 | used       | reports | e2       | 2025-05-03
a1         | u1      | 2025-05-01 10:00 | used       | boards  |          |
a1         | u1      | 2025-05-01 10:00 | used       | boards  |          |
"""
    with small_company(tmp_path, {"events": events}) as company:
        found = as_dates(company.inputs.con.to_pandas(company.builder._activity))
    found = found[found["account_id"] == "a1"]
    assert found[["day", "known_day", "events", "core_mask"]].to_numpy().tolist() == [
        [date(2025, 5, 1), date(2025, 5, 1), 2, 1],
        [date(2025, 5, 1), date(2025, 5, 2), 2, 1],
    ]


def test_without_mapped_signals_events_are_counted_all_the_same() -> None:
    event = {"account_id": "a", "user_id": "u", "occurred_at": "2025-05-01", "event_name": "used", "feature": "boards"}
    (row,) = rolled_up([event, event], signals={}, catalogue={}).to_dict("records")
    assert {name: float(row[name]) for name in COUNTS if row[name]} == {"events": 2.0, "usage": 2.0}


# --- against a second reading of the same rules -----------------------------------------------------------------------

ZONE = "Europe/Berlin"
CORE = SETTINGS["signals"]["core_features"]
#: Around the last Sunday of March, when clocks go forward.
instants = st.integers(0, 5 * 24 * 3600).map(
    lambda seconds: datetime(2025, 3, 28, tzinfo=UTC) + timedelta(seconds=seconds)
)
events = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["a", "b"]),
        "user_id": st.sampled_from([None, "u1", "u2"]),
        "occurred_at": instants,
        "event_name": st.sampled_from(["used", "gated_click", "upgrade_attempt", "workflow_started", "boards"]),
        "feature": st.sampled_from([None, "boards", "reports", "alerts", "bots", "else"]),
        "quantity": st.sampled_from([None, "0", "0.1", "0.2", "7"]),
        "recorded_at": st.none() | instants,
    }
)


def _expected(made: list[dict[str, Any]]) -> pd.DataFrame:
    lines = []
    for event in made:
        day = _berlin_day(event["occurred_at"])
        recorded = _berlin_day(event["recorded_at"]) if event["recorded_at"] else day
        interest = event["event_name"] in ("gated_click", "upgrade_attempt")
        what = event["feature"] or event["event_name"]
        core = 1 << CORE.index(what) if what in CORE and not interest else 0
        lines.append(
            {
                "account_id": event["account_id"],
                "user_id": event["user_id"],
                "day": day,
                "known_day": max(day, recorded),
                "events": 1,
                "usage": float(event["quantity"] or 1),
                "core_events": int(core > 0),
                "core_mask": core,
                "gated_clicks": int(event["event_name"] == "gated_click"),
                "gated_mask": 2 if interest and what == "bots" else 0,
                "upgrade_attempts": int(event["event_name"] == "upgrade_attempt"),
                "workflow_starts": int(event["event_name"] == "workflow_started"),
            }
        )
    frame = pd.DataFrame(lines)
    union = dict.fromkeys(("core_mask", "gated_mask"), _united)
    sums = {c: "sum" for c in frame.columns if c not in (*activity.GRAIN, *union)}
    return frame.groupby(list(activity.GRAIN), dropna=False).agg({**sums, **union}).reset_index()


def _united(masks: pd.Series) -> int:
    return reduce(or_, (int(mask) for mask in masks))


def _text(value: Any) -> str | None:
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value


def _berlin_day(instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(ZONE)).date()


@settings(max_examples=30)
@given(made=st.lists(events, min_size=1, max_size=25))
def test_the_rollup_equals_a_plain_sum_over_the_events(made: list[dict[str, Any]]) -> None:
    found = rolled_up([{k: _text(v) for k, v in e.items()} for e in made], ZONE)
    expected = _expected(made).sort_values(list(activity.GRAIN), ignore_index=True)
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False, rtol=1e-12)
    assert found["events"].sum() == len(made)
