"""What DuckDB reads, Spark reads the same: files, tables of its catalog, queries, and what it says where it cannot."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from csql_ml.config import Config
from csql_ml.errors import ConfigError, ContractError, CsqlError, SourceError
from csql_ml.sources import open_warehouse

pytestmark = [pytest.mark.engines, pytest.mark.usefixtures("spark")]


def read(engine: str, folder: Path, mapping: Any, **data: Any) -> list[dict[str, Any]]:
    """The rows of accounts, in order."""
    config = Config.model_validate(
        {"engine": engine, "data": {"folder": folder, "tables": {"accounts": mapping}, **data}}
    )
    with open_warehouse(config) as warehouse, warehouse.reading("accounts"):
        rows = warehouse.read("accounts")
        assert rows is not None
        found = warehouse.connection.to_pyarrow(rows).to_pylist()
    return sorted(found, key=str)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


HEADER = "account_id,name,created_at"
TEXT_FILES = {
    "quotes, line breaks and spaces": ("a.csv", f'{HEADER}\nA1," Al ""pha"",\nInc ",2023-01-01\n 007 ,,\n'),
    "semicolons": ("a.csv", "name;account_id;created_at\nAl,pha;A1;2023-01-01\n"),
    "tabs": ("a.tsv", "account_id\tname\tcreated_at\nA1\tAl,pha\t2023-01-01\n"),
    "compressed": ("a.csv.gz", f"{HEADER}\nA1,Ünï 😀,2023-01-01\n"),
    "a byte order mark and Windows line ends": ("a.csv", f"\ufeff{HEADER}\r\nA1,Alpha,2023-01-01\r\n"),
    "backslashes": ("a.csv", f'{HEADER}\nA1,"C:\\",2023-01-01\nA2,\\N,2023\n'),
    "capital letters": ("a.csv", "Account_ID,NAME,Created_At\nA1,Alpha,2023-01-01\n"),
    "a name with a glob in it": ("a[1]{2}*.csv", f"{HEADER}\nA1,Alpha,2023-01-01\n"),
    "JSON": (
        "a.jsonl",
        '{"account_id": 7, "name": {"short": "A"}, "created_at": 1.0}\n{"account_id": "A2", "employees": true}\n',
    ),
}


@pytest.mark.parametrize("what", TEXT_FILES)
def test_text_arrives_as_it_is_written(tmp_path: Path, what: str) -> None:
    name, text = TEXT_FILES[what]
    write(tmp_path, name, text)
    found = read("spark", tmp_path, name)
    assert found
    assert found == read("duckdb", tmp_path, name)


def test_files_with_other_columns_are_not_mixed_up(tmp_path: Path) -> None:
    write(tmp_path, "parts/1.csv", f"{HEADER}\nA1,Alpha,2023-01-01\n")
    write(tmp_path, "parts/2.csv", "created_at,account_id,segment,name\n2023-02-01,A2,smb,Beta\n")
    found = read("spark", tmp_path, "parts/*.csv")
    assert [row["segment"] for row in found] == [None, "smb"]
    assert found == read("duckdb", tmp_path, "parts/*.csv")


def test_parquet_keeps_its_plain_types(tmp_path: Path) -> None:
    times = pa.array([1_700_000_000_123_456], pa.timestamp("us"))
    (tmp_path / "p").mkdir()
    pq.write_table(pa.table({"account_id": [1], "created_at": times, "employees": [1.5]}), tmp_path / "p" / "1.parquet")
    nested = pa.table({"account_id": [2], "created_at": times.cast(pa.timestamp("us", "UTC")), "industry": [True]})
    pq.write_table(nested.drop(["created_at"]), tmp_path / "p" / "2.parquet")
    found = read("spark", tmp_path, "p")
    assert found == read("duckdb", tmp_path, "p")
    assert [row["industry"] for row in found] == [None, True]


def test_an_instant_with_a_zone_is_utc(tmp_path: Path) -> None:
    zoned = pa.array([1_700_000_000_123_456], pa.timestamp("us", "Europe/Berlin"))
    pq.write_table(pa.table({"account_id": ["A1"], "created_at": zoned}), tmp_path / "a.parquet")
    one, other = (read(engine, tmp_path, "a.parquet")[0]["created_at"] for engine in ("spark", "duckdb"))
    assert one == other
    assert str(one) == "2023-11-14 22:13:20.123456"


@pytest.fixture
def catalog_table(spark: SparkSession) -> Iterator[str]:
    spark.sql("CREATE DATABASE crm")
    spark.sql("CREATE TABLE crm.kunden AS SELECT 'A1' AS kundennr, 'Alpha' AS name, DATE '2023-01-01' AS created_at")
    yield "crm.kunden"
    spark.sql("DROP DATABASE crm CASCADE")


def test_a_table_of_the_catalog_and_a_query_over_it(tmp_path: Path, catalog_table: str) -> None:
    mapped = {"table": catalog_table, "columns": {"account_id": "kundennr"}}
    assert [row["account_id"] for row in read("spark", tmp_path, mapped)] == ["A1"]
    query = f"SELECT kundennr || '!' AS account_id, name, created_at FROM {catalog_table} -- all of them\n;"
    assert [row["account_id"] for row in read("spark", tmp_path, {"query": query})] == ["A1!"]


def test_a_query_over_raw_files(tmp_path: Path) -> None:
    write(tmp_path, "crm.csv", "id,title\nA1,Alpha\n")
    query = "SELECT id AS account_id, upper(title) AS name FROM raw_crm"
    found = read("spark", tmp_path, {"query": query}, raw={"raw_crm": "crm.csv"})
    assert found == [{"account_id": "A1", "name": "ALPHA"}]


FAULTS: dict[str, tuple[Any, type[CsqlError], str]] = {
    "no file": ("none.csv", SourceError, "accounts: file none.csv does not exist in"),
    "no table": (
        {"table": "nowhere"},
        SourceError,
        "accounts: table nowhere cannot be read: [TABLE_OR_VIEW_NOT_FOUND]",
    ),
    "two statements": ({"query": "SELECT 1 AS a; DROP TABLE x"}, ConfigError, "accounts.query must be a single SELECT"),
    "a statement that writes": ({"query": "CREATE TABLE t (a INT)"}, ConfigError, "must be a single SELECT"),
    "a query that ends another": ({"query": "SELECT 1) AS a CROSS JOIN (DROP TABLE t"}, ConfigError, "single SELECT"),
    "an unknown column": ({"query": "SELECT nothing FROM range(1)"}, SourceError, "[UNRESOLVED_COLUMN"),
    "a value that does not fit": ({"query": "SELECT CAST('secret' AS INT) AS account_id"}, SourceError, "use try_cast"),
    "a short row": ("short.csv", SourceError, "a row is malformed: too few or too many values"),
    "a long row": ("long.csv", SourceError, "a row is malformed: too few or too many values"),
    "no Parquet": ("broken.parquet", SourceError, "a file is damaged, truncated or of another format"),
    "a hidden file": ("_a.csv", SourceError, "Spark takes"),
    "none of the columns": ("other.csv", ContractError, "none of the columns account_id, name"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_cannot_be_read_is_one_line_without_values(tmp_path: Path, what: str) -> None:
    write(tmp_path, "short.csv", f"{HEADER}\nA1,secret\n")
    write(tmp_path, "long.csv", f"{HEADER}\nA1,secret,2023-01-01,more\n")
    write(tmp_path, "broken.parquet", "PAR1 secret PAR1")
    write(tmp_path, "_a.csv", f"{HEADER}\nA1,secret,2023-01-01\n")
    write(tmp_path, "other.csv", "a,b\nsecret,2\n")
    mapping, kind, message = FAULTS[what]
    with pytest.raises(kind) as caught:
        read("spark", tmp_path, mapping)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [{"database": "postgres://host/db"}, {"push_down": True}])
def test_a_database_belongs_to_the_other_engine(tmp_path: Path, data: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.(database|push_down) belongs to engine: duckdb"):
        read("spark", tmp_path, "a.csv", **data)


def test_nothing_temporary_is_left(tmp_path: Path, spark: SparkSession) -> None:
    before = spark.conf.get("spark.sql.session.timeZone")
    write(tmp_path, "a.csv", f"{HEADER}\nA1,Alpha,2023-01-01\n")
    config = Config.model_validate({"engine": "spark", "data": {"folder": tmp_path, "tables": {"accounts": "a.csv"}}})
    with open_warehouse(config) as warehouse:
        rows = warehouse.read("accounts")
        assert rows is not None
        kept = warehouse.materialise("kept", rows.mutate(twice=rows.name + rows.name), large=True)
        assert warehouse.connection.to_pyarrow(kept).to_pylist()[0]["twice"] == "AlphaAlpha"
        folder = Path(warehouse._folder.removeprefix("file://"))  # type: ignore[attr-defined]
        assert folder.is_dir()
    assert not folder.exists()
    assert not spark.catalog.tableExists("kept")
    assert spark.conf.get("spark.sql.session.timeZone") == before
    assert spark.range(1).count() == 1
