"""One command: what it writes where, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from csql_ml.contract.tables import TABLES
from csql_ml.errors import OutputError, UsageError
from csql_ml.simulate import END, simulate, tables, write_config
from csql_ml.simulate.history import unfold
from tests.simulate.company_on_disk import ARGUMENTS, Simulated

SMALL: dict[str, Any] = {"accounts": 25, "quarters": 3}


def digests(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_all_twelve_tables_the_truth_and_one_events_file_per_month(company: Simulated) -> None:
    names = {p.stem for p in company.folder.glob("*.parquet")} | {"events"}
    assert names == {*TABLES, "truth"}
    assert len(list((company.folder / "events").iterdir())) == 3 * ARGUMENTS["quarters"]


def test_the_summary_counts_rows_and_says_how_predictable_it_is(company: Simulated) -> None:
    summary = company.summary
    assert set(summary.rows) == {*TABLES, "truth"}
    assert summary.rows["events"] == company.sql("select count(*) as n from events")["n"][0]
    assert (summary.first_day, summary.last_day) == ("2025-07-01", END.isoformat())
    assert summary.base_rate is not None
    assert summary.truth_auc is not None
    assert 0.06 < summary.base_rate < 0.20
    assert 0.72 < summary.truth_auc < 0.92


def test_same_arguments_same_bytes_even_in_another_process(tmp_path: Path) -> None:
    simulate(tmp_path / "here", **SMALL)
    script = f"from csql_ml.simulate import simulate; simulate({str(tmp_path / 'there')!r}, **{SMALL!r})"
    environment = {**os.environ, "PYTHONHASHSEED": "99", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_another_seed_is_another_company(tmp_path: Path) -> None:
    simulate(tmp_path / "a", **SMALL, seed=1)
    simulate(tmp_path / "b", **SMALL, seed=2)
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert set(a) == set(b)
    assert not {name for name in a if name != "coverage.parquet" and a[name] == b[name]}


@pytest.mark.parametrize(
    ("accounts", "events", "quarters", "seed"),
    [
        (150, 150 * 3 * 75, 3, 1),
        (150, 150 * 3 * 75, 3, 2),
        (150, 400_000, 6, 3),
        (60, 3_000_000, 4, 4),
        (40, 40 * 24 * 120, 24, 5),
        (3000, 3000 * 3 * 90, 3, 6),
    ],
)
def test_the_wanted_number_of_events_is_met(accounts: int, events: int, quarters: int, seed: int) -> None:
    history = unfold(accounts, events, quarters, seed, lambda what, share: None)
    total = sum(int(month.counts.sum()) for month in history.months)
    assert abs(total / events - 1) < 0.05


def test_the_default_has_250_events_per_account_and_quarter(tmp_path: Path) -> None:
    summary = simulate(tmp_path / "out", **SMALL)
    assert summary.rows["events"] == pytest.approx(25 * 3 * 250, rel=0.05)


def test_progress_rises_from_start_to_end(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    simulate(tmp_path / "out", **SMALL, on_progress=lambda what, share: told.append((what, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] == 1.0
    assert {"simulating customers", "writing events", "writing csqls"} <= {what for what, _ in told}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"accounts": 19}, "--accounts 19 is out of bounds; expected 20 to 1000000"),
        ({"quarters": 2}, "--quarters 2 is out of bounds; expected 3 to 40"),
        ({"quarters": 41}, "--quarters 41 is out of bounds; expected 3 to 40"),
        ({"seed": -1}, "--seed -1 is out of bounds"),
        ({"events": 100}, "--events 100 is too few for 25 accounts over 3 quarters; expected at least 5625"),
        ({"events": 0}, "--events 0 is too few"),
        ({"users": 24}, "--users 24 does not fit 25 accounts"),
        ({"users": 25}, "--users 25 cannot be met with 25 accounts"),
        ({"users": 10**6}, "expected 25 .* to 2083 "),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(
    tmp_path: Path, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(tmp_path / "out", **{**SMALL, **wrong})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("users", [1_500, 20_000])
def test_as_many_users_as_asked_for_and_still_as_many_events(users: int) -> None:
    history = unfold(200, 800_000, 4, 7, lambda what, share: None, users=users)
    assert int(history.last.joined.sum()) == pytest.approx(users, rel=0.05)
    assert sum(int(month.counts.sum()) for month in history.months) == pytest.approx(800_000, rel=0.05)


def test_an_earlier_simulation_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    simulate(out, accounts=25, quarters=4)
    write_config(out / "config.yaml", folder=".", models_folder="my models")
    simulate(out, **SMALL)
    assert len(list((out / "events").iterdir())) == 9
    assert json.loads((out / "simulation.json").read_text())["quarters"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    simulate(tmp_path, **SMALL)
    assert (tmp_path / "accounts.parquet").is_file()


@pytest.mark.parametrize("foreign", ["notes.txt", "accounts.parquet"])
def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path, foreign: str) -> None:
    (tmp_path / foreign).write_text("mine")
    with pytest.raises(OutputError, match=f"found {foreign}"):
        simulate(tmp_path, **SMALL)
    assert digests(tmp_path) == {foreign: hashlib.sha256(b"mine").hexdigest()}


@pytest.mark.parametrize("added", ["models", "config.yaml"])
def test_a_simulation_with_somebody_s_work_in_it_is_refused(tmp_path: Path, added: str) -> None:
    out = tmp_path / "out"
    simulate(out, **SMALL)
    if added == "models":
        (out / "models").mkdir()
    else:
        written = write_config(out / added, folder=".", models_folder="models")
        written.write_text(written.read_text().replace("language: en", "language: de"))
    before = digests(out)
    with pytest.raises(OutputError, match=f"found {added}"):
        simulate(out, **SMALL)
    assert digests(out) == before


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        simulate(tmp_path / "out", **SMALL)


def test_a_failure_half_way_leaves_the_earlier_simulation_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    simulate(out, **SMALL)
    before = digests(out)

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.pq.ParquetWriter, "write_table", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        simulate(out, **SMALL, seed=8)
    assert digests(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
