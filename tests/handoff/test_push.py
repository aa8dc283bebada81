"""Runs handed over one after the other: what is sent, what is not, and what the outbox remembers."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from csql_ml.errors import DeliveryError, UsageError
from csql_ml.handoff.fields import FIELDS
from csql_ml.handoff.lead import lead_key
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.outbox_file import writing
from csql_ml.handoff.push import Pushed, dry_run, history, push, replay
from csql_ml.handoff.sender_lock import only_sender
from csql_ml.handoff.sink import Finding
from tests.handoff.scripted_sink import Killed, ScriptedCrm, World
from tests.handoff.small_run import account, config, lead, score, write_run


@dataclass
class Desk:
    """A folder, a CRM and the clock: pushes as a user does them."""

    home: Path
    world: World = field(default_factory=World)
    options: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.crm = ScriptedCrm(self.world)

    @property
    def config(self) -> Any:
        return config(self.home, **self.options)

    def run(self, *leads: dict[str, Any], as_of: str = "2026-07-01", **more: Any) -> Path:
        self.runs += 1
        return write_run(self.home / f"run-{self.runs}", leads, as_of=as_of, run_id=f"run-{self.runs}", **more)

    def push(self, *leads: dict[str, Any], accept: tuple[str, ...] = (), **more: Any) -> Pushed:
        run = self.run(*leads, **more)
        return push(self.config, run, "scripted", sink=self.crm, clock=self.world.clock(), accept=accept)

    def dry_run(self, *leads: dict[str, Any], **more: Any) -> Pushed:
        return dry_run(self.config, self.run(*leads, **more), "scripted", sink=self.crm, clock=self.world.clock())

    def replay(self, key: str = "all") -> Pushed:
        return replay(self.config, "scripted", key, sink=self.crm, clock=self.world.clock())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def actions(pushed: Pushed, kind: str = "lead") -> dict[str, int]:
    assert pushed.plan is not None
    return {action: n for action, n in pushed.plan.counts()[kind].items() if n}


KEY = lead_key("A1", "upsell", "Pro", "upgrade_attempts")


# what is sent


def test_new_leads_are_created_and_the_same_run_again_sends_nothing(desk: Desk) -> None:
    first = desk.push(lead("A1"), lead("A2"))
    assert (first.counts, first.exit_code) == ({"create": 2}, 0)
    assert desk.crm.stored_keys() == sorted([KEY, lead_key("A2", "upsell", "Pro", "upgrade_attempts")])
    writes = desk.crm.writes
    again = desk.push(lead("A1"), lead("A2"))
    assert (actions(again), again.counts, desk.crm.writes) == ({"unchanged": 2}, {}, writes)


def test_another_run_with_the_same_facts_sends_nothing(desk: Desk) -> None:
    desk.push(lead("A1"))
    again = desk.push(lead("A1", as_of="2026-07-02", propensity=0.4141, expected_arr=4141.0), as_of="2026-07-02")
    people = {"since_days_ago": 31, "last_engaged_days_ago": 4}
    same_people = [{**lead("A1")["stakeholders"][0], **people}]
    assert actions(again) == {"update": 1}, "a day later the same days ago are other dates"
    again = desk.push(lead("A1", stakeholders=same_people), as_of="2026-07-02")
    assert actions(again) == {"update": 1}
    assert actions(desk.push(lead("A1", stakeholders=same_people, propensity=0.4141), as_of="2026-07-02")) == {
        "unchanged": 1
    }


def test_only_what_changed_is_written_so_that_what_sales_edited_stays(desk: Desk) -> None:
    desk.push(lead("A1"))
    desk.crm.fields(KEY).update(owner="AE-9", title="called on Monday")
    desk.push(lead("A1", propensity=0.6, ae_id="AE-2"))
    assert desk.crm.fields(KEY)["propensity"] == 0.6
    assert desk.crm.fields(KEY)["owner"] == "AE-9"
    assert desk.crm.fields(KEY)["title"] == "called on Monday"


def test_an_older_run_changes_nothing_and_says_so(desk: Desk) -> None:
    desk.push(lead("A1"), as_of="2026-08-01")
    older = desk.push(lead("A1", propensity=0.9), lead("A2"), as_of="2026-07-01")
    assert actions(older) == {"older": 2}
    assert older.plan is not None
    assert "a run as of 2026-08-01 was handed over before" in older.plan.notes[0]
    assert len(desk.crm.stored_keys()) == 1
    assert desk.crm.fields(KEY)["propensity"] == 0.4123


def test_a_lead_that_is_gone_is_withdrawn_by_status_and_comes_back_under_its_key(desk: Desk) -> None:
    desk.push(lead("A1"), lead("A2"))
    gone = desk.push(lead("A2"), accounts=[account("A1", status="held_for_risk")], as_of="2026-08-01")
    assert actions(gone)["withdraw"] == 1
    assert desk.crm.fields(KEY)["status"] == "withdrawn"
    assert desk.crm.fields(KEY)["answer_due"] == "2026-07-06"
    assert actions(desk.push(lead("A2"), as_of="2026-08-01")) == {"unchanged": 1}, "withdrawn once"
    back = desk.push(lead("A1"), lead("A2"), as_of="2026-09-01")
    assert back.counts["reopen"] == 1
    assert (desk.crm.fields(KEY)["status"], desk.crm.fields(KEY)["answer_due"]) == ("open", "2026-09-06")
    assert len(desk.crm.stored_keys()) == 2


@pytest.mark.parametrize("barred", ["lead_in_work", "cooldown"])
def test_a_lead_that_sales_works_on_is_not_withdrawn(desk: Desk, barred: str) -> None:
    desk.push(lead("A1"))
    later = desk.push(accounts=[account("A1", status="ineligible", ineligible_because=[barred])], as_of="2026-08-01")
    assert actions(later) == {}
    assert desk.crm.fields(KEY)["status"] == "open"


def test_a_retrained_model_s_other_trigger_updates_the_open_lead(desk: Desk) -> None:
    desk.push(lead("A1"))
    again = desk.push(lead("A1", trigger="gated_clicks"), as_of="2026-08-01")
    assert again.counts == {"update": 1}
    assert desk.crm.stored_keys() == [KEY]
    assert desk.crm.fields(KEY)["answer_due"] == "2026-07-06"


def test_another_motion_withdraws_the_old_lead_and_opens_a_new_one(desk: Desk) -> None:
    desk.push(lead("A1"))
    again = desk.push(lead("A1", product="Analytics", lead_type="cross_sell"), as_of="2026-08-01")
    assert again.counts == {"create": 1, "withdraw": 1}
    states = sorted((desk.crm.fields(k)["product"], desk.crm.fields(k)["status"]) for k in desk.crm.stored_keys())
    assert states == [("Analytics", "open"), ("Pro", "withdrawn")]


def test_full_portfolios_make_leads_wait_until_there_is_room(desk: Desk) -> None:
    desk.options["capacity"] = 1
    first = desk.push(lead("A1"), lead("A2"))
    assert actions(first) == {"create": 1, "waiting": 1}
    second = desk.push(lead("A2"), accounts=[account("A1")], as_of="2026-08-01")
    assert actions(second) == {"create": 1, "withdraw": 1}


def test_after_a_pulled_loss_the_account_rests_and_then_gets_a_lead_of_its_own(desk: Desk) -> None:
    desk.push(lead("A1"))
    with writing(desk.home / "outbox.sqlite") as connection:
        assert Outbox(connection, "scripted").note_outcomes({KEY: ("lost", "2026-07-20")}) == 1
    assert actions(desk.push(lead("A1"), as_of="2026-08-01")) == {"waiting": 1}
    assert actions(desk.push(lead("A1"), as_of="2026-09-01")) == {"create": 1}
    assert len(desk.crm.stored_keys()) == 2
    assert desk.crm.fields(KEY)["status"] == "open", "what sales has closed is not touched any more"


def test_scores_are_handed_over_where_they_are_wanted(desk: Desk) -> None:
    desk.options["send"] = ("lead", "score")
    first = desk.push(lead("A1"), scores=[score("A1"), score("A2"), score("A2")])
    assert actions(first, "score") == {"create": 2}
    second = desk.push(lead("A1"), scores=[score("A1", propensity=0.5), score("A2", rank=9)])
    assert actions(second, "score") == {"update": 1, "unchanged": 1}


# a new or lost outbox


def test_with_a_lost_outbox_nothing_is_there_twice_and_nothing_moves(desk: Desk) -> None:
    desk.push(lead("A1"), lead("A2"))
    before = {k: dict(desk.crm.fields(k)) for k in desk.crm.stored_keys()}
    (desk.home / "outbox.sqlite").unlink()
    again = desk.push(lead("A1"), lead("A2", propensity=0.9), as_of="2026-07-01")
    assert actions(again) == {"unchanged": 1, "update": 1}
    assert len(desk.crm.stored_keys()) == 2
    assert desk.crm.fields(KEY) == before[KEY]


def test_with_a_lost_outbox_neither_the_due_date_nor_the_executive_moves(desk: Desk) -> None:
    desk.push(lead("A1"))
    (desk.home / "outbox.sqlite").unlink()
    desk.push(lead("A1", ae_id="AE-2"), as_of="2026-08-01")
    held = desk.crm.fields(KEY)
    assert (held["owner"], held["opened_on"], held["answer_due"]) == ("AE-1", "2026-07-01", "2026-07-06")
    assert held["as_of"] == "2026-08-01"


def test_what_arrived_before_a_crash_is_found_and_not_sent_again(desk: Desk) -> None:
    def die(name: str) -> None:
        if name == "answer":
            raise Killed

    desk.crm.before_call = die
    with pytest.raises(Killed):
        desk.push(lead("A1"), lead("A2"))
    desk.crm.before_call = lambda name: None
    again = desk.push(lead("A1"), lead("A2"))
    assert (actions(again), desk.crm.writes) == ({"unchanged": 2}, 1)
    assert {r["result"] for r in history(desk.config, push_id=1)[0]["results"]} == {"acknowledged"}


def test_with_a_lost_outbox_what_the_crm_has_of_a_newer_run_is_not_overwritten(desk: Desk) -> None:
    desk.push(lead("A1", propensity=0.9), as_of="2026-08-01")
    desk.crm.fields(KEY)["as_of"] = "2026-08-01"
    (desk.home / "outbox.sqlite").unlink()
    assert actions(desk.push(lead("A1"), as_of="2026-07-01")) == {"older": 1}
    assert desk.crm.fields(KEY)["propensity"] == 0.9


# what dies


def test_invalid_rows_die_with_their_reason_and_stop_nobody(desk: Desk) -> None:
    desk.crm.invalid = {KEY}
    pushed = desk.push(*(lead(f"A{n}") for n in range(1, 8)))
    assert (pushed.counts, pushed.exit_code) == ({"create": 6, "dead": 1}, 1)
    assert [(r.key, r.dead_because, r.error) for r in pushed.dead] == [(KEY, "invalid", "no such company")]
    writes = desk.crm.writes
    again = desk.push(*(lead(f"A{n}") for n in range(1, 8)))
    assert actions(again) == {"unchanged": 6, "invalid": 1}
    assert (again.exit_code, desk.crm.writes) == (1, writes), "known to be invalid: not sent again"


def test_a_dead_row_is_replayed_when_the_cause_is_mended(desk: Desk) -> None:
    desk.crm.invalid = {KEY}
    desk.push(lead("A1"), lead("A2"))
    desk.crm.invalid = set()
    with pytest.raises(UsageError, match=f"no dead row 'nonsense'; dead are: {KEY}"):
        desk.replay("nonsense")
    pushed = desk.replay(KEY)
    assert (pushed.counts, pushed.exit_code) == ({"create": 1}, 0)
    assert len(desk.crm.stored_keys()) == 2
    assert desk.replay().counts == {}


def test_a_changed_payload_revives_a_dead_row(desk: Desk) -> None:
    desk.crm.invalid = {KEY}
    desk.push(lead("A1"))
    desk.crm.invalid = set()
    assert desk.push(lead("A1", account_name="A better name")).counts == {"create": 1}


def test_a_dead_row_that_is_not_wanted_any_more_is_forgotten(desk: Desk) -> None:
    desk.crm.invalid = {KEY}
    desk.push(lead("A1"), lead("A2"))
    again = desk.push(lead("A2"), as_of="2026-08-01")
    assert actions(again)["drop"] == 1
    assert again.exit_code == 0


def test_rows_that_are_given_up_for_want_of_an_answer_go_on_with_the_next_run(desk: Desk) -> None:
    desk.options |= {"max_attempts": 3}
    desk.crm.script = ["dropped"] * 20
    pushed = desk.push(lead("A1"))
    assert [(r.dead_because, r.attempts) for r in pushed.dead] == [("exhausted", 3)]
    desk.crm.script = []
    assert desk.push(lead("A1")).exit_code == 0
    assert desk.crm.stored_keys() == [KEY]


def test_a_field_that_is_too_long_is_invalid_and_prose_is_shortened(desk: Desk) -> None:
    desk.crm.limits = {"product": 4, "proof_of_value": 20}
    pushed = desk.push(lead("A1"), lead("A2", product="Analytics"))
    assert [r.error for r in pushed.dead] == ["product has 9 characters; the field there takes 4: make it longer"]
    assert desk.crm.fields(KEY)["proof_of_value"] == "46 of 50 seats […]"


def test_a_batch_that_is_refused_as_a_whole_is_split_until_the_bad_row_stands_alone(desk: Desk) -> None:
    desk.crm.whole, desk.crm.batch_size, desk.crm.invalid = True, 8, {KEY}
    pushed = desk.push(*(lead(f"A{n}") for n in range(1, 9)))
    assert pushed.counts == {"create": 7, "dead": 1}
    assert sorted(len(b) for b in desk.crm.batches) == [1, 1, 2, 2, 4, 4, 8]


# waiting


def test_retry_after_holds_for_the_whole_sink(desk: Desk) -> None:
    desk.crm.script = ["unavailable"]
    desk.push(*(lead(f"A{n}") for n in range(6)))
    begun, *later = (t for name, t in zip(desk.crm.requests, desk.crm.times, strict=True) if name == "submit")
    # 2 s were asked for; half of the first delay is added as jitter. The other batch waits as well.
    assert [t - begun for t in later] == pytest.approx([2.5, 2.5])


def test_a_sink_that_asks_for_too_much_time_is_left_and_the_next_push_goes_on(desk: Desk) -> None:
    desk.options |= {"patience": 1.0}
    desk.crm.script = ["unavailable"]
    pushed = desk.push(lead("A1"))
    assert (pushed.unfinished, pushed.exit_code) == (1, 1)
    assert desk.push(lead("A1")).exit_code == 0


def test_a_bulk_job_without_an_end_is_given_up_and_a_replay_asks_again(desk: Desk) -> None:
    desk.options |= {"poll_interval": 10.0, "poll_limit": 30.0}
    desk.crm.polls = 1_000_000
    pushed = desk.push(lead("A1"))
    assert [r.error for r in pushed.dead] == ["the sink has not finished its job within 30 s; replay it"]
    desk.crm.polls = 1
    assert desk.replay().exit_code == 0
    assert desk.crm.writes == 1, "collected, not sent again"


def test_reading_is_tried_again_and_an_unreachable_sink_changes_nothing(desk: Desk) -> None:
    from csql_ml.handoff.sink import TransientError

    def down(name: str) -> None:
        raise TransientError("connection refused")

    desk.crm.before_call = down
    with pytest.raises(DeliveryError, match=r"scripted cannot be reached \(looking up leads: connection refused\)"):
        desk.push(lead("A1"))
    assert len(desk.crm.requests) == 10
    desk.crm.before_call = lambda name: None
    assert desk.push(lead("A1")).counts == {"create": 1}


# preflight


def test_a_refusal_stops_everything_unless_it_is_accepted_by_name(desk: Desk) -> None:
    desk.crm.findings = [Finding("lead_source", "refuse", "the lead source CSQL does not exist")]
    with pytest.raises(DeliveryError, match=r"nothing was sent: the lead source CSQL does not exist \[lead_source\]"):
        desk.push(lead("A1"))
    assert desk.crm.stored_keys() == []
    assert desk.dry_run(lead("A1")).exit_code == 1
    assert desk.push(lead("A1"), accept=("lead_source",)).exit_code == 0


def test_without_a_unique_key_a_push_is_refused_or_followed_by_a_sweep(desk: Desk) -> None:
    desk.crm.unique = False
    with pytest.raises(DeliveryError, match=r"the key field is not unique in scripted.*\[no_unique_key\]"):
        desk.push(lead("A1"))
    desk.crm.script = ["late"]
    pushed = desk.push(lead("A1"), accept=("no_unique_key",))
    desk.world.finish()
    assert desk.crm.stored_keys() == [KEY, KEY], "measured: this is what a late request does without a unique key"
    pushed = desk.push(lead("A1"), accept=("no_unique_key",))
    assert [s.key for s in pushed.swept] == [KEY]
    assert desk.crm.stored_keys() == [KEY, f"{KEY}#withdrawn"]


# one at a time, whole or not at all


def test_a_second_sender_is_refused_and_told_who_is_at_work(desk: Desk) -> None:
    held = only_sender(desk.home / "outbox.sqlite", "scripted", "2026-07-01T00:00:00+00:00")
    with held, pytest.raises(DeliveryError, match=r"another push to scripted is at work .*process \d+ on .*since 2026"):
        desk.push(lead("A1"))
    assert desk.push(lead("A1")).exit_code == 0


def test_a_run_is_wanted_whole_or_not_at_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "begin_push", die)
        with pytest.raises(Killed):
            desk.push(lead("A1"), lead("A2"))
    with closing(sqlite3.connect(desk.home / "outbox.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM deliveries").fetchone() == (0,)
    assert desk.push(lead("A1"), lead("A2")).counts == {"create": 2}


# dry run


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("sink", ["scripted", "files"])
def test_a_dry_run_writes_nothing_anywhere(desk: Desk, sink: str) -> None:
    given = {"sink": desk.crm, "clock": desk.world.clock()} if sink == "scripted" else {}
    first, second = desk.run(lead("A1"), lead("A2")), desk.run(lead("A1", propensity=0.7), lead("A3"))
    before = everything(desk.home)
    assert actions(dry_run(desk.config, first, sink, **given)) == {"create": 2}  # type: ignore[arg-type]
    assert everything(desk.home) == before, "not even an empty outbox"
    push(desk.config, first, sink, **given)  # type: ignore[arg-type]
    before, stored, writes = everything(desk.home), json.dumps(desk.crm.stored), desk.crm.writes
    found = dry_run(desk.config, second, sink, **given)  # type: ignore[arg-type]
    assert actions(found) == {"create": 1, "update": 1, "withdraw": 1}
    assert everything(desk.home) == before
    assert (json.dumps(desk.crm.stored), desk.crm.writes) == (stored, writes)


def test_a_dry_run_says_field_by_field_what_the_push_then_does(desk: Desk) -> None:
    desk.push(lead("A1"), lead("A2"))
    changed = (lead("A1", propensity=0.7, stakeholders=[]), lead("A3"))
    found = desk.dry_run(*changed)
    assert found.plan is not None
    differences = {(c.action, c.account_id): c.differences for c in found.plan.changes}
    fields = [(d.field, d.before, d.after) for d in differences["update", "A1"]]
    assert fields == [
        ("propensity", 0.4123, 0.7),
        ("stakeholders", "Ines Okafor (Buyer), since Jun 1, 2026, last contact Jun 28, 2026", None),
    ]
    assert [(d.field, d.after) for d in differences["withdraw", "A2"]] == [("status", "withdrawn")]
    assert desk.push(*changed).counts == {"create": 1, "update": 1, "withdraw": 1}


def test_a_dry_run_after_a_crash_reads_what_was_committed(desk: Desk) -> None:
    steps = iter(range(100))

    def die_at_the_second_submit(name: str) -> None:
        if name == "submit" and next(steps) == 1:
            raise Killed

    desk.crm.before_call = die_at_the_second_submit
    with pytest.raises(Killed):
        desk.push(*(lead(f"A{n}") for n in range(6)))
    desk.crm.before_call = lambda name: None
    before = everything(desk.home)
    found = desk.dry_run(*(lead(f"A{n}") for n in range(6)))
    assert actions(found) == {"unchanged": 3, "create": 3}
    left = {k: v for k, v in everything(desk.home).items() if "run-" not in k}
    assert left == {k: v for k, v in before.items() if "run-" not in k}


# history


def test_the_history_has_counts_durations_and_results_row_by_row(desk: Desk) -> None:
    desk.crm.invalid = {KEY}
    desk.push(lead("A1"), lead("A2"))
    desk.push(lead("A1"), lead("A2"))
    newest, oldest = history(desk.config)
    assert (oldest["push_id"], oldest["job"], oldest["run_id"], oldest["as_of"]) == (1, "push", "run-1", "2026-07-01")
    assert oldest["counts"] == {"create": 1, "dead": 1}
    assert oldest["seconds"] >= 0
    assert newest["planned"]["lead"]["unchanged"] == 1
    (one,) = history(desk.config, push_id=1)
    results = {r["account_id"]: (r["action"], r["result"], r["attempts"], r["error"]) for r in one["results"]}
    assert results == {"A1": ("create", "dead", 1, "no such company"), "A2": ("create", "acknowledged", 1, None)}
    with pytest.raises(UsageError, match="there is no push 9; the newest is 2"):
        history(desk.config, push_id=9)


def test_an_interrupted_push_has_no_end_in_the_history(desk: Desk) -> None:
    def die(name: str) -> None:
        if name == "submit":
            raise Killed

    desk.crm.before_call = die
    with pytest.raises(Killed):
        desk.push(lead("A1"))
    assert history(desk.config)[0]["ended_at"] is None


def test_there_is_no_history_before_the_first_push_and_asking_makes_no_file(desk: Desk) -> None:
    assert history(desk.config) == []
    assert not (desk.home / "outbox.sqlite").exists()


def test_every_field_of_a_lead_reaches_the_sink(desk: Desk) -> None:
    desk.push(lead("A1"))
    assert set(desk.crm.fields(KEY)) == {f.name for f in FIELDS["lead"]}
    assert all(value is not None for value in desk.crm.fields(KEY).values())
