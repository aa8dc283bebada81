"""Fifty daily runs on a company that grows: what is kept stays right, small and bounded."""

from __future__ import annotations

import resource
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from csql_ml import config as configuration
from csql_ml.activity import manifest, store_path
from csql_ml.company import open_company
from csql_ml.config import Config
from csql_ml.pipeline import score
from csql_ml.retention import prune
from csql_ml.simulate import END, simulate, write_config

pytestmark = pytest.mark.slow

RUNS, CHECKED_EVERY, KEPT_DAYS = 50, 10, 7
FIRST = END - timedelta(days=RUNS - 1)


class GrowingCompany:
    """A simulated company as it is on a morning: every event is delivered on the day it became known.

    Some days a delivery repeats an earlier one with a correction, as sources do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        simulate(folder / "all", accounts=40, events=40_000, quarters=3, seed=5)
        path = write_config(folder / "config.yaml", folder="all", models_folder="models")
        config = configuration.load(path)
        files = {**config.data.model_dump()["tables"], "events": {"file": str(folder / "events" / "*.parquet")}}
        data = type(config.data).model_validate({**config.data.model_dump(), "tables": files})
        self.config: Config = config.model_copy(update={"data": data, "activity_folder": folder / "activity"})
        (folder / "events").mkdir()
        self._deliver("first", f"known < DATE '{FIRST}'")

    def morning(self, day: date) -> None:
        """What became known on the day before."""
        before = day - timedelta(days=1)
        self._deliver(f"{before}", f"known = DATE '{before}'")
        if day.day % 7 == 0:
            again = before - timedelta(days=5)
            self._deliver(f"{again}", f"known = DATE '{again}' AND hash(event_id) % 10 > 0")

    def _deliver(self, name: str, where: str) -> None:
        events = (
            f"{self.folder}/all/events/*.parquet"
            if (self.folder / "all/events").is_dir()
            else f"{self.folder}/all/events.parquet"
        )
        rows = f"SELECT *, CAST(timezone('Europe/Berlin', recorded_at) AS DATE) AS known FROM read_parquet('{events}')"
        target = self.folder / "events" / f"{name}.parquet"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            chosen = f"SELECT * EXCLUDE (known) FROM ({rows}) WHERE {where} ORDER BY ALL"
            connection.execute(f"COPY ({chosen}) TO '{target}.part' (FORMAT parquet)")
        Path(f"{target}.part").replace(target)

    def rollup(self, config: Config) -> pd.DataFrame:
        with open_company(config) as company:
            return company.builder.to_pandas(company.builder.tables(END)["activity"])


def files_below(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_fifty_daily_runs(tmp_path: Path) -> None:
    company = GrowingCompany(tmp_path)
    sizes: list[dict[str, Any]] = []
    for number in range(RUNS):
        day = FIRST + timedelta(days=number)
        company.morning(day)
        run = score(company.config, day, tmp_path / "runs" / f"{day}")
        assert len(run.scores) > 0
        prune(tmp_path / "runs", days=KEPT_DAYS, months=1)
        sizes.append(_sizes(company, tmp_path))
        if number % CHECKED_EVERY == CHECKED_EVERY - 1:
            anew = company.config.model_copy(update={"activity_folder": tmp_path / f"anew-{number}"})
            pd.testing.assert_frame_equal(company.rollup(company.config), company.rollup(anew), check_exact=True)
    _bounded(sizes)


def _sizes(company: GrowingCompany, folder: Path) -> dict[str, Any]:
    store = store_path(company.config)
    return {
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6,
        "store": files_below(store),
        "in_force": len(manifest.read(store).files()),
        "runs": len(list((folder / "runs").iterdir())),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "temporary": len([p for p in folder.rglob("*") if p.name.endswith(".part")]),
    }


def _bounded(sizes: list[dict[str, Any]]) -> None:
    last = sizes[-1]
    # Beside what is in force: the manifest, the lock.
    assert all(size["store"] <= size["in_force"] + 4 for size in sizes), sizes
    assert max(size["runs"] for size in sizes) <= KEPT_DAYS + 2
    assert last["temporary"] == 0
    assert last["handles"] <= sizes[RUNS // 5]["handles"] + 2, "no file stays open"
    # The first runs load libraries and fill caches; from then on only the company grows, by 50 days of 270.
    assert last["memory"] <= sizes[RUNS // 5]["memory"] * 1.25 + 30, [round(s["memory"]) for s in sizes]


def test_a_day_costs_a_day(tmp_path: Path) -> None:
    company = GrowingCompany(tmp_path)
    score(company.config, FIRST, tmp_path / "run")
    store = store_path(company.config)
    before = manifest.read(store)
    company.morning(FIRST + timedelta(days=1))
    score(company.config, FIRST + timedelta(days=1), tmp_path / "run")
    after = manifest.read(store)
    changed = [day for day, state in after.days.items() if before.days.get(day) != state]
    assert FIRST in changed
    assert len(changed) < 20, "the day, and those of events that were late"
    assert len(after.days) > 200
