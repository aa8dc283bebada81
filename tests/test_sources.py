"""Every kind of source, and what is said when it cannot be read."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pandas as pd
import pytest

from csql_ml.config import Config
from csql_ml.errors import ConfigError, ContractError, CsqlError, SourceError
from csql_ml.sources import open_warehouse
from tests.source_reading import ALPHA, BETA, HEADER, ROW, read, write

# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"{HEADER}\n{ROW}\n"),
        ("a.CSV", f"{HEADER}\r\n{ROW}\r\n"),
        ("bom.csv", f"\ufeff{HEADER}\n{ROW}\n"),
        ("quoted bom.csv", '\ufeff"account_id","name","created_at"\n"A1","Alpha","2023-01-01"'),
        ("semicolon.csv", f"{HEADER}\n{ROW}\n".replace(",", ";")),
        ("tab.tsv", f"{HEADER}\n{ROW}\n".replace(",", "\t")),
        ("spaces in header.csv", f"account_id, name , created_at\n{ROW}\n"),
        ("UPPER.csv", f"{HEADER.upper()}\n{ROW}\n"),
        ("pandas index.csv", f",{HEADER}\n0,{ROW}\n"),
        ("more.csv", f"x,{HEADER},z\n1,{ROW},\n"),
        ("it's [1]*.csv", f"{HEADER}\n{ROW}\n"),
        ("über/😀 zoë.csv", f"{HEADER}\n{ROW}\n"),
        ("a.jsonl", json.dumps(ALPHA) + "\n\n"),
        ("a.ndjson", json.dumps({"extra": [1, {"x": 2}], **ALPHA})),
    ],
)
def test_text_files(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, name, text)
    assert read(tmp_path, name) == [ALPHA]


def test_nothing_is_guessed_in_text_files(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", f"{HEADER}\n007,1e3,2023\n,true,\n")
    write(tmp_path, "a.jsonl", '{"account_id": 7, "name": true, "created_at": 1.50}\n{"account_id": null}\n')
    assert read(tmp_path, "a.csv") == [
        {"account_id": "007", "name": "1e3", "created_at": "2023"},
        {"account_id": None, "name": "true", "created_at": None},
    ]
    assert read(tmp_path, "a.jsonl")[0] == {"account_id": "7", "name": "true", "created_at": "1.5"}


def test_text_survives_csv(tmp_path: Path) -> None:
    name = 'He said "no", twice;\nthen 日本語 😀 \\n'
    write(tmp_path, "a.csv", HEADER + '\nA1,"' + name.replace('"', '""') + '",2023-01-01\n')
    assert read(tmp_path, "a.csv") == [{**ALPHA, "name": name}]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_compressed_text(tmp_path: Path, name: str) -> None:
    text = f"{HEADER}\n{ROW}\n" if "csv" in name else json.dumps(ALPHA)
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert read(tmp_path, name) == [ALPHA]


def test_a_glob_reads_all_files_by_column_name(tmp_path: Path) -> None:
    write(tmp_path, "in/a1.csv", f"{HEADER}\n{ROW}\n")
    write(tmp_path, "in/a2.csv", "created_at,account_id,name\n2023-02-01,A2,Beta\n")
    write(tmp_path, "in/b.csv", "nothing\n")
    assert read(tmp_path, "in/a*.csv") == [ALPHA, BETA]
    assert read(tmp_path, "**/a?.csv") == [ALPHA, BETA]


def test_a_file_that_is_named_like_a_glob_is_itself(tmp_path: Path) -> None:
    write(tmp_path, "a*.csv", f"{HEADER}\n{ROW}\n")
    write(tmp_path, "ab.csv", f"{HEADER}\nA2,Beta,2023-02-01\n")
    assert read(tmp_path, "a*.csv") == [ALPHA]


def test_parquet_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    pd.DataFrame([ALPHA]).to_parquet(tmp_path / "in/a.parquet")
    pd.DataFrame([BETA]).assign(more=1).to_parquet(tmp_path / "in/deep/b.parquet")
    write(tmp_path, "in/_SUCCESS", "")
    assert read(tmp_path, "in/a.parquet") == [ALPHA]
    assert read(tmp_path, "in") == [ALPHA, BETA]
    assert read(tmp_path, str(tmp_path / "in/*.parquet")) == [ALPHA]


def test_columns_are_renamed_and_others_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "Id,name,Company Name,Größe\nA1,not this,Alpha,3\n")
    columns = {"account_id": "Id", "name": "Company Name", "employees": "Größe"}
    assert read(tmp_path, {"file": "a.csv", "columns": columns}) == [
        {"account_id": "A1", "name": "Alpha", "employees": "3"}
    ]


def test_odd_parquet_types_become_text(tmp_path: Path) -> None:
    duckdb.sql(
        "SELECT {'x': 1} AS account_id, [1, 2] AS name, 12::HUGEINT AS employees, 'ab'::BLOB AS industry, "
        "TIMESTAMP_NS '2023-01-01 00:00:00.123456789' AS created_at, uuid() AS segment"
    ).write_parquet(str(tmp_path / "a.parquet"))
    (row,) = read(tmp_path, "a.parquet")
    assert row["account_id"] == "{'x': 1}"
    assert row["name"] == "[1, 2]"
    assert row["industry"] == "ab"
    assert row["created_at"].microsecond == 123456


def test_an_unmapped_table_is_none() -> None:
    with open_warehouse(Config()) as warehouse:
        assert warehouse.read("accounts") is None


# ---------------------------------------------------------------- what goes wrong with files


def damaged(folder: Path, name: str) -> None:
    """Write a file that is broken in the way its name says."""
    long_csv = (HEADER + "\n" + f"{ROW}\n" * 2000).encode()
    good = folder / "good"
    pd.DataFrame([ALPHA] * 5000).to_parquet(good)
    parquet = good.read_bytes()
    good.unlink()
    content = {
        "short row.csv": f"{HEADER}\n{ROW}\nsecret\n".encode(),
        "long row.csv": f"{HEADER}\n{ROW},secret\n".encode(),
        "open quote.csv": f'{HEADER}\nA1,"secret,2023\n'.encode(),
        "latin.csv": f"{HEADER}\nA1,Zürich,2023\n".encode("latin-1"),
        "latin header.csv": "größe\n1\n".encode("latin-1"),
        "utf16.csv": f"{HEADER}\n{ROW}\n".encode("utf-16"),
        "nothing.csv": b"",
        "blank.csv": b"\n\n",
        "twice.csv": f"{HEADER},Name\n{ROW},x\n".encode(),
        "truncated.csv.gz": gzip.compress(long_csv)[:-20],
        "not.csv.gz": long_csv,
        "truncated.parquet": parquet[: len(parquet) // 2],
        "text.parquet": long_csv,
        "nothing.parquet": b"",
        "broken.jsonl": b'{"account_id": "A1"}\n{"account_id": secret\n',
        "list.jsonl": b"[1, 2]\n",
        "sheet.xlsx": b"PK",
        "unknown": b"",
    }[name]
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("absent.csv", "file absent.csv does not exist in "),
        ("absent*.csv", "file absent*.csv does not exist in "),
        ("short row.csv", "line 3: expected number of columns: 3 found: 1"),
        ("long row.csv", "line 2: expected number of columns: 3 found: 4"),
        ("open quote.csv", "line 2: a quote is not closed"),
        ("latin.csv", "is not UTF-8; save it as UTF-8"),
        ("latin header.csv", "is not UTF-8; save it as UTF-8"),
        ("utf16.csv", "is not UTF-8; save it as UTF-8"),
        ("nothing.csv", "has no header; the first line must hold the column names"),
        ("blank.csv", "has no header; the first line must hold the column names"),
        ("twice.csv", "has the column 'Name' twice"),
        ("truncated.csv.gz", "is truncated or not a gzip file"),
        ("not.csv.gz", "is truncated or not a gzip file"),
        ("truncated.parquet", "cannot be read: "),
        ("text.parquet", "cannot be read: "),
        ("nothing.parquet", "cannot be read: "),
        ("broken.jsonl", "cannot be read: "),
        ("list.jsonl", "holds no JSON object with keys; expected one object per line"),
        ("sheet.xlsx", "sheet.xlsx from its ending; known are .parquet, .csv"),
        ("unknown", "unknown from its ending"),
    ],
)
def test_a_file_that_cannot_be_read_says_so_in_one_line(tmp_path: Path, name: str, expected: str) -> None:
    if "absent" not in name:
        damaged(tmp_path, name)
    with pytest.raises(SourceError) as caught:
        read(tmp_path, name)
    message = str(caught.value)
    assert message.startswith("accounts: ")
    assert expected in message
    assert name in message
    assert str(tmp_path) in message
    assert "\n" not in message
    assert "secret" not in message


def test_files_of_several_formats_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", HEADER)
    write(tmp_path, "a.jsonl", "{}")
    with pytest.raises(SourceError, match=r"a\.\* matches files of several formats \(csv, json\)"):
        read(tmp_path, "a.*")


def test_an_empty_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(SourceError, match=r"folder in \(in .*\) holds no \.parquet file"):
        read(tmp_path, "in")


def test_a_file_without_any_contract_column(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "a,b\n1,2\n")
    with pytest.raises(ContractError, match=r"has none of the columns account_id, .*found: a, b; map them under"):
        read(tmp_path, "a.csv")


# ---------------------------------------------------------------- queries


def test_queries_see_raw_files_as_text(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "id,n\nA1,07\n")
    write(tmp_path, "b.csv", "id,label\nA1,Alpha\n")
    query = 'SELECT r.id AS account_id, r.n AS employees, "b b".label AS name FROM r JOIN "b b" USING (id);'
    assert read(tmp_path, {"query": query}, raw={"r": "a.csv", "b b": "b.csv"}) == [
        {"account_id": "A1", "employees": "07", "name": "Alpha"}
    ]


@pytest.mark.parametrize(
    ("query", "kind", "expected"),
    [
        ("SELECT 1 AS account_id; SELECT 2 AS account_id", ConfigError, "query must be a single SELECT statement"),
        ("", ConfigError, "query must be a single SELECT statement"),
        ("DROP TABLE r", ConfigError, "query must be a single SELECT statement"),
        ("COPY (SELECT 1) TO 'x.csv'", ConfigError, "query must be a single SELECT statement"),
        ("ATTACH 'x.db'", ConfigError, "query must be a single SELECT statement"),
        ("SELEC 1", ConfigError, "query is not valid SQL: Parser Error: syntax error"),
        ("SELECT * FROM nowhere", SourceError, "Table with name nowhere does not exist"),
        ("SELECT nothing AS account_id FROM r", SourceError, 'Referenced column "nothing" not found'),
        ("SELECT CAST(id AS INTEGER) AS account_id FROM r", SourceError, "a value cannot be converted; use TRY_CAST"),
    ],
)
def test_a_query_that_cannot_run(tmp_path: Path, query: str, kind: type[CsqlError], expected: str) -> None:
    write(tmp_path, "a.csv", "id\nsecret\n")
    with pytest.raises(kind) as caught:
        read(tmp_path, {"query": query}, raw={"r": "a.csv"})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_raw_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^data\.raw\.r: file gone\.csv does not exist"):
        read(tmp_path, {"query": "SELECT 1 AS account_id"}, raw={"r": "gone.csv"})


# ---------------------------------------------------------------- databases


def test_tables_and_queries_of_a_duckdb_file(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "crm's.db")) as database:
        database.execute("CREATE TABLE customers AS SELECT 'A1' AS account_id, 'Alpha' AS name, DATE '2023-01-01' AS d")
        database.execute("CREATE SCHEMA sales; CREATE TABLE sales.deals AS SELECT 'Q1' AS csql_id")
    before = (tmp_path / "crm's.db").read_bytes()
    assert read(tmp_path, {"table": "customers"}, database="crm's.db")[0]["name"] == "Alpha"
    assert read(tmp_path, {"table": "sales.deals"}, "csqls", database="crm's.db") == [{"csql_id": "Q1"}]
    write(tmp_path, "n.csv", "id,n\nA1,5\n")
    query = {"query": "SELECT csql_id FROM sales.deals"}
    assert read(tmp_path, query, "csqls", database="crm's.db") == [{"csql_id": "Q1"}]
    joined = "SELECT account_id, n AS employees FROM customers JOIN r ON id = account_id"
    assert read(tmp_path, {"query": joined}, database="crm's.db", raw={"r": "n.csv"}) == [
        {"account_id": "A1", "employees": "5"}
    ]
    assert (tmp_path / "crm's.db").read_bytes() == before


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        ({"database": "gone.db"}, SourceError, r"gone\.db does not exist"),
        ({"database": "a.csv"}, SourceError, r"a\.csv cannot be opened"),
        ({"database": "mysql://me:pw@host/db"}, ConfigError, r"mysql:// is not supported; give a DuckDB file or"),
        ({}, ConfigError, r"'customers' needs data\.database, or a file of data\.raw"),
    ],
)
def test_a_database_that_cannot_be_used(tmp_path: Path, data: Any, kind: type[CsqlError], expected: str) -> None:
    write(tmp_path, "a.csv", HEADER)
    with pytest.raises(kind, match=expected) as caught:
        read(tmp_path, {"table": "customers"}, **data)
    assert "pw" not in str(caught.value)


# ---------------------------------------------------------------- the warehouse itself


def test_closing_deletes_everything_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_warehouse(Config()) as warehouse:
        table = warehouse.materialise("numbers", ibis.range(5).unnest().name("n").as_table())
        large = warehouse.materialise("more", table.filter(table.n > 2), large=True)
        assert sorted(large.n.to_pyarrow().to_pylist()) == [3, 4]
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_opened_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SourceError):
        open_warehouse(Config.model_validate({"data": {"database": "/nowhere/x.db"}}))
    assert list(tmp_path.iterdir()) == []


def test_the_session_is_in_utc_whatever_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "Asia/Tokyo")
    with open_warehouse(Config()) as warehouse:
        (row,) = warehouse.connection.con.execute("SELECT current_setting('TimeZone')").fetchall()
    assert row == ("UTC",)
