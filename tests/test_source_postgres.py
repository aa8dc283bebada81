"""PostgreSQL as a source, with a stand-in for its driver."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from csql_ml.config import Config
from csql_ml.errors import ConfigError, ContractError, CsqlError, MissingExtraError, SourceError
from csql_ml.source_postgres import Postgres
from csql_ml.sources import open_warehouse
from tests.source_reading import ALPHA, HEADER, ROW, read, write


class FakeCursor:
    """DuckDB in the place of a PostgreSQL cursor: what is asked of it is the same SQL."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self.database = database

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str) -> None:
        columns = self.database.execute(sql).description or []
        self.description = [SimpleNamespace(name=column[0]) for column in columns]

    @contextmanager
    def copy(self, sql: str) -> Iterator[list[bytes]]:
        query = sql.removeprefix("COPY (").removesuffix(") TO STDOUT (FORMAT csv, HEADER)")
        yield [self.database.execute(query).df().to_csv(index=False).encode()]


class FakePsycopg:
    """The few names of psycopg that are used."""

    Error = duckdb.Error

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connect(self, url: str, options: str, **more: Any) -> Any:
        if "nobody" in url:
            raise duckdb.Error(f"no answer from {url}")
        self.asked.append(options)
        database = duckdb.connect()
        database.execute("CREATE TABLE customers AS SELECT 1 AS id, 'Zoë, \"A\"' AS name, TRUE AS private")
        return SimpleNamespace(cursor=lambda: FakeCursor(database), close=database.close)


POSTGRES = "postgresql://me:secret@host/db"


@pytest.fixture
def psycopg(monkeypatch: pytest.MonkeyPatch) -> FakePsycopg:
    fake = FakePsycopg()
    monkeypatch.setitem(sys.modules, "psycopg", fake)
    return fake


def test_postgres_rows_are_copied_as_text(tmp_path: Path, psycopg: FakePsycopg) -> None:
    mapping = {"table": "main.customers", "columns": {"account_id": "id"}}
    assert read(tmp_path, mapping, database=POSTGRES) == [{"account_id": "1", "name": 'Zoë, "A"'}]
    query = "SELECT id AS account_id FROM customers -- all of them;"
    assert read(tmp_path, {"query": query}, database=POSTGRES) == [{"account_id": "1"}]
    write(tmp_path, "a.csv", f"{HEADER}\n{ROW}\n")
    assert read(tmp_path, "a.csv", database=POSTGRES) == [ALPHA]
    assert all("default_transaction_read_only=on" in options for options in psycopg.asked)


@pytest.mark.parametrize(
    ("mapping", "kind", "expected"),
    [
        ({"table": "gone"}, SourceError, "accounts: table gone cannot be read: Catalog Error"),
        ({"query": "DELETE FROM customers"}, SourceError, "the query of data.tables.accounts cannot be read: Parser"),
        ({"query": "SELECT 1); DROP TABLE customers; --"}, SourceError, "cannot be read: "),
        ({"table": "customers", "columns": {"name": "label"}}, ContractError, "column 'label', mapped to name, is not"),
    ],
)
@pytest.mark.usefixtures("psycopg")
def test_postgres_errors_are_one_line(tmp_path: Path, mapping: Any, kind: type[CsqlError], expected: str) -> None:
    with pytest.raises(kind) as caught:
        read(tmp_path, mapping, database=POSTGRES)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("psycopg")
def test_a_postgres_query_cannot_see_raw_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"runs in data\.database and cannot see the files of data\.raw"):
        read(tmp_path, {"query": "SELECT 1 AS account_id"}, database=POSTGRES, raw={"r": "r.csv"})


def test_a_postgres_data_error_does_not_quote_the_value() -> None:
    error = RuntimeError('invalid input syntax for type integer: "secret"')
    error.sqlstate = "22P02"  # type: ignore[attr-defined]
    assert Postgres.reason(error) == "a value cannot be converted"


def test_postgres_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'csql-ml\[postgres\]'"):
        open_warehouse(Config.model_validate({"data": {"database": "postgres://host/db"}}))


@pytest.mark.usefixtures("psycopg")
def test_postgres_that_does_not_answer_keeps_the_password_to_itself() -> None:
    with pytest.raises(SourceError, match=r"data\.database: postgres://host/nobody cannot be opened") as caught:
        open_warehouse(Config.model_validate({"data": {"database": "postgres://me:secr@et@host/nobody"}}))
    assert "secr" not in str(caught.value)
