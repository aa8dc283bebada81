"""The second look at the events: days checked, settled and rolled up, a few million events at a time.

Almost all events are good and have an id of their own: for them it is enough to look at numbers. Bad ones and those
whose key occurs more than once go through the contract's rules row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from csql_ml.activity.checked_rows import CheckedRows
from csql_ml.activity.counting import Events, roll_up
from csql_ml.activity.day_groups import day_groups
from csql_ml.activity.event_keys import Keys, Sieve, days_of, keys_of, repeated
from csql_ml.activity.event_rows import ADDED, KEY, KIND, PERSON, EventRows
from csql_ml.activity.rollup import columns_of, no_rows
from csql_ml.activity.source import BuiltDay, Contents, Day, Finding, merged
from csql_ml.activity.vocabulary import COLUMNS, SameHashError, Vocabulary, read_vocabulary
from csql_ml.activity.zone_clock import ZoneClock

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from csql_ml.source_duckdb import DuckDBWarehouse

#: Stands for no time; no event of the contract is that old.
NO_TIME = -(1 << 62)
#: Columns whose rules are not asked row by row: those of the vocabulary, and the time of rows that have a day.
_JUDGED = (*COLUMNS, "occurred_at")
_EPOCH = date(1970, 1, 1)
_CROSSING, _REPEATED, _BAD, _SUSPECTS = "csql_crossing", "csql_repeated", "csql_bad_events", "csql_suspects"
_TIMES = (
    f"coalesce(epoch_us(time), {NO_TIME}) AS time, coalesce(epoch_us(recorded), epoch_us(time), {NO_TIME}) AS recorded"
)


@dataclass(frozen=True)
class _Settled:
    """Rows of some keys, of which each id counts once: with their ``day``, and a ``problem`` if they do not count."""

    checked: CheckedRows
    rows: ir.Table


@dataclass
class _Gathered:
    """Numbers of good events, in portions."""

    person: list[Keys] = field(default_factory=list)
    kind: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    day: list[npt.NDArray[np.int32]] = field(default_factory=list)
    known_day: list[npt.NDArray[np.int32]] = field(default_factory=list)
    quantity: list[npt.NDArray[np.int64]] = field(default_factory=list)
    some_bad: bool = False


class DayBuilder:
    """Builds days.

    Parameters
    ----------
    load
        The sorted keys of a day.
    pairs
        The packed pairs of all keys that occur on several days, one of which may be built.
    """

    def __init__(
        self,
        warehouse: DuckDBWarehouse,
        rows: EventRows,
        clock: ZoneClock,
        load: Callable[[date], Keys],
        pairs: Keys,
    ) -> None:
        self._warehouse, self._rows, self._clock, self._load, self._pairs = warehouse, rows, clock, load, pairs
        self._config = warehouse.config
        self._crossing_keys = np.unique(keys_of(pairs))
        self._keyed = "event_id" in rows.present
        self._salt = 0

    def build(self, days: Collection[Day], contents: Contents, most_events: int) -> Iterator[BuiltDay]:
        """Every day, in any order."""
        if None in days:
            yield self._undated(contents)
        dated = sorted(day for day in days if day is not None)
        self._crossing = self._settle_crossing(dated, contents)
        groups = day_groups(dated, contents.days, most_events)
        while groups:
            group = groups.pop(0)
            try:
                yield from self._group(group, contents)
            except SameHashError:
                self._salt += 1
                self._crossing = self._settle_crossing(dated, contents)
                groups.insert(0, group)
            except OverflowError:
                if len(group) == 1:
                    raise
                middle = len(group) // 2
                groups[:0] = [group[:middle], group[middle:]]

    def _undated(self, contents: Contents) -> BuiltDay:
        """Rows without a usable time: all of them are bad."""
        with self._rows.view(contents.days[None]) as rows:
            findings = self._findings(self._checked(rows), [None])
        return BuiltDay(None, no_rows(self._config), tuple(findings.get(None, ())))

    def _checked(self, rows: ir.Table) -> CheckedRows:
        return CheckedRows(rows, self._rows.present, self._config.company.time_zone, ADDED)

    def _findings(self, checked: CheckedRows, days: Collection[Day]) -> dict[Day, list[Finding]]:
        """What is wrong with the bad rows of some days."""
        bad = self._warehouse.materialise(_BAD, checked.on_days(checked.bad(), days))
        findings = checked.findings(bad)
        self._warehouse.drop(_BAD)
        return findings

    # ------------------------------------------------------------ one group of days

    def _group(self, days: list[date], contents: Contents) -> Iterator[BuiltDay]:
        parts = {part for day in days for part in contents.days[day]}
        with self._rows.view(parts, days, self._salt) as rows:
            vocabulary = read_vocabulary(self._rows, self._config, self._salt)
            checked = self._checked(rows)
            keys = {day: self._load(day) for day in days}
            twice = np.unique(np.concatenate([repeated(of_day) for of_day in keys.values()]))
            twice = np.setdiff1d(twice, self._crossing_keys, assume_unique=True)
            suspects = np.union1d(twice, self._crossing_keys)
            gathered = self._gather(checked, vocabulary, days, suspects)
            findings = self._findings(checked, days) if gathered.some_bad else {}
            settled = [self._settle(twice, days, _REPEATED)] if len(twice) else []
        for some in (*settled, *([self._crossing] if self._crossing is not None else [])):
            self._add_settled(some, vocabulary, days, gathered, findings)
        events = self._events(gathered, vocabulary)
        rolled_up = roll_up(events, vocabulary.people, vocabulary.kinds, columns_of(self._config))
        coming = next(rolled_up, None)
        for day in days:
            table = no_rows(self._config)
            if coming is not None and coming[0] == day:
                table, coming = coming[1], next(rolled_up, None)
            yield BuiltDay(day, table, tuple(findings.get(day, ())), keys[day] if self._keyed else None)

    def _gather(self, checked: CheckedRows, vocabulary: Vocabulary, days: list[date], suspects: Keys) -> _Gathered:
        """The good events of these days whose key is no suspect."""
        found, wanted = _Gathered(), _Days(days)
        sieve = Sieve(suspects) if len(suspects) else None
        columns = f"{_TIMES}, {PERSON}, {KIND}, bad{self._quantity}{f', {KEY}' if sieve else ''}"
        for batch in self._rows.stream(checked.numbers(_JUDGED), columns):
            values = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
            time, bad = values["time"].to_numpy(), values["bad"].to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(time != NO_TIME)
            day = self._clock.days(time[rows])
            here = wanted.have(day)
            rows, day = rows[here], day[here]
            person = vocabulary.people.known(values[PERSON].to_numpy()[rows])
            kind = vocabulary.kinds_of(values[KIND].to_numpy()[rows])
            good = ~bad[rows] & (kind >= 0) & person
            found.some_bad |= not good.all()
            if sieve is not None:
                good &= ~sieve.passes(values[KEY].to_numpy()[rows])
            self._add(found, values, rows[good], day[good], kind[good])
        return found

    @property
    def _quantity(self) -> str:
        return ", quantity" if "quantity" in self._rows.present else ""

    def _add(self, found: _Gathered, values: Mapping[str, pa.Array], rows: Any, day: Any, kind: Any) -> None:
        """Add some rows of a batch."""
        found.person.append(values[PERSON].to_numpy()[rows])
        found.kind.append(kind.astype(np.uint32))
        found.day.append(day)
        found.known_day.append(np.maximum(self._clock.days(values["recorded"].to_numpy()[rows]), day))
        if "quantity" in values:
            found.quantity.append(_millionths(values["quantity"])[rows])

    def _events(self, gathered: _Gathered, vocabulary: Vocabulary) -> Events:
        return Events(
            day=_joined(gathered.day, np.int32),
            known_day=_joined(gathered.known_day, np.int32),
            place=vocabulary.people.places_of(_joined(gathered.person, np.uint64)),
            kind=_joined(gathered.kind, np.uint32),
            quantity=_joined(gathered.quantity, np.int64) if self._quantity else None,
        )

    # ------------------------------------------------------------ ids that occur more than once

    def _settle(self, keys: Keys, days: Collection[date], name: str) -> _Settled:
        """Rows of some keys, settled among themselves; only those of ``days`` are kept."""
        suspects = self._checked(self._rows.matching(_SUSPECTS, keys))
        settled = self._warehouse.materialise(name, suspects.on_days(suspects.settled(), days))
        self._warehouse.drop(_SUSPECTS)
        return _Settled(suspects, settled)

    def _settle_crossing(self, days: Collection[date], contents: Contents) -> _Settled | None:
        """Rows of ids that occur on several days, settled over all of these days."""
        if not len(self._crossing_keys):
            return None
        where = days_of(self._pairs)
        parts = {part for day in where for part in contents.days[day]}
        with self._rows.view(parts, where, self._salt):
            return self._settle(self._crossing_keys, days, _CROSSING)

    def _add_settled(
        self,
        settled: _Settled,
        vocabulary: Vocabulary,
        days: Collection[date],
        into: _Gathered,
        findings: dict[Day, list[Finding]],
    ) -> None:
        rows = settled.rows.filter(settled.rows.day.isin(list(days)))
        for day, found in settled.checked.findings(rows.filter(rows.problem.notnull())).items():
            findings[day] = merged([*findings.get(day, []), *found])
        kept = settled.checked.as_numbers(rows.filter(rows.problem.isnull()))
        for batch in self._rows.stream(kept, f"{_TIMES}, {PERSON}, {KIND}{self._quantity}"):
            values = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
            day_numbers = self._clock.days(values["time"].to_numpy())
            kind = vocabulary.kinds_of(values[KIND].to_numpy())
            self._add(into, values, np.arange(len(day_numbers)), day_numbers, kind)


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
    return np.concatenate(arrays) if arrays else np.empty(0, kind)
