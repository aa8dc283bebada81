"""kill -9 at every system call that changes something: nothing half, and the next start ends as if undisturbed."""

from __future__ import annotations

import csv
import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from csql_ml.run_files import read_manifest
from tests.faults.scene import Scene, killed_at_every_step, refused_from_every_step, tree
from tests.faults.system_calls import SUPPORTED, End, Jobs, Plan
from tests.handoff.small_run import lead
from tests.handoff.small_run import write_run as write_small_run
from tests.tally import Tally

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="Linux hands system calls over, other systems do not")

#: What names the process that writes, or when: never the same twice.
OF_THE_MOMENT = (".lock", ".holder", "-shm", "-wal", "outbox.sqlite")


def csql(jobs: Jobs, *arguments: object, plan: Plan | None = None) -> End:
    return jobs.run("command", plan, arguments=[str(a) for a in arguments])


class Scored:
    """A run of an earlier day, and the command that replaces it."""

    def __init__(self, jobs: Jobs, company: Path) -> None:
        self.out = company.parent / "out/run"
        end = csql(jobs, "score", "-c", company, "--as-of", "2025-11-01", "--out", self.out)
        assert end.code == 0, end.said
        self.earlier = read_manifest(self.out)["run_id"]
        jobs.prepare("prepare_write_run", config=str(company), as_of="2025-12-01", out=str(self.out))
        self.scene = Scene(company.parent / "out")
        self.seen: set[str] = set()

    def intact(self) -> None:
        """The earlier run or the new one, every file as its manifest says."""
        self.seen.add(read_manifest(self.out)["run_id"])

    def done(self) -> dict[str, str]:
        return tree(self.scene.place)


@pytest.mark.parametrize("every", [0, pytest.param(1, marks=pytest.mark.slow)], ids=["each kind", "each"])
def test_killed_while_a_run_is_written(jobs: Jobs, company: Path, tally: Tally, every: int) -> None:
    tally.of("fault", "`csql score` killed at each kind of change of its output (each single one: `make test-slow`)")
    scored = Scored(jobs, company)
    run = lambda plan: jobs.run("write_run", plan)  # noqa: E731
    assert killed_at_every_step(scored.scene, run, scored.intact, scored.done, tally, every) > 30
    assert len(scored.seen) == 2, "the earlier run until the last moment, and then the new one"
    assert scored.earlier in scored.seen


@pytest.mark.parametrize(
    ("error", "says", "every"),
    [
        (errno.ENOSPC, "No space left on device", 41),
        pytest.param(errno.ENOSPC, "No space left on device", 1, marks=pytest.mark.slow),
        pytest.param(errno.EROFS, "Read-only file system", 9, marks=pytest.mark.slow),
        pytest.param(errno.EIO, "rror", 9, marks=pytest.mark.slow),
    ],
    ids=["disk full now and then", "disk full", "read-only", "defective"],
)
def test_refused_while_a_run_is_written(
    jobs: Jobs, company: Path, tally: Tally, error: int, says: str, every: int
) -> None:
    tally.of("fault", "`csql score`: disk full, read-only or defective from a change of its output on")
    scored = Scored(jobs, company)
    run = lambda plan: jobs.run("write_run_command", plan)  # noqa: E731
    assert refused_from_every_step(scored.scene, run, scored.intact, scored.done, tally, error, says, every) > 30
    assert scored.earlier in scored.seen, "refused at the first change, the earlier run stays"


# ---------------------------------------------------------------- whole commands


@pytest.mark.slow
def test_killed_while_scoring(jobs: Jobs, company: Path, tally: Tally) -> None:
    tally.of("fault", "the whole of `csql score` killed at each 7th of its changes")
    scored = Scored(jobs, company)
    score = ("score", "-c", company, "--as-of", "2025-12-01", "--out", scored.out)
    run = lambda plan: csql(jobs, *score, plan=plan)  # noqa: E731
    assert killed_at_every_step(scored.scene, run, scored.intact, lambda: tree(scored.out), tally, every=7) > 100
    assert scored.earlier in scored.seen


