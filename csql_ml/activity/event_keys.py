"""Which days have an ``event_id`` in common, found from 47-bit hashes with bounded memory.

A key is a hash of an ``event_id``. Two ids with the same key only cost work: whether rows are duplicates is decided by
the ids themselves, among the rows of keys that occur more than once. A key and its day fit into one number of 64 bits,
so that sorting these numbers brings the days of a key together.

A full key is the whole hash, of which the key is the upper part. It is known of events that were read just now, and
tells that two days only seem to have a key in common; of keys that were kept on disk the lower bits are 0.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
#: Bits of a key; the others number the day.
KEY_BITS = 47
DAY_BITS = 64 - KEY_BITS
_EPOCH = date(1970, 1, 1)
_LOW = np.uint64(DAY_BITS)
_DAY_MASK = np.uint64((1 << DAY_BITS) - 1)
#: Width of the table that tells most foreign keys apart from the own ones.
_SIEVE_BITS = 24
_HIGH = np.uint64(KEY_BITS - _SIEVE_BITS)


def number_of(day: date) -> int:
    """A day as a number of `DAY_BITS`; the day before 1970 is 0, since clocks west of Greenwich know it."""
    return (day - _EPOCH).days + 1


def day_of_number(number: int) -> date:
    """The day that `number_of` numbered."""
    return _EPOCH + timedelta(days=number - 1)


def packed(keys: Keys, day: date) -> Keys:
    """Keys together with their day."""
    return filled(keys) | np.uint64(number_of(day))


def filled(keys: Keys) -> Keys:
    """Keys as full keys of which no more is known."""
    return keys << _LOW


def keys_of(pairs: Keys) -> Keys:
    """The keys of packed pairs, or of full keys."""
    return pairs >> _LOW


def days_of(pairs: Keys) -> list[date]:
    """The different days of packed pairs."""
    return [day_of_number(int(n)) for n in np.unique(pairs & _DAY_MASK)]


def repeated(keys: Keys) -> Keys:
    """Keys that a sorted array has more than once."""
    return different(keys[1:][keys[1:] == keys[:-1]])


def different(ranked: Keys) -> Keys:
    """A sorted array without repetitions; NumPy's own function does not know that it is sorted."""
    once: Keys = ranked[np.concatenate((np.ones(min(len(ranked), 1), np.bool_), ranked[1:] != ranked[:-1]))]
    return once


