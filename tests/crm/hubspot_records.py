"""Records for the stand-in of HubSpot, and what it has of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from csql_ml.handoff.push import Pushed, push
from csql_ml.handoff.record import Record
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import HubSpotServer
from tests.handoff.scripted_sink import World
from tests.handoff.small_run import config


def record(account: str = "A0", key: str = "", **more: Any) -> Record:
    payload = {
        "lead_key": key or f"key-{account}",
        "status": "open",
        "title": f"Upsell for {account}",
        "account_id": account,
        "lead_source": "CSQL",
        "lead_type": "upsell",
        "product": "Pro",
        "owner": "AE-1",
        "csm_id": "CSM-1",
        "opened_on": "2026-07-01",
        "answer_due": "2026-07-06",
        "propensity": 0.4123,
        "potential_arr": 10_000.0,
        "proof_of_value": "46 of 50 seats\nactive\u2028today",
        "stakeholders": None,
        "as_of": "2026-07-01",
        **more,
    }
    return Record("lead", str(payload["lead_key"]), account, str(payload["as_of"]), payload)


def changed(before: Record, remote_id: str, **more: Any) -> Record:
    """A later record of the same key, of which only these fields changed."""
    payload = {**before.payload, **more}
    return replace(before, payload=payload, as_of=str(payload["as_of"]), remote_id=remote_id, changed=frozenset(more))


def stored(crm: HubSpotServer, key: str = "key-A0", kind: str = "leads") -> dict[str, str]:
    (one,) = crm.state.with_key(kind, key)
    return one.properties


def pushed(tmp_path: Path, run: Path, crm: HubSpotServer, world: World | None = None, **settings: Any) -> Pushed:
    own = config(tmp_path, max_attempts=6)
    return push(own, run, "hubspot", sink=sink(crm.port, **settings), clock=(world or World()).clock())
