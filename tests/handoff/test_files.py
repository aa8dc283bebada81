from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from csql_ml.errors import OutputError
from csql_ml.handoff.fields import FIELDS, field_names
from csql_ml.handoff.files import FilesSink, defused
from csql_ml.handoff.record import Record

FIELD = {f.name: f for f in FIELDS["lead"]}


def record(key: str, **values: object) -> Record:
    payload = dict.fromkeys(field_names("lead")) | {"lead_key": key, "status": "open", "as_of": "2026-07-01"} | values
    return Record("lead", key, "A1", "2026-07-01", payload)  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1+1", '=HYPERLINK("http://x")']
)
def test_formulas_are_defused_in_text(text: str) -> None:
    assert defused(text, FIELD["account_name"]) == f"'{text}"


def test_numbers_and_harmless_text_stay_as_they_are() -> None:
    assert defused(-5.5, FIELD["expected_arr"]) == -5.5
    assert defused("a = b", FIELD["title"]) == "a = b"
    assert defused(None, FIELD["title"]) is None


def test_people_and_machines_get_the_same_leads(tmp_path: Path) -> None:
    sink = FilesSink(tmp_path / "out")
    name = '=cmd|"/c calc"!A1\nsecond line; "quoted", €'
    results = sink.submit("lead", [record("b", account_name=name, propensity=0.2), record("a", propensity=0.9)], "")
    assert [(r.key, r.status, r.remote_id) for r in results] == [("b", "acknowledged", "b"), ("a", "acknowledged", "a")]
    with (tmp_path / "out/leads.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["lead_key"] for r in rows] == ["a", "b"], "the most promising first"
    assert rows[1]["account_name"] == f"'{name}"
    lines = [json.loads(line) for line in (tmp_path / "out/leads.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "out/leads.parquet").to_pylist()
    assert [r["account_name"] for r in lines] == [r["account_name"] for r in table] == [None, name]
    assert str(table[0]["as_of"]) == "2026-07-01"


def test_the_same_records_in_any_order_and_batch_give_the_same_bytes(tmp_path: Path) -> None:
    records = [record(f"k{i}", title=f"title {i}", propensity=i / 10) for i in range(6)]
    one, many = FilesSink(tmp_path / "one"), FilesSink(tmp_path / "many")
    one.submit("lead", records, "")
    for part in (records[4:], records[:1], records[1:4], records[:2]):
        many.submit("lead", part, "")
    assert content(tmp_path / "one") == content(tmp_path / "many")


def test_known_keys_are_updated_and_nothing_is_written_without_a_change(tmp_path: Path) -> None:
    sink = FilesSink(tmp_path / "out")
    sink.submit("lead", [record("a", title="one"), record("b")], "")
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    sink.submit("lead", [record("b")], "")
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before
    sink.submit("lead", [record("a", title="two")], "")
    found = sink.lookup("lead", ["a", "b", "c"])
    assert {k: r.fields["title"] for k, r in found.items()} == {"a": "two", "b": None}


@pytest.mark.parametrize("step", ["_write_csv", "_write_parquet", "write_jsonl"])
def test_as_long_as_the_memory_is_the_old_one_the_same_records_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sink = FilesSink(tmp_path / "out")
    sink.submit("lead", [record("a", title="one")], "")

    def fail(*_: object) -> int:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(f"csql_ml.handoff.files.{step}", fail)
        with pytest.raises(OutputError, match="cannot be written: disk full"):
            sink.submit("lead", [record("a", title="two")], "")
    assert sink.lookup("lead", ["a"])["a"].fields["title"] == "one"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["leads.csv", "leads.jsonl", "leads.parquet"]
    sink.submit("lead", [record("a", title="two")], "")
    whole = FilesSink(tmp_path / "whole")
    whole.submit("lead", [record("a", title="two")], "")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "leads.jsonl").write_text('{"another": "file"}\n')
    with pytest.raises(OutputError, match=r"leads\.jsonl, line 1: not a record of this sink"):
        FilesSink(tmp_path).submit("lead", [record("a")], "")
    assert (tmp_path / "leads.jsonl").read_text() == '{"another": "file"}\n'


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    assert [f.level for f in FilesSink(tmp_path / "out").preflight(["lead"])] == ["refuse"]
