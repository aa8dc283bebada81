"""While the sink works on one batch, the next one is made ready: what is on the disk when, and what if it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff import outbox as outbox_module
from tests.handoff.push_desk import Desk
from tests.handoff.scripted_sink import Killed
from tests.handoff.small_run import lead

LEADS = [lead(f"A{n}") for n in range(9)]


def states(home: Path) -> dict[str, str]:
    """State by key, as somebody else who opens the outbox finds it."""
    with closing(sqlite3.connect(home / "outbox.sqlite")) as connection:
        return dict(connection.execute("SELECT key, state FROM deliveries"))


def at_submit(desk: Desk, act: Callable[[int], None]) -> None:
    """Do something when the sink is called with its first, second ... batch."""

    def called(name: str) -> None:
        if name == "submit":
            act(desk.crm.writes)

    desk.crm.before_call = called


def test_whatever_leaves_was_on_the_disk_as_in_flight_before(desk: Desk) -> None:
    seen: list[dict[str, str]] = []
    at_submit(desk, lambda number: seen.append(states(desk.home)))
    desk.push(*LEADS)
    for found, batch in zip(seen, desk.crm.batches, strict=True):
        assert {found[key] for key in batch} == {"in_flight"}


def test_one_transaction_a_batch_and_two_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    changes_of: list[int] = []
    whole = outbox_module.transaction

    @contextmanager
    def counted(connection: sqlite3.Connection) -> Iterator[None]:
        changes = connection.total_changes
        with whole(connection):
            yield
        if connection.total_changes > changes:
            changes_of.append(connection.total_changes - changes)

    monkeypatch.setattr(outbox_module, "transaction", counted)
    desk.push(*LEADS)
    # The plan, the first batch; with each, the answers to the one before and the next one; the last answers, the end.
    assert len(desk.crm.batches) == 3
    assert len(changes_of) == 2 + 3 + 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_where_the_sink_cannot_go_on_the_next_batch_is_put_back(desk: Desk, number: int) -> None:
    def refuse(now: int) -> None:
        if now == number:
            raise DeliveryError("the password has expired")

    at_submit(desk, refuse)
    with pytest.raises(DeliveryError, match="password"):
        desk.push(*LEADS)
    found = list(states(desk.home).values())
    counts = found.count("acknowledged"), found.count("in_flight"), found.count("pending")
    assert counts == (3 * (number - 1), 3, 9 - 3 * number)
    desk.crm.before_call = lambda name: None
    assert desk.push(*LEADS).exit_code == 0
    assert len(desk.crm.stored) == 9


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_process_that_dies_in_a_batch_leaves_two_to_look_up(desk: Desk, number: int) -> None:
    def die(now: int) -> None:
        if now == number:
            raise Killed

    at_submit(desk, die)
    with pytest.raises(Killed):
        desk.push(*LEADS)
    found = list(states(desk.home).values())
    assert found.count("in_flight") == (6 if number < 3 else 3)
    desk.crm.before_call = lambda name: None
    pushed = desk.push(*LEADS)
    assert (pushed.exit_code, len(desk.crm.stored)) == (0, 9)
    sent = [key for batch in desk.crm.batches for key in batch]
    assert len(sent) == len(set(sent)) == 9, "what had arrived was not sent again"
