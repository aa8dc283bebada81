"""The rollup kept on disk: only what changed since the last run is read, checked and rolled up again.

What is there by part and day is compared with what was there: rows and an order-independent digest. Days that differ
are built again, and days that have an ``event_id`` in common with them, since an id counts once. The result equals a
rebuild of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Protocol

from csql_ml import pseudonyms
from csql_ml.activity import manifest as manifests
from csql_ml.activity.event_keys import Keys
from csql_ml.activity.folder import Folder
from csql_ml.activity.manifest import DayState, Manifest, MonthState, PartState
from csql_ml.activity.month_building import UserMonths, month_of, write_users
from csql_ml.activity.source import BuiltDay, Contents, Day, EventSource
from csql_ml.activity.summaries import account_days
from csql_ml.contract.checking import lacking_columns
from csql_ml.contract.tables import EVENTS
from csql_ml.run_files import fingerprint

if TYPE_CHECKING:
    import pyarrow as pa

    from csql_ml.config import Config


class Summaries(Protocol):
    """Makes tables of files of the folder, which are given by their paths below it."""

    def accounts(self, files: Sequence[str]) -> pa.Table:
        """Events, first day and newest known day of each account, of days' ``accounts`` files."""

    def users(self, month: str, files: Sequence[str]) -> pa.Table:
        """The month's ``user_months``, of days' ``rollup`` files."""

    def united(self, kept: str | None, days: Collection[int], tables: Sequence[pa.Table]) -> pa.Table:
        """``user_months`` of some days of the month in a file, and of tables."""


@dataclass(frozen=True)
class Updated:
    """A folder after an update.

    Attributes
    ----------
    built
        The days that were built.
    read
        How many rows the source has.
    """

    manifest: Manifest
    built: tuple[Day, ...]
    read: int


class LackingColumnsError(Exception):
    """The source lacks required columns.

    Attributes
    ----------
    lacking, present
        Columns of the contract.
    """

    def __init__(self, lacking: Sequence[str], present: Sequence[str]) -> None:
        super().__init__(", ".join(lacking))
        self.lacking, self.present = lacking, present


def definition(config: Config, columns: Mapping[str, str]) -> str:
    """Fingerprint of what decides the rollup, given the events: another one means that everything is built again."""
    return fingerprint(
        {
            "signals": config.signals.model_dump(mode="json"),
            "modules": [module.model_dump(mode="json") for module in config.catalogue.modules],
            "time_zone": config.company.time_zone,
            "mapping": config.data.tables["events"].columns,
            "columns": dict(columns),
            **({"users": pseudonyms.fingerprint(config)} if config.data.hash_user_ids else {}),
            "format": manifests.FORMAT,
        }
    )


