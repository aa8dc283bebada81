"""The access token of a private app."""

from __future__ import annotations

from pathlib import Path

from csql_ml.config.hubspot import HubSpot
from csql_ml.errors import ConfigError
from csql_ml.secret_file import read_secret


def read_token(settings: HubSpot, file: Path | None) -> str:
    """The token, from the file or else from the environment.

    Raises
    ------
    ConfigError
        There is none, or others may read the file. The message never holds the token.
    """
    variable = settings.token_variable
    found = read_secret("access token of a HubSpot private app", variable, file, "delivery.hubspot.token_file")
    # It goes into a header: spaces, line ends or letters outside ASCII cannot be part of it.
    if not found.isascii() or not found.isprintable() or " " in found:
        where = f"the variable {variable}" if file is None else str(file)
        raise ConfigError(f"{where} holds no access token: one word of ASCII letters was expected")
    return found
