"""The SQL of a proposed query: one SELECT over named files, or over tables of the database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from csql_ml.contract.tables import TABLES
from csql_ml.proposing.columns import Fit
from csql_ml.proposing.sources import Landscape, Source, SourceColumn
from csql_ml.source_files import identifier, literal

#: What PostgreSQL takes for something else than a column, beyond what DuckDB reserves.
_MEANS_MORE = {
    "user",
    "current_user",
    "session_user",
    "system_user",
    "current_role",
    "current_catalog",
    "current_schema",
}
_MEANS_MORE |= {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "authorization"}


@dataclass(frozen=True)
class Query:
    """A proposed query and the names of the sources that it reads."""

    sql: str
    reads: tuple[Source, ...]


def query_of(fitted: Fit, more: Mapping[str, str], landscape: Landscape) -> Query:
    """The SELECT that gives a contract table its columns.

    Parameters
    ----------
    more
        SQL of columns that stand for what was not found; ``{column}`` in braces is a column of the source.
    """
    join = fitted.join
    one, other = ("s.", "o.") if join else ("", "")
    names = {c.name: _of_column(c, one, landscape.reserved) for c in fitted.source.columns}
    chosen = []
    for column in TABLES[fitted.table].column_names:
        match = fitted.matches.get(column)
        if column in more:
            chosen.append(f"{_filled(more[column], names)} AS {column}")
        elif column == "account_id" and join is not None:
            chosen.append(_as(other + sql_name(join.account, landscape.reserved), column))
        elif match is not None:
            theirs = names[match.theirs]
            repaired = match.repair.of(theirs, names.get(match.repair.other, "")) if match.repair else theirs
            chosen.append(_as(repaired, column))
    sql = "SELECT " + ",\n       ".join(chosen) + f"\nFROM {_place(fitted.source, landscape)}"
    if join is None:
        return Query(sql, (fitted.source,))
    left, right = names[join.ours], other + sql_name(join.theirs, landscape.reserved)
    if landscape.database is not None or not all(map(_text, (fitted.source, join.other))):
        left, right = f"CAST({left} AS VARCHAR)", f"CAST({right} AS VARCHAR)"
    sql += f" AS s\nLEFT JOIN {_place(join.other, landscape)} AS o ON {left} = {right}"
    return Query(sql, (fitted.source, join.other))


def _of_column(column: SourceColumn, prefix: str, reserved: frozenset[str]) -> str:
    """A column's SQL; of a value inside a JSON object the way to it."""
    if column.inside is None:
        return prefix + sql_name(column.name, reserved)
    outer, key = column.inside
    path = literal(f'$."{key}"')
    return f"json_extract_string({prefix}{sql_name(outer, reserved)}, {path})"


def sql_name(name: str, reserved: frozenset[str]) -> str:
    """A column's name as SQL wants it: in quotes only where it must be."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in reserved | _MEANS_MORE
    return name if plain else identifier(name)


def _as(sql: str, column: str) -> str:
    return sql if sql.split(".")[-1] == column else f"{sql} AS {column}"


def _filled(sql: str, names: Mapping[str, str]) -> str:
    """SQL with the source's columns in place of ``{their names}``."""
    return re.sub(r"\{([^{}]+)\}", lambda found: names.get(found[1], found[0]), sql)


def _place(source: Source, landscape: Landscape) -> str:
    if landscape.database is None:
        return source.name
    return ".".join(sql_name(part, landscape.reserved) for part in source.location.split("."))


def _text(source: Source) -> bool:
    return re.search(r"\.(csv|tsv|jsonl|ndjson)(\.gz)?$", source.location, re.IGNORECASE) is not None
