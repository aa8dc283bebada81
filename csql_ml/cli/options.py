"""Options that several commands take."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder written by csql score.", show_default=False)]


def day(text: str) -> date:
    """Read a date option; raises `typer.BadParameter` for anything but YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


AsOf = Annotated[date, typer.Option("--as-of", parser=day, metavar="DATE", help="Only what was known before this day.")]
