"""The company's days of many instants at once.

Asking the engine's calendar for the local clock of every event takes longer than reading it. The calendar is asked
when clocks change instead, and days are arithmetic in between: the answers are the engine's own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

#: Microseconds since 1970-01-01T00:00:00Z.
Instants = npt.NDArray[np.int64]
#: Days since 1970-01-01.
DayNumbers = npt.NDArray[np.int32]
DAY = 86_400_000_000
_SECOND, _MINUTE, _HOUR = 1_000_000, 60_000_000, 3_600_000_000


class ZoneClock:
    """Days of one time zone.

    Parameters
    ----------
    zone
        An IANA name.
    local
        Instants to microseconds of the local clock, by the engine's calendar.

    Notes
    -----
    The calendar is asked for every day, and where the offset differs between two, for every hour, minute and second
    between them. Clocks change at whole seconds; no zone has changed them twice within a day since 1970.
    """

    def __init__(self, zone: str, local: Callable[[Instants], Instants]) -> None:
        self._local = local
        self._begin = self._end = 0
        self._starts, self._offsets = np.array([0], np.int64), np.array([0], np.int64)
        self._fixed = zone == "UTC"

    def days(self, instants: Instants) -> DayNumbers:
        """The local day of each instant."""
        if not len(instants):
            return np.empty(0, np.int32)
        low, high = int(instants.min()), int(instants.max())
        if not self._fixed and not (self._begin <= low and high < self._end):
            self._learn(_year(low, 0), _year(high, 2))
        first, last = np.searchsorted(self._starts, [low, high], side="right") - 1
        local = instants + self._offsets[first]
        for i in range(first + 1, last + 1):
            later = instants >= self._starts[i]
            local[later] = instants[later] + self._offsets[i]
        days: DayNumbers = (local // DAY).astype(np.int32)
        return days

    def _learn(self, begin: int, end: int) -> None:
        """Find every change of the offset between two instants (and in what is known already)."""
        if self._end:
            begin, end = min(begin, self._begin), max(end, self._end)
        changes = np.arange(begin, end + 1, DAY)
        for step in (_HOUR, _MINUTE, _SECOND):
            offsets = self._offsets_at(changes)
            before = changes[np.flatnonzero(np.diff(offsets))]
            width = _previous(step) + step
            changes = np.unique((before[:, None] + np.arange(0, width, step)).ravel())
        offsets = self._offsets_at(changes)
        new = np.flatnonzero(np.diff(offsets)) + 1 if len(changes) else np.empty(0, np.int64)
        starts = np.concatenate(([begin], changes[new]))
        self._starts, self._offsets = starts, self._offsets_at(starts)
        self._begin, self._end = begin, end

    def _offsets_at(self, instants: Instants) -> Instants:
        return self._local(instants) - instants if len(instants) else instants


def _previous(step: int) -> int:
    """The step before this one: what a change found with it may lie within."""
    return {_HOUR: DAY, _MINUTE: _HOUR, _SECOND: _MINUTE}[step]


def _year(instant: int, years: int) -> int:
    """The start of the UTC year of an instant, some years later."""
    year = np.datetime64(instant, "us").astype("datetime64[Y]").astype(int) + 1970 + years
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * _SECOND
