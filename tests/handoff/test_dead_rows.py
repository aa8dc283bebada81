"""Rows that die, with their reasons, and how they come back."""

from __future__ import annotations

import pytest

from csql_ml.errors import UsageError
from tests.handoff.push_desk import KEY, Desk, actions
from tests.handoff.small_run import lead


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
