"""Whatever fails and whenever the process is killed: every row ends acknowledged or dead, nothing lost or twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.config.delivery import Delivery
from csql_ml.handoff.delivery import Sender
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.outbox_file import _prepare
from csql_ml.handoff.record import Record
from csql_ml.handoff.row import new_row, wanted
from tests.handoff.scripted_sink import FATES, Killed, ScriptedCrm, Timed, World

SETTINGS = Delivery(max_attempts=60, first_delay=1.0, longest_delay=8.0, poll_interval=1.0)
# Without a unique key a request that arrives late is a second lead: nobody but the CRM can prevent that.
WITHOUT_LATE = tuple(f for f in FATES if f != "late")


class Steps:
    """Kills the process at the steps given; a step is a moment before or after any write or request."""

    def __init__(self, deaths: list[int]) -> None:
        self._deaths = set(deaths)
        self.count = 0

    def pass_one(self) -> None:
        self.count += 1
        if self.count in self._deaths:
            raise Killed


class WatchedOutbox(Outbox):
    def __init__(self, connection: sqlite3.Connection, sink: str, steps: Steps) -> None:
        super().__init__(connection, sink)
        self._steps = steps

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._steps.pass_one()
        with super().transaction():
            yield
            self._steps.pass_one()
        self._steps.pass_one()


def lead(number: int, version: int) -> Record:
    key = f"key-{number:02d}"
    payload = {
        "lead_key": key,
        "account_id": key,
        "title": f"version {version}",
        "status": "open",
        "as_of": "2026-07-01",
    }
    return Record("lead", key, key, "2026-07-01", payload)


def connection() -> sqlite3.Connection:
    found = sqlite3.connect(":memory:", isolation_level=None)
    found.row_factory = sqlite3.Row
    _prepare(found, ":memory:")  # type: ignore[arg-type]
    return found


def want(outbox: Outbox, records: list[Record], run_id: str) -> int:
    rows = outbox.rows("lead")
    with outbox.transaction():
        for r in records:
            row = rows.get(r.key)
            outbox.put([wanted(row, r, "update", run_id) if row else new_row(r, "create", run_id)])
        return outbox.begin_push("push", None, "2026-07-01T00:00:00+00:00", {})


def until_it_lives(act: object, steps: Steps) -> None:
    while True:
        try:
            act()  # type: ignore[operator]
        except Killed:
            continue
        return


@st.composite
def stories(draw: st.DrawFn) -> dict[str, object]:
    unique = draw(st.booleans())
    versions = draw(st.integers(1, 2))
    # A late request with old values may overwrite newer ones; what is asked here is that the last version arrives.
    fates = FATES if unique and versions == 1 else WITHOUT_LATE
    return {
        "rows": draw(st.integers(1, 9)),
        "invalid": draw(st.sets(st.integers(0, 8), max_size=3)),
        "batch_size": draw(st.integers(1, 5)),
        "unique": unique,
        "versions": versions,
        "whole": draw(st.booleans()),
        "polls": draw(st.sampled_from([None, None, 1, 3])),
        "script": draw(st.lists(st.sampled_from(fates), max_size=25)),
        "deaths": draw(st.lists(st.integers(1, 120), max_size=12)),
        "between": draw(st.integers(1, 60)),
        # Whether the sink is done before or after what goes on meanwhile.
        "at_once": draw(st.lists(st.booleans(), min_size=1, max_size=6)),
    }


@settings(max_examples=400)
@given(stories())
def test_every_row_ends_acknowledged_or_dead_and_the_crm_has_each_key_once(story: dict[str, object]) -> None:
    world, db = World(), connection()
    steps = Steps(list(story["deaths"]))  # type: ignore[call-overload]
    invalid = {f"key-{n:02d}" for n in story["invalid"]}  # type: ignore[attr-defined]
    crm = ScriptedCrm(
        world,
        story["script"],  # type: ignore[arg-type]
        invalid=invalid,
        batch_size=story["batch_size"],  # type: ignore[arg-type]
        unique=story["unique"],  # type: ignore[arg-type]
        whole=story["whole"],  # type: ignore[arg-type]
        polls=story["polls"],  # type: ignore[arg-type]
    )
    crm.before_call = lambda name: steps.pass_one()
    outbox = WatchedOutbox(db, crm.name, steps)
    timed = Timed(story["at_once"])  # type: ignore[arg-type]

    def send() -> None:
        Sender(crm, crm.capabilities(), outbox, SETTINGS, world.clock(), 1, ask=timed).run()

    numbers = range(story["rows"])  # type: ignore[call-overload]
    for version in range(story["versions"]):  # type: ignore[call-overload]
        records = [lead(n, version) for n in numbers]
        until_it_lives(lambda records=records: want(outbox, records, "run"), steps)
        if version + 1 < story["versions"]:  # type: ignore[operator]
            # The first version is interrupted somewhere; the second one is wanted while rows are in flight.
            steps._deaths.add(steps.count + story["between"])  # type: ignore[operator]
            with suppress(Killed):
                send()
        else:
            until_it_lives(send, steps)
    world.finish()
    rows = outbox.rows("lead")
    dead = {k for k, r in rows.items() if r.state == "dead"}
    acknowledged = {k for k, r in rows.items() if r.state == "acknowledged"}
    assert dead | acknowledged == {f"key-{n:02d}" for n in numbers}
    assert dead == invalid & set(rows)
    assert crm.stored_keys() == sorted(acknowledged), "each acknowledged key once, and nothing else"
    last = f"version {story['versions'] - 1}"  # type: ignore[operator]
    assert {crm.fields(k)["title"] for k in acknowledged} <= {last}
    assert all(r.error for r in rows.values() if r.state == "dead")
