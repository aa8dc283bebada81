"""Lost answers, late requests and limits, at the project's stand-in for HubSpot, which is not HubSpot's own system."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.push import dry_run
from csql_ml.handoff.sink import TransientError
from tests.crm.hubspot_records import changed, pushed, record, stored
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import TOKEN, Fault, HubSpotServer
from tests.handoff.scripted_sink import World
from tests.handoff.small_run import config, lead, write_run


@pytest.fixture
def crm() -> Iterator[HubSpotServer]:
    with HubSpotServer() as server:
        for n in range(6):
            server.state.company(f"A{n}")
        yield server
        assert server.broken == []


# ---------------------------------------------------------------- lost answers and late requests


def test_a_second_create_of_a_key_is_refused_and_left_to_be_looked_up(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    hubspot.submit("lead", [record()], "")
    again = hubspot.submit("lead", [record(title="Other"), record("A1")], "")
    assert [(r.key, r.status) for r in again] == [("key-A1", "acknowledged")]
    crm.multi_status = False
    assert hubspot.submit("lead", [record(title="Other"), record("A2")], "") == [], "nobody knows: all are looked up"
    assert stored(crm)["hs_lead_name"] == "Upsell for A0"


def test_a_failed_read_before_the_write_has_surely_done_nothing(crm: HubSpotServer) -> None:
    crm.faults = [Fault("companies/batch/read", 500)]
    with pytest.raises(TransientError) as caught:
        sink(crm.port).submit("lead", [record()], "")
    assert not caught.value.uncertain


def test_after_half_a_batch_was_taken_nothing_reads_as_if_none_was(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    (made,) = hubspot.submit("lead", [record()], "")
    both = [changed(record(), str(made.remote_id), title="New"), record("A1")]
    crm.faults = [Fault("batch/create", 429, {"policyName": "SECONDLY"})]
    with pytest.raises(TransientError) as caught:
        hubspot.submit("lead", both, "")
    assert caught.value.uncertain
    crm.faults = [Fault("batch/create", 400, {"category": "VALIDATION_ERROR"})]
    assert [r.key for r in hubspot.submit("lead", both, "")] == ["key-A0"]


@pytest.mark.parametrize("what", ["lost", "dropped", "late", "overtaking", "hang", 500, 429])
def test_whatever_becomes_of_the_first_try_each_lead_is_there_once(
    crm: HubSpotServer, tmp_path: Path, what: int | str
) -> None:
    run = write_run(tmp_path / "run", [lead(f"A{n}") for n in range(3)])
    crm.faults = [Fault("batch/create", what, {"policyName": "TEN_SECONDLY_ROLLING"}, seconds=0.4)]
    world = World()
    world.later(0.0, crm.deliver)
    found = pushed(tmp_path, run, crm, world, read_timeout=0.2)
    crm.deliver()
    assert (found.counts, found.dead) == ({"create": 3}, ())
    assert len(crm.state.keys()) == len(set(crm.state.keys())) == 3
    if what == 429:
        assert max(world.slept) >= 10.0, "the limit's own time was waited for"


def test_a_late_create_is_refused_but_a_late_update_is_not(crm: HubSpotServer) -> None:
    """What HubSpot gives no means against: an old update that arrives late is carried out, and nobody hears of it."""
    hubspot = sink(crm.port)
    crm.faults = [Fault("batch/create", "late")]
    with pytest.raises(TransientError):
        hubspot.submit("lead", [record(title="First")], "")
    (made,) = hubspot.submit("lead", [record(title="Second")], "")
    crm.deliver()
    assert stored(crm)["hs_lead_name"] == "Second", "the unique key refused the late one"
    crm.faults = [Fault("batch/update", "late")]
    with pytest.raises(TransientError):
        hubspot.submit("lead", [changed(record(), str(made.remote_id), title="Third")], "")
    hubspot.submit("lead", [changed(record(), str(made.remote_id), title="Fourth")], "")
    crm.deliver()
    assert stored(crm)["hs_lead_name"] == "Third"
    assert crm.state.keys() == ["key-A0"]


def test_429_then_207_through_the_whole_push(crm: HubSpotServer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [lead(f"A{n}") for n in range(6)])
    crm.state.refused = {"A3"}
    crm.faults = [Fault("batch/create", 429, {"policyName": "TEN_SECONDLY_ROLLING"}, times=2)]
    found = pushed(tmp_path, run, crm)
    assert found.counts == {"create": 5, "dead": 1}
    assert found.exit_code == 1
    assert found.dead[0].error == "HubSpot refuses it: VALIDATION_ERROR, RULE of csql_account_id"
    assert crm.count("batch/create") == 3
    before = crm.writes
    assert pushed(tmp_path, run, crm).counts == {"dead": 1}
    assert crm.writes == before, "what HubSpot has is not sent again"


def test_the_daily_limit_ends_the_push_and_the_next_one_goes_on(crm: HubSpotServer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [lead(f"A{n}") for n in range(3)])
    crm.faults = [Fault("batch/create", 429, {"policyName": "DAILY"})]
    world = World()
    found = pushed(tmp_path, run, crm, world)
    assert (found.unfinished, found.exit_code, crm.state.keys()) == (3, 1, [])
    world.time += 4000
    assert pushed(tmp_path, run, crm, world).counts == {"create": 3}


def test_an_expired_token_in_the_middle_stops_and_loses_nothing(crm: HubSpotServer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [lead(f"A{n}") for n in range(3)])
    crm.faults = [Fault("batch/create", 401, {"category": "EXPIRED_AUTHENTICATION"})]
    with pytest.raises(DeliveryError, match="refuses the access token"):
        pushed(tmp_path, run, crm)
    assert pushed(tmp_path, run, crm).counts == {"create": 3}
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as connection:
        assert TOKEN not in "\n".join(connection.iterdump())


def test_a_dry_run_writes_nothing(crm: HubSpotServer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [lead(f"A{n}") for n in range(3)] + [lead("none")])
    found = dry_run(config(tmp_path), run, "hubspot", sink=sink(crm.port))
    assert found.plan is not None
    counts = found.plan.counts()["lead"]
    assert (counts["create"], counts["invalid"], crm.writes) == (3, 1, 0)
    assert not (tmp_path / "outbox.sqlite").exists()


def test_a_lost_outbox_makes_nothing_twice(crm: HubSpotServer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [lead(f"A{n}") for n in range(3)])
    pushed(tmp_path, run, crm)
    (tmp_path / "outbox.sqlite").unlink()
    before = crm.writes
    assert pushed(tmp_path, run, crm).counts == {}
    assert crm.writes == before
    assert len(crm.state.keys()) == 3
