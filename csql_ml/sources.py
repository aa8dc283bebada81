"""Locations -> Ibis tables: where the twelve input tables are, on whichever engine the configuration names.

A `Warehouse` knows where each contract table comes from and computes on one engine. `csql_ml.source_duckdb` reads
files and databases on one machine, `csql_ml.source_spark` does the same on a Spark cluster.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from csql_ml import pseudonyms

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from csql_ml.config import Config


class Warehouse(Protocol):
    """One engine with the company's input tables; a context manager that deletes everything temporary on closing.

    Attributes
    ----------
    config
        The configuration it was opened with.
    connection
        The Ibis backend; its session time zone is UTC.
    """

    config: Config
    connection: Any

    def __enter__(self) -> Warehouse: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """Close the connections and delete everything temporary."""

    def read(self, name: str) -> ir.Table | None:
        """The source of a contract table, with its columns under their contract names and raw types.

        Parameters
        ----------
        name
            A contract table.

        Returns
        -------
        ibis.expr.types.Table or None
            Only columns of the contract; with the rows that `csql pull` brought. None where the table is not mapped
            and nothing was pulled.

        Raises
        ------
        SourceError
            The file, table or query cannot be read.
        ContractError
            A mapped column is not in the source.
        ConfigError
            The query is not a single SELECT.
        """

    def location(self, name: str) -> str:
        """Where a mapped contract table comes from, for messages."""

    def materialise(self, name: str, rows: ir.Table, large: bool = False) -> ir.Table:
        """Compute ``rows`` once and keep them under ``name``; ``large`` ones outside of memory."""

    def drop(self, name: str) -> None:
        """Forget a materialised table."""

    def reading(self, name: str) -> AbstractContextManager[None]:
        """Turn whatever goes wrong while reading a contract table into one line about its source."""


def open_warehouse(config: Config) -> Warehouse:
    """Open the company's data on the engine that the configuration names.

    Parameters
    ----------
    config
        ``config.data`` says where the tables are and how much memory may be used.

    Raises
    ------
    SourceError
        The database of ``data.database`` cannot be opened.
    MissingExtraError
        The engine or the database's driver is not installed.

    Examples
    --------
    >>> from csql_ml.config import Config
    >>> with open_warehouse(Config()) as warehouse:
    ...     print(warehouse.read("accounts"))
    None
    """
    pseudonyms.check(config)
    if config.engine == "spark":
        from csql_ml.source_spark import SparkWarehouse

        return SparkWarehouse(config)
    from csql_ml.source_duckdb import DuckDBWarehouse

    return DuckDBWarehouse(config)
