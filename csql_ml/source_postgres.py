"""Tables and queries of a PostgreSQL database, copied into Parquet files that the warehouse reads.

Every read is a transaction of its own that cannot write and whose settings end with it, so that nothing depends on
the server's defaults and connection poolers do not matter. Rows come as COPY sends them, through Arrow: DuckDB's own
CSV reader gives up on values with line breaks.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from csql_ml.errors import MissingExtraError, SourceError
from csql_ml.source_files import first_line, identifier
from csql_ml.source_queries import plain_select

#: How values read as text: times in UTC, exact floats, whatever the server's defaults are.
_SETTINGS = (
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; "
    # The planner knows nothing about intermediate results, and compares them row by row where it takes them for small.
    "SET LOCAL enable_nestloop = off; SET LOCAL jit = off"
)
#: For an address that does not answer and a peer that is gone; the URL may say otherwise.
_PATIENCE = {"connect_timeout": 15, "keepalives_idle": 60, "keepalives_interval": 15, "keepalives_count": 4}
#: Numbers (OID) of the types that are not taken as text. The text of money has a currency sign.
_INTEGERS, _DATE, _TIME, _INSTANT, _MONEY = (20, 21, 23), 1082, 1114, 1184, 790
#: A later time is as good as none: more microseconds than a number of 64 bits holds, from the year 294247 on.
_LAST_YEAR = 200000
_AS_NUMBER = {pa.timestamp("us"): pa.int64(), pa.date32(): pa.int32()}
#: Bytes of CSV that become one row group: some 100,000 events.
_BLOCK = 1 << 23


class Postgres:
    """A connection that only reads.

    Parameters
    ----------
    url
        ``postgres://user:password@host:port/database``, with libpq's parameters (``?sslmode=verify-full``,
        ``&options=-c%20statement_timeout%3D600000``); messages leave the password out.

    Attributes
    ----------
    error
        What the driver raises when reading fails; `reason` puts it into one line.

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
        parts = _parts(url)
        try:
            self._connection: Any = psycopg.connect(url, **_defaults(parts), autocommit=True, client_encoding="utf-8")
        except psycopg.Error as error:
            why = first_line(error).replace(parts.get("password") or "\n", "***")
            raise SourceError(
                f"data.database: {_shown(parts)} cannot be opened: {why}; check address, name, password and sslmode"
            ) from error
        self._connection.read_only = True

    def columns(self, relation: str) -> tuple[str, ...]:
        """Column names of a relation."""
        return tuple(self.types(relation))

    def types(self, relation: str) -> dict[str, int]:
        """Columns of a relation and the numbers (OID) of their types.

        Raises
        ------
        psycopg.Error
            There is no such relation, it may not be read, or it is more than one statement.
        """
        with self._reading() as cursor:
            # Parsed on the server as one statement: a relation that ends this one and begins another is refused.
            cursor.execute(f"SELECT * FROM {relation} LIMIT 0", binary=True)
            return {column.name: column.type_code for column in cursor.description}

    def copy(self, relation: str, columns: Mapping[str, str], file: Path) -> None:
        """Write columns of a relation to a Parquet file under new names (new name: column); see `select`."""
        self.copy_rows(*self.select(relation, columns), file)

    def select(self, relation: str, columns: Mapping[str, str]) -> tuple[str, dict[str, pa.DataType]]:
        """The SELECT that gives columns of a relation new names (new name: column), and the types it returns.

        Times and dates are themselves (naive UTC), integers are of 64 bits, everything else is text.
        """
        found = self.types(relation)
        typed = {ours: _typed(identifier(theirs), found.get(theirs)) for ours, theirs in columns.items()}
        chosen = ", ".join(f"{sql} AS {identifier(ours)}" for ours, (sql, _) in typed.items())
        return f"SELECT {chosen} FROM {relation}", {ours: kind for ours, (_, kind) in typed.items()}

    def copy_rows(self, query: str, types: Mapping[str, pa.DataType], file: Path, order_by: str | None = None) -> int:
        """Write the rows of one SELECT to a Parquet file, which appears whole or not at all.

        Memory stays flat: rows are written as they arrive.

        Parameters
        ----------
        types
            The columns to write and their Arrow types.
        order_by
            A column to sort by, empty values last.

        Returns
        -------
        int
            The bytes that came over the wire.

        Raises
        ------
        psycopg.Error
            The query fails, or the connection is lost on the way.
        SourceError
            A row is too long.
        """
        part = file.with_name(f"{file.name}.part")
        sent = ", ".join(f"{_as_sent(identifier(name), kind)} AS {identifier(name)}" for name, kind in types.items())
        order = f" ORDER BY q.{identifier(order_by)}" if order_by else ""
        statement = f"COPY (SELECT {sent} FROM ({query}) AS q{order}) TO STDOUT (FORMAT csv, HEADER)"
        try:
            with self._reading() as cursor, cursor.copy(statement) as rows:
                stream = _Stream(rows)
                _write_parquet(stream, types, part)
            part.replace(file)
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"data.database: a row of more than {_BLOCK >> 20} MB; map its columns but the long one"
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return stream.received

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of one SELECT that returns few."""
        with self._reading() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """A cursor in a transaction that cannot write."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
            yield cursor

    @staticmethod
    def reason(error: Exception) -> str:
        """Why a query failed, in one line and without values of rows."""
        state = str(getattr(error, "sqlstate", None) or "")
        if state == "22021":
            return "the database holds text that is not UTF-8 and does not know its encoding"
        if state.startswith("22"):  # data errors quote the value
            return "a value cannot be converted"
        if state == "P0001":
            return "a function of the database raised an error"
        if state == "57014":
            return f"{first_line(error)}; raise statement_timeout for this user or map fewer rows with a query"
        if not state or state.startswith(("08", "57P")):
            return f"the connection was lost ({first_line(error)}); nothing of it was used, run the command again"
        return first_line(error)

    def disconnect(self) -> None:
        """Close the connection."""
        self._connection.close()


