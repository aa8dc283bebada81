"""The benchmark of features compares results for real, measures children, and writes only between its markers."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import features, workplace
from benchmarks.features import CONTENDERS, MARKS, as_of_dates, compare, compute
from benchmarks.measured_process import Limits, run
from benchmarks.page import write
from benchmarks.workplace import Results, Workplace

EVENTS, SNAPSHOTS = 15_000, 1
TOOLKIT, PANDAS = (next(c for c in CONTENDERS if c.name == name) for name in ("toolkit", "pandas"))
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures processes by /proc")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, str]:
    """A tiny company on which the toolkit and pandas have computed one snapshot; the first day of its events."""
    place = Workplace(tmp_path_factory.mktemp("benchmarks"), Limits(cpu=120.0, memory=4_000.0))
    workplace.make_company(place, EVENTS)
    toolkit = compute(place, TOOLKIT, EVENTS, SNAPSHOTS)
    assert toolkit["stopped"] == ""
    assert compute(place, PANDAS, EVENTS, SNAPSHOTS)["stopped"] == ""
    return place, toolkit["parts"]["first_day"]


def test_pandas_and_the_toolkit_agree_on_every_value(measured: tuple[Workplace, str]) -> None:
    place, first_day = measured
    found = compare(place, PANDAS, EVENTS, SNAPSHOTS, first_day)
    assert found["different"] == {}
    assert found["values"] > 500


def test_a_wrong_contender_is_found_out(measured: tuple[Workplace, str]) -> None:
    place, first_day = measured
    file = place.folder / f"pandas-{EVENTS}-{SNAPSHOTS}.parquet"
    right = pd.read_parquet(file)
    busiest = right["active_users_30_60"].idxmax()
    for column in ("active_users_30_60", "usage_90_180", "core_features_0_90"):
        wrong = right.copy()
        wrong.loc[busiest, column] -= 1
        wrong.to_parquet(file, index=False)
        different = compare(place, PANDAS, EVENTS, SNAPSHOTS, first_day)["different"]
        right.to_parquet(file, index=False)
        assert different, column
        assert set(different.values()) == {1}, column


def test_a_child_is_measured_and_stopped_at_its_limits() -> None:
    busy = [
        sys.executable,
        "-c",
        "import subprocess, sys; x = 'sum(range(10**7))'; subprocess.run([sys.executable, '-c', x])",
    ]
    done = run(busy, Limits())
    assert done.stopped == ""
    assert done.cpu > 0.1
    assert 5 < done.peak < 500
    assert run([sys.executable, "-c", "while True: pass"], Limits(cpu=0.3)).stopped == "more than 0 CPU s"
    hungry = [sys.executable, "-c", "import time; b = bytearray(10**8); time.sleep(30)"]
    assert run(hungry, Limits(memory=60.0)).stopped == "more than 60 MB"
    assert run([sys.executable, "-c", "raise ValueError('no such thing')"], Limits()).stopped == (
        "failed: ValueError: no such thing"
    )


def test_dates_are_the_newest_quarters_or_months() -> None:
    assert [d.isoformat() for d in as_of_dates(2)] == ["2026-07-01", "2026-10-01"]
    assert as_of_dates(8)[0].isoformat() == "2025-01-01"
    assert [as_of_dates(24)[i].isoformat() for i in (0, -1)] == ["2024-11-01", "2026-10-01"]


def test_a_difference_stands_in_the_table_and_the_page_is_changed_between_the_markers_only(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl", resume=False)
    results.add({"contender": "unit", "events": 10, "rows": 11, "unit": 2.0, "version": "1"})
    line = {"events": 10, "snapshots": 8, "cpu": 6.0, "peak": 100.0, "stopped": "", "parts": {"snapshots": 1.0}}
    results.add({**line, "contender": "toolkit"})
    results.add({**line, "contender": "pandas", "cpu": 9.0, "values": 5, "different": {"usage_growth": 3}})
    results.add({**line, "contender": "polars", "stopped": "more than 5 CPU s"})
    assert Results(tmp_path / "results.jsonl", resume=True).lines == results.lines
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n", encoding="utf-8")
    write(page, MARKS, "\n".join(features.table(results)))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{MARKS[0]}\n| events")
    assert text.endswith(f"{MARKS[1]}\nafter\n")
    assert "old" not in text
    assert (
        "| 11 | 8 | pandas, masks and group-bys | 9.0 | 1.0 | 4.5 | 1.50 | 100 | DIFFERENT: usage_growth (3) |" in text
    )
    assert "did not finish: more than 5 CPU s" in text
