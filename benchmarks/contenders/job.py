"""What a contender is told to compute, and what it says about itself; plain Python, for every environment.

A job is a JSON file: the events' files, the as-of dates, the company's time zone, which names carry which signal, and
which aggregates to compute. An aggregate ``[measure, low, high]`` counts over the days from ``high`` days before the
as-of date until ``low`` days before it, and becomes the column ``<measure>_<low>_<high>``. A row counts if it was known
(``recorded_at``) before local midnight of the as-of date; an ``event_id`` counts once.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Job:
    """One job, read from its file.

    Attributes
    ----------
    events
        Folder of Parquet files of raw events.
    cleaned
        Whether the events have no copies any more.
    signals
        Names per signal, as in a configuration.
    out
        Parquet file for one row per account and as-of date.
    marks
        JSON file for the CPU seconds of each part.
    config
        Configuration file of the toolkit.
    """

    events: Path
    cleaned: bool
    dates: tuple[date, ...]
    zone: str
    signals: dict[str, list[str]]
    aggregates: tuple[tuple[str, int, int], ...]
    out: Path
    marks: Path
    config: Path

    @property
    def reach(self) -> int:
        """How many days before an as-of date the longest window begins."""
        return max(high for _, _, high in self.aggregates)

    @property
    def windows(self) -> list[tuple[int, int]]:
        """The different windows, shortest reach first."""
        return sorted({(low, high) for _, low, high in self.aggregates}, key=lambda w: (w[1], w[0]))

    def midnight(self, day: date) -> datetime:
        """The instant at which a day begins in the company's time zone, in UTC."""
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(timezone.utc)  # noqa: UP017

    def window_start(self, as_of: date) -> datetime:
        """The instant at which the longest window begins."""
        return self.midnight(as_of - timedelta(days=self.reach))


def column(measure: str, low: int, high: int) -> str:
    """Name of an aggregate's column."""
    return f"{measure}_{low}_{high}"


def read_job() -> Job:
    """The job named on the command line."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    paths = {name: Path(given[name]) for name in ("events", "out", "marks", "config")}
    return Job(
        **paths,
        cleaned=given["cleaned"],
        dates=tuple(date.fromisoformat(d) for d in given["dates"]),
        zone=given["zone"],
        signals=given["signals"],
        aggregates=tuple((m, low, high) for m, low, high in given["aggregates"]),
    )


class Marks:
    """CPU seconds (user + system, all threads) of this process, part by part; the first begins with the interpreter."""

    def __init__(self, file: Path) -> None:
        self._file, self._before = file, 0.0
        self._said: dict[str, Any] = {}

    def end_of(self, part: str, **facts: Any) -> None:
        """The part ends here; ``facts`` are written beside its seconds."""
        now = time.process_time()
        self._said |= {part: now - self._before, **facts}
        self._before = now
        self._file.write_text(json.dumps(self._said), encoding="utf-8")
