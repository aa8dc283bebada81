"""Nothing that became known at or after the as-of date's midnight can change a snapshot.

A base company has rows in every table. An example adds rows, new versions of rows and later facts that are known from
the cut-off instant on (or changes and deletes those already there), and the snapshot must stay the same to the last
bit, for every registered metric. Two more tests show that this test can fail: the same rows one instant earlier change
every metric, and a bound loosened by one instant lets the leak through.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from csql_ml import activity
from csql_ml import as_of as as_of_cut
from csql_ml.config import Config
from csql_ml.contract.tables import TABLES, Table
from csql_ml.metrics import registry
from csql_ml.metrics.definition import features_of, reached_column
from csql_ml.snapshots import SnapshotBuilder
from tests.properties.typed_inputs import typed_inputs
from tests.small_company import SETTINGS, rows

AS_OF = date(2025, 12, 1)
ZONE = "America/New_York"
#: Local midnight of the as-of date, in UTC.
CUT_OFF = datetime(2025, 12, 1, tzinfo=ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
INSTANT = timedelta(microseconds=1)
CONFIG = Config(**{**SETTINGS, "company": {"time_zone": ZONE}})

BASE: dict[str, str] = {
    "accounts": """
account_id | name  | created_at | segment    | industry | employees | csm_id
a1         | Alpha | 2025-01-01 | mid_market | Retail   | 100       | c1
a2         | Beta  | 2025-01-01 | smb        | Health   | 20        | c2
""",
    "contracts": """
account_id | product  | seats | arr   | start_date | end_date   | plan  | signed_at
a1         | Platform | 10    | 10000 | 2025-01-01 | 2026-03-01 | Pro   | 2024-12-01
a2         | Platform | 4     | 4000  | 2025-01-01 |            | Basic |
""",
    "users": """
user_id | account_id | created_at | deactivated_at
u1      | a1         | 2025-01-01 |
u2      | a1         | 2025-01-01 | 2026-02-01
u3      | a2         | 2025-01-01 |
""",
    "events": """
account_id | user_id | occurred_at | event_name         | feature    | quantity
a1         | u1      | 2025-01-02  | used               | boards     | 1
a1         | u1      | 2025-11-20  | used               | boards     | 2
a1         | u2      | 2025-10-20  | used               | reports    | 3
a1         | u2      | 2025-10-21  | workflow_started   |            | 1
a1         | u2      | 2025-11-21  | workflow_started   |            | 1
a1         | u2      | 2025-11-21  | workflow_completed |            | 1
a1         | u1      | 2025-11-22  | gated_click        | dashboards | 1
a2         | u3      | 2025-10-23  | used               | boards     | 9
a2         | u3      | 2025-10-24  | used               | reports    | 9
a2         | u3      | 2025-11-23  | used               | boards     | 1
a2         | u3      | 2025-12-05  | used               | boards     | 1
""",
    "tickets": """
ticket_id | account_id | opened_at  | severity | closed_at  | topic
t1        | a1         | 2025-11-10 | high     | 2025-12-03 | bug
t2        | a2         | 2025-12-04 | high     |            | new module
""",
    "nps": """
account_id | responded_at | score
a1         | 2025-08-01   | 7
a2         | 2025-12-06   | 3
""",
    "advocacy": "account_id | occurred_at | kind\na1 | 2025-05-01 | review\na2 | 2025-12-07 | review",
    "milestones": "account_id | occurred_at | kind | product\na1 | 2025-05-01 | goal | Bots\na2 | 2025-12-08 | roi |",
    "contacts": """
contact_id | account_id | role     | since      | last_engaged_at
k1         | a1         | champion | 2025-01-01 | 2025-11-01
k2         | a2         | user     | 2025-01-01 | 2025-12-09
""",
    "csqls": """
csql_id | account_id | type   | created_at | accepted_at | rejected_at | closed_at  | won  | arr
q1      | a1         | upsell | 2025-05-01 | 2025-05-02  |             | 2025-06-01 | true | 10
q2      | a2         | upsell | 2025-11-01 | 2025-11-02  |             | 2025-12-10 | true | 20
q9      | a1         | upsell | 2025-10-01 |             |             |            |      |
""",
    "opportunities": """
