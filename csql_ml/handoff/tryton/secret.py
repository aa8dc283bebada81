"""Who speaks to Tryton: the user from the configuration or the environment, the password never from a configuration."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from csql_ml.config.tryton import Tryton
from csql_ml.errors import ConfigError

if TYPE_CHECKING:
    from csql_ml.config import Config

USER, PASSWORD = "CSQL_TRYTON_USER", "CSQL_TRYTON_PASSWORD"


def login(settings: Tryton, config: Config) -> tuple[str, str]:
    """User and password.

    Raises
    ------
    ConfigError
        Something is missing, stands where it must not, or can be read by others.
    """
    _checked_url(settings.url)
    user = settings.user or os.environ.get(USER)
    if not user:
        raise ConfigError(f"no Tryton user is given; set delivery.tryton.user or the variable {USER}")
    if settings.password_file is not None:
        return user, _read(config.path(settings.password_file))
    password = os.environ.get(PASSWORD)
    if not password:
        raise ConfigError(f"no Tryton password is given; set the variable {PASSWORD} or delivery.tryton.password_file")
    return user, password


def _checked_url(url: str | None) -> None:
    if url is None:
        raise ConfigError("delivery.tryton.url is missing; set it to the server's address: https://tryton.example.com")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("delivery.tryton.url is no address of a web server; https://tryton.example.com is one")
    if parts.username or parts.password:
        raise ConfigError(f"delivery.tryton.url holds a user or password; take it out and set {USER} and {PASSWORD}")


def _read(path: Path) -> str:
    """The first line of a file that nobody else may read."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError(
                    f"{path} has mode {mode:04o}, others may use it; chmod 600 it and change the password"
                )
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} (delivery.tryton.password_file) cannot be read: {type(error).__name__}") from error
    if not password:
        raise ConfigError(f"{path} (delivery.tryton.password_file) is empty; its first line must be the password")
    return password
