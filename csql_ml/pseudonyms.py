"""User ids hashed with a company's own key where they are read, so that nothing behind that border has one.

A pseudonym is the first half of SHA-256 over the key and the id as the contract reads it (trimmed, whole numbers
without a fraction): the same id gives the same pseudonym in every table and run, and without the key nobody can tell
whose it is by trying ids out. Counts of users do not change.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from csql_ml.errors import ConfigError
from csql_ml.secret_file import read_secret

if TYPE_CHECKING:
    from csql_ml.config import Config

#: The column that is hashed, in every table that has it.
COLUMN = "user_id"
VARIABLE = "CSQL_USER_KEY"
_MACRO = "csql_pseudonym"
_SETTING = "data.user_key_file"
_SPACES = " || ".join(f"chr({code})" for code in (32, 9, 10, 11, 12, 13))
_WHOLE = float(1 << 53)
_SHORTEST = 16


def _key(config: Config) -> str:
    """64 hexadecimal digits made of the company's key."""
    file = config.data.user_key_file
    key = read_secret("key for user ids", VARIABLE, None if file is None else config.path(file), _SETTING)
    if len(key) < _SHORTEST:
        raise ConfigError(
            f"the key for user ids has {len(key)} characters, at least {_SHORTEST} are needed; make one with: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return hashlib.sha256(f"csql_ml user ids\n{key}".encode()).hexdigest()


def check(config: Config) -> None:
    """Refuse what would let ids pass the border as they are.

    Raises
    ------
    ConfigError
        The key is missing, too short or open to others, or the engine cannot hash before it reads.
    """
    if not config.data.hash_user_ids:
        return
    if config.engine == "spark" or config.data.push_down:
        what = "engine: spark" if config.engine == "spark" else "data.push_down"
        raise ConfigError(
            f"data.hash_user_ids is not possible with {what}, which would show the key in its query plans; hash user "
            "ids in the source's own query instead"
        )
    _key(config)


def fingerprint(config: Config) -> str | None:
    """Tells one key from another, and from none; says nothing of the key."""
    if not config.data.hash_user_ids:
        return None
    return hashlib.sha256(f"fingerprint\n{_key(config)}".encode()).hexdigest()[:16]


def macro(config: Config) -> str | None:
    """DuckDB's definition of the function that `hashed` calls; None where ids stay as they are.

    The key stands in the work database's catalogue only, in a folder that nobody else can read, and in no query.
    """
    if not config.data.hash_user_ids:
        return None
    return (
        f"CREATE MACRO {_MACRO}(id) AS CASE WHEN trim(id, {_SPACES}) = '' THEN NULL "
        f"ELSE left(sha256('{_key(config)}' || trim(id, {_SPACES})), 32) END"
    )


def hashed(source: str, type_name: str) -> str:
    """SQL of a column's pseudonyms."""
    text = f"CAST({source} AS VARCHAR)"
    if type_name in ("FLOAT", "DOUBLE"):
        whole = f"{source} % 1 = 0 AND abs({source}) < {_WHOLE}"
        text = f"CASE WHEN {whole} THEN CAST(CAST({source} AS BIGINT) AS VARCHAR) ELSE {text} END"
    return f"{_MACRO}({text})"
