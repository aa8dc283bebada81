"""Which columns of a source are which columns of the contract, whatever engine reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from csql_ml.config import Config
from csql_ml.contract.tables import TABLES
from csql_ml.errors import ContractError

#: How many of a source's columns a message lists.
_SHOWN = 40


def location_of(config: Config, name: str) -> str:
    """Where a contract table comes from, for messages."""
    if name not in config.data.tables:
        return f"{config.pulled_file(name)}"
    mapping = config.data.tables[name]
    if mapping.file is not None:
        return mapping.file if "://" in mapping.file else f"{mapping.file} (in {config.data_folder})"
    return f"table {mapping.table}" if mapping.table is not None else f"the query of data.tables.{name}"


def choose_columns(config: Config, name: str, found: Sequence[str]) -> dict[str, str]:
    """Contract column -> source column: the mapping first, then the same name, then ignoring case.

    Parameters
    ----------
    name
        A mapped contract table.
    found
        The columns of its source.

    Raises
    ------
    ContractError
        A mapped column is not in the source, or none of the contract's columns is.
    """
    columns, listed = config.data.tables[name].columns, ", ".join(found[:_SHOWN])
    lower = {column.lower(): column for column in found}
    chosen = {}
    for ours in TABLES[name].column_names:
        wanted = columns.get(ours, ours)
        theirs = wanted if wanted in found else lower.get(wanted.lower())
        if theirs is not None:
            chosen[ours] = theirs
        elif ours in columns:
            raise ContractError(
                f"{name}: column {wanted!r}, mapped to {ours}, is not in {location_of(config, name)}; found: {listed}"
            )
    if not chosen:
        raise ContractError(
            f"{name}: {location_of(config, name)} has none of the columns {', '.join(TABLES[name].column_names)}; "
            f"found: {listed}; map them under data.tables.{name}.columns"
        )
    return chosen


def contract_columns(name: str, found: Sequence[str]) -> dict[str, str]:
    """The columns of a contract table among those of a file that `csql pull` wrote."""
    return {column: column for column in TABLES[name].column_names if column in found}


def with_pulled(mapped: ir.Table | None, pulled: ir.Table | None) -> ir.Table | None:
    """Rows of the mapped table and rows that `csql pull` brought; a column only one of them has is empty in the other.

    Rows of both with the same key are versions of one thing, as rows of one table would be: the one with the later
    ``recorded_at`` counts from then on, and of two with the same one the contract keeps one and reports the other.
    """
    if mapped is None or pulled is None:
        return mapped if pulled is None else pulled
    names = [*mapped.columns, *(c for c in pulled.columns if c not in mapped.columns)]
    types = {name: _common_type(mapped, pulled, name) for name in names}
    return _in_types(mapped, types).union(_in_types(pulled, types))


def _common_type(mapped: ir.Table, pulled: ir.Table, name: str) -> dt.DataType:
    """The type of both; where they differ text, which the contract reads as well as any other type."""
    found = {table[name].type().copy(nullable=True) for table in (mapped, pulled) if name in table.columns}
    return found.pop() if len(found) == 1 else dt.string


def _in_types(rows: ir.Table, types: Mapping[str, dt.DataType]) -> ir.Table:
    return rows.select(**{n: rows[n].cast(kind) if n in rows.columns else ibis.null(kind) for n, kind in types.items()})
