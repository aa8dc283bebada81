"""PostgreSQL as a source, asked for real."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from csql_ml.config import Config
from csql_ml.contract.validate import validate
from csql_ml.errors import ConfigError, ContractError, CsqlError, SourceError
from csql_ml.source_postgres import Postgres
from csql_ml.sources import open_warehouse
from tests.engines.postgres_server import PostgresMissingError, Server, new_database, postgres_server
from tests.source_reading import ALPHA, HEADER, ROW, read, write

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    try:
        with postgres_server(with_ssl=True) as server:
            yield server
    except PostgresMissingError as error:
        pytest.fail(str(error))


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    with new_database(postgres, "company") as server:
        yield server


# ---------------------------------------------------------------- values


def contents(folder: Path, server: Server, select: str, table: str = "milestones") -> list[dict[str, Any]]:
    return read(folder, {"query": select}, table, database=server.url)


#: A type, a value as SQL, and how it arrives: as itself, or as text.
VALUES = [
    ("timestamptz", "'2024-03-31 02:30:00.123456+02'", datetime.fromisoformat("2024-03-31T00:30:00.123456")),
    ("timestamp", "'2024-03-31 02:30:00.5'", datetime.fromisoformat("2024-03-31T02:30:00.5")),
    ("date", "'2024-12-31'", date(2024, 12, 31)),
    ("int8", "9223372036854775807", 9223372036854775807),
    ("int2", "-3", -3),
    ("numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"),
    ("numeric", "'NaN'", "NaN"),
    ("numeric(10,2)", "12", "12.00"),
    ("money", "'$1,234.50'", "1234.50"),
    ("float8", "0.1::float8 + 0.2::float8", "0.30000000000000004"),
    ("float8", "'-Infinity'", "-Infinity"),
    ("float4", "0.1", "0.1"),
    ("boolean", "true", "true"),
    ("text", "E'two\\nlines, \"quoted\"; Zoë 🎈\\r\\nand \\\\N'", 'two\nlines, "quoted"; Zoë 🎈\r\nand \\N'),
    ("text", "'\\.'", "\\."),
    ("text", "'  '", "  "),
    ("text", "''", ""),
    ("text", "NULL", None),
    ("text", "'NULL'", "NULL"),
    ("char(5)", "'ab'", "ab"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("text[]", "ARRAY['a, b', 'c', NULL]", '{"a, b",c,NULL}'),
    ("jsonb", "'{\"a\": [1, null]}'", '{"a": [1, null]}'),
    ("bytea", "'\\x00ff'", "\\x00ff"),
    ("interval", "'1 day 2 hours'", "1 day 02:00:00"),
    ("timestamptz", "NULL", None),
    ("int4", "NULL", None),
]


@pytest.mark.parametrize(("kind", "value", "arrives"), VALUES, ids=[f"{k} {v}"[:30] for k, v, _ in VALUES])
def test_values_arrive_whatever_the_server_is_set_to(
    tmp_path: Path, server: Server, kind: str, value: str, arrives: Any
) -> None:
    server.execute(f"CREATE TABLE things AS SELECT 'A1'::text AS account_id, ({value})::{kind} AS note")
    assert contents(tmp_path, server, "SELECT * FROM things") == [{"account_id": "A1", "note": arrives}]


def test_times_that_python_cannot_hold_stay_apart(tmp_path: Path, server: Server) -> None:
    server.execute(
        "CREATE TABLE things AS SELECT t AS occurred_at, t AT TIME ZONE 'UTC' AS since, "
        "(t AT TIME ZONE 'UTC')::date AS start_date "
        "FROM unnest(('{infinity,-infinity,294276-12-31Z,4000-01-01 0:00Z BC,9999-12-31 23:59Z}')::timestamptz[]) AS t"
    )
    config = Config.model_validate({"data": {"folder": tmp_path, "database": server.url}})
    shown = []
    with open_warehouse(config) as warehouse:
        opened = Postgres(server.url)
        opened.copy("things", {"a": "occurred_at", "b": "since", "c": "start_date"}, tmp_path / "things.parquet")
        opened.disconnect()
        rows = warehouse.connection.read_parquet(tmp_path / "things.parquet")
        shown = sorted(rows.cast(dict.fromkeys("abc", "string")).to_pyarrow().to_pylist(), key=str)
    assert shown == [
        {"a": "-infinity", "b": "-infinity", "c": "-infinity"},
        {"a": "4000-01-01 (BC) 00:00:00", "b": "4000-01-01 (BC) 00:00:00", "c": "4000-01-01 (BC)"},
        {"a": "9999-12-31 23:59:00", "b": "9999-12-31 23:59:00", "c": "9999-12-31"},
        {"a": "infinity", "b": "infinity", "c": "infinity"},
        {"a": "infinity", "b": "infinity", "c": "infinity"},
    ]


def test_an_only_column_without_a_value_is_still_a_row(tmp_path: Path, server: Server) -> None:
    select = "SELECT x AS note FROM (VALUES ('a'), (NULL), ('b'), ('')) AS v (x)"
    assert sorted(str(row["note"]) for row in contents(tmp_path, server, select)) == ["", "None", "a", "b"]


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, server: Server) -> None:
    server.execute("CREATE TABLE things (account_id text, occurred_at timestamptz)")
    config = Config.model_validate(
        {"data": {"folder": tmp_path, "database": server.url, "tables": {"events": {"table": "things"}}}}
    )
    with open_warehouse(config) as warehouse:
        rows = warehouse.read("events")
        assert rows is not None
        assert {name: str(kind) for name, kind in rows.schema().items()} == {
            "account_id": "string",
            "occurred_at": "timestamp(6)",
        }
        assert rows.count().execute() == 0


def test_text_of_unknown_encoding_is_refused(tmp_path: Path, server: Server) -> None:
    server.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0")
    url = server.url.rsplit("/", 1)[0] + "/ascii"
    try:
        with pytest.raises(SourceError, match="not UTF-8"):
            read(tmp_path, {"query": "SELECT E'Zo\\xeb' AS account_id"}, database=url)
    finally:
        server.execute("DROP DATABASE ascii WITH (FORCE)")


def test_a_value_too_large_to_be_taken_over_is_an_error(tmp_path: Path, server: Server) -> None:
    with pytest.raises(SourceError, match="a row of more than 8 MB"):
        contents(tmp_path, server, "SELECT repeat('x', 40000000) AS note")
    (row,) = contents(tmp_path, server, "SELECT repeat('x', 5000000) AS note")
    assert len(row["note"]) == 5000000


def test_many_rows_with_line_breaks_arrive_whole(tmp_path: Path, server: Server) -> None:
    line = "repeat(E'line \"x\",\\n', i % 50) || i"
    select = f"SELECT i AS account_id, {line} AS note FROM generate_series(1, 30000) AS i"
    rows = contents(tmp_path, server, select)
    assert len(rows) == 30000
    assert all(row["note"] == 'line "x",\n' * (row["account_id"] % 50) + str(row["account_id"]) for row in rows)


def test_typed_columns_keep_their_values_through_the_contract(tmp_path: Path, server: Server) -> None:
    server.execute(
        "CREATE TABLE customers (account_id int, name text, created_at timestamptz, employees numeric, region text)"
    )
    server.execute(
        "INSERT INTO customers VALUES (1, 'Zoë', '2024-03-31 00:30:00 America/New_York', 12.0, ''), "
        "(2, ' ', '2024-01-01', 1, 'x'), (3, 'Gamma', 'infinity', 1, 'x'), (4, 'Delta', '2024-01-01Z', 'NaN', 'x'), "
        "(5, 'Epsilon', '1066-10-14', 1, 'x'), (6, 'Zeta', '2024-01-01Z', NULL, 'x')"
    )
    mapping = {"accounts": {"table": "public.customers"}}
    config = Config.model_validate({"data": {"folder": tmp_path, "database": server.url, "tables": mapping}})
    with open_warehouse(config) as warehouse:
        inputs = validate(warehouse, config)
        kept = inputs.tables["accounts"].order_by("account_id").to_pyarrow().to_pylist()
    (report,) = (report for report in inputs.reports if report.name == "accounts")
    assert [(row["account_id"], str(row["created_at"]), row["employees"], row["region"]) for row in kept] == [
        ("1", "2024-03-31 04:30:00", 12, None),
        ("6", "2024-01-01 00:00:00", None, "x"),
    ]
    found = {problem.kind: problem.examples for problem in report.problems}
    assert found == {"missing": ("2",), "impossible_date": ("3", "5"), "not_finite": ("4",)}


# ---------------------------------------------------------------- relations


def test_tables_of_schemas_views_and_queries_are_read(tmp_path: Path, server: Server) -> None:
    server.execute('CREATE SCHEMA "CRM"')
    server.execute('CREATE TABLE "CRM"."Kunden ""neu""" AS SELECT 1 AS "Id", \'Alpha\' AS name, true AS private')
    server.execute('CREATE VIEW alphas AS SELECT "Id" AS account_id, name || \'!\' AS name FROM "CRM"."Kunden ""neu"""')
    server.execute("CREATE MATERIALIZED VIEW kept AS SELECT * FROM alphas")
    mapping = {"table": 'CRM.Kunden "neu"', "columns": {"account_id": "ID"}}
    assert read(tmp_path, mapping, database=server.url) == [{"account_id": 1, "name": "Alpha"}]
    for table in ("alphas", "public.kept"):
        assert read(tmp_path, {"table": table}, database=server.url) == [{"account_id": 1, "name": "Alpha!"}]
    query = "SELECT account_id, name FROM alphas WHERE name LIKE 'A%!' -- all of them;"
    assert read(tmp_path, {"query": query}, database=server.url) == [{"account_id": 1, "name": "Alpha!"}]


