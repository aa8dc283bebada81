"""Options that several commands take."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from csql_ml.errors import UsageError

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).", show_default=False)]
Language = Annotated[
    str | None, typer.Option("--lang", help="en, de, fr or es; default: the company's language.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder written by csql score.", show_default=False)]


def day(text: str) -> date:
    """Read a date option; raises `typer.BadParameter` for anything but YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


def chosen_language(given: str | None, default: str) -> str:
    """The language of a page: the one given, or the company's.

    Raises
    ------
    UsageError
        There are no texts in it.
    """
    from csql_ml.reports.catalogue import PSEUDO_LANGUAGE, languages

    language = given or default
    if language not in (*languages(), PSEUDO_LANGUAGE):
        raise UsageError(f"--lang {language!r} is not a language of the reports; choose {', '.join(languages())}")
    return language


AsOf = Annotated[date, typer.Option("--as-of", parser=day, metavar="DATE", help="Only what was known before this day.")]
