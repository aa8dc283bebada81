"""The folder of a rollup: files that appear whole or not at all, one run that writes, and others that read.

A file's name ends with a digest of what is in it, so that nothing in force is ever written over. Files that are no
longer in force are removed once no run reads them any more.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from csql_ml.activity.event_keys import Keys, read_keys, write_keys
from csql_ml.activity.manifest import File
from csql_ml.errors import OutputError
from csql_ml.in_place import holder_of, own_name

if TYPE_CHECKING:
    import pyarrow as pa

#: How long a run waits for another one that builds the same rollup, in seconds.
PATIENCE = 600.0
#: Worth a compression that takes longer.
_TEXTS = ("account_id", "user_id")
_LOCK, _HOLDER, _READERS = ".lock", "in-use-by.json", "readers"
_OURS = ("*=*/rollup-*.parquet", "*=*/accounts-*.parquet", "*=*/users-*.parquet", "*=*/keys-*.npy", "*=*/*.part")


class Folder:
    """A folder that one rollup has for itself.

    Parameters
    ----------
    path
        Made if it is not there.

    Raises
    ------
    OutputError
        It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._writing():
            (path / _READERS).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Timeout:  # an OSError, too
            raise
        except OSError as error:
            raise OutputError(
                f"activity folder {self.path} cannot be written: {error.strerror or error}; "
                "give activity_folder a place with room that this user may write to"
            ) from error

    # ------------------------------------------------------------ one run at a time

    @contextmanager
    def locked(self, patience: float = PATIENCE) -> Iterator[None]:
        """Be the only run that writes.

        Raises
        ------
        OutputError
            Another run has not finished within ``patience`` seconds.
        """
        lock = FileLock(self.path / _LOCK)
        try:
            with self._writing():
                lock.acquire(timeout=patience)
        except Timeout:
            raise OutputError(
                f"activity folder {self.path} is being written by {self._holder()}; "
                "run the command again when that is done, or give this run an activity_folder of its own"
            ) from None
        try:
            with self._writing():
                (self.path / _HOLDER).write_text(own_name(), encoding="utf-8")
            yield
        finally:
            try:
                (self.path / _HOLDER).unlink(missing_ok=True)
            finally:
                lock.release()

    def _holder(self) -> str:
        return holder_of(self.path / _HOLDER)

    # ------------------------------------------------------------ files

    def write_table(self, below: str, name: str, table: pa.Table) -> File:
        """Write Parquet to ``<below>/<name>-<digest>.parquet``.

        Numbers are mostly small and mostly zero: compressing them as they are takes a third of the time of looking for
        repeated ones first, at twice the size, and they are read as fast (measured).
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = pa.BufferOutputStream()
        packed = {column: "zstd" if column in _TEXTS else "lz4" for column in table.column_names}
        pq.write_table(table, target, compression=packed, use_dictionary=["account_id"], write_statistics=False)
        return self._write(below, name, ".parquet", memoryview(target.getvalue()))

    def write_keys(self, day: date, keys: Keys) -> File:
        """Write the keys of a day."""
        target = io.BytesIO()
        write_keys(target, keys)
        return self._write(f"day={day.isoformat()}", "keys", ".npy", target.getbuffer())

    def read_keys(self, file: File) -> Keys:
        """Keys as they were written."""
        with (self.path / file.path).open("rb") as handle:
            return read_keys(handle)

    def _write(self, below: str, name: str, ending: str, content: memoryview) -> File:
        digest = hashlib.sha256(content).hexdigest()[:16]
        file = File(f"{below}/{name}-{digest}{ending}", len(content))
        if not self.holds(file):
            with self._writing():
                target = self.path / file.path
                target.parent.mkdir(exist_ok=True)
                part = target.with_name(f"{target.name}.part")
                part.write_bytes(content)
                part.replace(target)
        return file

    def holds(self, file: File | None) -> bool:
        """Whether a file is there in full."""
        if file is None:
            return True
        try:
            return (self.path / file.path).stat().st_size == file.size
        except OSError:
            return False

    # ------------------------------------------------------------ runs that read

    @contextmanager
    def reading(self, files: Iterable[str]) -> Iterator[None]:
        """Keep files from being removed."""
        for number in count():
            pin = self.path / _READERS / f"{socket.gethostname()}-{os.getpid()}-{number}"
            lock = FileLock(f"{pin}.lock")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                break
        try:
            pin.with_name(f"{pin.name}.json").write_text(json.dumps(sorted(files)), encoding="utf-8")
            yield
        finally:
            try:
                self._forget(pin.with_name(f"{pin.name}.json"))
            finally:
                lock.release()

    def _forget(self, pin: Path) -> None:
        with suppress(OSError):
            pin.unlink()
            pin.with_suffix(".lock").unlink()

    def _being_read(self) -> set[str]:
        """The files of runs that still read; what a run that died had kept is forgotten."""
        kept: set[str] = set()
        for pin in sorted((self.path / _READERS).glob("*.json")):
            lock = FileLock(pin.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with suppress(OSError, ValueError):
                    kept |= set(json.loads(pin.read_text(encoding="utf-8")))
                continue
            self._forget(pin)
            lock.release()
        return kept

    def remove_stale(self, in_force: set[str]) -> None:
        """Remove files that are neither in force nor being read."""
        wanted = in_force | self._being_read()
        for pattern in _OURS:
            for file in self.path.glob(pattern):
                if file.relative_to(self.path).as_posix() not in wanted:
                    with suppress(OSError):
                        file.unlink()
        for folder in self.path.glob("*=*"):
            with suppress(OSError):  # not empty
                folder.rmdir()
