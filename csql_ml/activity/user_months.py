"""The days on which each user was active, by month and a bit per day, of the events of some people.

These are the rows of ``user_months`` in `csql_ml.activity.summaries` as far as these events go: those of one month made
of different events are united by a bitwise or. Here users are numbers still; from the rollup's texts the same takes ten
times as long.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from csql_ml.activity.counting import Events, People

Numbers = npt.NDArray[np.uint64]
_EPOCH = date(1970, 1, 1)
#: The first year of the contract's days: clocks west of Greenwich know the last one of it.
_FIRST_YEAR = 1969
#: Widths of a day of the month, of the day a late row became known, and of a month, for all days of the contract.
_DAY_BITS, _LATE_BITS, _MONTH_BITS = 5, 17, 12
#: Stands after every late day.
_NOT_LATE = (1 << _LATE_BITS) - 1


class UserDays:
    """Collects the events of the same people, days after days, and gives a month when there is no more to come of it.

    Parameters
    ----------
    people
        Those whose places the events name.

    Raises
    ------
    OverflowError
        There are too many of them for 64 bits.
    """

    def __init__(self, people: People) -> None:
        self._people = people
        self._named = people.users.is_valid().to_numpy(zero_copy_only=False)
        self._place_bits = len(self._named).bit_length()
        if self._place_bits + _DAY_BITS + _LATE_BITS + _MONTH_BITS > 64:
            raise OverflowError("too many people at once")
        self._month_at = self._place_bits + _DAY_BITS + _LATE_BITS
        self._packed: list[Numbers] = []

    def add(self, events: Events) -> None:
        """Take events in; taking them in twice does no harm."""
        named = self._named[events.place]
        if not named.any():
            return
        day, known, place = (values[named] for values in (events.day, events.known_day, events.place))
        packed = place.astype(np.uint64)
        packed <<= np.uint64(_LATE_BITS)
        packed |= np.where(known > day, known, np.int32(_NOT_LATE)).astype(np.uint64)
        packed <<= np.uint64(_DAY_BITS)
        first = int(day.min())
        packed |= self._calendar(first, int(day.max()))[day - first]
        self._packed.append(packed)

    def _calendar(self, first: int, last: int) -> Numbers:
        """Month and day of the month of each day of a span, where they stand in a number."""
        days = [_EPOCH + timedelta(days=n) for n in range(first, last + 1)]
        return np.array([_number(day) << self._month_at | day.day - 1 for day in days], np.uint64)

    def months(self, before: date | None = None) -> dict[str, pa.Table]:
        """What was collected of the months before that of a day, or of all; it is forgotten here.

        Returns
        -------
        dict
            By ``YYYY-MM`` a table of ``account_id``, ``user_id``, ``known_day`` and ``active``, in the order of its
            columns.
        """
        if not self._packed:
            return {}
        packed = np.concatenate(self._packed)
        self._packed = []
        packed.sort()
        if before is not None:
            cut = int(np.searchsorted(packed, np.uint64(_number(before) << self._month_at)))
            self._packed = [packed[cut:].copy()] if cut < len(packed) else []
            packed = packed[:cut]
        return self._tables(packed) if len(packed) else {}

    def _tables(self, packed: Numbers) -> dict[str, pa.Table]:
        """One row per month, person and late day, by month."""
        row = packed >> np.uint64(_DAY_BITS)
        starts = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
        bits = np.int64(1) << (packed & _ones(_DAY_BITS)).astype(np.int64)
        active, row = np.bitwise_or.reduceat(bits, starts), row[starts]
        late = (row & _ones(_LATE_BITS)).astype(np.int32)
        known = pa.array(late, mask=late == _NOT_LATE).cast(pa.date32())
        place = ((row >> np.uint64(_LATE_BITS)) & _ones(self._place_bits)).astype(np.int32)
        month = row >> np.uint64(_LATE_BITS + self._place_bits)
        bounds = np.flatnonzero(np.diff(month, prepend=np.uint64((1 << _MONTH_BITS) - 1))).tolist()
        return {
            _name(int(month[start])): pa.table(
                {
                    "account_id": self._people.accounts.take(pa.array(place[start:end])),
                    "user_id": self._people.users.take(pa.array(place[start:end])),
                    "known_day": known[start:end],
                    "active": pa.array(active[start:end]),
                }
            )
            for start, end in zip(bounds, [*bounds[1:], len(month)], strict=True)
        }


def _number(day: date) -> int:
    return (day.year - _FIRST_YEAR) * 12 + day.month - 1


def _name(month: int) -> str:
    return f"{_FIRST_YEAR + month // 12}-{month % 12 + 1:02}"


def _ones(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)
