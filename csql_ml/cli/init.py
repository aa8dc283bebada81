"""The command that proposes a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import Json
from csql_ml.cli.output import print_result


def init(
    place: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Folder of files, DuckDB file, or ${NAME} for a variable with a postgres:// address."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Configuration file to write (YAML).", show_default=False)],
    as_json: Json = False,
) -> None:
    """Look at a folder of files or a database and propose a configuration that maps it.

    \b
    Example: csql init exports --out configs/my_company.yaml
    Example: csql init '${CSQL_DATABASE}' --out configs/my_company.yaml
    """
    from csql_ml import printing_proposal
    from csql_ml.proposing import propose

    result = propose(place, out)
    print_result(printing_proposal.proposal(result), as_json)
    if not result.ready:
        raise typer.Exit(1)
