"""What counts of the events of a few days, as numbers; rows that numbers cannot decide are put aside as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from csql_ml.activity.checked_rows import numbers
from csql_ml.activity.counting import Events
from csql_ml.activity.event_rows import ADDED, KIND, PERSON, SHORT_KEY, EventRows, is_among
from csql_ml.activity.vocabulary import COLUMNS, Vocabulary

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from csql_ml.activity.event_keys import Keys
    from csql_ml.activity.zone_clock import ZoneClock

#: Stands for no time; no event of the contract is that old.
NO_TIME = -(1 << 62)
#: Columns whose rules are not asked row by row: those of the vocabulary, and the time of rows that have a day.
_JUDGED = (*COLUMNS, "occurred_at")
_EPOCH = date(1970, 1, 1)
#: What becomes of a row: it counts, it is put aside, or it is among the crossing ones, which are settled already.
_COUNTS, _ASIDE, _SETTLED = 0, 1, 2


@dataclass(frozen=True)
class Lists:
    """Sorted numbers of rows that numbers cannot decide.

    Attributes
    ----------
    twice
        Keys that occur more than once on one day.
    crossing
        Keys that occur on several days.
    people, kinds
        Those that break a rule.
    """

    twice: Keys
    crossing: Keys
    people: Keys
    kinds: Keys

    def named(self) -> dict[str, Keys]:
        """Those that are not empty."""
        return {f"csql_list_{name}": values for name, values in vars(self).items() if len(values)}

    def fate(self) -> str:
        """SQL of what becomes of a row."""
        lists = self.named()
        broken = ["bad"]
        broken += [is_among(PERSON, "csql_list_people")] if "csql_list_people" in lists else []
        broken += [is_among(KIND, "csql_list_kinds")] if "csql_list_kinds" in lists else []
        cases = f"WHEN {' OR '.join(broken)} THEN {_ASIDE}"
        for name, fate in (("csql_list_crossing", _SETTLED), ("csql_list_twice", _ASIDE)):
            cases += f" WHEN {is_among(SHORT_KEY, name)} THEN {fate}" if name in lists else ""
        return f"(CASE {cases} ELSE {_COUNTS} END)::TINYINT"


@dataclass
class Gathered:
    """Numbers of events that count, in portions, and rows that were put aside, with their ``day``."""

    day: list[npt.NDArray[np.int32]] = field(default_factory=list)
    known_day: list[npt.NDArray[np.int32]] = field(default_factory=list)
    place: list[npt.NDArray[np.int32]] = field(default_factory=list)
    kind: list[npt.NDArray[np.int32]] = field(default_factory=list)
    quantity: list[npt.NDArray[np.int64]] = field(default_factory=list)
    aside: list[pa.RecordBatch] = field(default_factory=list)

    def events(self) -> Events:
        """All of them; the portions are forgotten."""
        return Events(
            day=_joined(self.day, np.int32),
            known_day=_joined(self.known_day, np.int32),
            place=_joined(self.place, np.int32),
            kind=_joined(self.kind, np.int32),
            quantity=_joined(self.quantity, np.int64) if self.quantity else None,
        )


class Gathering:
    """Reads the rows of the view that is open.

    Parameters
    ----------
    view
        Any one; the columns of all are the same.
    """

    def __init__(self, rows: EventRows, clock: ZoneClock, view: ir.Table) -> None:
        self._rows, self._clock = rows, clock
        self._numbers = rows.sql(numbers(view, rows.present, _JUDGED, ADDED))
        quantity = ["quantity"] if "quantity" in rows.present else []
        recorded = ["epoch_us(recorded) AS recorded"] if "recorded_at" in rows.present else []
        self._columns = ", ".join([PERSON, KIND, *recorded, *quantity])
        self.kept_columns = f"day - DATE '1970-01-01' AS day, {self._columns}"
        self._present, self._texts = rows.present, [f"{name}__raw" for name in rows.present]

    def read(self, vocabulary: Vocabulary, days: list[date], lists: Lists) -> Gathered:
        """The events of these days."""
        found, wanted = Gathered(), _Days(days)
        time = f"coalesce(epoch_us(time), {NO_TIME}) AS time"
        aside = ", ".join(f'CASE WHEN fate = {_ASIDE} THEN "{raw}" END AS "{raw}"' for raw in self._texts)
        judged = f"SELECT *, {lists.fate()} AS fate FROM ({self._numbers})"
        query = f"SELECT {time}, fate, {self._columns}, {aside} FROM ({judged})"
        with self._rows.lists(lists.named()):
            for batch in self._rows.stream(query):
                instants = batch.column("time").to_numpy()
                day = self._clock.days(np.maximum(instants, 0))
                here = wanted.have(day) & (instants != NO_TIME)
                fate = batch.column("fate").to_numpy()
                self._add(found, batch, here & (fate == _COUNTS), day, vocabulary)
                self._put_aside(found, batch, np.flatnonzero(here & (fate == _ASIDE)), day)
        return found

    def add(self, batches: Iterator[pa.RecordBatch], vocabulary: Vocabulary, found: Gathered) -> None:
        """Rows that count after a closer look."""
        for batch in batches:
            day = batch.column("day").to_numpy().astype(np.int32)
            self._add(found, batch, np.ones(len(day), np.bool_), day, vocabulary)

    def _add(self, found: Gathered, batch: pa.RecordBatch, chosen: Any, day: Any, vocabulary: Vocabulary) -> None:
        """Add some rows of a batch."""
        day = day[chosen]
        found.day.append(day)
        found.place.append(vocabulary.places.of(batch.column(PERSON).to_numpy()[chosen]))
        found.kind.append(vocabulary.kind_places.of(batch.column(KIND).to_numpy()[chosen]))
        found.known_day.append(self._known_day(batch, chosen, day))
        if "quantity" in batch.schema.names:
            found.quantity.append(_millionths(batch.column("quantity"))[chosen])

    def _known_day(self, batch: pa.RecordBatch, chosen: Any, day: Any) -> Any:
        if "recorded" not in batch.schema.names:
            return day
        recorded = batch.column("recorded")
        if not recorded.null_count:
            return np.maximum(self._clock.days(recorded.to_numpy()[chosen]), day)
        there = recorded.is_valid().to_numpy(zero_copy_only=False)[chosen]
        known = day.copy()
        known[there] = self._clock.days(recorded.fill_null(0).to_numpy()[chosen][there])
        return np.maximum(known, day)

    def _put_aside(self, found: Gathered, batch: pa.RecordBatch, rows: Any, day: Any) -> None:
        if len(rows):
            taken = batch.select([*self._texts, PERSON, KIND]).take(pa.array(rows))
            taken = taken.rename_columns([*self._present, PERSON, KIND])
            found.aside.append(taken.append_column("day", pa.array(day[rows]).cast(pa.date32())))


class _Days:
    """Tells which day numbers are among some days."""

    def __init__(self, days: Collection[date]) -> None:
        numbers = np.array([(day - _EPOCH).days for day in days])
        self._first = int(numbers.min())
        self._table = np.zeros(int(numbers.max()) - self._first + 3, np.bool_)  # others fall on its ends
        self._table[numbers - self._first + 1] = True

    def have(self, days: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = self._table[np.clip(days - self._first + 1, 0, len(self._table) - 1)]
        return found


def _millionths(quantities: pa.Array) -> npt.NDArray[np.int64]:
    """Decimals of at most 18 digits: the lower halves of their 128 bits."""
    halves = np.frombuffer(quantities.buffers()[1], np.int64)
    return halves[2 * quantities.offset : 2 * (quantities.offset + len(quantities)) : 2]


def _joined(arrays: list[Any], kind: Any) -> Any:
    whole = np.concatenate(arrays) if arrays else np.empty(0, kind)
    arrays.clear()
    return whole
