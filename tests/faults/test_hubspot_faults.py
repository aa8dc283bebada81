"""Killed senders and a bad network before the project's stand-in for HubSpot, which is not HubSpot's own system."""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.push import push
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import HubSpotServer
from tests.faults.fault_proxy import FaultProxy
from tests.faults.sender import Senders
from tests.handoff.small_run import config, lead, write_run

LEADS, INVALID = 400, 5
ACCOUNTS = [f"A{n:04d}" for n in range(LEADS)]
BAD = set(random.Random(1).sample(ACCOUNTS, INVALID))
#: Ten seeds are what counts; one of them in every run of the suite.
SEEDS = [pytest.param(seed, marks=pytest.mark.slow) if seed >= 1 else seed for seed in range(10)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and SIGKILL")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"), [lead(a) for a in ACCOUNTS])


@pytest.fixture(scope="module")
def senders() -> Iterator[Senders]:
    with Senders("tests.crm.hubspot_sender:push_to_hubspot") as found:
        yield found


@pytest.fixture
def crm() -> Iterator[HubSpotServer]:
    """An account with a company for each lead, where a rule refuses the leads of five."""
    with HubSpotServer() as server:
        for account in ACCOUNTS:
            server.state.company(account)
        server.state.refused = set(BAD)
        yield server
        assert server.broken == []


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_is_there_twice(
    seed: int, run: Path, senders: Senders, crm: HubSpotServer, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    with FaultProxy("127.0.0.1", crm.port, seed) as proxy:
        asked = {"home": str(tmp_path), "run": str(run), "port": proxy.port}
        ends = [senders.run(moments.uniform(0.1, 0.7), **asked) for _ in range(4)]
        assert senders.run(**asked) == 1, "five rows are dead, and the exit code says so"
        proxy.finish()
    states = rows(tmp_path / "outbox.sqlite")
    acknowledged = sorted(key for key, state in states.items() if state == "acknowledged")
    assert -9 in ends, "at least one sender was killed at work"
    assert sum(count for fate, count in proxy.fates.items() if fate != "fine") > 10
    assert (len(acknowledged), list(states.values()).count("dead")) == (LEADS - INVALID, INVALID)
    assert crm.state.keys() == acknowledged, "nothing lost, nothing twice"


def rows(outbox: Path) -> dict[str, str]:
    with closing(sqlite3.connect(outbox)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(connection.execute("SELECT key, state FROM deliveries"))


def test_without_a_unique_key_the_push_is_refused(run: Path, crm: HubSpotServer, tmp_path: Path) -> None:
    crm.state.definition("leads", "csql_lead_key")["hasUniqueValue"] = False
    with pytest.raises(DeliveryError, match=r"leads\.csql_lead_key takes a value twice.*\[no_unique_key\]"):
        push(config(tmp_path), run, "hubspot", sink=sink(crm.port))
    assert crm.writes == 0
