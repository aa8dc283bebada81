"""A report folder appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csql_ml.errors import OutputError

#: Marks a folder this tool wrote and may therefore replace.
MARKER = ".csql-report"


@contextmanager
def replaced_whole(out: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of ``out`` when the block ends without an error.

    Parameters
    ----------
    out
        The folder wanted: new, empty, or an earlier report (it has a `MARKER` file).

    Raises
    ------
    OutputError
        ``out`` is a file or holds something else, or the disk refuses.
    """
    _check_replaceable(out)
    partial = out.parent / f".{out.name}.partial-{os.getpid()}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        (partial / MARKER).write_bytes(b"csql report\n")
        _swap(partial, out)
    except OSError as error:
        raise OutputError(f"the report cannot be written to {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_replaceable(out: Path) -> None:
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise OutputError(f"{out} is not a folder; give --out a folder that does not exist yet")
        if out.is_dir() and not (out / MARKER).is_file() and any(out.iterdir()):
            raise OutputError(f"{out} holds something that is not a report; give --out a new or empty folder")
    except OSError as error:
        raise OutputError(f"{out} cannot be used: {error.strerror or error}") from error


def _swap(partial: Path, out: Path) -> None:
    """Put the finished folder in place; the earlier report comes back if that fails."""
    earlier = out.parent / f".{out.name}.earlier-{os.getpid()}"
    if out.exists():
        out.rename(earlier)
    try:
        partial.rename(out)
    except OSError:
        if earlier.exists():
            earlier.rename(out)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
