"""A new, lost or interrupted outbox: nothing is there twice and nothing moves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.push import history
from csql_ml.handoff.sender_lock import only_sender
from tests.handoff.push_desk import KEY, Desk, actions
from tests.handoff.scripted_sink import Killed
from tests.handoff.small_run import lead


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


def test_a_second_sender_is_refused_and_told_who_is_at_work(desk: Desk) -> None:
    held = only_sender(desk.home / "outbox.sqlite", "scripted", "2026-07-01T00:00:00+00:00")
    with (
        held,
        pytest.raises(
            DeliveryError, match=r"another push to scripted, or pull from it, is at work .*process \d+ on .*since 2026"
        ),
    ):
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
