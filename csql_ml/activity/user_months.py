"""The days on which each user was active, by month and a bit per day, of a few days' events at once.

These are the rows of ``user_months`` in `csql_ml.activity.summaries` as far as these events go: those of one month made
of different days are united by a bitwise or. Here users are numbers still; from the rollup's texts the same takes ten
times as long.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from csql_ml.activity.counting import Events, People

_EPOCH = date(1970, 1, 1)
#: A day of the month fits into these.
_DAY_BITS = 5


def user_months(events: Events, people: People) -> dict[str, pa.Table]:
    """By ``YYYY-MM`` a table of ``account_id``, ``user_id``, ``known_day`` and ``active``, in the order of its columns.

    Raises
    ------
    OverflowError
        There are too many days and people for 64 bits; take fewer days.
    """
    named = people.users.is_valid().to_numpy(zero_copy_only=False)[events.place]
    if not named.any():
        return {}
    day, known, place = (values[named] for values in (events.day, events.known_day, events.place))
    first = day.min()
    none = int(known.max() - first) + 1  # stands after every late day
    late = np.where(known > day, known - first, np.int32(none))
    months, month, of_month = _calendar(int(first), int(day.max()))
    widths = [int(values.max()).bit_length() for values in (month, place, late)]
    if sum(widths) + _DAY_BITS > 63:
        raise OverflowError("too many days and people of events at once")
    days = (month << np.uint64(widths[1] + widths[2] + _DAY_BITS)) | of_month
    packed = place.astype(np.uint64)
    packed <<= np.uint64(widths[2])
    packed |= late.astype(np.uint64)
    packed <<= np.uint64(_DAY_BITS)
    packed |= days[day - first]
    packed.sort()
    return _united(packed, widths, months, int(first), none, people)


def _calendar(first: int, last: int) -> tuple[list[str], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The months of a span of days, the position of each day's month among them, and its day of the month from 0 on."""
    days = [_EPOCH + timedelta(days=n) for n in range(first, last + 1)]
    names = [f"{day:%Y-%m}" for day in days]
    months = list(dict.fromkeys(names))
    places = {name: i for i, name in enumerate(months)}
    return (
        months,
        np.array([places[name] for name in names], np.uint64),
        np.array([day.day - 1 for day in days], np.uint64),
    )


def _united(
    packed: npt.NDArray[np.uint64], widths: list[int], months: list[str], first: int, none: int, people: People
) -> dict[str, pa.Table]:
    """One row per month, person and late day, by month."""
    row = packed >> np.uint64(_DAY_BITS)
    starts = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
    bits = np.int64(1) << (packed & np.uint64((1 << _DAY_BITS) - 1)).astype(np.int64)
    active, row = np.bitwise_or.reduceat(bits, starts), row[starts]
    late = (row & np.uint64((1 << widths[2]) - 1)).astype(np.int32)
    row >>= np.uint64(widths[2])
    place = (row & np.uint64((1 << widths[1]) - 1)).astype(np.int32)
    month = row >> np.uint64(widths[1])
    known = pa.array(late + np.int32(first), mask=late == none).cast(pa.date32())
    found = {}
    bounds = np.searchsorted(month, np.arange(len(months) + 1, dtype=np.uint64)).tolist()
    for name, start, end in zip(months, bounds[:-1], bounds[1:], strict=True):
        if end > start:
            places = pa.array(place[start:end])
            found[name] = pa.table(
                {
                    "account_id": people.accounts.take(places),
                    "user_id": people.users.take(places),
                    "known_day": known[start:end],
                    "active": pa.array(active[start:end]),
                }
            )
    return found