def test_files_and_tables_mix(tmp_path: Path, server: Server) -> None:
    write(tmp_path, "a.csv", f"{HEADER}\n{ROW}\n")
    assert read(tmp_path, "a.csv", database=server.url) == [ALPHA]
    with pytest.raises(ConfigError, match=r"runs in data\.database and cannot see the files of data\.raw"):
        read(tmp_path, {"query": "SELECT 1 AS account_id"}, database=server.url, raw={"r": "r.csv"})


@pytest.mark.parametrize(
    ("mapping", "kind", "expected"),
    [
        ({"table": "gone"}, SourceError, 'accounts: table gone cannot be read: relation "gone" does not exist'),
        ({"table": "secrets"}, SourceError, "permission denied for table secrets"),
        ({"query": "DELETE FROM customers"}, ConfigError, "must be a single SELECT statement in the SQL of postgres"),
        ({"query": "SELECT 1 AS a) AS q; DROP TABLE customers; SELECT * FROM (SELECT 2 AS b"}, ConfigError, "single"),
        (
            {"query": "SELECT FROM WHERE customers"},
            SourceError,
            "the query of data.tables.accounts cannot be read: syntax e",
        ),
        ({"query": "WITH d AS (DELETE FROM customers RETURNING *) SELECT * FROM d"}, SourceError, "cannot be read"),
        ({"query": "SELECT nextval('counter') AS account_id"}, ConfigError, "calls nextval, which is not allowed"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, ContractError, "has none of the columns"),
        ({"query": "SELECT 1 AS account_id, 2 AS account_id"}, SourceError, "ambiguous"),
        ({"query": "SELECT name::int AS account_id FROM customers"}, SourceError, "a value cannot be converted"),
        ({"table": "customers", "columns": {"name": "label"}}, ContractError, "column 'label', mapped to name, is not"),
    ],
)
def test_errors_are_one_line_and_change_nothing(
    tmp_path: Path, server: Server, mapping: Any, kind: type[CsqlError], expected: str
) -> None:
    server.execute("CREATE TABLE customers AS SELECT 'confidential' AS name, 1 AS id")
    server.execute("CREATE SEQUENCE counter")
    reader = server.create_reader()
    server.execute("GRANT ALL ON customers, counter TO reader")
    server.execute("CREATE TABLE secrets AS SELECT 1 AS account_id")
    server.execute("REVOKE ALL ON secrets FROM reader")
    try:
        with pytest.raises(kind) as caught:
            read(tmp_path, mapping, database=reader)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "confidential" not in str(caught.value)
        assert server.execute("SELECT count(*) FROM customers") == [(1,)]
    finally:
        server.execute("DROP OWNED BY reader")
        server.execute("DROP ROLE reader")


