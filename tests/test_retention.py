"""Old runs go by the stated policy, and nothing else goes."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml import retention
from csql_ml.errors import OutputError, UsageError
from csql_ml.printing_retention import pruned
from csql_ml.retention import KeptRun, prune, retained

NEWEST = date(2026, 11, 22)


def run(folder: Path, day: str | date, name: str = "") -> Path:
    place = folder / (name or f"run-{day}")
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(json.dumps({"run_id": "x", "as_of": str(day)}))
    (place / "scores.parquet").write_bytes(b"scores")
    return place


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        ("2026-11-22", True),
        ("2026-11-20", True),  # two days before the newest: 3 days are kept
        ("2026-11-19", False),
        ("2026-11-02", True),  # the first of its month
        ("2026-10-05", True),
        ("2026-10-06", False),
        ("2026-09-30", False),  # a third month
    ],
)
def test_each_run_of_some_days_then_the_first_of_each_month(tmp_path: Path, day: str, kept: bool) -> None:
    for other in ("2026-11-22", "2026-11-02", "2026-10-05"):
        run(tmp_path, other, f"other-{other}")
    place = run(tmp_path, day)
    result = prune(tmp_path, days=3, months=2)
    assert place.exists() == kept
    assert (place in [r.folder for r in result.removed]) == (not kept)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(r.folder.name for r in result.kept)


@given(st.sets(st.integers(0, 900), min_size=1), st.integers(1, 120), st.integers(0, 30))
def test_the_newest_stays_and_the_count_is_bounded(ages: set[int], days: int, months: int) -> None:
    runs = [KeptRun(NEWEST - timedelta(days=age), Path(str(age))) for age in ages]
    kept = retained(runs, days, months)
    assert max(runs) in kept
    assert len(kept) <= days + months
    assert retained(kept, days, months) == kept, "once more changes nothing"


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    old, new = run(tmp_path, "2020-01-01"), run(tmp_path, NEWEST)
    elsewhere = run(tmp_path.parent / "elsewhere", "2020-01-01")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_text("[1")
    result = prune(tmp_path)
    assert (old.exists(), new.exists(), elsewhere.exists()) == (False, True, True)
    assert [p.name for p in result.foreign] == ["link", "notes.txt", "odd", "report"]
    assert pruned(result).data["removed"] == [{"run": str(old), "as_of": "2020-01-01"}]


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    old = run(tmp_path, "2020-01-01")
    run(tmp_path, NEWEST)
    assert [r.folder for r in prune(tmp_path, dry_run=True).removed] == [old]
    assert old.exists()


def test_what_a_process_that_died_left_goes_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = run(tmp_path, "2020-01-01")
    run(tmp_path, NEWEST)
    with monkeypatch.context() as patch:
        patch.setattr(retention.shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "gone wrong")))
        with pytest.raises(OutputError, match="cannot be removed: gone wrong"):
            prune(tmp_path)
    assert not old.exists(), "half a run is never seen"
    assert len(list(tmp_path.iterdir())) == 2
    prune(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f"run-{NEWEST}"]


def test_a_run_itself_is_no_folder_of_runs(tmp_path: Path) -> None:
    place = run(tmp_path, NEWEST)
    for wrong in (place, tmp_path / "none"):
        with pytest.raises(UsageError, match="is not a folder of runs"):
            prune(wrong)
