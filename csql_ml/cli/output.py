"""What commands print: a result as text or JSON, progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from csql_ml.company import Progress


def print_result(result: Any, as_json: bool) -> None:
    """Print a result's JSON (``result.data``) or its text (``result.text``, Rich parts)."""
    if as_json:
        typer.echo(json.dumps(result.data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    for part in result.text:
        console.print(part, soft_wrap=isinstance(part, Text))  # text to copy, such as SQL, is never broken


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
            typer.echo(f"... {step}", err=True)

    return say
