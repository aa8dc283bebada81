"""The second look at the events: days checked, settled and rolled up, a few million events at a time.

Almost all events are good and have an id of their own: for them it is enough to look at numbers. Bad ones and those
whose key occurs more than once are put aside and go through the contract's rules row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from csql_ml.activity.closer_look import CloserLook
from csql_ml.activity.counting import roll_up
from csql_ml.activity.day_groups import chapters, day_groups, runs
from csql_ml.activity.event_keys import Keys, days_of, different, keys_of, repeated
from csql_ml.activity.event_rows import EventRows
from csql_ml.activity.gathering import Gathering, Lists
from csql_ml.activity.places import SameHashError
from csql_ml.activity.rollup import columns_of, no_rows
from csql_ml.activity.source import BuiltDay, Contents, Day
from csql_ml.activity.user_months import UserDays
from csql_ml.activity.vocabulary import Vocabulary, read_vocabulary
from csql_ml.activity.zone_clock import ZoneClock

if TYPE_CHECKING:
    from csql_ml.source_duckdb import DuckDBWarehouse


class DayBuilder:
    """Builds days.

    Parameters
    ----------
    load
        The sorted full keys of a day.
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
        self._crossing_keys = different(keys_of(pairs))
        self._keyed = "event_id" in rows.present
        self._salt = 0

    def build(self, days: Collection[Day], contents: Contents, most_events: int) -> Iterator[BuiltDay]:
        """Every day, in any order."""
        if not days:
            return
        with self._rows.view(contents.days[min(days, key=lambda day: day or date.max)]) as view:
            self._closer = CloserLook(self._warehouse, self._rows, view)
            self._gathering = Gathering(self._rows, self._clock, view)
        if None in days:
            yield self._undated(contents)
        dated = sorted(day for day in days if day is not None)
        self._settle_crossing(dated, contents)
        for groups in chapters(day_groups(dated, contents.days, most_events), contents.days, most_events):
            vocabulary = self._vocabulary(groups, dated, contents)
            user_days = UserDays(vocabulary.people)
            while groups:
                group = groups.pop(0)
                try:
                    yield from self._group(group, vocabulary, user_days, contents, is_last=not groups)
                except OverflowError:
                    if len(group) == 1:
                        raise
                    middle = len(group) // 2
                    groups[:0] = [group[:middle], group[middle:]]

    def _undated(self, contents: Contents) -> BuiltDay:
        """Rows without a usable time: all of them are bad."""
        with self._rows.view(contents.days[None]):
            self._closer.undated()
        return BuiltDay(None, no_rows(self._config), tuple(self._closer.findings().get(None, ())))

    def _settle_crossing(self, days: Collection[date], contents: Contents) -> None:
        """Rows of ids that occur on several days, settled over all of these days."""
        if not len(self._crossing_keys):
            return
        for number, where in enumerate(runs(days_of(self._pairs))):
            with self._rows.view({part for day in where for part in contents.days[day]}, where, self._salt):
                self._closer.collect_crossing(self._crossing_keys, first=number == 0)
        self._closer.settle_crossing(days)

    def _vocabulary(self, groups: list[list[date]], dated: Collection[date], contents: Contents) -> Vocabulary:
        days = [day for group in groups for day in group]
        while True:
            with self._rows.view({part for day in days for part in contents.days[day]}, days, self._salt):
                try:
                    return read_vocabulary(self._rows, self._config, self._salt)
                except SameHashError:
                    self._salt += 1
            self._settle_crossing(dated, contents)

    def _group(
        self, days: list[date], vocabulary: Vocabulary, user_days: UserDays, contents: Contents, *, is_last: bool
    ) -> Iterator[BuiltDay]:
        """One group of days; users' days are given when their month is over, or with the last group."""
        keys = {day: keys_of(self._load(day)) for day in days}
        twice = np.unique(np.concatenate([repeated(of_day) for of_day in keys.values()]))
        twice = np.setdiff1d(twice, self._crossing_keys, assume_unique=True)
        with self._rows.view({part for day in days for part in contents.days[day]}, days, self._salt):
            lists = Lists(twice, self._crossing_keys, vocabulary.places.broken, vocabulary.kind_places.broken)
            gathered = self._gathering.read(vocabulary, days, lists)
        findings = {}
        if self._closer.judge(gathered.aside, days):
            findings = self._closer.findings()
            self._gathering.add(self._closer.kept(self._gathering.kept_columns), vocabulary, gathered)
        events = gathered.events()
        rolled_up = roll_up(events, vocabulary.people, vocabulary.kinds, columns_of(self._config))
        coming = next(rolled_up, None)
        user_days.add(events)
        for day in days:
            table, accounts = no_rows(self._config), None
            if coming is not None and coming[0] == day:
                (_, table, accounts), coming = coming, next(rolled_up, None)
            yield BuiltDay(
                day,
                table,
                tuple(findings.get(day, ())),
                keys=keys[day] if self._keyed else None,
                users=user_days.months(None if is_last else day) if day == days[-1] else None,
                accounts=accounts,
            )
