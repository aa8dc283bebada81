"""``csql config``: about the configuration itself."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    \b
    Example: csql config schema > csql.schema.json
    """
    from csql_ml.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
