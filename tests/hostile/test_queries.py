"""SQL of a configuration only reads, and only what the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from csql_ml.config import Config
from csql_ml.errors import CsqlError
from csql_ml.source_queries import plain_select
from csql_ml.sources import open_warehouse
from tests.tally import Tally

SECRET = "the content of another file"
#: ``{secret}`` is the path of a file that the configuration does not name, ``{out}`` one that there is not yet.
DUCKDB = [
    "COPY (SELECT * FROM r) TO '{out}'",
    "COPY r FROM '{secret}'",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}' AS other",
    "DETACH csql_database",
    "INSTALL httpfs",
    "LOAD httpfs",
    "INSERT INTO customers VALUES ('x')",
    "UPDATE customers SET account_id = 'x'",
    "DELETE FROM customers",
    "DROP TABLE customers",
    "CREATE TABLE stolen AS SELECT * FROM customers",
    "CREATE MACRO f() AS 1",
    "TRUNCATE customers",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "SET memory_limit = '100TB'",
    "RESET ALL",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DESCRIBE customers",
    "SHOW TABLES",
    "SUMMARIZE customers",
    "PIVOT customers ON account_id",
    "SELECT 1 AS account_id; DROP TABLE customers",
    "SELECT 1 AS account_id; COPY r TO '{out}'",
    "SELECT account_id FROM r -- \n; DROP TABLE customers",
    "SELECT account_id FROM r) AS q; DROP TABLE customers; SELECT * FROM (SELECT 1",
    "SELECT column0 AS account_id FROM read_csv('{secret}', header = false)",
    "SELECT content AS account_id FROM read_text('{secret}')",
    "SELECT content AS account_id FROM read_blob('{secret}')",
    "SELECT * FROM read_parquet('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT file AS account_id FROM glob('/*')",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    'SELECT * FROM "{stem}"."csv"',
    "FROM '{secret}'",
    "SELECT account_id FROM r WHERE account_id IN (SELECT content FROM read_text('{secret}'))",
    "SELECT (SELECT content FROM read_text('{secret}')) AS account_id",
    "WITH x AS (SELECT content AS account_id FROM read_text('{secret}')) SELECT * FROM x",
    "SELECT account_id FROM r UNION ALL SELECT content FROM read_text('{secret}')",
    "SELECT * FROM r LEFT JOIN '{secret}' ON true",
    "SELECT * FROM query('SELECT content AS account_id FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM pragma_database_list()",
    "SELECT * FROM sqlite_scan('{secret}', 'x')",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')",
    "SELECT * FROM 'http://127.0.0.1:1/x.csv'",
    "SELECT * FROM read_csv('https://127.0.0.1:1/x.csv')",
    "SELECT * FROM config",
    "SELECT getenv('PATH') AS account_id",
    "",
    ";",
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/r.csv").write_text("account_id\nA1\n", encoding="utf-8")
    (tmp_path / "secret.csv").write_text(f"account_id\n{SECRET}\n", encoding="utf-8")
    with duckdb.connect(str(tmp_path / "in/crm.db")) as database:
        database.execute("CREATE TABLE customers AS SELECT 'A1' AS account_id")
    return tmp_path


def read(place: Path, mapping: Any) -> list[dict[str, Any]]:
    data = {"folder": place / "in", "database": "crm.db", "raw": {"r": "r.csv"}, "tables": {"accounts": mapping}}
    with open_warehouse(Config.model_validate({"data": data})) as warehouse:
        table = warehouse.read("accounts")
        assert table is not None
        with warehouse.reading("accounts"):
            return list(table.to_pyarrow().to_pylist())


def test_a_query_of_duckdb_cannot_write_or_read_elsewhere(place: Path, tally: Tally) -> None:
    tally.of("injection", "SQL in `data.tables.*.query` (DuckDB): writes, files, other databases, settings")
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    for template in DUCKDB:
        query = template.format(secret=place / "secret.csv", stem=place / "secret", out=place / "out")
        tally.begin()
        with pytest.raises(CsqlError) as caught:
            read(place, {"query": query})
        assert SECRET not in str(caught.value), query
        assert "\n" not in str(caught.value), query
        assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before, query
        tally.survived()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT account_id FROM r",
        "SELECT c.account_id FROM customers c JOIN r USING (account_id)",
        "WITH x AS (SELECT account_id FROM r), y AS (FROM x) SELECT * FROM y;",
        "SELECT account_id FROM csql_database.main.customers",
        "SELECT account_id FROM main.customers",
        "SELECT 'A' || i AS account_id FROM range(1, 2) t(i)",
        "SELECT unnest(['A1']) AS account_id",
        "FROM R SELECT Account_ID",
        "SELECT account_id FROM (VALUES ('A1')) v(account_id)",
        "SELECT 'it''s; DROP TABLE x' AS name, account_id FROM r",
    ],
)
def test_a_query_that_reads_what_is_named_runs(place: Path, query: str) -> None:
    assert [row["account_id"] for row in read(place, {"query": query})] == ["A1"]


@pytest.mark.parametrize("table", ["{secret}", "{stem}.csv", "main.{secret}", "x; DROP TABLE customers", 'a"b'])
def test_the_name_of_a_table_is_a_name(place: Path, table: str, tally: Tally) -> None:
    tally.of("injection", "files and SQL in `data.tables.*.table`")
    tally.begin()
    with pytest.raises(CsqlError) as caught:
        read(place, {"table": table.format(secret=place / "secret.csv", stem=place / "secret")})
    assert SECRET not in str(caught.value)
    tally.survived()


POSTGRES = [
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "DROP TABLE t",
    "COPY t TO '/tmp/x'",
    "COPY t TO PROGRAM 'touch /tmp/x'",
    "COPY t FROM '/etc/passwd'",
    "SELECT 1; DROP TABLE t",
    "SELECT 1) AS q; DROP TABLE t; SELECT * FROM (SELECT 1",
    "DO $$ BEGIN DELETE FROM t; END $$",
    "SET ROLE postgres",
    "VACUUM",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_catalog.pg_read_file('/etc/passwd')",
    "SELECT \"pg_read_file\"('/etc/passwd')",
    "SELECT PG_READ_BINARY_FILE ('/etc/passwd')",
    "SELECT * FROM pg_ls_dir('/')",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)",
    "SELECT pg_terminate_backend(1)",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT nextval('s')",
    "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    "SELECT pg_sleep(1e6)",
    "LISTEN x",
    "CALL p()",
    "",
]
SPARK = [
    "INSERT INTO t VALUES (1)",
    "DROP TABLE t",
    "CREATE TABLE x AS SELECT 1",
    "SET spark.sql.ansi.enabled = false",
    "ADD JAR '/tmp/x.jar'",
    "SELECT * FROM csv.`/etc/passwd`",
    "SELECT * FROM parquet.`s3a://bucket/x`",
    "SELECT * FROM TEXT.`file:/etc/passwd`",
    "SELECT reflect('java.lang.System', 'exit', 1)",
    "SELECT java_method('java.lang.Runtime', 'getRuntime')",
    "SELECT * FROM read_files('/etc/passwd')",
    "SELECT 1; DROP TABLE t",
    "DESCRIBE t",
    "SHOW TABLES",
]


@pytest.mark.parametrize("dialect", ["postgres", "spark"])
def test_a_query_for_another_engine_is_refused_before_it_is_sent(dialect: str, tally: Tally) -> None:
    tally.of("injection", "SQL for PostgreSQL and Spark: writes, files, programs, several statements")
    for query in POSTGRES if dialect == "postgres" else SPARK:
        tally.begin()
        with pytest.raises(CsqlError, match=r"SELECT|not allowed|is a file"):
            plain_select(query, dialect, "data.tables.events.query")
        tally.survived()


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("postgres", "SELECT a, count(*) FILTER (WHERE b) FROM s.t WHERE c ->> 'x' = 'set_config' GROUP BY 1;"),
        ("postgres", "WITH x AS MATERIALIZED (SELECT 1 AS pg_read) SELECT pg_read FROM x -- done"),
        ("postgres", "(SELECT 1) UNION ALL (SELECT 2)"),
        ("postgres", "SELECT DISTINCT ON (a) a::text COLLATE \"C\", b AT TIME ZONE 'UTC' FROM t ORDER BY a, b DESC"),
        ("spark", "SELECT `a/b`, c FROM db.t LATERAL VIEW explode(d) AS e"),
        ("spark", "FROM t SELECT a WHERE b > 1"),
    ],
)
def test_an_ordinary_query_goes_through(dialect: str, query: str) -> None:
    assert plain_select(query, dialect, "x") == query.rstrip(";")
