"""Options that several commands take."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csql_ml.errors import UsageError

if TYPE_CHECKING:
    from csql_ml.config import Config

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).", show_default=False)]
OptionalConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file (YAML); a feature table of your own needs none.", show_default=False
    ),
]
Language = Annotated[
    str | None, typer.Option("--lang", help="en, de, fr or es; default: the company's language.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder written by csql score.", show_default=False)]


def settings_of(given: Path | None, *, features: Path | None = None, run: Path | None = None) -> Config:
    """The configuration that is named; a feature table of one's own goes with the defaults, in this folder.

    Parameters
    ----------
    features
        The feature table, if any.
    run
        The run that is read, if any: it may have been made from a feature table.

    Raises
    ------
    UsageError
        None is named, and there is nothing to do without one.
    """
    from csql_ml import config
    from csql_ml.run_files import read_manifest

    if given is not None:
        return config.load(given)
    if features is None and (run is None or not read_manifest(run).get("own_features")):
        raise UsageError("missing option --config / -c: name the configuration file (only --features goes without)")
    # The defaults are those of a file that lies in configs/.
    return config.Config(home=Path("configs"))


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
