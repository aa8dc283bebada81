"""The active days of users, month by month, put together while days are built.

Whatever a month had before of days that are not built again is kept; a month is written as soon as later ones come, so
that only a few are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from csql_ml.activity.folder import Folder
from csql_ml.activity.manifest import DayState, File, Manifest
from csql_ml.activity.source import BuiltDay, Day

if TYPE_CHECKING:
    import pyarrow as pa

#: ``unite(kept, days, tables)``: rows of a file, but of these days of the month only, and of tables, as one table.
Unite = Callable[["str | None", Collection[int], "Sequence[pa.Table]"], "pa.Table"]


def month_of(day: date) -> str:
    """The month as files are named by it."""
    return f"{day:%Y-%m}"


class UserMonths:
    """Collects what days say about their users, and writes a file per month.

    Parameters
    ----------
    old
        What there was before.
    changed
        Days that are built or gone.
    """

    def __init__(self, folder: Folder, old: Manifest, changed: Collection[Day], unite: Unite) -> None:
        self._folder, self._unite = folder, unite
        self._kept = _kept(old, changed)
        self._tables: dict[str, list[pa.Table]] = {}
        self._written: dict[str, File | None] = {}
        self._silent: list[date] = []

    def add(self, built: BuiltDay) -> None:
        """Take what a day says about itself and the days before it."""
        if built.day is not None:
            self._silent.append(built.day)
        if built.users is None:
            return
        self._silent = []
        for month, table in built.users.items():
            self._tables.setdefault(month, []).append(table)
        if built.users:
            self._write(month for month in list(self._tables) if month < min(built.users))

    def finish(self) -> Mapping[str, File | None]:
        """A file for each month of which anything was said, or None where it has no users."""
        self._write(list(self._tables))
        for month in self._kept.keys() - self._written.keys():
            self._write([month])
        return self._written

    def silent_months(self) -> set[str]:
        """Months with a day that was built and about which nothing was said; they have to be read from the rollup."""
        return {month_of(day) for day in self._silent}

    def _write(self, months: Iterable[str]) -> None:
        for month in months:
            path, days = self._kept.pop(month, (None, list[int]()))
            earlier = self._written.get(month)
            if earlier is not None:  # written before, and now more comes
                path, days = earlier.path, list(range(1, 32))
            table = self._unite(path, days, self._tables.pop(month, []))
            self._written[month] = write_users(self._folder, month, table)


def write_users(folder: Folder, month: str, table: pa.Table) -> File | None:
    """Write a month's file; None without any user."""
    return folder.write_table(f"month={month}-01", "users", table) if table.num_rows else None


def _kept(old: Manifest, changed: Collection[Day]) -> dict[str, tuple[str | None, list[int]]]:
    """Of each month with a changed day and days that stay: its file, and the days of the month that stay."""
    touched = {month_of(day) for day in changed if day is not None}
    stay: dict[str, list[int]] = {}
    for day, state in old.days.items():
        if _has_rows(state) and day is not None and day not in changed and month_of(day) in touched:
            stay.setdefault(month_of(day), []).append(day.day)
    files = {month: old.months[month].users for month in stay if month in old.months}
    return {month: (file.path, stay[month]) for month, file in files.items() if file is not None}


def _has_rows(state: DayState) -> bool:
    return state.rollup is not None
