"""The one secret of a login: from the environment, or from a file that nobody else can read."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from csql_ml.errors import ConfigError


def read_secret(variable: str, file: Path | None) -> str:
    """The secret, without the line end after it.

    Raises
    ------
    ConfigError
        It is missing, empty, or lies where others can read it.
    """
    if file is None:
        found = os.environ.get(variable, "").strip()
        if not found:
            raise ConfigError(
                f"delivery.salesforce.login: the environment variable {variable} is not set; set it, or name a file "
                "with mode 0600 as secret_file"
            )
        return found
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"delivery.salesforce.login.secret_file {file} cannot be read: {_why(error)}") from None
    if sys.platform != "win32" and mode & 0o077:
        raise ConfigError(f"delivery.salesforce.login.secret_file {file} has mode {mode:04o}: chmod 600 it")
    if not text:
        raise ConfigError(f"delivery.salesforce.login.secret_file {file} is empty")
    return text


def _why(error: OSError | UnicodeDecodeError) -> str:
    """The reason without the content: a decoding error shows the bytes."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8 text"
