"""What the folder of a rollup holds: which files are in force, and what they were made of.

The manifest is written last and at once. What it does not name is not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from csql_ml.activity.source import Day, Finding

#: Changes when what is written changes its meaning: everything is built again then.
FORMAT = 2
NAME = "manifest.json"
_NO_DAY = "none"


@dataclass(frozen=True)
class File:
    """A file of the folder: its path below it and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class PartState:
    """A part as it was when it was last looked at.

    Attributes
    ----------
    columns
        As the source describes them.
    days
        Rows and digest by day.
    """

    stamp: str | None
    columns: Mapping[str, str]
    days: Mapping[Day, tuple[int, int]]


@dataclass(frozen=True)
class DayState:
    """A day as it was built.

    Attributes
    ----------
    rollup, accounts, keys
        None where there is nothing to write. ``accounts`` is the rollup without users: see
        `csql_ml.activity.summaries`.
    """

    rollup: File | None
    accounts: File | None
    keys: File | None
    findings: tuple[Finding, ...]

    @property
    def files(self) -> tuple[File, ...]:
        """What was written."""
        return tuple(file for file in (self.rollup, self.accounts, self.keys) if file is not None)


@dataclass(frozen=True)
class MonthState:
    """A calendar month with activity.

    Attributes
    ----------
    accounts
        Events, first day and newest known day of each account.
    users
        Which user was active on which day; None without any user. See `csql_ml.activity.summaries`.
    """

    accounts: File
    users: File | None

    @property
    def files(self) -> tuple[File, ...]:
        """What was written."""
        return (self.accounts,) if self.users is None else (self.accounts, self.users)


@dataclass(frozen=True)
class Manifest:
    """The state of a folder.

    Attributes
    ----------
    definition
        Fingerprint of everything that decides what is counted.
    columns
        The contract's columns that the source has, with their types.
    months
        By ``YYYY-MM``.
    pairs
        Days that have an ``event_id`` in common.
    """

    definition: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, PartState] = field(default_factory=dict)
    days: Mapping[Day, DayState] = field(default_factory=dict)
    months: Mapping[str, MonthState] = field(default_factory=dict)
    pairs: frozenset[tuple[date, date]] = frozenset()

    def files(self) -> set[str]:
        """The files in force."""
        states: list[DayState | MonthState] = [*self.days.values(), *self.months.values()]
        return {file.path for state in states for file in state.files}

    def rollup_files(self) -> list[str]:
        """The rollup's files in force, in the order of their days."""
        return sorted(day.rollup.path for day in self.days.values() if day.rollup is not None)

    def account_files(self) -> list[str]:
        """The rollup without users, in the order of its days."""
        return sorted(day.accounts.path for day in self.days.values() if day.accounts is not None)

    def user_files(self) -> list[str]:
        """The active days of users, in the order of their months."""
        return sorted(month.users.path for month in self.months.values() if month.users is not None)


def read(folder: Path) -> Manifest:
    """The manifest of a folder; an empty one where there is none that can be used."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            return Manifest()
        return _from_plain(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return Manifest()


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder, whole or not at all."""
    part = folder / f"{NAME}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump(_plain(manifest), file, separators=(",", ":"), sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / NAME)


def _plain(manifest: Manifest) -> dict[str, Any]:
    schemas = list({tuple(part.columns.items()): part.columns for part in manifest.parts.values()}.values())
    return {
        "format": FORMAT,
        "definition": manifest.definition,
        "columns": list(manifest.columns.items()),
        "schemas": [list(columns.items()) for columns in schemas],
        "parts": {name: _plain_part(part, schemas) for name, part in manifest.parts.items()},
        "days": {_text(day): _plain_day(state) for day, state in manifest.days.items()},
        "months": {month: [_plain_file(s.accounts), _plain_file(s.users)] for month, s in manifest.months.items()},
        "pairs": sorted([a.isoformat(), b.isoformat()] for a, b in manifest.pairs),
    }


def _plain_part(part: PartState, schemas: list[Mapping[str, str]]) -> list[Any]:
    days = {_text(day): [rows, f"{digest:016x}"] for day, (rows, digest) in part.days.items()}
    return [part.stamp, schemas.index(part.columns), days]


def _plain_day(day: DayState) -> list[Any]:
    files = [_plain_file(file) for file in (day.rollup, day.accounts, day.keys)]
    return [*files, [[f.rule, f.column, f.kind, f.message, f.rows, list(f.examples)] for f in day.findings]]


def _plain_file(file: File | None) -> list[Any] | None:
    return None if file is None else [file.path, file.size]


def _from_plain(content: dict[str, Any]) -> Manifest:
    schemas = [dict(columns) for columns in content["schemas"]]
    parts = {
        name: PartState(
            stamp, schemas[schema], {_day(text): (rows, int(digest, 16)) for text, (rows, digest) in days.items()}
        )
        for name, (stamp, schema, days) in content["parts"].items()
    }
    days = {
        _day(text): DayState(_file(rollup), _file(accounts), _file(keys), tuple(_finding(f) for f in findings))
        for text, (rollup, accounts, keys, findings) in content["days"].items()
    }
    months = content["months"]
    return Manifest(
        definition=content["definition"],
        columns=dict(content["columns"]),
        parts=parts,
        days=days,
        months={month: MonthState(File(*accounts), _file(users)) for month, (accounts, users) in months.items()},
        pairs=frozenset((date.fromisoformat(a), date.fromisoformat(b)) for a, b in content["pairs"]),
    )


def _finding(plain: list[Any]) -> Finding:
    rule, column, kind, message, rows, examples = plain
    return Finding(rule, column, kind, message, rows, tuple(examples))


def _file(plain: list[Any] | None) -> File | None:
    return File(*plain) if plain is not None else None


def _text(day: Day) -> str:
    return _NO_DAY if day is None else day.isoformat()


def _day(text: str) -> Day:
    return None if text == _NO_DAY else date.fromisoformat(text)
