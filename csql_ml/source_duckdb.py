"""The warehouse on one machine: a DuckDB connection over files, a database's tables, or queries.

Nothing is guessed: CSV and JSON values arrive as text and `csql_ml.contract.validate` gives them their types.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from csql_ml import pseudonyms
from csql_ml.config import Config, TableMapping
from csql_ml.errors import ConfigError, SourceError
from csql_ml.source_columns import choose_columns, contract_columns, location_of, with_pulled
from csql_ml.source_files import file_relation, first_line, identifier, literal
from csql_ml.source_postgres import Postgres, relation_of
from csql_ml.source_queries import single_select, stays_within

#: Types that arrive as they are; anything else (nested, binary, 128-bit) arrives as text.
_PLAIN_TYPE = re.compile(
    r"^(VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)"
    r"|DATE|TIMESTAMP( WITH TIME ZONE)?)$"
)


def _reason(error: BaseException) -> str:
    """Why reading failed, in one line and without values of rows (DuckDB quotes them)."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return "more memory is needed than data.memory_limit allows; raise it"
    if "CSV Error on Line" in text or "CSV Parser" in text:
        line = re.search(r"CSV Error on Line: (\d+)", text)
        columns = re.search(r"Expected Number of Columns: \d+ Found: \d+", text)
        known = {"unterminated quote": "a quote is not closed", "not utf-8": "the text is not UTF-8"}
        why = columns.group().lower() if columns else next((w for k, w in known.items() if k in text), None)
        return f"{f'line {line.group(1)}: ' if line else ''}{why or 'mixed line ends or stray quotes'}"
    if isinstance(error, (duckdb.ConversionException, duckdb.OutOfRangeException)):
        return "a value cannot be converted; use TRY_CAST in the query"
    return first_line(error)