@pytest.mark.slow
def test_killed_while_a_site_is_written(jobs: Jobs, company: Path, tally: Tally) -> None:
    tally.of("fault", "`csql report` killed at each change")
    run, site = company.parent / "out/run", company.parent / "out/site"
    assert csql(jobs, "score", "-c", company, "--as-of", "2025-12-01", "--out", run).code == 0
    report = ("report", "-c", company, "--run", run, "--out", site)
    assert csql(jobs, *report, "--lang", "de").code == 0
    german = tree(site)
    scene = Scene(company.parent / "out")
    assert csql(jobs, *report).code == 0
    english = tree(site)
    assert german != english

    def intact() -> None:
        assert tree(site) in (german, english)

    killed_at_every_step(
        scene,
        lambda p: csql(jobs, *report, plan=p),
        intact,
        lambda: tree(scene.place, but=OF_THE_MOMENT),
        tally,
        every=0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "disk full"])
def test_killed_while_the_rollup_is_updated(jobs: Jobs, company: Path, tally: Tally, fault: str) -> None:
    tally.of("fault", "the activity update killed, or its disk full, at each change")
    assert jobs.run("update_activity", config=str(company)).code == 0
    scene = Scene(company.parent / "out")
    with (company.parent / "events.csv").open("a", encoding="utf-8", newline="") as file:
        file.write("a1,u1,2025-01-02,login\r\na1,u1,2025-03-02,login\r\na2,u9,2025-03-02,boards\r\n")

    def run(plan: Plan) -> End:
        return jobs.run("update_activity_command", plan, config=str(company))

    def done() -> Any:
        return tree(scene.place, but=OF_THE_MOMENT)

    def intact() -> None:
        """Whatever is there, the next start reads it; `done` compares what it makes of it."""

    if fault == "killed":
        assert killed_at_every_step(scene, run, intact, done, tally, every=0) > 20
    else:
        refused_from_every_step(scene, run, intact, done, tally, errno.ENOSPC, "No space left on device", every=5)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "disk full"])
def test_killed_while_leads_are_handed_over(jobs: Jobs, company: Path, tally: Tally, fault: str) -> None:
    tally.of("fault", "`csql push --to files` killed, or its disk full, at each change of files and outbox")
    run = write_small_run(company.parent / "run", [lead(f"A{n}") for n in range(3)])
    scene, files = Scene(company.parent / "out"), company.parent / "out/handoff"
    push = ("push", "-c", company, "--run", run, "--to", "files")

    def intact() -> None:
        """A file is not there yet or whole."""
        if (files / "leads.csv").exists():
            with (files / "leads.csv").open(encoding="utf-8-sig", newline="") as file:
                assert sorted(row["account_id"] for row in csv.DictReader(file)) == ["A0", "A1", "A2"]
        if (files / "leads.parquet").exists():
            assert sorted(pd.read_parquet(files / "leads.parquet")["account_id"]) == ["A0", "A1", "A2"]
        if (files / "leads.jsonl").exists():
            assert len((files / "leads.jsonl").read_text(encoding="utf-8").splitlines()) == 3

    def done() -> Any:
        return tree(scene.place, but=OF_THE_MOMENT), outbox_of(company.parent / "out/outbox.sqlite")

    if fault == "killed":
        assert killed_at_every_step(scene, lambda p: csql(jobs, *push, plan=p), intact, done, tally, every=0) > 50
    else:
        refused_from_every_step(
            scene, lambda p: csql(jobs, *push, plan=p), intact, done, tally, errno.ENOSPC, "", every=11
        )


def outbox_of(path: Path) -> list[tuple[Any, ...]]:
    """What an outbox knows of its rows."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT kind, key, state, remote_id FROM deliveries ORDER BY key").fetchall()
