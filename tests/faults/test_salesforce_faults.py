"""The ``salesforce`` sink with senders killed at random moments and a network that drops, fails, loses and delays.

Behind the faults is a server of the project's own, which is not the vendor's system: what it proves is that the sink
keeps its promises where Salesforce keeps those that its documentation makes, above all that of the unique key.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from csql_ml.errors import CsqlError
from csql_ml.handoff.push import push
from csql_ml.handoff.salesforce.sink import SalesforceSink
from tests.crm.salesforce_org import Org
from tests.crm.salesforce_server import SalesforceServer
from tests.faults.fault_proxy import FaultProxy
from tests.faults.sender import Senders
from tests.handoff.salesforce_case import settings
from tests.handoff.small_run import lead, write_run

LEADS, INVALID = 400, 5
#: Many bulk jobs, or many collections of 10; one seed of each in every run of the suite.
SIZES = {"bulk": {"bulk_from": 1, "bulk_size": 40}, "collections": {"bulk_from": 201, "bulk_size": 10}}
CASES = [
    pytest.param(how, seed, marks=pytest.mark.slow if seed >= 1 else (), id=f"{how}-{seed}")
    for how in SIZES
    for seed in range(10)
]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and SIGKILL")


def push_to_salesforce(home: str, run: str, port: int, how: str) -> int:
    """A sender: push a run to the server behind a port."""
    times = {"max_attempts": 400, "first_delay": 0.01, "longest_delay": 0.05, "poll_interval": 0.01}
    given = {f"delivery_{name}": value for name, value in times.items()}
    config = settings(Path(home), port, **SIZES[how], **given)
    return push(config, Path(run), "salesforce", sink=SalesforceSink(config, "token-0")).exit_code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 leads, 5 of them of a product that a validation rule refuses."""
    folder = tmp_path_factory.mktemp("run")
    bad = set(random.Random(1).sample(range(LEADS), INVALID))
    return write_run(folder, [lead(f"A{n:04d}", product="Old" if n in bad else "Pro") for n in range(LEADS)])


@pytest.fixture(scope="module")
def senders() -> object:
    with Senders("tests.faults.test_salesforce_faults:push_to_salesforce") as found:
        yield found


@pytest.mark.parametrize(("how", "seed"), CASES)
def test_nothing_is_lost_and_nothing_is_there_twice(
    how: str, seed: int, run: Path, senders: Senders, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    org = Org()
    org.rule = lambda row: "not sold any more" if row["CSQL_Product__c"] == "Old" else None
    org.polls = 1
    with SalesforceServer(org) as server, FaultProxy("127.0.0.1", server.port, seed) as proxy:
        asked = {"home": str(tmp_path), "run": str(run), "port": proxy.port, "how": how}
        ends = [senders.run(moments.uniform(0.1, 0.6), **asked) for _ in range(4)]
        assert senders.run(**asked) == 1, "five rows are dead, and the exit code says so"
        proxy.finish()
        assert server.violations == []
    states = rows(tmp_path / "outbox.sqlite")
    acknowledged = {key for key, state in states.items() if state == "acknowledged"}
    dead = {key for key, state in states.items() if state == "dead"}
    assert -9 in ends, "at least one sender was killed at work"
    assert sum(count for fate, count in proxy.fates.items() if fate != "fine") > 10
    assert (len(acknowledged), len(dead)) == (LEADS - INVALID, INVALID)
    assert set(org.keys()) == acknowledged, "nothing lost"
    assert org.created == LEADS - INVALID, "nothing twice"


def rows(outbox: Path) -> dict[str, str]:
    with closing(sqlite3.connect(outbox)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(connection.execute("SELECT key, state FROM deliveries"))


def test_without_a_unique_key_the_push_is_refused(run: Path, tmp_path: Path) -> None:
    with SalesforceServer(Org(unique=False)) as server:
        config = settings(tmp_path, server.port)
        with pytest.raises(CsqlError, match=r"CSQL_Key__c is not unique.*\[no_unique_key\]"):
            push(config, run, "salesforce", sink=SalesforceSink(config, "token-0"))
        assert server.org.written == 0
