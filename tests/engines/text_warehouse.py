"""Warehouses over the same text tables: files for DuckDB and Spark, tables of a database for PostgreSQL."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from csql_ml.config import Config
from csql_ml.sources import Warehouse, open_warehouse
from tests.engines.engine_under_test import Engine

Rows = list[dict[str, str]]


class PostgresTextWarehouse:
    """Contract tables that are text in a PostgreSQL database; steps are tables beside them."""

    def __init__(self, config: Config, engine: Engine, tables: Mapping[str, Rows]) -> None:
        self.config, self.connection = config, engine.connection
        self._schema = engine.new_schema()
        for name, rows in tables.items():
            columns = list(rows[0])
            listed = ", ".join(f'"{column}" text' for column in columns)
            engine.run(f'CREATE TABLE "{name}" ({listed})')
            values = [[row[column] or None for column in columns] for row in rows]
            engine.run_many(f'INSERT INTO "{name}" VALUES ({", ".join(["%s"] * len(columns))})', values)
        self._tables, self._run = tables, engine.run

    def __enter__(self) -> PostgresTextWarehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._run(f'DROP SCHEMA "{self._schema}" CASCADE')

    def read(self, name: str) -> ir.Table | None:
        return self.connection.table(name) if name in self._tables else None

    def location(self, name: str) -> str:
        return f"table {name}"

    def materialise(self, name: str, rows: ir.Table, large: bool = False) -> ir.Table:
        self._run(f'DROP TABLE IF EXISTS "{name}"')
        self._run(f'CREATE TABLE "{name}" AS {self.connection.compile(rows)}')
        return self.connection.table(name)

    def drop(self, name: str) -> None:
        self._run(f'DROP TABLE IF EXISTS "{name}"')

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        yield


def write_csv(folder: Path, tables: Mapping[str, Rows]) -> None:
    """One CSV file per table."""
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def text_config(engine: Engine, folder: Path, tables: Mapping[str, Rows], **sections: Any) -> Config:
    """A configuration over the CSV files of a folder, read on DuckDB or Spark."""
    data = {"folder": folder, "tables": {name: f"{name}.csv" for name in tables}}
    name = "spark" if engine.name == "spark" else "duckdb"
    return Config.model_validate({"engine": name, "data": data, **sections})


def text_warehouse(engine: Engine, folder: Path, tables: Mapping[str, Rows], **sections: Any) -> Warehouse:
    """The tables on an engine, as if they were a company's source there."""
    config = text_config(engine, folder, tables, **sections)
    if engine.name == "postgres":
        return PostgresTextWarehouse(config, engine, tables)
    write_csv(folder, tables)
    return open_warehouse(config)