class Sieve:
    """Tells whether keys are among the wanted ones; a table looked up by the highest bits leaves few to compare.

    Parameters
    ----------
    wanted
        Sorted keys.
    """

    def __init__(self, wanted: Keys) -> None:
        self._wanted = wanted
        self._table = np.zeros(1 << _SIEVE_BITS, np.bool_)
        self._table[wanted >> _HIGH] = True

    def passes(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Whether each key is wanted."""
        found: npt.NDArray[np.bool_] = self._table[keys >> _HIGH]
        maybe = np.flatnonzero(found)
        if len(maybe):
            at = np.minimum(np.searchsorted(self._wanted, keys[maybe]), len(self._wanted) - 1)
            found[maybe] = self._wanted[at] == keys[maybe]
        return found


def shared(
    own: Collection[date], others: Collection[date], load: Callable[[date], Keys], most: int = 4_000_000
) -> Keys:
    """The packed pairs of every key that occurs on several days, at least one of them an own one.

    Parameters
    ----------
    own, others
        Days; no day is in both.
    load
        The sorted full keys of a day.
    most
        How many own keys are looked at in one go; the keys are cut into ranges of about as many.
    """
    total = sum(len(load(day)) for day in own)
    ranges = max(1, -(-total // most))
    found = [_shared_in_range(own, others, load, i, ranges) for i in range(ranges)] if total else []
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _shared_in_range(
    own: Collection[date], others: Collection[date], load: Callable[[date], Keys], i: int, ranges: int
) -> Keys:
    low, high = ((1 << KEY_BITS) * n // ranges for n in (i, i + 1))
    mine = [packed(different(keys), day) for day, keys in _load(own, load, low, high)]
    pairs = np.concatenate(mine) if mine else np.empty(0, np.uint64)
    if others:
        sieve = Sieve(different(np.sort(keys_of(pairs))))
        theirs = [packed(different(keys[sieve.passes(keys)]), day) for day, keys in _load(others, load, low, high)]
        pairs = np.concatenate((pairs, *theirs))
    pairs.sort()
    pairs = pairs[_adjoining(keys_of(pairs))]
    return pairs[np.isin(keys_of(pairs), _confirmed(pairs, load))]


def _adjoining(ranked: Keys) -> npt.NDArray[np.bool_]:
    """Which numbers of a sorted array it has more than once."""
    same = ranked[1:] == ranked[:-1]
    several = np.zeros(len(ranked), np.bool_)
    several[1:] |= same
    several[:-1] |= same
    return several


def _confirmed(pairs: Keys, load: Callable[[date], Keys]) -> Keys:
    """The keys that several days have in full, or of which too little is known to say so."""
    found = []
    numbers = pairs & _DAY_MASK
    for number in np.unique(numbers):
        keys, full = keys_of(pairs[numbers == number]), load(day_of_number(int(number)))
        first = np.searchsorted(full, filled(keys))
        end = np.searchsorted(full, filled(keys) | _DAY_MASK, side="right")
        widths = end - first
        within = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths, widths)
        found.append(different(full[np.repeat(first, widths) + within]))
    full = np.sort(np.concatenate(found)) if found else np.empty(0, np.uint64)
    certain = _adjoining(full) | (full & _DAY_MASK == 0)
    return different(keys_of(full[certain]))


def _load(days: Collection[date], load: Callable[[date], Keys], low: int, high: int) -> Iterator[tuple[date, Keys]]:
    """The keys of days between two bounds."""
    for day in days:
        full = load(day)
        yield day, keys_of(full[_place(full, low) : _place(full, high)])


def _place(full: Keys, key: int) -> int:
    """Where the first full key of this key or a later one is."""
    return int(np.searchsorted(full, np.uint64(key << DAY_BITS))) if key >> KEY_BITS == 0 else len(full)


def pairs_of_days(pairs: Keys) -> set[tuple[date, date]]:
    """The pairs of days that have a key in common, from sorted packed pairs; the earlier day first."""
    found: set[tuple[int, int]] = set()
    keys, numbers = keys_of(pairs), (pairs & _DAY_MASK).astype(np.int64)
    starts: npt.NDArray[np.int64] = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))[: len(pairs)]
    widths = np.diff(np.append(starts, len(pairs)))
    for width in np.unique(widths):  # few different ones: most keys have two days
        rows = numbers[starts[widths == width][:, None] + np.arange(width)]
        for a in range(width):
            for b in range(a + 1, width):
                found |= {(int(x), int(y)) for x, y in np.unique(rows[:, [a, b]], axis=0)}
    return {(day_of_number(a), day_of_number(b)) for a, b in found}


#: From this many keys on it pays to write only their lower half, and how many keys share each upper half.
_MANY = 1 << 15
_HALF = np.uint64(32)


def write_keys(file: BinaryIO, keys: Keys) -> None:
    """Write sorted keys, some four and a half bytes each."""
    if len(keys) < _MANY:
        np.save(file, keys)
        return
    bounds = np.arange((1 << (KEY_BITS - 32)) + 1, dtype=np.uint64) << _HALF
    counts = np.diff(np.searchsorted(keys, bounds))
    np.save(file, counts.astype(np.uint16 if counts.max() < 1 << 16 else np.uint32))
    np.save(file, keys.astype(np.uint32))


def read_keys(file: BinaryIO) -> Keys:
    """What `write_keys` wrote."""
    first = np.load(file, allow_pickle=False)
    if first.dtype == np.uint64:
        return cast("Keys", first)
    upper = np.repeat(np.arange(len(first), dtype=np.uint64) << _HALF, first)
    return cast("Keys", upper | np.load(file, allow_pickle=False))


class KeySpool:
    """Keys by day while parts are read, in memory up to a limit and in temporary files above it.

    Parameters
    ----------
    most
        How many keys are held in memory.
    """

    def __init__(self, most: int = 8_000_000) -> None:
        self._most, self._held = most, 0
        self._keys: dict[date, list[Keys]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sorted: dict[date, Keys] = {}
        self._in_order: set[date] = set()

    def add(self, day: date, keys: Keys) -> None:
        """Keys of rows of one day, in any order."""
        self._keys.setdefault(day, []).extend([keys] if len(keys) else [])
        self._sorted.pop(day, None)
        self._held += len(keys)
        if self._held > self._most:
            self._flush()

    def __contains__(self, day: date) -> bool:
        return day in self._keys

    def load(self, day: date) -> Keys:
        """The sorted keys of a day."""
        if day not in self._keys:
            return np.empty(0, np.uint64)
        file = self._file(day)
        if file is not None and self._keys[day]:
            self._flush()
        if file is not None:
            return self._sorted_file(day, file)
        if day not in self._sorted:
            parts = self._keys[day]
            self._sorted[day] = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
            parts[:] = [self._sorted[day]] if parts else []
        return self._sorted[day]

    def _sorted_file(self, day: date, file: Path) -> Keys:
        if day not in self._in_order:
            np.sort(np.fromfile(file, np.uint64)).tofile(file)
            self._in_order.add(day)
        return np.memmap(file, np.uint64, mode="r")  # opened anew: what stays open stays in memory

    def _file(self, day: date) -> Path | None:
        file = Path(self._folder.name) / day.isoformat() if self._folder is not None else None
        return file if file is not None and file.exists() else None

    def _flush(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="csql-keys-", ignore_cleanup_errors=True)
        for day, arrays in self._keys.items():
            if arrays:
                self._sorted.pop(day, None)
                self._in_order.discard(day)
                with (Path(self._folder.name) / day.isoformat()).open("ab") as file:
                    np.concatenate(arrays).tofile(file)
                arrays.clear()
        self._held = 0

    def close(self) -> None:
        """Delete the temporary files."""
        self._keys.clear()
        self._sorted.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
