"""The queries of a configuration: they read what the configuration names, and do nothing else.

A query is one SELECT. It may use the tables of ``data.database``, the names of ``data.raw`` and names it gives itself;
files, network addresses, other databases and functions that reach beyond the rows are refused before anything runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import duckdb

from csql_ml.errors import ConfigError
from csql_ml.source_files import first_line

#: Table functions that make rows of their arguments.
_ROW_MAKERS = ("unnest", "range", "generate_series", "json_each", "json_tree")
#: Functions that run code, read files, speak to other servers or change something, by engine.
_REACHING: dict[str, str] = {
    "postgres": r"pg_(read|ls|stat_file|terminate|cancel|reload|rotate|switch|promote|logfile|create|drop|advisory|"
    r"try_advisory|import|export|write|file|log_backend)\w*|lo_\w+|lowrite|loread|dblink\w*|set_config|setval|"
    r"nextval|(query|table|schema|database|cursor)_to_xml\w*|pg_sleep\w*|ts_stat|pg_notify|pg_stat_reset\w*",
    "spark": r"reflect|try_reflect|java_method|read_(files|kafka)|http_request|remote_query|cloud_files\w*",
}
#: What Spark's SQL takes before the path of a file.
_FORMATS = ("avro", "binaryfile", "csv", "delta", "hive", "iceberg", "json", "orc", "parquet", "text", "xml")


def single_select(query: str, name: str) -> str:
    """A query in DuckDB's SQL without its final semicolon.

    Raises
    ------
    ConfigError
        It is anything but one SELECT.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise ConfigError(f"data.tables.{name}.query is not valid SQL: {first_line(error)}") from error
    one = len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT
    if not one or not _begins_as_select(_words(query, "duckdb")):  # DuckDB turns some of PRAGMA and SHOW into SELECT
        raise ConfigError(f"data.tables.{name}.query must be a single SELECT statement")
    return str(statements[0].query).strip().rstrip(";")


def stays_within(
    query: str, what: str, rows: Callable[[str], list[tuple[Any, ...]]], tables: Collection[tuple[str, ...]]
) -> None:
    """Refuse a SELECT in DuckDB's SQL that reads anything but tables that there are.

    Parameters
    ----------
    what
        The key of the configuration, for messages.
    rows
        Runs a query and returns its rows.
    tables
        Names of the tables and views there are, with and without their schema and database.

    Raises
    ------
    ConfigError
        It names a file, another database or a function that reads one.
    """
    text = query.replace("'", "''")
    parsed = json.loads(rows(f"SELECT json_serialize_sql('{text}')")[0][0])
    if parsed.get("error"):
        raise ConfigError(f"{what} must be a single SELECT statement")
    known = {tuple(part.lower() for part in name) for name in tables}
    own = {entry["key"].lower() for node in _nodes(parsed) for entry in node.get("cte_map", {}).get("map", [])}
    for node in _nodes(parsed):
        if node.get("type") == "BASE_TABLE":
            _check_table(node, what, known, own)
        elif node.get("type") == "TABLE_FUNCTION":
            function = str(node["function"].get("function_name", ""))
            if function.lower() not in _ROW_MAKERS:
                raise ConfigError(f"{what} calls {function}, which is not allowed; name files under data.raw instead")
        elif node.get("type") == "SHOW_REF":
            raise ConfigError(f"{what} must be a single SELECT statement")


def _check_table(node: dict[str, Any], what: str, known: Collection[tuple[str, ...]], own: Collection[str]) -> None:
    parts = [node.get(key) for key in ("catalog_name", "schema_name", "table_name")]
    name = tuple(str(part).lower() for part in parts if part)
    if name in known or (len(name) == 1 and name[0] in own):
        return
    # DuckDB takes a name that it does not know, schema and all, for the name of a file.
    if len(name) > 1 or re.search(r"[./\\:*?\[]", name[0]):
        raise ConfigError(
            f"{what} reads {'.'.join(name)!r}, which is neither a table of data.database nor a name of data.raw; give "
            "files a name under data.raw"
        )


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    """Every object below a parsed query."""
    waiting = [parsed]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
        if isinstance(one, (dict, list)):
            waiting += one.values() if isinstance(one, dict) else one


def plain_select(query: str, dialect: str, what: str) -> str:
    """A query for another engine without its final semicolon.

    The engine itself refuses what writes and what is more than one SELECT; here is refused, by its name, what would
    reach beyond the tables while it reads.

    Parameters
    ----------
    dialect
        ``postgres`` or ``spark``.

    Raises
    ------
    ConfigError
        It does not begin as a SELECT, is more than one statement, reads a file, or calls a function that reaches
        beyond the rows.
    """
    text = query.strip().rstrip(";")
    words = _words(text, dialect)
    if ";" in words or not _begins_as_select(words):
        raise ConfigError(f"{what} must be a single SELECT statement in the SQL of {dialect}")
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if after == "(" and re.fullmatch(_REACHING[dialect], word):
            raise ConfigError(f"{what} calls {word}, which is not allowed: a query reads tables and changes nothing")
        if dialect == "spark" and word == "." and before in _FORMATS and re.search(r"[/\\:]", after):
            raise ConfigError(f"{what} reads {after!r}, which is a file; give files a name under data.raw")
    return text


def _words(query: str, dialect: str) -> list[str]:
    """The words and signs of a query in small letters, names without their quotes; none where it has no sense."""
    import sqlglot

    try:
        return [token.text.lower() for token in sqlglot.tokenize(query, read=dialect)]
    except sqlglot.errors.SqlglotError:
        return []


def _begins_as_select(words: list[str]) -> bool:
    return next((word for word in words if word != "("), "") in ("select", "with", "values", "from", "table")