opportunity_id | account_id | type      | created_at | arr | closed_at  | won
o1             | a1         | expansion | 2025-05-01 | 10  | 2025-06-01 | true
o2             | a2         | expansion | 2025-11-01 | 20  | 2025-12-10 | true
o9             | a1         | expansion | 2025-10-01 | 5   |            |
""",
    "coverage": "csm_id | start_date | end_date\nc1 | 2025-01-01 | 2026-01-01",
}
Rows = dict[str, list[dict[str, Any]]]

#: One row per table that changes metrics as soon as it is known; ``{t}`` is the time it becomes known.
NEWS: dict[str, list[dict[str, Any]]] = {
    "accounts": [
        {
            "account_id": "a1",
            "name": "New",
            "created_at": "2024-01-01",
            "segment": "smb",
            "industry": "Health",
            "employees": "7",
            "recorded_at": "{t}",
        }
    ],
    "contracts": [
        {
            "account_id": "a1",
            "product": "Platform",
            "seats": "20",
            "arr": "55000",
            "start_date": "2025-01-01",
            "end_date": "2026-01-01",
            "plan": "Enterprise",
            "recorded_at": "{t}",
        },
        {
            "account_id": "a1",
            "product": "Analytics",
            "seats": "20",
            "arr": "1",
            "start_date": "2025-02-01",
            "signed_at": "{t}",
        },
    ],
    "users": [
        {"user_id": "u8", "account_id": "a1", "created_at": "{t}"},
        {"user_id": "u1", "account_id": "a1", "created_at": "2025-01-01", "deactivated_at": "{t}"},
    ],
    "events": [
        {"account_id": "a1", "user_id": "u1", "occurred_at": "{t}", "event_name": "used", "feature": "export"},
        {"account_id": "a1", "user_id": "u7", "occurred_at": "{t}", "event_name": "used", "feature": "api"},
        {"account_id": "a1", "user_id": "u7", "occurred_at": "{t}", "event_name": "workflow_completed"},
        {"account_id": "a1", "user_id": "u7", "occurred_at": "{t}", "event_name": "gated_click", "feature": "bots"},
        {"account_id": "a1", "user_id": "u7", "occurred_at": "{t}", "event_name": "upgrade_attempt"},
        {"account_id": "a2", "user_id": "u6", "occurred_at": "{t}", "event_name": "gated_click", "feature": "bots"},
        {"account_id": "a2", "user_id": "u6", "occurred_at": "{t}", "event_name": "used", "quantity": "40"},
        *(
            {
                "account_id": "a1",
                "user_id": "u7",
                "occurred_at": f"2025-{month}-15",
                "event_name": "used",
                "quantity": str(quantity),
                "recorded_at": "{t}",
            }
            for month, quantity in (("06", 1), ("07", 2), ("08", 30), ("09", 40), ("10", 50), ("11", 60))
        ),
    ],
    "tickets": [
        {"ticket_id": "t8", "account_id": "a1", "opened_at": "{t}", "severity": "high", "topic": "new module"},
        {"ticket_id": "t9", "account_id": "a1", "opened_at": "{t}", "severity": "high"},
    ],
    "nps": [{"account_id": "a1", "responded_at": "{t}", "score": "10"}],
    "advocacy": [{"account_id": "a1", "occurred_at": "{t}", "kind": "referral"}],
    "milestones": [
        {"account_id": "a1", "occurred_at": "{t}", "kind": kind, "product": "Automation"}
        for kind in ("roi", "phase_two", "budget_expansion", "goal")
    ],
    "contacts": [
        {"contact_id": "k8", "account_id": "a1", "role": "executive_sponsor", "since": "{t}", "last_engaged_at": "{t}"}
    ],
    "csqls": [
        {"csql_id": "q8", "account_id": "a1", "type": "upsell", "created_at": "{t}", "rejected_at": "{t}"},
        {
            "csql_id": "q9",
            "account_id": "a1",
            "type": "upsell",
            "created_at": "2025-10-01",
            "closed_at": "{t}",
            "won": "true",
            "arr": "5",
        },
    ],
    "opportunities": [
        {
            "opportunity_id": "o9",
            "account_id": "a1",
            "type": "expansion",
            "created_at": "2025-10-01",
            "arr": "5",
            "closed_at": "{t}",
            "won": "true",
        }
    ],
    "coverage": [{"csm_id": "c2", "start_date": "2025-01-01", "recorded_at": "{t}"}],
}


def base() -> Rows:
    return {name: [{k: v or None for k, v in row.items()} for row in rows(text)] for name, text in BASE.items()}


def news(known: datetime) -> Rows:
    """`NEWS` with the time it becomes known filled in."""
    text = known.isoformat(sep=" ", timespec="microseconds")
    return {
        name: [{k: text if v == "{t}" else v for k, v in row.items()} for row in added] for name, added in NEWS.items()
    }


def snapshot(tables: Rows) -> pd.DataFrame:
    inputs = typed_inputs(tables)
    built = SnapshotBuilder(inputs, activity.build(inputs, CONFIG), CONFIG).build(AS_OF)
    frames = (built.features, built.facts, built.accounts)
    return pd.concat([f.set_index("account_id") for f in frames], axis=1)


@pytest.fixture(scope="module")
def unchanged() -> pd.DataFrame:
    return snapshot(base())


def together(*worlds: Rows) -> Rows:
    """All rows; a row without ``recorded_at`` replaces that of its key in an earlier world: later facts filled in."""
    tables: Rows = {}
    for name, table in TABLES.items():
        by_key: dict[Any, dict[str, Any]] = {}
        for number, row in enumerate(row for world in worlds for row in world.get(name, [])):
            versioned = not table.key or name == "events" or row.get("recorded_at")
            by_key[number if versioned else tuple(row.get(c) for c in table.key)] = row
        tables[name] = list(by_key.values())
    return tables


moments = st.sampled_from([timedelta(0), INSTANT, timedelta(hours=3), timedelta(days=1), timedelta(days=200)])


@st.composite
def later_worlds(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Rows that are known only from the cut-off on, and the base without some rows and facts of that time."""
    added: Rows = {name: [] for name in TABLES}
    for name, table in TABLES.items():
        for number in range(draw(st.integers(0, 2), label=f"rows added to {name}")):
            moment = CUT_OFF + draw(moments)
            row = dict(draw(st.sampled_from(news(moment)[name])))
            if draw(st.booleans(), label="recorded late"):
                row = _recorded_late(table, row, moment, number)
            added[name].append(row)
    kept = {name: [_changed(draw, TABLES[name], row) for row in given_rows] for name, given_rows in base().items()}
    return added, {name: [r for r in changed if r is not None] for name, changed in kept.items()}


