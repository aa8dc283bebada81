"""No memory, no room, no connection, and two at once: a clear word, the right exit code, nothing broken."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from csql_ml.run_files import read_manifest
from tests.faults.jobs import MODULES
from tests.faults.scene import tree
from tests.faults.small_files import CONFIG
from tests.faults.system_calls import SUPPORTED, End, Jobs, Plan
from tests.handoff.small_run import lead
from tests.handoff.small_run import write_run as write_small_run
from tests.tally import Tally

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SUPPORTED or sys.platform == "win32", reason="limits of Linux"),
]


def score(jobs: Jobs, company: Path, out: Path, plan: Plan | None = None, day: str = "2025-12-01") -> End:
    return jobs.run("command", plan, arguments=["score", "-c", str(company), "--as-of", day, "--out", str(out)])


def in_one_line(end: End) -> str:
    """The last line, which says what is the matter."""
    assert "Traceback" not in end.said, end.said
    last = end.said.strip().splitlines()[-1]
    assert last.startswith("csql: "), end.said
    return last


def test_no_memory_for_the_process(jobs: Jobs, company: Path, tmp_path: Path, tally: Tally) -> None:
    """What the process may allocate shrinks until it is enough for nothing."""
    tally.of("fault", "`csql score` with less and less memory for the process")
    out = tmp_path / "out/run"
    assert score(jobs, company, out, day="2025-11-01").code == 0
    before = tree(out)
    used = _address_space(jobs)
    failed = 0
    for more in (1 << 30, 1 << 29, 1 << 28, 1 << 27, 1 << 26, 1 << 25, 1 << 24):
        tally.begin()
        end = score(jobs, company, out, Plan(address_space=used + more))
        if end.code == 0:
            assert read_manifest(out)["as_of"] == "2025-12-01"
            assert score(jobs, company, out, day="2025-11-01").code == 0
        else:
            failed += 1
            # The interpreter itself, or a library that cannot say so, may be what runs out first; see the note.
            assert end.code in (1, 2) or end.killed or end.code < 0, end
            if end.code in (1, 2):
                in_one_line(end)
        assert tree(out) == before
        tally.survived()
    assert failed


def _address_space(jobs: Jobs) -> int:
    return int(jobs.run("address_space").said.strip())


@pytest.mark.parametrize("limit", ["1MB", "5MB", "20MB"])
def test_no_memory_for_duckdb(jobs: Jobs, company: Path, tmp_path: Path, tally: Tally, limit: str) -> None:
    tally.of("fault", "`data.memory_limit` too low for the work")
    out = tmp_path / "out/run"
    company.write_text(CONFIG.replace("  folder: .\n", f"  folder: .\n  memory_limit: {limit}\n"), encoding="utf-8")
    tally.begin()
    end = score(jobs, company, out)
    if end.code:
        assert "memory" in in_one_line(end)
        assert not out.exists()
    else:
        read_manifest(out)
    company.write_text(CONFIG, encoding="utf-8")
    assert score(jobs, company, out).code == 0
    tally.survived()


@pytest.mark.parametrize("what", ["score", "report", "push"])
def test_two_at_once_on_one_output(jobs: Jobs, company: Path, tmp_path: Path, tally: Tally, what: str) -> None:
    """The first stands still at a write; the second says who it is and leaves everything alone."""
    tally.of("fault", "two runs at once on the same output")
    run = write_small_run(tmp_path / "handed", [lead("A1")])
    out, place = tmp_path / "out/run", tmp_path / "out"
    assert score(jobs, company, out, day="2025-11-01").code == 0
    arguments = {
        "score": ["score", "-c", str(company), "--as-of", "2025-12-01", "--out", str(out)],
        "report": ["report", "-c", str(company), "--run", str(out), "--out", str(place / "site")],
        "push": ["push", "-c", str(company), "--run", str(run), "--to", "files"],
    }[what]
    waits = {"score": "scores.parquet", "report": "index.html", "push": "leads.csv"}[what]
    ends: list[End] = []
    with Jobs("tests.faults.jobs", *MODULES) as others:
        plan = Plan(watched=[str(place)], wait_at=waits, wait=300.0)
        first = threading.Thread(target=lambda: ends.append(others.run("command", plan, arguments=arguments)))
        first.start()
        waiting = place / ".waiting"
        while not waiting.exists():
            first.join(0.05)
            assert first.is_alive(), ends
        tally.begin()
        second = jobs.run("command", arguments=arguments)
        said = in_one_line(second)
        assert second.code == 1
        assert f"process {waiting.read_text()} on " in said
        assert "since 20" in said
        waiting.unlink()
        first.join()
    assert ends[0].code == 0, ends[0].said
    assert not list(place.rglob("*.part"))
    tally.survived()
