"""What the tests of the ``salesforce`` sink share: a sink that speaks to a server of the project's own, and records."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from csql_ml.config import Config
from csql_ml.config.salesforce import Salesforce
from csql_ml.handoff.record import Record
from csql_ml.handoff.salesforce.sink import SalesforceSink
from tests.crm.salesforce_org import USER
from tests.crm.salesforce_server import SalesforceServer
from tests.handoff.small_run import config

LOGIN = {"by": "session", "url": "https://example.my.salesforce.com"}
PAYLOAD = {
    "status": "open",
    "title": "Account A1 · Upsell · Pro",
    "account_id": "A1",
    "account_name": "Account A1",
    "lead_source": "CSQL",
    "lead_type": "upsell",
    "product": "Pro",
    "owner": "AE-1",
    "csm_id": "CSM-1",
    "opened_on": "2026-07-01",
    "answer_due": "2026-07-06",
    "propensity": 0.4123,
    "potential_arr": 10_000.0,
    "proof_of_value": "46 of 50 seats are active",
    "as_of": "2026-07-01",
}


def settings(home: Path, port: int, **given: Any) -> Config:
    """A configuration; ``given`` as under ``delivery.salesforce``, ``delivery_...`` as under ``delivery``."""
    delivery = {n.removeprefix("delivery_"): given.pop(n) for n in list(given) if n.startswith("delivery_")}
    section = {
        "login": LOGIN,
        "instance_url": f"http://127.0.0.1:{port}",
        "owners": {"AE-1": USER},
        "timeout": 5.0,
        **given,
    }
    return config(home, salesforce=Salesforce.model_validate(section), **delivery)


def sink(server: SalesforceServer, home: Path = Path(), **given: Any) -> SalesforceSink:
    """A sink; ``given`` replaces settings of ``delivery.salesforce``."""
    return SalesforceSink(settings(home, server.port, **given), "token-0")


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def record(number: int = 1, changed: set[str] | None = None, remote_id: str | None = None, **payload: Any) -> Record:
    """A lead; ``changed`` names the fields that differ from what is there."""
    values = {"lead_key": key(number), **PAYLOAD, **payload}
    names = None if changed is None else frozenset(changed)
    return Record("lead", key(number), str(values["account_id"]), str(values["as_of"]), values, remote_id, names)
