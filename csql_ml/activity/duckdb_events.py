"""Events that DuckDB reads: what has changed since the last look, and the rollup of the days that did.

Events are looked at twice. The first look hashes whole rows, to see which days changed, and their ids, to see which
occur more than once. The second rolls the changed days up, a few million events at a time, so that memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from csql_ml.activity.checked_rows import timed_rows
from csql_ml.activity.day_building import DayBuilder
from csql_ml.activity.day_groups import MOST_EVENTS
from csql_ml.activity.event_keys import Keys, KeySpool, filled, pairs_of_days, shared
from csql_ml.activity.event_parts import EventColumns, EventFiles, EventParts, EventTable
from csql_ml.activity.event_rows import KEY, ROW, EventRows
from csql_ml.activity.gathering import NO_TIME
from csql_ml.activity.source import BuiltDay, Contents, Day, PartDay
from csql_ml.activity.zone_clock import DayNumbers, Instants, ZoneClock

if TYPE_CHECKING:
    from csql_ml.source_duckdb import DuckDBWarehouse

_EPOCH = date(1970, 1, 1)
#: The number of no day.
_UNDATED = -(1 << 20)
#: How many rows of a part are sorted by day at a time.
_PORTION = 4_000_000
_NO_KEYS: Keys = np.empty(0, np.uint64)


class DuckDBEvents:
    """The events of a company whose data DuckDB reads; see `csql_ml.activity.source.EventSource`.

    Parameters
    ----------
    most_events
        How many events are rolled up at a time.
    """

    def __init__(self, warehouse: DuckDBWarehouse, most_events: int = MOST_EVENTS) -> None:
        self._warehouse, self._config, self._most_events = warehouse, warehouse.config, most_events
        mapping = self._config.data.tables["events"]
        self._parts: EventParts = EventTable(warehouse)
        if mapping.file is not None:
            self._parts = EventFiles(warehouse, mapping.file)
        self._clock = ZoneClock(self._config.company.time_zone, self._local)
        self._spool, self._looked_at = KeySpool(), set[str]()
        self._fresh: set[date] = set()
        self._pairs = _NO_KEYS

    def _local(self, instants: Instants) -> Instants:
        """Microseconds of the local clock, by DuckDB's calendar."""
        probes = pa.table({"instant": instants})
        zone = self._config.company.time_zone
        with self._warehouse.connection.con.cursor() as cursor:
            cursor.register("csql_probes", probes)
            local = "epoch_us(timezone($zone, make_timestamptz(instant)))"
            query = f"SELECT {local} AS local FROM csql_probes ORDER BY instant"
            found: Instants = cursor.execute(query, {"zone": zone}).fetchnumpy()["local"]
        return found.astype(np.int64)

    # ------------------------------------------------------------ what is there

    def parts(self) -> dict[str, str | None]:
        """The files, or the one table."""
        return self._parts.stamps()

    def describe(self, parts: Collection[str]) -> dict[str, dict[str, str]]:
        """Columns and DuckDB types of parts."""
        return self._parts.describe(parts)

    def use(self, described: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Fix the columns; beside them stands what DuckDB's hash function makes of a text, since it may change."""
        columns = EventColumns(self._warehouse, self._parts, described)
        self._rows = EventRows(self._warehouse, columns)
        ((probe,),) = self._warehouse.rows("SELECT hash('csql', 1)")
        return {**columns.types, "": f"hash {probe}"}

    # ------------------------------------------------------------ the first look

    def digests(self, parts: Collection[str]) -> list[PartDay]:
        """Rows and the sum of their hashes, by part and day."""
        found = []
        for part in parts:
            sums: dict[Day, tuple[int, int]] = {}
            for instants, keys, hashes in self._hashed(part):
                for day, own_keys, own_hashes in self._by_day(instants, keys, hashes):
                    rows, digest = sums.get(day, (0, 0))
                    sums[day] = rows + len(own_hashes), digest + int(own_hashes.sum(dtype=np.uint64))
                    if day is not None:
                        self._spool.add(day, own_keys[own_keys > 0])
            self._looked_at.add(part)
            found += [PartDay(part, day, rows, digest % (1 << 64)) for day, (rows, digest) in sums.items()]
        return found

    def _hashed(self, part: str, days: Collection[Day] = (None,)) -> Iterator[tuple[Instants, Keys, Keys]]:
        """Times, keys and hashes of the rows of a part, in portions."""
        with self._rows.view([part], days) as rows:
            columns = f"coalesce(epoch_us(time), {NO_TIME}) AS time, {KEY}, {ROW}"
            yield from _portions(self._rows.stream(f"SELECT {columns} FROM ({self._rows.sql(timed_rows(rows))})"))

    def _by_day(self, instants: Instants, *values: Keys) -> Iterator[tuple[Any, ...]]:
        """Values of each day, and of None for rows without a time."""
        days = self._days(instants)
        order = np.argsort(days, kind="stable")
        ranked, values = days[order], tuple(v[order] for v in values)
        bounds = np.flatnonzero(np.diff(ranked, prepend=np.int32(-(1 << 30)))).tolist()
        for first, end in zip(bounds, [*bounds[1:], len(ranked)], strict=True):
            day = None if ranked[first] == _UNDATED else _EPOCH + timedelta(days=int(ranked[first]))
            yield (day, *(v[first:end] for v in values))

    def _days(self, instants: Instants) -> DayNumbers:
        """Local days; `_UNDATED` where there is no time."""
        dated = instants != NO_TIME
        if dated.all():
            return self._clock.days(instants)
        days = np.full(len(instants), _UNDATED, np.int32)
        days[dated] = self._clock.days(instants[dated])
        return days

    # ------------------------------------------------------------ keys

    def shared_days(self, days: Collection[date], contents: Contents) -> set[tuple[date, date]]:
        """Pairs of days with a key in common."""
        if "event_id" not in self._rows.present:
            return set()
        self._fresh = {day for day in days if day in contents.days}
        for part, missing in self._unread(contents).items():
            for instants, keys, hashes in self._hashed(part, missing):
                for day, own, _ in self._by_day(instants, keys, hashes):
                    if day in missing:
                        self._spool.add(day, own[own > 0])
        self._pairs = self._shared(self._fresh, contents)
        return pairs_of_days(self._pairs)

    def _unread(self, contents: Contents) -> dict[str, set[date]]:
        """Days whose keys are not complete, by the part that has not been looked at."""
        missing: dict[str, set[date]] = {}
        for day in self._fresh:
            for part in contents.days[day]:
                if part not in self._looked_at:
                    missing.setdefault(part, set()).add(day)
        return missing

    def _shared(self, own: Collection[date], contents: Contents) -> Keys:
        others = [day for day in contents.days if day is not None and day not in own]
        return shared(sorted(own), others, self._loader(contents))

    def _loader(self, contents: Contents) -> Callable[[date], Keys]:
        """The sorted full keys of a day; none where events have no ids."""
        if "event_id" not in self._rows.present:
            return lambda day: _NO_KEYS
        return lambda day: self._spool.load(day) if day in self._fresh else filled(contents.kept_keys(day))

    # ------------------------------------------------------------ the second look

    def build(self, days: Collection[Day], contents: Contents) -> Iterator[BuiltDay]:
        """Check, settle and roll up."""
        further = {day for day in days if day is not None and day not in self._fresh}
        if further and "event_id" in self._rows.present:
            self._pairs = np.union1d(self._pairs, self._shared(further, contents))
        builder = DayBuilder(self._warehouse, self._rows, self._clock, self._loader(contents), self._pairs)
        return builder.build(days, contents, self._most_events)

    def close(self) -> None:
        """Delete the temporary files."""
        self._spool.close()


def _portions(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Instants, Keys, Keys]]:
    """Batches put together until they are worth sorting."""
    held: list[tuple[Any, ...]] = []
    for batch in batches:
        held.append(tuple(column.to_numpy() for column in batch.columns))
        if sum(len(columns[0]) for columns in held) >= _PORTION:
            yield _together(held)
            held = []
    if held:
        yield _together(held)


def _together(held: list[tuple[Any, ...]]) -> tuple[Instants, Keys, Keys]:
    time, keys, hashes = (np.concatenate(columns) for columns in zip(*held, strict=True))
    return time, keys, hashes
