"""The state machine, transition by transition."""

from __future__ import annotations

from dataclasses import replace

import pytest

from csql_ml.handoff.record import Record
from csql_ml.handoff.row import (
    Row,
    given_up,
    new_row,
    not_taken,
    refused,
    replayed,
    running,
    sending,
    taken,
    unknown,
    wanted,
)


def record(title: str = "one", as_of: str = "2026-07-01") -> Record:
    return Record("lead", "k", "A1", as_of, {"lead_key": "k", "title": title, "status": "open", "as_of": as_of})


def row(title: str = "one") -> Row:
    return new_row(record(title), "create", "run-1", "upsell:Pro")


def acknowledged(title: str = "one") -> Row:
    return taken(sending(row(title), "", 10.0), "R1")


def test_from_wanted_to_acknowledged() -> None:
    flying = sending(row(), "job-1", 10.0)
    assert (flying.state, flying.attempts, flying.receipt) == ("in_flight", 1, "job-1")
    done = taken(flying, "R1")
    assert (done.state, done.remote_id, done.receipt, done.sent_payload) == ("acknowledged", "R1", "", None)
    assert done.acknowledged == done.wanted


def test_what_changed_while_it_was_in_flight_is_sent_afterwards() -> None:
    newer = wanted(sending(row("one"), "", 10.0), record("two"), "update", "run-2")
    assert newer.state == "in_flight", "it is looked at before anything is sent again"
    after = taken(newer, "R1")
    assert after.state == "pending"
    assert after.attempts == 0
    assert after.record().changed == {"title"}


def test_only_changed_fields_are_sent_to_who_has_the_record() -> None:
    again = wanted(acknowledged(), record("two", "2026-08-01"), "update", "run-2")
    assert again.record().sent_fields() == {"title": "two", "as_of": "2026-08-01"}
    assert row().record().changed is None


def test_wanting_what_the_sink_has_cancels_what_was_not_sent_yet() -> None:
    pending = wanted(acknowledged("one"), record("two"), "update", "run-2")
    assert wanted(pending, record("one"), "update", "run-3").state == "acknowledged"


def test_a_row_is_dead_after_its_last_attempt_and_not_before() -> None:
    flying = replace(sending(row(), "", 10.0), attempts=3)
    assert not_taken(flying, 20.0, "locked", most=4).state == "retry"
    dead = not_taken(flying, 20.0, "locked", most=3)
    assert (dead.state, dead.dead_because) == ("dead", "exhausted")
    assert dead.error == "given up after 3 attempts; the last one: locked"


def test_being_part_of_a_refused_batch_is_no_attempt() -> None:
    back = not_taken(sending(row(), "", 10.0), 0.0, "batch refused", most=1, counted=False)
    assert (back.state, back.attempts) == ("retry", 0)


def test_an_invalid_row_stays_dead_until_it_changes() -> None:
    dead = refused(sending(row("one"), "", 10.0), "no such\n company ")
    assert (dead.state, dead.dead_because, dead.error) == ("dead", "invalid", "no such company")
    assert wanted(dead, record("one"), "create", "run-2") is dead
    assert wanted(dead, record("two"), "create", "run-2").state == "pending"


def test_a_newer_payload_is_not_blamed_for_the_one_that_was_refused() -> None:
    newer = wanted(sending(row("one"), "", 10.0), record("two"), "create", "run-2")
    assert refused(newer, "no such company").state == "pending"


def test_who_was_given_up_without_news_is_looked_up_before_it_is_sent_again() -> None:
    dead = given_up(sending(row(), "job-1", 10.0), "no end")
    assert (dead.state, dead.dead_because) == ("dead", "exhausted")
    for again in (replayed(dead), wanted(dead, record(), "create", "run-2")):
        assert (again.state, again.receipt, again.attempts, again.error) == ("in_flight", "job-1", 0, None)


def test_unanswered_rows_wait_and_are_given_up_in_the_end() -> None:
    flying = sending(row(), "", 10.0)
    waiting = unknown(flying, 15.0, "timeout", most=5)
    assert (waiting.state, waiting.next_attempt, waiting.attempts, waiting.error) == ("in_flight", 15.0, 2, "timeout")
    assert unknown(replace(flying, attempts=5), 15.0, "timeout", most=5).state == "dead"
    assert running(flying, 10.0, 15.0).next_attempt == 15.0


def test_only_dead_rows_are_replayed() -> None:
    with pytest.raises(ValueError, match="lead k is acknowledged, not dead"):
        replayed(acknowledged())


def test_reopening_forgets_what_sales_made_of_it_before() -> None:
    assert wanted(replace(acknowledged(), outcome="accepted"), record("two"), "reopen", "run-2").outcome is None