def test_a_query_cannot_make_the_session_writable(tmp_path: Path, server: Server) -> None:
    server.execute("CREATE TABLE customers AS SELECT 1 AS id")
    opened = Postgres(server.url)
    try:
        opened.rows("SELECT set_config('default_transaction_read_only', 'off', false)")
        with pytest.raises(psycopg.Error, match="transaction read-write mode"):
            opened.rows("SELECT set_config('transaction_read_only', 'off', false)")
        with pytest.raises(psycopg.Error, match="read-only transaction"):
            opened.rows("DELETE FROM customers RETURNING *")
    finally:
        opened.disconnect()


# ---------------------------------------------------------------- connections


def test_a_wrong_password_stays_secret(server: Server) -> None:
    url = re.sub(r"owner:\w+@", "owner:hunter2@", server.url)
    with pytest.raises(SourceError, match="password authentication failed for user") as caught:
        Postgres(url)
    assert "hunter2" not in str(caught.value)


def test_parameters_of_the_url_reach_the_server(tmp_path: Path, server: Server) -> None:
    server.execute("CREATE SCHEMA crm")
    server.execute("CREATE TABLE crm.customers AS SELECT 1 AS account_id")
    url = f"{server.url}?options=-c%20search_path%3Dcrm%20-c%20statement_timeout%3D200&application_name=csql"
    assert read(tmp_path, {"table": "customers"}, database=url) == [{"account_id": 1}]
    slow = "SELECT count(*) AS account_id FROM generate_series(1, 1000000000) AS i"
    with pytest.raises(SourceError, match=r"statement timeout; raise statement_timeout"):
        read(tmp_path, {"query": slow}, database=url)


