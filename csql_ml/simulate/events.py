"""Product events: one month's counts laid out as rows, in portions, so that memory stays flat.

Few events at weekends and at night, office hours otherwise. About 1 % are delivered twice, about 2 % become known
hours to 20 days after they happened; those not known at the end of the simulation are not in the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.simulate import catalogue, dynamics
from csql_ml.simulate.dynamics import Lived
from csql_ml.simulate.timeline import MICROSECONDS_PER_DAY, Flags, Ints, Month, Timeline

#: Positions in a short list, as narrow as they can be.
Codes = npt.NDArray[np.int8] | npt.NDArray[np.int32]
#: Rows laid out at a time.
PORTION = 500_000
LATE, TWICE = 0.02, 0.01
#: Index of `catalogue.EVENT_NAMES` per kind of event.
_NAME = np.array([0, 0, 1, 2, 3, 4, 5], dtype=np.int8)
#: Share of a weekday's events that a day has, Monday first.
_WEEK = np.array([1.0, 1.08, 1.05, 1.0, 0.85, 0.12, 0.08])
#: Share of a day's events per UTC hour.
_HOURS = np.array([0, 0, 0, 0, 1, 3, 20, 60, 95, 100, 90, 60, 75, 95, 90, 70, 35, 12, 6, 4, 2, 0, 0, 0], dtype=float)
_ADVANCED, _GATED = len(catalogue.CORE_FEATURES), len(catalogue.CORE_FEATURES) + len(catalogue.ADVANCED_FEATURES)
_NO_FEATURE = -1
_WITH_FEATURE = (dynamics.CORE, dynamics.ADVANCED, dynamics.GATED)
#: ``_NTH_BIT[bits, k]``: position of the k-th set bit.
_NTH_BIT = np.array([([i for i in range(6) if bits >> i & 1] + [0] * 6)[:6] for bits in range(64)], dtype=np.int8)


@dataclass(frozen=True)
class Names:
    """Text of keys: accounts as Arrow strings, their numbers are positions."""

    accounts: pa.Array

    def users(self, account: Ints, number: Ints) -> pa.Array:
        """Keys of users: the account's and a number within it."""
        digits = pc.utf8_lpad(pc.cast(pa.array(number + 1), pa.string()), 4, "0")
        return pc.binary_join_element_wise(self.accounts.take(pa.array(account)), digits, "-U")


def month_of_events(lived: Lived, timeline: Timeline, names: Names, seed: int) -> Iterator[pa.Table]:
    """The rows of one month in portions of about `PORTION`, each in order of time."""
    rng = np.random.default_rng([seed, 5, lived.month.index])
    who = np.flatnonzero(lived.using)
    sizes = lived.counts[who].sum(axis=1)
    portion = (np.cumsum(sizes) - 1) // PORTION
    clock, end = _Clock(lived.month, timeline), int(timeline.microseconds(np.array([timeline.end]))[0])
    next_id = (lived.month.index + 1) * 10_000_000_000
    for number in np.unique(portion):
        some = who[portion == number]
        yield _portion(lived, some, clock, end, names, next_id, rng)
        next_id += int(sizes[portion == number].sum())


class _Clock:
    """Draws moments of a month by table: 16 random bits choose the day, 16 the time of day."""

    def __init__(self, month: Month, timeline: Timeline) -> None:
        days = np.arange(month.start, month.end)
        self._day = _table(_WEEK[timeline.weekdays(days)])
        self._midnight = timeline.microseconds(days)
        self._hour = _table(_HOURS)

    def draw(self, count: int, rng: np.random.Generator) -> Ints:
        """Microseconds since 1970, to the second."""
        day = self._day[rng.integers(0, 1 << 16, count, dtype=np.uint16)]
        hour = self._hour[rng.integers(0, 1 << 16, count, dtype=np.uint16)].astype(np.int64)
        second = rng.integers(0, 3600, count, dtype=np.uint16)
        return self._midnight[day] + (hour * 3600 + second) * 1_000_000


