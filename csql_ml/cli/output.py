"""What commands print: a result as text or JSON, progress on standard error."""

from __future__ import annotations

import errno
import json
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from csql_ml.company import Progress

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE)
#: What moves the cursor, rings, changes colours, turns the direction of what follows or ends a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")


def one_line(text: str) -> str:
    """A text with its control characters spelled out: names of files and accounts cannot forge a line of a log."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def unforeseen(error: Exception) -> str:
    """What to say of an error that no part of the toolkit has put into words.

    Not its own words, which may quote rows of customers' data: its kind and its place.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryException", "ArrowMemoryError"}:
        return (
            "there is not enough memory; nothing was left half written. Lower data.memory_limit, so that more is kept "
            "on disk, or give this job more memory"
        )
    if isinstance(error, OSError) and error.errno in _DISK:
        return (
            f"{error.filename or 'a temporary file'} cannot be written: {error.strerror}; nothing was left half written"
        )
    if {"IOException", "ArrowException"} & names and "No space left" in str(error):
        return "the disk of the temporary folder is full; nothing was left half written. Make room, or set TMPDIR"
    last = list(traceback.walk_tb(error.__traceback__))[-1:]
    where = "".join(f" in {Path(frame.f_code.co_filename).name}, line {line}" for frame, line in last)
    return f"unexpected {type(error).__name__}{where}; run again with --debug for the traceback"


class _Harmless:
    """A part of a page of the terminal whose texts hold no control characters but line ends."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self._part, options):
            if segment.control:
                continue
            text = _CONTROL.sub(lambda found: found.group() if found.group() == "\n" else "\ufffd", segment.text)
            yield Segment(text, segment.style)


def print_result(result: Any, as_json: bool) -> None:
    """Print a result's JSON (``result.data``) or its text (``result.text``, Rich parts)."""
    if as_json:
        typer.echo(json.dumps(result.data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    for part in result.text:
        console.print(_Harmless(part), soft_wrap=isinstance(part, Text))  # text to copy, such as SQL, is never broken


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A progress bar on a terminal, plain lines elsewhere, nothing if ``quiet``; always on standard error."""
    if quiet:
        yield lambda step, done, of: None
        return
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1)
        yield lambda step, done, of: bar.update(task, description=step, completed=done, total=of)


def _plain_progress() -> Progress:
    seen: list[str] = []

    def say(step: str, done: int, of: int) -> None:
        if not seen or seen[-1] != step:
            seen.append(step)
            typer.echo(f"... {one_line(step)}", err=True)

    return say