class DuckDBWarehouse:
    """One DuckDB connection with the company's input tables; a context manager.

    The connection works on a temporary database file, so that tables larger than the memory limit spill to disk.
    Everything temporary is deleted on closing.

    Attributes
    ----------
    config
        The configuration it was opened with.
    connection
        The Ibis DuckDB backend; its session time zone is UTC.
    remote
        The company's PostgreSQL database; None without one.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._folder = tempfile.TemporaryDirectory(prefix="csql-", ignore_cleanup_errors=True)
        self.remote: Postgres | None = None
        self._raw_ready = False
        try:
            self.connection = self._connect()
            self._open_database()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Any:
        connection = ibis.duckdb.connect(
            Path(self._folder.name) / "csql_work.duckdb",
            memory_limit=self.config.data.memory_limit.replace(" ", ""),
            temp_directory=str(Path(self._folder.name) / "spill"),
            preserve_insertion_order=False,
            autoinstall_known_extensions=False,
        )
        connection.raw_sql("LOAD icu")
        # DuckDB would keep what it read of files up to its memory limit; the system does that better.
        connection.raw_sql("SET enable_external_file_cache = false")
        connection.raw_sql("SET TimeZone = 'UTC'")
        # A name that is no table must not become a variable of this program.
        connection.raw_sql("SET python_enable_replacements = false")
        connection.raw_sql("PRAGMA disable_progress_bar")
        if (macro := pseudonyms.macro(self.config)) is not None:
            connection.raw_sql(macro)
        return connection

    def __enter__(self) -> DuckDBWarehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and delete everything temporary."""
        for backend in (self.remote, getattr(self, "connection", None)):
            if backend is not None:
                backend.disconnect()
        self._folder.cleanup()

    # ------------------------------------------------------------ reading

    def read(self, name: str) -> ir.Table | None:
        """See `csql_ml.sources.Warehouse.read`."""
        mapping, pulled = self.config.data.tables.get(name), self.config.pulled_file(name)
        with self.reading(name):
            mapped = None if mapping is None else self._mapped(name, mapping)
            if pulled is None or not pulled.is_file():
                return mapped
            rows = self._file_relation(str(pulled), name)
            return with_pulled(mapped, self._contract_view(f"pulled_{name}", rows, partial(contract_columns, name)))

    def _mapped(self, name: str, mapping: TableMapping) -> ir.Table:
        """The rows of the company's own source."""
        if self.remote is not None and mapping.file is None:
            return self._copy_remote(name, mapping, self.remote)
        return self._contract_view(f"input_{name}", self.relation(name), partial(choose_columns, self.config, name))

    def _contract_view(
        self, what: str, relation: str, choose: Callable[[Sequence[str]], Mapping[str, str]]
    ) -> ir.Table:
        """A relation with the columns that ``choose`` picks, under their contract names and in plain types."""
        source, view = f"csql_source_{what}", f"csql_{what}"
        self.view(source, relation)
        types = {row[0]: row[1] for row in self.rows(f"DESCRIBE {identifier(source)}")}
        columns = ", ".join(self.column(types[theirs], theirs, ours) for ours, theirs in choose(tuple(types)).items())
        self.view(view, f"SELECT {columns} FROM {identifier(source)}")
        return self.connection.table(view)

    def location(self, name: str) -> str:
        """Where a mapped contract table comes from, for messages."""
        return location_of(self.config, name)

    def materialise(self, name: str, rows: ir.Table, large: bool = False) -> ir.Table:
        """Compute ``rows`` once and keep them in the warehouse under ``name``.

        Parameters
        ----------
        large
            Keep them as a temporary Parquet file: for ten million events half the time and a sixth of the memory of
            a DuckDB table (measured), at slightly slower reads.
        """
        query = self.connection.compile(rows)
        if large:
            file = Path(self._folder.name) / f"{name}.parquet"
            self.run(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet)")
            self.view(name, f"SELECT * FROM read_parquet({literal(str(file))})")
        else:
            self.run(f"CREATE OR REPLACE TABLE {identifier(name)} AS {query}")
        return self.connection.table(name)

    def drop(self, name: str) -> None:
        """Forget a materialised table."""
        self.run(f"DROP TABLE IF EXISTS {identifier(name)}")

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Turn whatever goes wrong while reading a contract table into one line about its source."""
        try:
            yield
        except (duckdb.Error, IbisError, OSError) as error:
            raise SourceError(f"{name}: {self.location(name)} cannot be read: {_reason(error)}") from error

    # ------------------------------------------------------------ locations

    def relation(self, name: str) -> str:
        """The SELECT that reads the source of a mapped contract table, with the source's own columns."""
        mapping = self.config.data.tables[name]
        if mapping.file is not None:
            return self._file_relation(mapping.file, name)
        self._register_raw()
        if mapping.query is not None:
            query = single_select(mapping.query, name)
            stays_within(query, f"data.tables.{name}.query", self.rows, self._tables())
            return query
        table = str(mapping.table)
        if self.config.data.database is None and table not in self.config.data.raw:
            raise ConfigError(f"data.tables.{name}.table: {table!r} needs data.database, or a file of data.raw")
        parts = [table] if table in self.config.data.raw else table.split(".")
        query = f"SELECT * FROM {'.'.join(map(identifier, parts))}"
        stays_within(query, f"data.tables.{name}.table", self.rows, self._tables())
        return query

    def _register_raw(self) -> None:
        """Give the files of ``data.raw`` their names, for queries."""
        if not self._raw_ready:
            for name, location in self.config.data.raw.items():
                try:
                    self.view(name, self._file_relation(location, f"data.raw.{name}"))
                except duckdb.Error as error:
                    raise SourceError(f"data.raw.{name}: {location} cannot be read: {_reason(error)}") from error
        self._raw_ready = True

    def _tables(self) -> set[tuple[str, ...]]:
        """Names of the tables and views there are, with and without schema and database."""
        kinds = [f"SELECT database_name, schema_name, {kind}_name FROM duckdb_{kind}s()" for kind in ("table", "view")]
        found = self.rows(" UNION ALL ".join(kinds))
        return {name[first:] for name in found for first in range(3)} | {(name[0], name[2]) for name in found}

    def _file_relation(self, location: str, what: str) -> str:
        return file_relation(self.config.data_folder, location, what, self.rows)

    # ------------------------------------------------------------ databases

    def _open_database(self) -> None:
        database = self.config.data.database
        if database is None:
            return
        if re.match(r"postgres(ql)?://", database):
            self.remote = Postgres(database)
            return
        if "://" in database:
            scheme = database.split("://", 1)[0]
            raise ConfigError(
                f"data.database: {scheme}:// is not supported; give a DuckDB file or a postgres:// URL. Snowflake, "
                "BigQuery and Databricks export to Parquet first: see configs/warehouses/"
            )
        path = self.config.data_folder / Path(database).expanduser()
        if not path.is_file():
            raise SourceError(f"data.database: {path} does not exist")
        try:
            self.run(f"ATTACH {literal(str(path))} AS csql_database (READ_ONLY)")
            self.run("SET search_path = 'csql_work.main,csql_database.main'")
            self._show_schemas()
        except duckdb.Error as error:
            raise SourceError(f"data.database: {path} cannot be opened: {_reason(error)}") from error

    def _show_schemas(self) -> None:
        """Let queries write ``schema.table``, which DuckDB looks up in the first database only."""
        columns = "database_name, schema_name, {0}_name, internal"
        kinds = [f"SELECT {columns.format(kind)} FROM duckdb_{kind}s()" for kind in ("table", "view")]
        where = "database_name = 'csql_database' AND schema_name <> 'main' AND NOT internal"
        for _, schema, table, _ in self.rows(f"SELECT * FROM ({' UNION ALL '.join(kinds)}) WHERE {where}"):
            name = f"{identifier(schema)}.{identifier(table)}"
            self.run(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
            self.run(f"CREATE VIEW {name} AS SELECT * FROM csql_database.{name}")

    def _copy_remote(self, name: str, mapping: TableMapping, remote: Postgres) -> ir.Table:
        """Copy the mapped columns of a table or query of the company's database."""
        if self.config.data.raw and mapping.query is not None:
            raise ConfigError(f"data.tables.{name}.query runs in data.database and cannot see the files of data.raw")
        relation = relation_of(mapping.table, mapping.query, f"data.tables.{name}.query")
        file = Path(self._folder.name) / f"{name}.parquet"
        try:
            columns = choose_columns(self.config, name, remote.columns(relation))
            remote.copy(relation, columns, file)
        except remote.error as error:
            raise SourceError(f"{name}: {self.location(name)} cannot be read: {remote.reason(error)}") from error
        copied = self._file_relation(str(file), name)
        if pseudonyms.COLUMN in columns and self.config.data.hash_user_ids:
            ids = pseudonyms.hashed(pseudonyms.COLUMN, "VARCHAR")
            copied = f"SELECT * REPLACE ({ids} AS {pseudonyms.COLUMN}) FROM ({copied})"
        self.view(f"csql_input_{name}", copied)
        return self.connection.table(f"csql_input_{name}")

    # ------------------------------------------------------------ SQL

    def column(self, type_name: str, theirs: str, ours: str) -> str:
        """SQL of a source's column under its contract name; ids of users become pseudonyms where that is asked for."""
        if ours == pseudonyms.COLUMN and self.config.data.hash_user_ids:
            return f"{pseudonyms.hashed(identifier(theirs), type_name)} AS {identifier(ours)}"
        return plain_column(type_name, theirs, ours)

    def run(self, sql: str) -> None:
        """Run a statement."""
        self.connection.con.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query that returns few."""
        return list(self.connection.con.execute(sql).fetchall())

    def view(self, name: str, sql: str) -> None:
        """Give a query a name."""
        self.run(f"CREATE OR REPLACE VIEW {identifier(name)} AS {sql}")


def plain_column(type_name: str, theirs: str, ours: str) -> str:
    """SQL of a source's column under its contract name, as one of the types that the contract reads."""
    source = identifier(theirs)
    if type_name == "TIMESTAMP WITH TIME ZONE":  # the instant; asking for its clock in UTC takes ten times as long
        instant = f"make_timestamp(epoch_us({source}))"
        source = f"CASE WHEN isfinite({source}) THEN {instant} ELSE CAST({source} AS TIMESTAMP) END"
    elif type_name.startswith("TIMESTAMP_"):
        source = f"CAST({source} AS TIMESTAMP)"
    elif not _PLAIN_TYPE.match(type_name):
        source = f"CAST({source} AS VARCHAR)"
    return f"{source} AS {identifier(ours)}"
