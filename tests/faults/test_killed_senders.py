"""Senders killed at random moments, a network that drops, fails, loses and delays: nothing lost, nothing twice."""

from __future__ import annotations

import random
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from csql_ml.errors import CsqlError
from csql_ml.handoff.push import push
from tests.faults.fault_proxy import FaultProxy
from tests.faults.sender import Senders
from tests.faults.small_crm import SmallCrm, SmallCrmSink
from tests.handoff.small_run import config, lead, write_run

LEADS, INVALID = 400, 5
#: Ten seeds are what counts; three of them in every run of the suite.
SEEDS = [pytest.param(seed, marks=pytest.mark.slow) if seed >= 3 else seed for seed in range(10)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and SIGKILL")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 leads, 5 of them of an account without a name, which the CRM does not take."""
    folder = tmp_path_factory.mktemp("run")
    bad = set(random.Random(1).sample(range(LEADS), INVALID))
    leads = [lead(f"A{n:04d}", **({"account_name": ""} if n in bad else {})) for n in range(LEADS)]
    return write_run(folder, leads)


@pytest.fixture(scope="module")
def senders() -> object:
    with Senders("tests.faults.sender:push_to_small_crm") as found:
        yield found


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_is_there_twice(seed: int, run: Path, senders: Senders, tmp_path: Path) -> None:
    moments = random.Random(seed)
    with SmallCrm() as crm, FaultProxy("127.0.0.1", crm.port, seed) as proxy:
        asked = {"home": str(tmp_path), "run": str(run), "port": proxy.port}
        ends = [senders.run(moments.uniform(0.05, 0.5), **asked) for _ in range(4)]
        assert senders.run(**asked) == 1, "five rows are dead, and the exit code says so"
        proxy.finish()
    states = rows(tmp_path / "outbox.sqlite")
    acknowledged = {key for key, state in states.items() if state == "acknowledged"}
    dead = {key for key, state in states.items() if state == "dead"}
    assert -9 in ends, "at least one sender was killed at work"
    assert sum(count for fate, count in proxy.fates.items() if fate != "fine") > 10
    assert (len(acknowledged), len(dead)) == (LEADS - INVALID, INVALID)
    assert set(crm.leads) == acknowledged, "nothing lost"
    assert crm.created == LEADS - INVALID, "nothing twice"


def rows(outbox: Path) -> dict[str, str]:
    with closing(sqlite3.connect(outbox)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(connection.execute("SELECT key, state FROM deliveries"))


def test_without_a_unique_key_the_push_is_refused(run: Path, tmp_path: Path) -> None:
    with SmallCrm() as crm:
        sink = SmallCrmSink(crm.port, unique_key=False)
        with pytest.raises(CsqlError, match=r"key field is not unique in small_crm.*\[no_unique_key\]"):
            push(config(tmp_path), run, "small_crm", sink=sink)
        assert crm.upserts == 0
