"""One engine with typed tables on it: the same rows on DuckDB, Spark and PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from csql_ml.activity import rollup
from csql_ml.config import Config
from csql_ml.contract.report import Inputs
from csql_ml.snapshots import Snapshot, SnapshotBuilder

#: Tests share a database and a session: every table has a name of its own.
_NUMBERS = count()


class Engine:
    """An Ibis connection, and how tables get onto it.

    Attributes
    ----------
    name
        duckdb, spark or postgres.
    connection
        The Ibis backend, as csql_ml opens it.
    """

    def __init__(self, name: str, connection: Any) -> None:
        self.name, self.connection = name, connection

    def load(self, name: str, rows: pa.Table) -> ir.Table:
        """Arrow rows as a new table of the engine."""
        unique = f"{name}_{next(_NUMBERS)}"
        if self.name == "duckdb":
            self.connection.con.register(unique, rows)
        elif self.name == "spark":
            self.connection.session.createDataFrame(rows).createOrReplaceTempView(unique)
        else:
            self._copy_in(unique, rows)
        return self.connection.table(unique)

    def run(self, sql: str) -> None:
        """Run one statement on PostgreSQL."""
        with self.connection.con.cursor() as cursor:
            cursor.execute(sql)
        self.connection.con.commit()

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement on PostgreSQL with each of these rows of values."""
        with self.connection.con.cursor() as cursor:
            cursor.executemany(sql, rows)
        self.connection.con.commit()

    def new_schema(self) -> str:
        """A schema of its own, in which names are looked up from now on."""
        name = f"company_{next(_NUMBERS)}"
        self.run(f'CREATE SCHEMA "{name}"')
        self.run(f'SET search_path = "{name}", public')
        return name

    def keep(self, name: str, rows: ir.Table) -> ir.Table:
        """Compute an expression once."""
        unique = f"{name}_{next(_NUMBERS)}"
        sql = self.connection.compile(rows)
        if self.name == "spark":
            self.connection.session.sql(sql).cache().createOrReplaceTempView(unique)
        elif self.name == "postgres":
            self.run(f'CREATE TABLE "{unique}" AS {sql}')
        else:
            self.connection.raw_sql(f'CREATE TABLE "{unique}" AS {sql}')
        return self.connection.table(unique)

    def _copy_in(self, name: str, rows: pa.Table) -> None:
        types = {
            "string": "text",
            "int64": "bigint",
            "bool": "boolean",
            "date32[day]": "date",
            "double": "double precision",
        }
        columns = ", ".join(
            f'"{f.name}" {types.get(str(f.type)) or str(f.type).replace("decimal128", "numeric").split("[")[0]}'
            for f in rows.schema
        )
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(rows, buffer)
        with self.connection.con.cursor() as cursor:
            cursor.execute(f'CREATE TABLE "{name}" ({columns})')
            with cursor.copy(f'COPY "{name}" FROM STDIN (FORMAT csv, HEADER)') as copy:
                copy.write(buffer.getvalue())
        self.connection.con.commit()

    def inputs(self, tables: Mapping[str, pa.Table], present: Mapping[str, frozenset[str]]) -> Inputs:
        """Validated inputs on this engine."""
        loaded = {name: self.load(name, rows) for name, rows in tables.items()}
        return Inputs(self.connection, loaded, (), (), dict(present))

    def builder(self, inputs: Inputs, config: Config) -> SnapshotBuilder:
        """Snapshots over the rollup of these inputs, computed on this engine."""
        return SnapshotBuilder(inputs, self.keep("activity", rollup(inputs.tables["events"], config)), config)


def on(engine: Engine, inputs: Inputs) -> Inputs:
    """Validated inputs of a DuckDB company, copied to another engine."""
    rows = {name: inputs.con.to_pyarrow(table) for name, table in inputs.tables.items()}
    return engine.inputs(rows, inputs.present_columns)


def values_of(snapshot: Snapshot) -> pd.DataFrame:
    """Everything a snapshot says of its accounts, one row each; columns are ``features.<name>`` and so on."""
    frames = {"features": snapshot.features, "facts": snapshot.facts, "accounts": snapshot.accounts}
    parts = [frame.set_index("account_id").add_prefix(f"{name}.") for name, frame in frames.items()]
    return pd.concat(parts, axis=1).sort_index()


@contextmanager
def duckdb_engine() -> Iterator[Engine]:
    """A DuckDB in memory, in UTC."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    try:
        yield Engine("duckdb", connection)
    finally:
        connection.disconnect()
