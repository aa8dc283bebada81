"""A dry run writes nothing and says what the push then does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from csql_ml.handoff.push import dry_run, push
from tests.handoff.push_desk import Desk, actions
from tests.handoff.scripted_sink import Killed
from tests.handoff.small_run import lead


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
