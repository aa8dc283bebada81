"""Taking the place of a file or folder at one stroke: one writer at a time, and nothing left of those that died.

Whoever writes ``out`` builds ``.out.<8 letters>.part`` beside it and swaps the two. Linux and macOS exchange two names
in one step; elsewhere, and on file systems that cannot, the earlier one steps aside to ``.out.earlier`` for a moment,
and the next writer brings it back if the process died just then.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from csql_ml.errors import OutputError

_AT_FOLDER = -100
_EXCHANGE = 2


@contextmanager
def only_writer(place: Path) -> Iterator[None]:
    """Hold the only right to replace a file or folder; it ends with the process, however that ends.

    What a writer that died left beside it is cleared away first.

    Raises
    ------
    OutputError
        Another process is writing it; the message says which, where and since when.
    OSError
        Nothing can be written there.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = place.with_name(f".{place.name}.lock")
    number = _locked(lock, place)
    try:
        _clear_up(place)
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(number)


def fresh_folder(place: Path) -> Path:
    """A new folder beside ``place`` to build its successor in."""
    return Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part"))


def fresh_file(place: Path) -> Path:
    """A new file beside ``place`` to build its successor in."""
    number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part")
    os.close(number)
    return Path(name)


def put_folder(new: Path, place: Path) -> None:
    """Put a folder in place; where there was one, it is at ``new`` afterwards.

    Raises
    ------
    OSError
        Everything is as it was.
    """
    if not place.exists():
        new.rename(place)
    elif not _exchanged(new, place):
        _put_in_two_steps(new, place)
    sync_folder(place.parent)


def sync_file(path: Path) -> None:
    """Have a file's content on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; Windows keeps them there by itself."""
    if sys.platform != "win32":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def holder_of(lock: Path) -> str:
    """Who wrote a holder's file and when, for messages."""
    try:
        since = datetime.fromtimestamp(lock.stat().st_mtime, UTC).isoformat(timespec="seconds")
        holder = json.loads(lock.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}, since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def own_name() -> str:
    """What a holder's file says of this process."""
    return json.dumps({"process": os.getpid(), "host": socket.gethostname()})


# ---------------------------------------------------------------- one writer


def _locked(lock: Path, place: Path) -> int:
    """The open file of a lock that is held; closing it ends that."""
    while True:
        number = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            if not _try_lock(number):
                raise OutputError(
                    f"{place} is being written by {holder_of(lock)}; wait for its end, or write elsewhere"
                )
            if _is_at(number, lock):  # else its last holder has just removed it
                os.ftruncate(number, 0)
                os.write(number, own_name().encode())
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _is_at(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(number: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(number, 1 << 20, os.SEEK_SET)  # beyond what is read
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(number, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear_up(place: Path) -> None:
    """Remove what dead writers built, and bring back what one of them had put aside."""
    ours = re.compile(rf"\.{re.escape(place.name)}\.[a-z0-9_]{{8}}\.part")
    earlier = _earlier(place)
    if earlier.exists() and not place.exists():
        earlier.rename(place)
    for path in [p for p in place.parent.iterdir() if ours.fullmatch(p.name)] + [earlier]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


# ---------------------------------------------------------------- one stroke


def _earlier(place: Path) -> Path:
    return place.with_name(f".{place.name}.earlier")


def _exchanged(new: Path, place: Path) -> bool:
    """Swap two names in one step; False where that is not to be had."""
    names = os.fsencode(new), os.fsencode(place)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return int(libc.renamex_np(*names, _EXCHANGE)) == 0
        if sys.platform == "linux":
            return int(libc.renameat2(_AT_FOLDER, names[0], _AT_FOLDER, names[1], _EXCHANGE)) == 0
    except (AttributeError, OSError, TypeError):  # a C library without it, or none
        return False
    return False


def _put_in_two_steps(new: Path, place: Path) -> None:
    earlier = _earlier(place)
    place.rename(earlier)
    try:
        new.rename(place)
    except OSError:
        earlier.rename(place)
        raise
    earlier.rename(new)
