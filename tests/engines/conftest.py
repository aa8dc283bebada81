"""The engines that definitions run on: one Spark session and one PostgreSQL server for all tests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.engines.engine_under_test import Engine, duckdb_engine
from tests.engines.postgres_server import PostgresMissingError, Server, connect_ibis, new_database, postgres_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DATABASES = count()
#: Two threads and little memory; the quick compiler, because tests are over before the thorough one pays.
SPARK_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.log.level": "ERROR",
}


#: Without Spark, files that import it are not even read; `make test-engines` installs it.
collect_ignore = [] if find_spec("pyspark") else ["test_cluster.py", "test_source_spark.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """PySpark leaves the sockets of its results to the garbage collector."""
    for item in items:
        if item.get_closest_marker("engines"):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


def absent(what: str) -> NoReturn:
    """A test whose engine is not there fails, it never passes by being skipped."""
    pytest.fail(f"{what}; `make test-engines` installs it")


@pytest.fixture(scope="session")
def java() -> None:
    """Java, which Spark needs."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        absent("Spark needs Java 17 or newer")


@pytest.fixture(scope="session")
def spark(java: None) -> Iterator[SparkSession]:
    """The Spark session of all tests; `csql_ml` uses an active one instead of starting its own."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        absent("PySpark is not installed")
    builder = SparkSession.builder.master("local[2]")
    for key, value in SPARK_SETTINGS.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    session.sparkContext.pythonExec = sys.executable
    yield session
    session.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of its own; see `tests.engines.postgres_server`."""
    try:
        with postgres_server() as running:
            yield running
    except PostgresMissingError as error:
        absent(str(error))


@pytest.fixture
def database(server: Server) -> Iterator[Server]:
    """A fresh database of the server."""
    with new_database(server, f"test_{next(_DATABASES)}") as fresh:
        yield fresh


@pytest.fixture(scope="session")
def spark_connection(spark: SparkSession) -> Any:
    """Spark as `csql_ml` connects to it."""
    from csql_ml.source_spark import own_session
    from csql_ml.spark_backend import SETTINGS, SparkBackend

    connection = SparkBackend()
    connection.do_connect(own_session(spark, SETTINGS))
    return connection


@pytest.fixture(scope="session")
def postgres_connection(server: Server) -> Iterator[Any]:
    """PostgreSQL as `csql_ml` pushes down to it."""
    from csql_ml.postgres_backend import complete

    with new_database(server, f"engine_{next(_DATABASES)}") as fresh:
        connection = complete(connect_ibis(fresh.url))
        yield connection
        connection.disconnect()


@pytest.fixture(params=["duckdb", "spark", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn."""
    if request.param == "duckdb":
        with duckdb_engine() as local:
            yield local
    else:
        yield Engine(request.param, request.getfixturevalue(f"{request.param}_connection"))