def _typed(column: str, oid: int | None) -> tuple[str, pa.DataType]:
    """A column as the contract's parsing takes it, and its type."""
    if oid in _INTEGERS:
        return f"{column}::bigint", pa.int64()
    if oid == _DATE:
        return column, pa.date32()
    if oid == _TIME:
        return column, pa.timestamp("us")
    if oid == _INSTANT:
        return f"({column} AT TIME ZONE 'UTC')", pa.timestamp("us")
    return f"{column}{'::numeric' if oid == _MONEY else ''}::text", pa.string()


def _as_sent(column: str, kind: pa.DataType) -> str:
    """Times and dates as numbers; what Arrow cannot hold becomes infinite, as DuckDB writes it."""
    if pa.types.is_timestamp(kind):
        number, most, name = f"(extract(epoch FROM {column}) * 1000000)::bigint", 2**63 - 1, "timestamp"
    elif pa.types.is_date(kind):
        number, most, name = f"{column} - DATE '1970-01-01'", 2**31 - 1, "date"
    else:
        return column
    return (
        f"CASE WHEN {column} >= {name} '{_LAST_YEAR}-01-01' THEN {most} "
        f"WHEN {column} = {name} '-infinity' THEN {-most} ELSE {number} END"
    )


class _Stream(io.RawIOBase):
    """The rows of a COPY as a file that can be read once."""

    def __init__(self, rows: Iterable[bytes]) -> None:
        self._rows, self._rest, self.received = iter(rows), b"", 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer at the end; Arrow asks for a block at a time."""
        found = bytearray(self._rest)
        for row in self._rows:
            found += row
            if len(found) >= size > 0:
                break
        self.received += len(found) - len(self._rest)
        self._rest = bytes(found[size:]) if size > 0 else b""
        return bytes(found[:size]) if size > 0 else bytes(found)


def _write_parquet(stream: _Stream, types: Mapping[str, pa.DataType], file: Path) -> None:
    from pyarrow import csv
    from pyarrow import parquet as pq

    schema = pa.schema(types.items())
    sent = {name: _AS_NUMBER.get(kind, kind) for name, kind in types.items()}
    reader = csv.open_csv(
        stream,
        read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=sent, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    with reader, pq.ParquetWriter(file, schema, compression="lz4") as writer:
        for batch in reader:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def relation_of(table: str | None, query: str | None, what: str = "the query") -> str:
    """What stands after FROM; ``what`` names the query in messages.

    Raises
    ------
    ConfigError
        The query is anything but one SELECT of tables. In parentheses, the server refuses all else, too.
    """
    if query is not None:
        return f"({plain_select(query, 'postgres', what)}\n) AS q"
    return ".".join(identifier(part) for part in str(table).split("."))


def _parts(url: str) -> dict[str, Any]:
    """What libpq reads in a URL."""
    import psycopg

    try:
        parts = dict(psycopg.conninfo.conninfo_to_dict(url))
    except psycopg.Error:  # its message quotes the part of the URL that it stumbled over
        parts = {"port": "none"}
    # A bare / or @ in a password makes the rest of it a host, a port or the name of a database, which messages show.
    ports = str(parts.get("port", "")).replace(",", "")
    if "@" in f"{parts.get('host')}{parts.get('dbname')}" or not (ports.isdigit() or ports == ""):
        raise SourceError(
            "data.database is not a URL that PostgreSQL understands; expected "
            "postgres://user:password@host:port/database, with %40 for an @ and %2F for a / in the password"
        )
    return parts


def _defaults(parts: Mapping[str, Any]) -> dict[str, Any]:
    given = {"connect_timeout"} if "PGCONNECT_TIMEOUT" in os.environ else set()
    return {name: value for name, value in _PATIENCE.items() if name not in parts and name not in given}


def _shown(parts: Mapping[str, Any]) -> str:
    """The address without what is secret."""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgres://{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"
