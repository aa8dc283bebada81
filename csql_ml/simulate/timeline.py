"""The simulated calendar: quarters, and months of 30 days counted back from each quarter's end.

Instants are whole UTC days counted from the simulation's first day, plus a time within office hours. Months of 30 days
make "the last 30 days" of a metric, as of a quarter's first day, exactly one simulated month.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: First day after the simulation: the scoring date of the demo.
END = date(2026, 10, 1)
MONTHS_PER_QUARTER = 3
#: Day 0 of timestamps.
START_OF_TIME = date(1970, 1, 1)
MICROSECONDS_PER_DAY = 86_400_000_000
#: Stands for "never" in columns that count days.
NEVER = -100_000


@dataclass(frozen=True)
class Month:
    """30 days (the first of a quarter up to 32): ``start <= day < end``."""

    index: int
    start: int
    end: int

    def holds(self, day: Ints) -> Flags:
        """Whether a day lies in the month."""
        return (day >= self.start) & (day < self.end)


@dataclass(frozen=True)
class Timeline:
    """Calendar of a simulation.

    Attributes
    ----------
    first
        The first day; day 0.
    starts
        Day number of each quarter's first day; one quarter more than simulated, for looking ahead.
    """

    quarters: int
    first: np.datetime64
    starts: tuple[int, ...]

    @classmethod
    def of(cls, quarters: int) -> Timeline:
        """Calendar of so many quarters that end at `END`."""
        firsts = (np.datetime64(END, "M") + (3 * np.arange(-quarters, 2)).astype("m8[M]")).astype("M8[D]")
        return cls(quarters, firsts[0], tuple(int(d) for d in (firsts - firsts[0]).astype(int)))

    @property
    def end(self) -> int:
        """Day number of `END`."""
        return self.starts[self.quarters]

    def months(self, quarter: int) -> tuple[Month, ...]:
        """The three months of a quarter; the last two have exactly 30 days."""
        start, end = self.starts[quarter], self.starts[quarter + 1]
        edges = (start, end - 60, end - 30, end)
        return tuple(Month(3 * quarter + i, edges[i], edges[i + 1]) for i in range(MONTHS_PER_QUARTER))

    def date(self, day: int) -> date:
        """Calendar date of a day number."""
        return START_OF_TIME + timedelta(days=int(self.first.astype(int)) + day)

    def dates(self, days: Ints) -> npt.NDArray[np.datetime64]:
        """Calendar dates of day numbers."""
        return self.first + days.astype("m8[D]")

    def weekdays(self, days: Ints) -> Ints:
        """Day of the week, Monday = 0."""
        of_epoch: Ints = self.dates(days).astype(np.int64)
        return (of_epoch + 3) % 7

    def year_later(self, days: Ints) -> Ints:
        """Same day of the next year; days of a month run to 28 for contracts, so that it exists."""
        dates = self.dates(days)
        months = dates.astype("M8[M]")
        later = (months + np.timedelta64(12, "M")).astype("M8[D]") + (dates - months.astype("M8[D]"))
        numbers: Ints = (later - self.first).astype(np.int64)
        return numbers

    def instants(self, days: Ints, rng: np.random.Generator) -> Ints:
        """Microseconds since 1970 of a moment within office hours (7 to 17 UTC) of each day."""
        return self.microseconds(days) + rng.integers(7 * 3600, 17 * 3600, len(days)) * 1_000_000

    def microseconds(self, days: Ints) -> Ints:
        """Microseconds since 1970 of each day's UTC midnight."""
        return (int(self.first.astype(int)) + days.astype(np.int64)) * MICROSECONDS_PER_DAY


def to_working_day(days: Ints, timeline: Timeline) -> Ints:
    """Moves Saturdays and Sundays to the Monday after."""
    weekday = timeline.weekdays(days)
    return days + np.where(weekday >= 5, 7 - weekday, 0)
