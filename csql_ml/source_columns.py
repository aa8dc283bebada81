"""Which columns of a source are which columns of the contract, whatever engine reads it."""

from __future__ import annotations

from collections.abc import Sequence

from csql_ml.config import Config
from csql_ml.contract.tables import TABLES
from csql_ml.errors import ContractError

#: How many of a source's columns a message lists.
_SHOWN = 40


def location_of(config: Config, name: str) -> str:
    """Where a mapped contract table comes from, for messages."""
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
