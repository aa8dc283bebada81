"""A company whose events are files that come, change and go, and the rollup of them kept and made at once."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from csql_ml import activity
from csql_ml.activity.duckdb_events import DuckDBEvents
from csql_ml.activity.manifest import Manifest, read
from csql_ml.config import Config
from csql_ml.contract.report import Inputs, TableReport
from csql_ml.contract.validate import validate
from csql_ml.source_duckdb import DuckDBWarehouse
from tests.activity.summary_checks import assert_of_rollup
from tests.small_company import ACCOUNTS, CONTRACTS, SETTINGS, rows, write_tables

COLUMNS = ("account_id", "user_id", "occurred_at", "event_name", "event_id", "feature", "quantity", "recorded_at")
_clock = count(1)


@dataclass(frozen=True)
class Opened:
    """What an update came to."""

    rollup: pd.DataFrame
    report: TableReport
    days_built: int
    manifest: Manifest


@dataclass
class EventCompany:
    """Accounts a1 and a2, and a folder of event files.

    Attributes
    ----------
    read
        The parts that were looked at, update by update.
    """

    folder: Path
    sections: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = COLUMNS
    read: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_tables(self.folder, {"accounts": rows(ACCOUNTS), "contracts": rows(CONTRACTS)})
        (self.folder / "events").mkdir(exist_ok=True)

    @property
    def config(self) -> Config:
        tables = {"accounts": "accounts.csv", "contracts": "contracts.csv", "events": "events/*.csv"}
        data = {"folder": str(self.folder), "tables": tables}
        own = {"signals": {**SETTINGS["signals"], "own": {"shared": {"events": ["share"], "features": ["api"]}}}}
        places = {"home": self.folder, "activity_folder": str(self.folder / "activity")}
        return Config(
            **{**SETTINGS, **own, "company": {"time_zone": "Europe/Berlin"}, **self.sections, "data": data, **places}
        )

    def write(self, name: str, events: str | list[dict[str, Any]]) -> None:
        """Write a file of events; its time is always later than that of any other."""
        path = self.folder / "events" / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows(events) if isinstance(events, str) else events)
        self.touch(name)

    def touch(self, name: str) -> None:
        """Give a file a new time."""
        os.utime(self.folder / "events" / f"{name}.csv", ns=(0, next(_clock) * 1_000_000_000))

    def remove(self, name: str) -> None:
        (self.folder / "events" / f"{name}.csv").unlink(missing_ok=True)

    @contextmanager
    def inputs(self) -> Iterator[tuple[DuckDBWarehouse, Inputs]]:
        with DuckDBWarehouse(self.config) as warehouse:
            yield warehouse, validate(warehouse, self.config, leave_out=["events"])

    def update(self, most_events: int = 1_000_000) -> Opened:
        """Bring the kept rollup up to date."""
        with self.inputs() as (warehouse, inputs):
            return self.update_in(warehouse, inputs, most_events)

    def update_in(self, warehouse: DuckDBWarehouse, inputs: Inputs, most_events: int = 1_000_000) -> Opened:
        """The same, with tables that are open already."""
        source = _Watched(warehouse, most_events)
        with activity.open_store(warehouse, self.config, inputs.tables, source) as opened:
            self.read.append(source.read)
            manifest = read(activity.store_path(self.config))
            kept = (t.to_pandas() for t in (opened.table, opened.account_days, opened.user_months))
            assert_of_rollup(*kept)
            return Opened(in_order(opened.table.to_pandas()), opened.report, opened.days_built, manifest)

    def at_once(self) -> Opened:
        """Validate and roll up everything, without a store."""
        with DuckDBWarehouse(self.config) as warehouse:
            inputs = validate(warehouse, self.config)
            report = next(report for report in inputs.reports if report.name == "events")
            if "events" not in inputs.tables:
                return Opened(pd.DataFrame(), report, 0, Manifest())
            return Opened(in_order(inputs.con.to_pandas(activity.build(inputs, self.config))), report, 0, Manifest())


class _Watched(DuckDBEvents):
    """Remembers which parts are looked at."""

    def __init__(self, warehouse: DuckDBWarehouse, most_events: int) -> None:
        super().__init__(warehouse, most_events)
        self.read: list[str] = []

    def digests(self, parts: Any) -> Any:
        self.read += [Path(part).stem for part in parts]
        return super().digests(parts)


def in_order(rollup: pd.DataFrame) -> pd.DataFrame:
    return rollup.sort_values(list(activity.GRAIN), ignore_index=True)


def assert_same(kept: Opened, whole: Opened) -> None:
    """To the last digit, and with the same report."""
    assert kept.report == whole.report
    if len(whole.rollup) or len(kept.rollup):
        pd.testing.assert_frame_equal(kept.rollup, whole.rollup, check_exact=True)


def day_files(manifest: Manifest) -> Mapping[Any, str | None]:
    """The rollup's file of each day; its name says what is in it."""
    return {day: state.rollup.path if state.rollup else None for day, state in manifest.days.items()}


@pytest.fixture
def company(tmp_path: Path) -> EventCompany:
    return EventCompany(tmp_path)
