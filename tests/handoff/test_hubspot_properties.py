"""Whatever the network does to the project's stand-in for HubSpot: every row ends acknowledged or dead, none twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csql_ml.config.delivery import Delivery
from csql_ml.handoff.delivery import Sender
from csql_ml.handoff.outbox import Outbox
from tests.crm.hubspot_records import record
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import Fault, HubSpotServer
from tests.handoff.scripted_sink import World
from tests.handoff.test_delivery_properties import connection, want

SETTINGS = Delivery(max_attempts=60, first_delay=1.0, longest_delay=8.0)
#: What can become of a request. ``overtaking``: it arrives after the look at what is there, before the second try.
FATES = ("lost", "dropped", "late", "overtaking", 500, 503, 429, 423)
PATHS = ("batch/create", "batch/update", "s/batch/read", "companies/batch/read", "contacts/batch/read")
NAMES = {"leads": "hs_lead_name", "deals": "dealname"}
PLAIN = {
    "object": "leads",
    "rows": 4,
    "invalid": {1},
    "absent": {2},
    "versions": 1,
    "faults": [("batch/create", "overtaking")],
    "multi_status": True,
    "traced": True,
    "arrives": 0,
}


@pytest.fixture(scope="module")
def crm() -> Iterator[HubSpotServer]:
    with HubSpotServer() as server:
        yield server


@st.composite
def stories(draw: st.DrawFn) -> dict[str, object]:
    return {
        "object": draw(st.sampled_from(["leads", "deals"])),
        "rows": draw(st.integers(1, 8)),
        "invalid": draw(st.sets(st.integers(0, 7), max_size=3)),
        "absent": draw(st.sets(st.integers(0, 7), max_size=2)),
        "versions": draw(st.integers(1, 2)),
        "faults": draw(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(FATES)), max_size=12)),
        "multi_status": draw(st.booleans()),
        "traced": draw(st.booleans()),
        "arrives": draw(st.integers(0, 6)),
    }


@settings(max_examples=60)
@given(story=stories())
@example(story=PLAIN)
@example(story={**PLAIN, "multi_status": False})
@example(story={**PLAIN, "traced": False})
@example(story={**PLAIN, "object": "deals"})
def test_every_row_ends_acknowledged_or_dead_and_hubspot_has_each_acknowledged_key_once(
    crm: HubSpotServer, story: dict[str, object]
) -> None:
    numbers = range(story["rows"])  # type: ignore[call-overload]
    prepare(crm, story)
    kind, db, world = str(story["object"]), connection(), World()
    hubspot = sink(crm.port, object=kind)
    outbox = Outbox(db, "hubspot")
    for after in range(1, 12):
        world.later(float(after) * story["arrives"], crm.deliver)  # type: ignore[operator]
    for version in range(story["versions"]):  # type: ignore[call-overload]
        # HubSpot gives no means against a late update that overwrites a newer one: faults are for the last version.
        crm.faults = faults(story) if version + 1 == story["versions"] else []
        records = [record(f"A{n}", title=f"version {version}", as_of=f"2026-07-0{version + 1}") for n in numbers]
        want(outbox, records, "run")
        Sender(hubspot, hubspot.capabilities(), outbox, SETTINGS, world.clock(), 1).run()
    crm.deliver()
    rows = outbox.rows("lead")
    acknowledged = sorted(k for k, r in rows.items() if r.state == "acknowledged")
    dead = {k for k, r in rows.items() if r.state == "dead"}
    bad = {f"key-A{n}" for n in {*story["invalid"], *story["absent"]}}  # type: ignore[misc]
    assert {*acknowledged} | dead == {f"key-A{n}" for n in numbers}
    assert dead == bad & set(rows)
    assert all(rows[k].error for k in dead)
    assert crm.state.keys(kind) == acknowledged, "each acknowledged key once, and nothing else"
    titles = {s.properties[NAMES[kind]] for s in crm.state.objects[kind].values()}
    assert titles <= {f"version {story['versions'] - 1}"}  # type: ignore[operator]
    assert crm.broken == []


def prepare(crm: HubSpotServer, story: dict[str, object]) -> None:
    """An account of its own for each story."""
    crm.forget()
    crm.multi_status, crm.traced = bool(story["multi_status"]), bool(story["traced"])
    for n in range(8):
        if n not in story["absent"]:  # type: ignore[operator]
            crm.state.company(f"A{n}")
    crm.state.refused = {f"A{n}" for n in story["invalid"]}  # type: ignore[attr-defined]


def faults(story: dict[str, object]) -> list[Fault]:
    limit = {"policyName": "SECONDLY"}
    return [Fault(path, what, limit) for path, what in story["faults"]]  # type: ignore[attr-defined]