class Store:
    """Brings the rollup in a folder up to date.

    Parameters
    ----------
    summaries
        Makes what is written per month.
    """

    def __init__(self, folder: Folder, source: EventSource, config: Config, summaries: Summaries) -> None:
        self._folder, self._source, self._config, self._summaries = folder, source, config, summaries

    def update(self) -> Updated:
        """Look at what changed and build it; the folder must be locked.

        Raises
        ------
        SourceError, ContractError
            The events cannot be read, or mapped columns are not there.
        OutputError
            The folder cannot be written.
        """
        old = manifests.read(self._folder.path)
        stamps = self._source.parts()
        if self._is_current(old, stamps):
            self._folder.remove_stale(old.files())  # a run that was killed may not have come to it
            return Updated(old, (), _rows(old.parts))
        old, parts = self._look(old, stamps)
        changed = self._changed(old, parts)
        new, built = self._rebuild(old, parts, changed) if changed else (replace(old, parts=parts), ())
        manifests.write(self._folder.path, new)
        self._folder.remove_stale(new.files())
        return Updated(new, built, _rows(parts))

    def _is_current(self, old: Manifest, stamps: Mapping[str, str | None]) -> bool:
        """Whether nothing needs to be looked at: the same parts, the same definition, and every file there."""
        same = {name: part.stamp for name, part in old.parts.items()} == dict(stamps) and None not in stamps.values()
        return same and old.definition == definition(self._config, old.columns) and not self._damaged(old)

    # ------------------------------------------------------------ what is there

    def _look(self, old: Manifest, stamps: Mapping[str, str | None]) -> tuple[Manifest, dict[str, PartState]]:
        """The parts as they are; nothing of the old state is of use where the definition has changed."""
        known = {n: p for n, p in old.parts.items() if n in stamps and p.stamp is not None and p.stamp == stamps[n]}
        described = {name: part.columns for name, part in known.items()}
        described |= self._source.describe([name for name in stamps if name not in known])
        columns = self._source.use({name: described[name] for name in stamps})
        present = [name for name in columns if name]
        if lacking := lacking_columns(EVENTS, present):
            raise LackingColumnsError(lacking, present)
        if old.definition != (now := definition(self._config, columns)):
            old, known = Manifest(definition=now, columns=columns), {}
        days: dict[str, dict[Day, tuple[int, int]]] = {name: dict(part.days) for name, part in known.items()}
        new = [name for name in stamps if name not in known]
        days |= {name: {} for name in new}
        for found in self._source.digests(new):
            days[found.part][found.day] = found.rows, found.digest
        return old, {name: PartState(stamps[name], described[name], days[name]) for name in stamps}

    def _changed(self, old: Manifest, parts: Mapping[str, PartState]) -> set[Day]:
        before, now = _totals(old.parts), _totals(parts)
        return {day for day in before.keys() | now.keys() if before.get(day) != now.get(day)} | self._damaged(old)

    def _damaged(self, old: Manifest) -> set[Day]:
        """Days whose files are not there in full, or whose month's are not."""
        bad = {day for day, state in old.days.items() if not all(map(self._folder.holds, state.files))}
        months = {month for month, state in old.months.items() if not all(map(self._folder.holds, state.files))}
        return bad | {day for day in old.days if day is not None and month_of(day) in months}

    # ------------------------------------------------------------ what is built

    def _rebuild(
        self, old: Manifest, parts: Mapping[str, PartState], changed: Collection[Day]
    ) -> tuple[Manifest, tuple[Day, ...]]:
        contents = Contents(_by_day(parts), self._kept_keys(old))
        dated = {day for day in changed if day is not None}
        pairs = self._source.shared_days({day for day in dated if day in contents.days}, contents)
        partners = {day for pair in old.pairs | pairs if dated & set(pair) for day in pair}
        wanted = {day for day in {*changed, *partners} if day in contents.days}
        states = {day: state for day, state in old.days.items() if day in contents.days and day not in wanted}
        built, touched = [], {*changed, *wanted}
        users = UserMonths(self._folder, old, touched, self._summaries.united)
        for day in self._source.build(wanted, contents):
            states[day.day] = self._write_day(day)
            users.add(day)
            built.append(day.day)
        return (
            replace(
                old,
                parts=parts,
                days=states,
                months=self._months(old, states, touched, users),
                pairs=frozenset(pairs | {pair for pair in old.pairs if not dated & set(pair)}),
            ),
            tuple(built),
        )

    def _kept_keys(self, old: Manifest) -> Callable[[date], Keys]:
        def load(day: date) -> Keys:
            file = old.days[day].keys
            assert file is not None, day
            return self._folder.read_keys(file)

        return load

    def _write_day(self, day: BuiltDay) -> DayState:
        rollup = accounts = keys = None
        if day.day is not None and day.rows.num_rows:
            below = f"day={day.day.isoformat()}"
            rollup = self._folder.write_table(below, "rollup", day.rows)
            of_accounts = account_days(day.rows) if day.accounts is None else day.accounts
            accounts = self._folder.write_table(below, "accounts", of_accounts)
        if day.day is not None and day.keys is not None:
            keys = self._folder.write_keys(day.day, day.keys)
        return DayState(rollup, accounts, keys, day.findings)

    def _months(
        self, old: Manifest, days: Mapping[Day, DayState], touched: Collection[Day], users: UserMonths
    ) -> dict[str, MonthState]:
        """Every month with activity; those without a day that was built or went are as they were."""
        states: dict[str, list[DayState]] = {}
        for day, state in days.items():
            if day is not None and state.rollup is not None:
                states.setdefault(month_of(day), []).append(state)
        changed = {month_of(day) for day in touched if day is not None} & states.keys()
        months = {month: state for month, state in old.months.items() if month in states and month not in changed}
        found, silent = users.finish(), users.silent_months()
        for month in sorted(changed):
            of_month = found.get(month)
            if month in silent:
                rollup = sorted(state.rollup.path for state in states[month] if state.rollup is not None)
                of_month = write_users(self._folder, month, self._summaries.users(month, rollup))
            files = sorted(state.accounts.path for state in states[month] if state.accounts is not None)
            accounts = self._folder.write_table(f"month={month}-01", "accounts", self._summaries.accounts(files))
            months[month] = MonthState(accounts, of_month)
        return months


def _rows(parts: Mapping[str, PartState]) -> int:
    return sum(rows for part in parts.values() for rows, _ in part.days.values())


def _totals(parts: Mapping[str, PartState]) -> dict[Day, tuple[int, int]]:
    """Rows and digest of each day over all parts."""
    totals: dict[Day, tuple[int, int]] = {}
    for part in parts.values():
        for day, (rows, digest) in part.days.items():
            before = totals.get(day, (0, 0))
            totals[day] = before[0] + rows, (before[1] + digest) % (1 << 64)
    return totals


def _by_day(parts: Mapping[str, PartState]) -> dict[Day, dict[str, int]]:
    """The rows of each part, by day."""
    days: dict[Day, dict[str, int]] = {}
    for name, part in parts.items():
        for day, (rows, _) in part.days.items():
            days.setdefault(day, {})[name] = rows
    return days
