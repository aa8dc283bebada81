"""How far pulls have come: one file beside the pulled tables, written after them, and one pull at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from csql_ml.errors import DeliveryError, OutputError
from csql_ml.run_files import json_text, write_file

STATE, _LOCK, _VERSION = "pulled.json", ".lock", 1


@dataclass(frozen=True)
class Place:
    """How far one sink was read: its own cursor, and per table the newest change seen."""

    cursor: str = ""
    seen: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """Places by sink, and how many rows each table had when they were written.

    Rows are written first. A table with fewer rows than it had was deleted or restored from an older copy: then every
    sink has to be read from the beginning.
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)

    def of(self, sink: str) -> Place:
        """Where a sink was left."""
        return self.places.get(sink, Place())

    def moved(self, sink: str, place: Place, rows: Mapping[str, int]) -> State:
        """The state after a pull."""
        return State({**self.places, sink: place}, rows)

    def checked(self, rows: Mapping[str, int]) -> State:
        """The state as far as these numbers of rows bear it out."""
        if all(rows[table] >= count for table, count in self.rows.items()):
            return self
        return State()


def read_state(folder: Path) -> State:
    """The state of a folder; at the beginning where there is none.

    Raises
    ------
    OutputError
        The file is not one of ours.
    """
    path = folder / STATE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != _VERSION:
            raise OutputError(f"{path} has version {found['version']}, this version of csql_ml knows {_VERSION}")
        places = {sink: _place(place) for sink, place in found["sinks"].items()}
        return State(places, {str(table): int(count) for table, count in found["rows"].items()})
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path} is no state of csql pull ({type(error).__name__}); delete it, and the next pull reads everything "
            "anew, which keeps the rows that are there"
        ) from error


def _place(found: Mapping[str, Any]) -> Place:
    seen = {table: datetime.fromisoformat(moment) for table, moment in found["seen"].items()}
    return Place(str(found["cursor"]), seen)


def write_state(folder: Path, state: State) -> None:
    """Write it, after the tables that it speaks of are on the disk."""
    _sync_folder(folder)
    sinks = {
        sink: {"cursor": place.cursor, "seen": {table: moment.isoformat() for table, moment in place.seen.items()}}
        for sink, place in state.places.items()
    }
    text = json_text({"version": _VERSION, "sinks": sinks, "rows": dict(state.rows)}, indent=2) + "\n"
    write_file(folder / STATE, lambda path: path.write_text(text, encoding="utf-8"))


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system opens folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def only_pull(folder: Path) -> Iterator[None]:
    """Be the only pull into a folder. It ends with the process, however that ends.

    Raises
    ------
    DeliveryError
        Another one is at work.
    OutputError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        lock.acquire(blocking=False)
    except Timeout:
        raise DeliveryError(f"another pull into {folder} is at work; wait for its end") from None
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}; set data.pulled") from error
    try:
        yield
    finally:
        lock.release()