def _recorded_late(table: Table, row: dict[str, Any], moment: datetime, number: int) -> dict[str, Any]:
    """The same row as if it had happened long ago and been recorded only now; a new thing where it has a key."""
    old = {c: "2025-11-15" for c in table.own_time if row.get(c)}
    key = (
        {}
        if table.name in ("accounts", "contracts", "coverage")
        else {table.key[0]: f"new{number}"}
        if table.key
        else {}
    )
    return {**row, **old, **key, "recorded_at": moment.isoformat(sep=" ")}


def _changed(draw: st.DrawFn, table: Table, row: dict[str, Any]) -> dict[str, Any] | None:
    """A row of the base: gone if it is known only later, its later facts gone or moved."""
    own = next((row[c] for c in table.own_time if row.get(c)), "")
    if table.happens and own > "2025-12-01" and draw(st.booleans(), label="deleted"):
        return None
    changed = dict(row)
    for column in table.columns:
        when = row.get(column.known_with or "")
        if when and when > "2025-12-01":
            changed[column.name] = draw(st.sampled_from([row[column.name], None]), label=f"{column.name} changed")
    return changed


# An example takes seconds, so a failing one is shown as it was drawn instead of being shrunk for minutes.
@settings(max_examples=12, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(worlds=later_worlds())
def test_what_became_known_later_changes_nothing(unchanged: pd.DataFrame, worlds: tuple[Rows, Rows]) -> None:
    added, kept = worlds
    pd.testing.assert_frame_equal(snapshot(together(kept, added)), unchanged, check_exact=True)


@pytest.mark.parametrize("name", [n for n in TABLES if n != "coverage"])
def test_a_row_of_the_cut_off_instant_is_not_known(unchanged: pd.DataFrame, name: str) -> None:
    added = {name: news(CUT_OFF)[name]}
    pd.testing.assert_frame_equal(snapshot(together(base(), added)), unchanged, check_exact=True)


def test_one_instant_earlier_every_metric_changes(unchanged: pd.DataFrame) -> None:
    changed = snapshot(together(base(), news(CUT_OFF - INSTANT)))
    columns = {f.name for m in registry().values() for f in features_of(m)} | set(registry())
    # Whether a threshold is reached may stay the same; the value it is read off must not.
    columns -= {reached_column(m) for m in registry().values()}
    silent = {c for c in columns if unchanged[c].equals(changed[c])}
    assert silent == set()


def test_a_bound_loosened_by_one_instant_is_caught(unchanged: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_of_cut, "known_before", lambda day, as_of: day <= as_of)
    assert not snapshot(together(base(), news(CUT_OFF))).equals(unchanged)
