"""Tables and queries of a PostgreSQL database, copied as text into a file that the warehouse reads.

The session is read-only and in UTC. Values arrive as text, as from CSV, and get their type from the contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csql_ml.errors import MissingExtraError, SourceError
from csql_ml.source_files import first_line, identifier

_SESSION = "-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1"


class Postgres:
    """A read-only connection.

    Parameters
    ----------
    url
        ``postgres://user:password@host:port/database``; messages leave the password out.

    Raises
    ------
    MissingExtraError
        The driver is not installed.
    SourceError
        The database does not answer.
    """

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # type: ignore[import-not-found, unused-ignore] # an optional driver
        except ImportError as error:
            raise MissingExtraError("reading from PostgreSQL", "postgres") from error
        self.error: type[Exception] = psycopg.Error
        try:
            self._connection: Any = psycopg.connect(url, options=_SESSION, autocommit=True, client_encoding="utf-8")
        except psycopg.Error as error:
            shown = re.sub(r"//[^/]*@", "//", url)
            raise SourceError(f"data.database: {shown} cannot be opened; check address, name and password") from error

    def columns(self, relation: str) -> tuple[str, ...]:
        """Column names of a relation."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {relation} LIMIT 0")
            return tuple(column.name for column in cursor.description)

    def copy(self, relation: str, columns: Mapping[str, str], file: Path) -> None:
        """Write columns of a relation as CSV under new names (new name: column)."""
        chosen = ", ".join(f"{identifier(theirs)}::text AS {identifier(ours)}" for ours, theirs in columns.items())
        query = f"COPY (SELECT {chosen} FROM {relation}) TO STDOUT (FORMAT csv, HEADER)"
        with self._connection.cursor() as cursor, cursor.copy(query) as rows, file.open("wb") as handle:
            for part in rows:
                handle.write(part)

    @staticmethod
    def reason(error: Exception) -> str:
        """Why a query failed, in one line; data errors (SQLSTATE class 22) quote the value, so they are reworded."""
        if str(getattr(error, "sqlstate", None)).startswith("22"):
            return "a value cannot be converted"
        return first_line(error)

    def disconnect(self) -> None:
        """Close the connection."""
        self._connection.close()


def relation_of(table: str | None, query: str | None) -> str:
    """What stands after FROM. In parentheses, anything but a SELECT is a syntax error."""
    if query is not None:
        return f"({query.strip().rstrip(';')}\n) AS q"
    return ".".join(identifier(part) for part in str(table).split("."))
