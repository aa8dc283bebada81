"""The tables and views of a database as sources: PostgreSQL, or a DuckDB file. Nothing is written there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from csql_ml.config.reading import VARIABLE
from csql_ml.errors import SourceError
from csql_ml.proposing.names import common_start, identifier_of, phrase
from csql_ml.proposing.sources import MOST_ROWS, Landscape, Source, SourceColumn, values_each
from csql_ml.source_files import identifier, literal

_MOST_TABLES, _LONGEST = 300, 200
#: Milliseconds that the sample of one table or view may take.
_PATIENCE = 20_000
Rows = Callable[[str], Sequence[tuple[Any, ...]]]

_POSTGRES_TABLES = """
    SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, NULL)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY n.nspname::text COLLATE "C", c.relname::text COLLATE "C", a.attnum
"""
_DUCKDB_TABLES = """
    SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()
    WHERE database_name = 'csql_database' AND NOT internal ORDER BY schema_name, table_name, column_index
"""


def look_at_postgres(url: str, variable: str) -> Landscape:
    """Sources of a PostgreSQL database; ``variable`` is what the configuration says instead of the address.

    Raises
    ------
    SourceError
        It does not answer, or this user sees no table in it.
    """
    from csql_ml.source_postgres import Postgres

    remote = Postgres(url)
    try:
        remote.rows(f"SELECT set_config('statement_timeout', '{_PATIENCE}', false)")
        remote.rows("SELECT set_config('synchronize_seqscans', 'off', false)")  # the first rows are always the same
        sources, notes = _look(remote.rows, _POSTGRES_TABLES, "public", (remote.error,), remote.reason)
    except remote.error as error:
        raise SourceError(f"the tables of the database cannot be listed: {remote.reason(error)}") from error
    finally:
        remote.disconnect()
    return Landscape(sources, notes, variable, postgres=True)


def look_at_duckdb(file: Path) -> Landscape:
    """Sources of a DuckDB file.

    Raises
    ------
    SourceError
        It is none, or it holds no table.
    """
    import duckdb

    from csql_ml.config import Config
    from csql_ml.source_duckdb import DuckDBWarehouse

    config = Config.model_validate({"data": {"folder": str(file.parent.resolve()), "database": file.name}})
    with DuckDBWarehouse(config) as warehouse:
        sources, notes = _look(warehouse.rows, _DUCKDB_TABLES, "main", (duckdb.Error,), _kind_of, "csql_database.")
    return Landscape(sources, notes, file.name)


def _kind_of(error: Exception) -> str:
    return type(error).__name__  # DuckDB's own words may quote values


def _look(
    rows: Rows,
    listing: str,
    default: str,
    errors: tuple[type[Exception], ...],
    reason: Callable[[Exception], str],
    inside: str = "",
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    tables: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for schema, table, column, kind in rows(listing):
        tables.setdefault((schema, table), []).append((column, kind))
    usable = {name: columns for name, columns in tables.items() if not any(map(VARIABLE.search, name))}
    if not usable:
        raise SourceError("this user sees no table in the database; grant SELECT on the tables to be mapped")
    notes, sources = [], []
    if len(usable) > _MOST_TABLES:
        notes.append(f"Only the first {_MOST_TABLES} of {len(usable)} tables were looked at.")
    each = values_each(min(len(usable), _MOST_TABLES))
    shared = common_start([table for _, table in usable])
    for (schema, table), columns in list(usable.items())[:_MOST_TABLES]:
        place = table if schema == default and "." not in table else f"{schema}.{table}"
        if "." in table or "." in schema:
            notes.append(f"Not used: {place} has a dot in its name; make a view of another name.")
            continue
        try:
            sources.append(_source(partial(_sampled, rows, inside), (schema, table), place, columns, shared, each))
        except errors as error:
            notes.append(f"Not used: {place} cannot be read: {reason(error)}.")
    return tuple(sources), tuple(notes)


def _sampled(rows: Rows, inside: str, wanted: str, name: tuple[str, str], most: int) -> Sequence[tuple[Any, ...]]:
    return rows(f"SELECT {wanted} FROM {inside}{'.'.join(map(identifier, name))} LIMIT {most}")


def _source(
    first: Callable[[str, tuple[str, str], int], Sequence[tuple[Any, ...]]],
    name: tuple[str, str],
    place: str,
    columns: Iterable[tuple[str, str]],
    shared: str,
    values: int,
) -> Source:
    chosen = [(c, kind) for c, kind in columns if not VARIABLE.search(c)]
    most = max(1, min(MOST_ROWS, values // max(1, len(chosen))))
    wanted = ", ".join(_as_text(c, kind) for c, kind in chosen)
    found = list(first(wanted, name, most + 1)) if chosen else []
    columns_found = list(zip(*found[:most], strict=True)) if found else [()] * len(chosen)
    sampled = (
        SourceColumn(c, tuple(None if v is None else str(v).strip() or None for v in column))
        for (c, _), column in zip(chosen, columns_found, strict=True)
    )
    stem = phrase(name[1]).removeprefix(shared).strip() or phrase(name[1])
    return Source(place, identifier_of(name[1]), stem, tuple(sampled), len(found) <= most)


def _as_text(column: str, kind: str) -> str:
    """SQL of a column's text; of bytes and nested values nothing."""
    if kind.lower() in ("bytea", "blob", "json", "jsonb", "xml") or re.search(r"\[\]|^(STRUCT|MAP|UNION)", kind):
        return literal("") + f" AS {identifier(column)}"
    return f"left(CAST({identifier(column)} AS VARCHAR), {_LONGEST}) AS {identifier(column)}"
