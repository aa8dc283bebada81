"""Senders killed at random moments, a network that drops, fails, loses and delays, and a real CRM behind it."""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crm.tryton_server import TrytonServer
from tests.faults.fault_proxy import FaultProxy
from tests.faults.sender import Senders
from tests.handoff.small_run import lead, write_run

LEADS, INVALID = 400, 5
#: Ten seeds are what counts; three of them in every run of the engines' tests.
SEEDS = [pytest.param(seed, marks=pytest.mark.slow) if seed >= 3 else seed for seed in range(10)]

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(sys.platform == "win32", reason="forks and SIGKILL"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 leads: two of accounts that Tryton does not know, three with values for which it undoes a whole batch."""
    bad = random.Random(1).sample(range(LEADS), INVALID)
    leads = [
        lead(
            f"{'UNKNOWN' if n in bad[:2] else 'A'}{n:04d}",
            ae_id=f"AE-{n % 5 + 1}",
            **({"propensity": 1.5} if n in bad[2:] else {}),
        )
        for n in range(LEADS)
    ]
    return write_run(tmp_path_factory.mktemp("run"), leads)


@pytest.fixture(scope="module")
def senders() -> Iterator[Senders]:
    with Senders("tests.crm.tryton_desk:push_to_tryton") as found:
        yield found


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_is_there_twice(
    seed: int, run: Path, senders: Senders, crm: TrytonServer, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    with FaultProxy("127.0.0.1", crm.port, seed) as proxy:
        asked = {"home": str(tmp_path), "run": str(run), "port": proxy.port}
        ends = [senders.run(moments.uniform(0.3, 1.5), **asked) for _ in range(4)]
        assert senders.run(**asked) == 1, "five rows are dead, and the exit code says so"
        proxy.finish()
    states = outbox(tmp_path / "outbox.sqlite")
    acknowledged = {key for key, state in states.items() if state == "acknowledged"}
    dead = {key for key, state in states.items() if state == "dead"}
    there = [key for (key,) in crm.sql("SELECT csql_key FROM sale_opportunity")]
    assert -9 in ends, "at least one sender was killed at work"
    assert sum(count for fate, count in proxy.fates.items() if fate != "fine") > 10, proxy.fates
    assert (len(acknowledged), len(dead)) == (LEADS - INVALID, INVALID)
    assert set(there) == acknowledged, "nothing lost"
    assert len(there) == LEADS - INVALID, "nothing twice"


def outbox(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT key, state FROM deliveries"))