def _table(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """65,536 entries in which each index appears by its weight."""
    edges = np.round(np.cumsum(weights) / weights.sum() * (1 << 16)).astype(int)
    return np.repeat(np.arange(len(weights), dtype=np.int8), np.diff(edges, prepend=0))


@dataclass(frozen=True)
class _Slots:
    """Places of the events of some accounts ``who``, account by account and kind by kind.

    Attributes
    ----------
    owner
        Position in ``who``.
    place
        0, 1, 2, ... within the account.
    """

    who: Ints
    owner: Codes
    place: Ints
    kind: Codes

    @classmethod
    def of(cls, who: Ints, counts: Ints) -> _Slots:
        """Slots for so many events per account and kind."""
        sizes = counts.sum(axis=1)
        first = np.cumsum(sizes) - sizes
        kinds = np.tile(np.arange(dynamics.KINDS, dtype=np.int8), len(who))
        return cls(
            who=who,
            owner=np.repeat(np.arange(len(who), dtype=np.int32), sizes),
            place=np.arange(int(sizes.sum())) - np.repeat(first, sizes),
            kind=np.repeat(kinds, counts.ravel()),
        )

    def __len__(self) -> int:
        return len(self.place)


def _portion(
    lived: Lived, who: Ints, clock: _Clock, end: int, names: Names, first_id: int, rng: np.random.Generator
) -> pa.Table:
    """The events of some accounts in order of time, those not known before ``end`` (microseconds) left out."""
    slots = _Slots.of(who, lived.counts[who])
    people, user = _users(lived, slots, names, rng)
    feature = _features(lived, slots, rng)
    occurred = clock.draw(len(slots), rng)
    recorded = _recorded(occurred, rng)
    order = np.argsort(occurred, kind="stable")
    event_id = np.empty(len(slots), dtype=np.int64)
    event_id[order] = first_id + np.arange(len(slots))
    kept = order[recorded[order] < end]
    kept = np.repeat(kept, 1 + (rng.random(len(kept)) < TWICE))
    return pa.table(
        {
            "event_id": pa.array(event_id[kept]).cast(pa.string()),
            "account_id": _coded(slots.owner[kept], names.accounts.take(pa.array(who))),
            "user_id": _coded(user[kept].astype(np.int32), people),
            "occurred_at": pa.array(occurred[kept], pa.timestamp("us", "UTC")),
            "event_name": _coded(_NAME[slots.kind[kept]], pa.array(catalogue.EVENT_NAMES)),
            "feature": _coded(feature[kept], pa.array(catalogue.FEATURES), feature[kept] == _NO_FEATURE),
            "recorded_at": pa.array(recorded[kept], pa.timestamp("us", "UTC")),
        }
    )


def _coded(codes: Codes, words: pa.Array, missing: Flags | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), words)


def _users(lived: Lived, slots: _Slots, names: Names, rng: np.random.Generator) -> tuple[pa.Array, Ints]:
    """Keys of all active users, and which of them did each event: everybody once, then mostly the keenest."""
    active = lived.active[slots.who]
    first = np.cumsum(active) - active
    number = np.arange(int(active.sum())) + np.repeat(lived.first_active[slots.who] - first, active)
    crowd = active[slots.owner]
    keen = (crowd * rng.random(len(slots), dtype=np.float32) ** 1.5).astype(np.int64)
    within = np.where(slots.place < crowd, slots.place, np.minimum(keen, crowd - 1))
    return names.users(np.repeat(slots.who, active), number), first[slots.owner] + within


def _features(lived: Lived, slots: _Slots, rng: np.random.Generator) -> Codes:
    """Index of `catalogue.FEATURES`: each core feature in use at least once; gated features of the next module."""
    draw = rng.random(len(slots), dtype=np.float32)
    bits, module = lived.core[slots.who], lived.gated_module[slots.who]
    width = catalogue.ONES[bits][slots.owner]
    spread = np.minimum((width * draw**1.2).astype(np.int64), width - 1)
    nth = np.where(slots.place < width, slots.place, spread)
    feature = np.full(len(slots), _NO_FEATURE, dtype=np.int8)
    core, advanced, gated = (np.flatnonzero(slots.kind == kind) for kind in _WITH_FEATURE)
    feature[core] = _NTH_BIT[bits[slots.owner[core]], nth[core]]
    feature[advanced] = _ADVANCED + (draw[advanced] * 3).astype(np.int8)
    feature[gated] = _GATED + 2 * module[slots.owner[gated]] + (draw[gated] < 0.5)
    return feature


def _recorded(occurred: Ints, rng: np.random.Generator) -> Ints:
    """When each event became known: at once, or for some hours to 20 days later, sooner rather than later."""
    late = np.flatnonzero(rng.integers(0, 1 << 16, len(occurred), dtype=np.uint16) < LATE * (1 << 16))
    recorded = occurred.copy()
    delay = 3_600_000_000 + rng.random(len(late)) ** 2 * (20 * MICROSECONDS_PER_DAY - 3_600_000_000)
    recorded[late] += delay.astype(np.int64)
    return recorded
