"""A report folder appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csql_ml import in_place
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
        ``out`` is a file or holds something else, another process is writing it, or the disk refuses.
    """
    try:
        with in_place.only_writer(out):
            _check_replaceable(out)
            fresh = in_place.fresh_folder(out)
            try:
                fresh.chmod(0o755)
                yield fresh
                (fresh / MARKER).write_bytes(b"csql report\n")
                in_place.put_folder(fresh, out)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"the report cannot be written to {out}: {error.strerror or error}") from error


def _check_replaceable(out: Path) -> None:
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise OutputError(f"{out} is not a folder; give --out a folder that does not exist yet")
        if out.is_dir() and not (out / MARKER).is_file() and any(out.iterdir()):
            raise OutputError(f"{out} holds something that is not a report; give --out a new or empty folder")
    except OSError as error:
        raise OutputError(f"{out} cannot be used: {error.strerror or error}") from error