def test_ssl_is_as_strict_as_the_url_says(tmp_path: Path, server: Server) -> None:
    assert read(tmp_path, {"query": "SELECT 1 AS account_id"}, database=f"{server.url}?sslmode=require")
    local = server.url.replace("127.0.0.1", "localhost")
    checked = f"?sslmode=verify-full&sslrootcert={server.folder}/server.crt"
    assert read(
        tmp_path,
        {"query": "SELECT ssl AS account_id FROM pg_stat_ssl WHERE pid = pg_backend_pid()"},
        database=local + checked,
    ) == [{"account_id": "true"}]
    with pytest.raises(SourceError, match=r"cannot be opened: .*certificate") as caught:
        Postgres(server.url + checked)  # the certificate is for localhost
    assert "\n" not in str(caught.value)


def test_a_server_without_ssl_is_refused_where_the_url_requires_it() -> None:
    with postgres_server() as plain, pytest.raises(SourceError, match="server does not support SSL"):
        Postgres(f"{plain.url}?sslmode=require")


def test_a_connection_lost_halfway_leaves_nothing_behind(tmp_path: Path, server: Server) -> None:
    opened = Postgres(server.url)
    file = tmp_path / "rows.parquet"
    seen: list[int] = []

    def end_the_session() -> None:
        part = tmp_path / "rows.parquet.part"
        for _ in range(500):
            if part.exists() and part.stat().st_size > 1 << 20:
                seen.append(part.stat().st_size)
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'")
                return
            time.sleep(0.01)

    ending = threading.Thread(target=end_the_session)
    ending.start()
    many = "SELECT i::text AS i, repeat('x', 1000) AS x FROM generate_series(1, 2000000) AS i"
    with pytest.raises(psycopg.Error) as caught:
        opened.copy_rows(many, {"i": pa.string(), "x": pa.string()}, file)
    ending.join()
    assert seen, "rows had begun to arrive"
    assert "the connection was lost" in opened.reason(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(psycopg.Error) as again:
        opened.columns("pg_class")
    assert "the connection was lost" in opened.reason(again.value)
    opened.disconnect()


def test_a_table_copied_halfway_is_an_error_of_the_job(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.execute("CREATE TABLE customers AS SELECT i AS account_id FROM generate_series(1, 3) AS i")
    plain = Postgres.copy_rows

    def lose(self: Postgres, *parts: Any) -> int:
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        return plain(self, *parts)

    monkeypatch.setattr(Postgres, "copy_rows", lose)
    with pytest.raises(SourceError, match=r"accounts: table customers cannot be read: .*run the command again"):
        read(tmp_path, {"table": "customers"}, database=server.url)


# ---------------------------------------------------------------- ids of users


@pytest.mark.parametrize("kind", ["text", "bigint"])
def test_ids_of_users_are_hashed_as_they_cross(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("CSQL_USER_KEY", "a key of more than sixteen letters")
    server.execute(
        f"CREATE TABLE answers AS SELECT 'A1'::text AS account_id, '77'::{kind} AS user_id, "
        "DATE '2025-01-01' AS responded_at, 9 AS score UNION ALL SELECT 'A1', NULL, DATE '2025-01-02', 8"
    )
    (tmp_path / "nps.csv").write_text("account_id,user_id,responded_at,score\nA1, 77,2025-01-01,9\n")
    found = [
        read(tmp_path, source, "nps", **more, hash_user_ids=True)
        for source, more in (({"table": "answers"}, {"database": server.url}), ({"file": "nps.csv"}, {}))
    ]
    (remote,) = [row["user_id"] for row in found[0] if row["score"] == 9]
    assert len(remote) == 32
    assert [row["user_id"] for row in found[0] if row["score"] == 8] == [None]
    assert found[1][0]["user_id"] == remote, "the same person in a file"
