"""The warehouse on Spark: files, tables of Spark's catalog or queries, read and computed on one machine or a cluster.

Nothing is guessed: CSV and JSON values arrive as text and `csql_ml.contract.validate` gives them their types. Steps
that are used again are written once as Parquet, to a folder that every worker sees, so that a lost worker costs time
and never changes a result.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibis.common.exceptions import IbisError

from csql_ml.config import Config
from csql_ml.errors import ConfigError, MissingExtraError, SourceError
from csql_ml.source_columns import choose_columns, contract_columns, location_of, with_pulled
from csql_ml.source_files import first_line
from csql_ml.source_queries import plain_select
from csql_ml.spark_files import as_contract_columns, read_files
from csql_ml.spark_session import reason, spark_errors, start_session

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from pyspark.sql import DataFrame, SparkSession

#: Spark's own setting for a reliable folder that all workers see.
_SHARED_FOLDER = "spark.checkpoint.dir"


class SparkWarehouse:
    """A Spark session with the company's input tables; a context manager.

    It uses the active session's application, else starts one from ``config.spark`` and stops it on closing. What it
    defines (views, settings such as the UTC session time zone) stays in a session of its own; settings, files and
    catalog are those of the application.

    Attributes
    ----------
    config
        The configuration it was opened with.
    connection
        The Ibis PySpark backend, a `csql_ml.spark_backend.SparkBackend`; its session time zone is UTC.
    session
        The Spark session.

    Raises
    ------
    MissingExtraError
        PySpark is not installed.
    SourceError
        Spark cannot be started: no Java 17 or newer, no answer from the master.
    ConfigError
        ``data.database`` or ``data.push_down`` is given; those belong to ``engine: duckdb``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        _refuse_database(config)
        try:
            from csql_ml.spark_backend import SETTINGS, SparkBackend
        except ImportError as error:
            if str(getattr(error, "name", "")).split(".")[0] not in ("pyspark", "py4j"):
                raise
            raise MissingExtraError("engine: spark", "spark") from error
        self._application, self._started = start_session(config.spark.master, config.spark.settings)
        try:
            self.session: SparkSession = own_session(self._application, SETTINGS)
            self.connection: Any = SparkBackend()
            self.connection.do_connect(self.session)
            self._folder = work_folder(self.session, config)
            self._raw_ready = False
        except BaseException:
            if self._started:
                self._application.stop()
            raise

    def __enter__(self) -> SparkWarehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete everything temporary; stop Spark if it was started here."""
        delete_folder(self.session, self._folder)
        if self._started:
            self._application.stop()

    # ------------------------------------------------------------ reading

    def read(self, name: str) -> ir.Table | None:
        """See `csql_ml.sources.Warehouse.read`."""
        pulled = self.config.pulled_file(name)
        with self.reading(name):
            mapped = None
            if name in self.config.data.tables:
                source = self._source(name)
                mapped = self._view(f"csql_input_{name}", source, choose_columns(self.config, name, source.columns))
            if pulled is None or not pulled.is_file():
                return mapped
            rows = read_files(self.session, self.config.data_folder, str(pulled), name)
            columns = contract_columns(name, rows.columns)
            return with_pulled(mapped, self._view(f"csql_pulled_{name}", rows, columns))

    def _view(self, view: str, frame: DataFrame, chosen: Mapping[str, str]) -> ir.Table:
        as_contract_columns(frame, chosen).createOrReplaceTempView(view)
        return self.connection.table(view)

    def location(self, name: str) -> str:
        """Where a mapped contract table comes from, for messages."""
        return location_of(self.config, name)

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Turn whatever goes wrong while reading a contract table into one line about its source."""
        try:
            yield
        except (*spark_errors(), IbisError, OSError) as error:
            raise SourceError(f"{name}: {self.location(name)} cannot be read: {reason(error)}") from error

    def _source(self, name: str) -> DataFrame:
        mapping = self.config.data.tables[name]
        if mapping.file is not None:
            return read_files(self.session, self.config.data_folder, mapping.file, name)
        if mapping.table is not None:
            return self.session.table(".".join(f"`{part}`" for part in mapping.table.split(".")))
        self._register_raw()
        return self._query(name, str(mapping.query))

    def _register_raw(self) -> None:
        """Give the files of ``data.raw`` their names, for queries."""
        for name, location in self.config.data.raw.items() if not self._raw_ready else ():
            try:
                frame = read_files(self.session, self.config.data_folder, location, f"data.raw.{name}")
                frame.createOrReplaceTempView(f"`{name}`")
            except spark_errors() as error:
                raise SourceError(f"data.raw.{name}: {location} cannot be read: {reason(error)}") from error
        self._raw_ready = True

    def _query(self, name: str, query: str) -> DataFrame:
        """The rows of a query; in parentheses, anything but a SELECT is a syntax error."""
        from pyspark.errors import ParseException

        try:
            select = plain_select(query, "spark", f"data.tables.{name}.query")
            return self.session.sql(f"SELECT * FROM (\n{select}\n) AS csql_query")
        except ParseException as error:
            raise ConfigError(
                f"data.tables.{name}.query must be a single SELECT statement in Spark's SQL: {first_line(error)}"
            ) from error

    # ------------------------------------------------------------ computing

    def materialise(self, name: str, rows: ir.Table, large: bool = False) -> ir.Table:
        """Compute ``rows`` once and keep them under ``name``.

        Parameters
        ----------
        large
            Without effect: on Spark every step is kept as Parquet. Cached rows die with their worker.
        """
        path = f"{self._folder}/{name}-{uuid.uuid4().hex[:8]}"
        frame = self.connection.frame(rows)
        frame.write.option("compression", "zstd").parquet(path)
        self.session.read.schema(frame.schema).parquet(path).createOrReplaceTempView(name)
        return self.connection.table(name)

    def drop(self, name: str) -> None:
        """Forget a materialised table."""
        self.session.catalog.dropTempView(name)


def _refuse_database(config: Config) -> None:
    if config.data.database is not None or config.data.push_down:
        key = "database" if config.data.database is not None else "push_down"
        raise ConfigError(
            f"data.{key} belongs to engine: duckdb; with engine: spark map files, queries, or tables of Spark's "
            "catalog (data.tables.<name>.table)"
        )


def own_session(application: SparkSession, settings: dict[str, str]) -> SparkSession:
    """A session of the same application with the same settings, so that its views and ours do not mix."""
    session = application.newSession()
    for key, value in {**application.conf.getAll, **settings}.items():
        if session.conf.isModifiable(key):
            session.conf.set(key, value)
    return session


def work_folder(session: SparkSession, config: Config) -> str:
    """The name of a new folder for intermediate steps, which every worker must see.

    On one machine that is its temporary folder. On a cluster it is in Spark's ``spark.checkpoint.dir`` if that is
    set, else in ``activity_folder``, which has to be a shared one there anyway.
    """
    name = f"csql-{uuid.uuid4().hex}"
    shared = session.sparkContext.getConf().get(_SHARED_FOLDER)
    if shared:
        return f"{shared.rstrip('/')}/{name}"
    if str(session.sparkContext.master).startswith("local"):
        return f"file://{Path(tempfile.gettempdir()).resolve()}/{name}"
    return f"file://{config.activity_path.resolve()}/{name}"


def delete_folder(session: SparkSession, folder: str) -> None:
    """Delete a folder wherever Spark's file systems keep it."""
    jvm, settings = session.sparkContext._jvm, session.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
    path = jvm.org.apache.hadoop.fs.Path(folder)
    path.getFileSystem(settings).delete(path, True)
