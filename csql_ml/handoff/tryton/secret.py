"""Who speaks to Tryton: the user from the configuration or the environment, the password never from a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from csql_ml.config.tryton import Tryton
from csql_ml.errors import ConfigError
from csql_ml.secret_file import read_secret

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
    file = None if settings.password_file is None else config.path(settings.password_file)
    text = read_secret("Tryton password", PASSWORD, file, "delivery.tryton.password_file")
    return user, text.split("\n", 1)[0].rstrip()


def _checked_url(url: str | None) -> None:
    if url is None:
        raise ConfigError("delivery.tryton.url is missing; set it to the server's address: https://tryton.example.com")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("delivery.tryton.url is no address of a web server; https://tryton.example.com is one")
    if parts.username or parts.password:
        raise ConfigError(f"delivery.tryton.url holds a user or password; take it out and set {USER} and {PASSWORD}")
