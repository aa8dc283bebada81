"""Secrets of a login: from the environment, or from a file that nobody else can read. Never from a configuration."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from csql_ml.errors import ConfigError


def read_secret(what: str, variable: str, file: Path | None, setting: str) -> str:
    """The secret, without the white space around it.

    Parameters
    ----------
    what
        What it is, for messages: "Tryton password".
    variable
        Environment variable that holds it, unless there is a file.
    setting
        Name of the setting that names the file.

    Raises
    ------
    ConfigError
        It is missing, empty, or lies where others can read it. The message never holds it.
    """
    if file is not None:
        return _private_text(file, setting)
    found = os.environ.get(variable, "").strip()
    if not found:
        raise ConfigError(f"no {what} is given; set the variable {variable}, or {setting} to a file with mode 0600")
    return found


def _private_text(file: Path, setting: str) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            # Of the file that is open, not of what may lie under its name a moment later.
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError(
                    f"{setting}: {file} has mode {mode:04o}, others may use it; chmod 600 it, and change the secret"
                )
            text = opened.read().strip()
    except OSError as error:
        raise ConfigError(f"{setting}: {file} cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        # Nothing of the error is passed on: it shows the bytes.
        raise ConfigError(f"{setting}: {file} cannot be read: it is not UTF-8 text") from None
    if not text:
        raise ConfigError(f"{setting}: {file} is empty")
    return text
