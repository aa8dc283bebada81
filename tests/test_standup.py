"""The stand-up: what changed, what to hand over within capacity and cooldown, what is due; nothing is written."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.errors import OutputError, UsageError
from csql_ml.handoff.push import push
from csql_ml.outcomes.plan_file import Plan
from csql_ml.standup import CHANGES, Standing, changes_between, digest
from tests.handoff.push_desk import Desk
from tests.handoff.small_run import account, config, lead, write_run
from tests.small_company import rows

BEFORE, NOW = "2026-07-01", "2026-07-08"
# "-": not in that run; "cooldown" and "in_work" are accounts that are not eligible because of it.
FATES = """
before    | now       | changes
qualified | qualified |
not_yet   | not_yet   |
-         | qualified | newly_qualified
not_yet   | qualified | newly_qualified
held      | qualified | newly_qualified released_from_risk
cooldown  | qualified | newly_qualified cooled_down
held      | not_yet   | released_from_risk
held      | -         |
cooldown  | not_yet   | cooled_down
cooldown  | -         |
cooldown  | held      | newly_held cooled_down
-         | held      | newly_held
qualified | held      | newly_held
qualified | in_work   | taken_up
qualified | cooldown  | dropped_out
qualified | not_yet   | dropped_out
qualified | -         | dropped_out
held      | held      |
in_work   | cooldown  |
held      | cooldown  | released_from_risk
"""
STANDINGS = {
    "-": Standing(None),
    "held": Standing("held_for_risk"),
    "qualified": Standing("qualified"),
    "not_yet": Standing("not_yet"),
    "cooldown": Standing("ineligible", frozenset({"cooldown"})),
    "in_work": Standing("ineligible", frozenset({"lead_in_work"})),
}


def given_account(account_id: str, how: str, **values: Any) -> dict[str, Any]:
    standing = STANDINGS[how]
    found = account(account_id, status=standing.status, ineligible_because=sorted(standing.barred), csm_id="CSM-1")
    return {**found, "name": f"Account {account_id}", **values}


def a_run(folder: Path, how: dict[str, str], as_of: str = NOW, leads: list[dict[str, Any]] | None = None) -> Path:
    """A run of these accounts; those that are qualified have a lead."""
    accounts = [given_account(key, value) for key, value in how.items() if value != "-"]
    own = [lead(key, as_of=as_of) for key, value in how.items() if value == "qualified"] if leads is None else leads
    return write_run(folder, own, accounts=accounts, as_of=as_of, run_id=f"run-{folder.name}")


@pytest.mark.parametrize("fate", rows(FATES), ids=lambda f: f"{f['before']}-{f['now']}")
def test_each_fate_is_told_by_its_name(fate: dict[str, str], tmp_path: Path) -> None:
    expected = (fate["changes"] or "").split()
    assert list(changes_between(STANDINGS[fate["before"]], STANDINGS[fate["now"]])) == expected
    earlier = a_run(tmp_path / "1", {"A1": fate["before"]}, BEFORE)
    found = digest(config(tmp_path), a_run(tmp_path / "2", {"A1": fate["now"]}), earlier)
    assert [e["changes"] for e in found["team"]["changes"]] == ([expected] if expected else [])
    assert {k: n for k, n in found["team"]["counts"].items() if k in CHANGES and n} == dict.fromkeys(expected, 1)


@given(st.sampled_from(sorted(STANDINGS)), st.sampled_from(sorted(STANDINGS)))
def test_an_account_does_not_come_and_go_at_once(before: str, now: str) -> None:
    found = set(changes_between(STANDINGS[before], STANDINGS[now]))
    assert not found & ({"newly_qualified"} if "dropped_out" in found else set())
    assert not {"released_from_risk", "newly_held"} <= found
    assert not {"taken_up", "dropped_out"} <= found
    if before == now:
        assert not found


def test_without_an_earlier_run_nothing_is_compared(tmp_path: Path) -> None:
    found = digest(config(tmp_path), a_run(tmp_path / "1", {"A1": "qualified", "A2": "held"}))
    assert (found["since"], found["team"]["changes"], found["handed_over"]) == (None, [], "nothing")
    assert [e["account_id"] for e in found["team"]["offers"]] == ["A1"]


# capacity, cooldown, no double offers


def test_no_portfolio_gets_more_than_it_can_work(tmp_path: Path) -> None:
    how = {f"A{i}": "qualified" for i in range(5)}
    found = digest(config(tmp_path, capacity=2), a_run(tmp_path / "1", how))
    (part,) = found["csms"]
    assert [e["account_id"] for e in part["offers"]] == ["A0", "A1"], "best first"
    assert {e["waits_for"] for e in part["waiting"]} == {"capacity"}
    assert (part["open"], part["free"], part["counts"]["waiting"]) == (2, 0, 3)


def test_leads_of_the_earlier_run_are_not_offered_twice_and_take_room(tmp_path: Path) -> None:
    earlier = a_run(tmp_path / "1", {"A1": "qualified", "A2": "qualified"}, BEFORE)
    run = a_run(tmp_path / "2", {"A1": "qualified", "A2": "not_yet", "A3": "qualified", "A4": "qualified"})
    found = digest(config(tmp_path, capacity=2), run, earlier)
    assert found["handed_over"] == "earlier run"
    assert [e["account_id"] for e in found["team"]["offers"]] == ["A3"]
    assert [(e["account_id"], e["waits_for"]) for e in found["team"]["waiting"]] == [("A4", "capacity")]


def test_two_leads_of_one_motion_are_one(tmp_path: Path) -> None:
    twice = [lead("A1", as_of=NOW), lead("A1", as_of=NOW, trigger="upgrade_clicks")]
    found = digest(config(tmp_path), a_run(tmp_path / "1", {"A1": "qualified"}, leads=twice))
    assert [len(found["team"][name]) for name in ("offers", "waiting")] == [1, 1]
    assert found["team"]["waiting"][0]["waits_for"] == "duplicate"


def test_a_lead_that_sales_rejected_lately_waits(desk: Desk) -> None:
    desk.push(lead("A1"), as_of=BEFORE)
    note_outcome(desk, "A1", "rejected", BEFORE)
    found = digest(desk.config, a_run(desk.home / "now", {"A1": "qualified"}))
    assert found["handed_over"] == "outbox"
    assert [(e["account_id"], e["waits_for"]) for e in found["team"]["waiting"]] == [("A1", "cooldown")]
    assert found["team"]["offers"] == []


def note_outcome(desk: Desk, account_id: str, outcome: str, day: str) -> None:
    from csql_ml.handoff.outbox import Outbox
    from csql_ml.handoff.outbox_file import writing

    with writing(desk.config.path(desk.config.delivery.outbox)) as connection:
        outbox = Outbox(connection, "scripted")
        keys = [r.key for r in outbox.rows("lead").values() if r.account_id == account_id]
        assert outbox.note_outcomes(dict.fromkeys(keys, (outcome, day))) == len(keys) == 1


@given(st.lists(st.tuples(st.sampled_from(["CSM-1", "CSM-2", None]), st.booleans()), max_size=12), st.integers(1, 4))
def test_whatever_was_handed_over_capacity_holds_and_nobody_is_asked_twice(
    tmp_path_factory: pytest.TempPathFactory, leads: list[tuple[str | None, bool]], capacity: int
) -> None:
    home = tmp_path_factory.mktemp("standup")
    all_leads = [lead(f"A{i}", csm_id=csm, as_of=NOW) for i, (csm, _) in enumerate(leads)]
    before = [one for one, (_, there) in zip(all_leads, leads, strict=True) if there]
    earlier = a_run(home / "1", {}, BEFORE, leads=[{**one, "as_of": BEFORE} for one in before])
    settings = config(home, capacity=capacity)
    found = digest(settings, a_run(home / "2", {}, leads=all_leads), earlier)
    for part in found["csms"]:
        assert part["csm"] is None or part["open"] <= capacity
    offered = Counter(e["account_id"] for e in found["team"]["offers"])
    assert set(offered.values()) <= {1}
    first = {e["account_id"] for e in digest(settings, earlier)["team"]["offers"]}
    assert not first & set(offered), "offered at the earlier stand-up"


# what is due


@pytest.mark.parametrize(
    ("today", "late"), [("2026-07-08", None), ("2026-07-09", None), ("2026-07-10", 0), ("2026-07-14", 4)]
)
def test_answers_are_due_by_the_outbox(desk: Desk, today: str, late: int | None) -> None:
    desk.push(lead("A1"), lead("A2"), as_of="2026-07-05")
    note_outcome(desk, "A2", "accepted", "2026-07-06")
    run = a_run(desk.home / "now", {"A1": "qualified", "A2": "in_work"})
    due = digest(desk.config, run, today=date.fromisoformat(today))["team"]["due"]
    assert [(e["account_id"], e["days_overdue"], e["owner"]) for e in due] == (
        [] if late is None else [("A1", late, "AE-1")]
    )


def test_a_lead_that_nobody_wants_any_more_or_that_never_arrived_is_not_due(desk: Desk) -> None:
    desk.push(lead("A1"), as_of="2026-07-01")
    run = a_run(desk.home / "now", {"A1": "not_yet"}, as_of="2026-08-01")
    assert digest(desk.config, run)["team"]["due"] == []


def test_without_an_outbox_the_earlier_run_says_what_is_due(tmp_path: Path) -> None:
    earlier = a_run(tmp_path / "1", {"A1": "qualified", "A2": "qualified"}, BEFORE)
    run = a_run(tmp_path / "2", {"A1": "qualified", "A2": "in_work"}, "2026-07-06")
    found = digest(config(tmp_path), run, earlier)
    assert [(e["account_id"], e["answer_due"]) for e in found["team"]["due"]] == [("A1", "2026-07-06")]
    assert (found["team"]["counts"]["due_today"], found["team"]["counts"]["overdue"]) == (1, 0)


def test_files_never_answer_so_the_accounts_do(tmp_path: Path) -> None:
    settings = config(tmp_path)
    push(settings, a_run(tmp_path / "1", {"A1": "qualified", "A2": "qualified", "A3": "qualified"}, BEFORE), "files")
    run = a_run(tmp_path / "2", {"A1": "qualified", "A2": "in_work", "A3": "cooldown"}, "2026-07-10")
    assert [e["account_id"] for e in digest(settings, run)["team"]["due"]] == ["A1"]


def test_of_two_crms_the_one_that_knows_more_counts(desk: Desk) -> None:
    desk.push(lead("A1"), lead("A2"), as_of=BEFORE)
    push(desk.config, desk.home / "run-1", "files")
    note_outcome(desk, "A1", "accepted", BEFORE)
    note_outcome(desk, "A2", "lost", BEFORE)
    run = a_run(desk.home / "now", {"A1": "in_work", "A2": "qualified"}, "2026-07-20")
    found = digest(desk.config, run)["team"]
    assert found["due"] == []
    assert [(e["account_id"], e["waits_for"]) for e in found["waiting"]] == [("A2", "cooldown")]


def test_an_experiment_holds_accounts_out(tmp_path: Path) -> None:
    days = {"start": date(2026, 7, 1), "end": date(2026, 9, 1), "complete_from": date(2026, 12, 1)}
    shares = {"holdout_share": 0.5, "confidence": 0.95, "power": 0.8}
    units = ({"account_id": "A1", "worked": False}, {"account_id": "A2", "worked": True})
    more = {"units": units, "smallest": {}, "sentences": ()}
    Plan("poc", "account", **days, planned_as_of=date(2026, 7, 1), **shares, **more).write(tmp_path / "plan.json")
    run = a_run(tmp_path / "1", {"A1": "qualified", "A2": "qualified"})
    found = digest(config(tmp_path, holdout=Path("plan.json")), run)["team"]
    assert [e["account_id"] for e in found["offers"]] == ["A2"]
    assert [(e["account_id"], e["waits_for"]) for e in found["waiting"]] == [("A1", "held_out")]


# around it


def test_what_was_pushed_since_is_told_as_handed(desk: Desk) -> None:
    desk.push(lead("A1"), as_of=BEFORE)
    run = a_run(desk.home / "now", {"A1": "qualified", "A2": "qualified"})
    push(desk.config, run, "scripted", sink=desk.crm, clock=desk.world.clock())
    earlier = desk.home / "run-1"
    found = digest(desk.config, run, earlier)
    assert [(e["account_id"], e["handed"]) for e in found["team"]["offers"]] == [("A2", True)]


def test_the_outbox_is_only_read_and_the_same_input_gives_the_same(desk: Desk) -> None:
    desk.push(lead("A1"), as_of=BEFORE)
    run = a_run(desk.home / "now", {"A1": "qualified", "A2": "qualified"})
    files = {p: p.read_bytes() for p in desk.home.rglob("*") if p.is_file()}
    first = json.dumps(digest(desk.config, run))
    assert json.dumps(digest(desk.config, run)) == first
    assert {p: p.read_bytes() for p in desk.home.rglob("*") if p.is_file()} == files


def test_the_team_is_the_sum_of_its_portfolios(tmp_path: Path) -> None:
    leads = [lead(f"A{i}", csm_id=csm, as_of=NOW) for i, csm in enumerate(("CSM-2", "CSM-1", None, "CSM-1"))]
    found = digest(config(tmp_path), a_run(tmp_path / "1", {}, leads=leads))
    assert [p["csm"] for p in found["csms"]] == ["CSM-1", "CSM-2", None]
    for name, count in found["team"]["counts"].items():
        assert count == sum(p["counts"][name] for p in found["csms"])


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    run, other = a_run(tmp_path / "1", {"A1": "qualified"}), a_run(tmp_path / "2", {"A1": "qualified"})
    with pytest.raises(UsageError, match="not before 2026-07-08; name an earlier run"):
        digest(config(tmp_path), run, other)
    with pytest.raises(UsageError, match="--today 2026-07-01 is before the run"):
        digest(config(tmp_path), run, today=date(2026, 7, 1))
    with pytest.raises(OutputError, match="written by csql score"):
        digest(config(tmp_path), tmp_path / "nowhere")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
