"""What preflight refuses, and what --accept means."""

from __future__ import annotations

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.sink import Finding
from tests.handoff.push_desk import KEY, Desk
from tests.handoff.small_run import lead


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
