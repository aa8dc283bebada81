"""Output appears whole or not at all; fingerprints see every difference; a changed run is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.errors import OutputError
from csql_ml.run_files import (
    MANIFEST,
    ParquetStream,
    feature_schema,
    file_sha256,
    fingerprint,
    json_text,
    read_manifest,
    refuse_foreign,
    write_file,
    write_folder,
    write_jsonl,
    write_parquet,
    write_parquet_parts,
)

# --- whole or not at all ----------------------------------------------------------------------------------------------


def fill(text: str) -> Callable[[Path], None]:
    """Writes a run of two files."""

    def write(folder: Path) -> None:
        (folder / "leads.jsonl").write_text(text, encoding="utf-8")
        manifest = {"run_id": text, "sha256": {"leads.jsonl": file_sha256(folder / "leads.jsonl")}}
        (folder / MANIFEST).write_text(json_text(manifest), encoding="utf-8")

    return write


def full_disk(folder: Path) -> None:
    """Fails half way."""
    (folder / "leads.jsonl").write_text("half", encoding="utf-8")
    raise OSError(28, "No space left on device")


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too."""
    return {
        str(p.relative_to(folder)): p.read_text(encoding="utf-8") if p.is_file() else "folder"
        for p in sorted(folder.rglob("*"))
    }


def test_a_folder_is_written_and_an_earlier_run_replaced(tmp_path: Path) -> None:
    out = tmp_path / "new" / "run"
    write_folder(out, fill("one"))
    write_folder(out, fill("two"))
    assert set(tree(tmp_path)) == {"new", "new/run", "new/run/leads.jsonl", f"new/run/{MANIFEST}"}
    assert read_manifest(out)["run_id"] == "two"
    assert out.stat().st_mode & 0o777 == 0o755


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="run cannot be written: No space left on device"):
        write_folder(tmp_path / "run", full_disk)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("not finite"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_earlier_run_intact(tmp_path: Path, error: BaseException) -> None:
    write_folder(tmp_path / "run", fill("one"))
    before = tree(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "scores.parquet").write_text("half", encoding="utf-8")
        raise error

    with pytest.raises((OutputError, type(error))):
        write_folder(tmp_path / "run", fail)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_the_earlier_run_comes_back_when_the_new_one_cannot_move_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    monkeypatch.setattr("csql_ml.in_place._exchanged", lambda new, place: False)  # a file system that cannot
    write_folder(tmp_path / "run", fill("one"))
    before, calls, rename = tree(tmp_path), [], Path.rename

    def rename_fails(path: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_fails)
    with pytest.raises(OutputError, match="Input/output error"):
        write_folder(tmp_path / "run", fill("two"))
    monkeypatch.undo()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["notes.txt", ".git", "scores.csv"])
def test_a_folder_with_anything_else_in_it_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=f"holds '{name}', which is not part of a run; choose a new or empty folder"):
        write_folder(tmp_path, fill("one"))
    assert tree(tmp_path) == {name: "mine"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is a file; --out names a folder"):
        write_folder(tmp_path / "run", fill("one"))
    assert tree(tmp_path) == {"run": "mine"}


def test_an_empty_or_absent_folder_is_free(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "absent")
    write_folder(tmp_path / "absent", fill("one"))
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", fill("two"))
    assert read_manifest(tmp_path / "empty")["run_id"] == "two"


@pytest.mark.parametrize("write", [write_folder, write_file])
def test_a_place_that_cannot_be_made_is_one_clear_error(tmp_path: Path, write: Callable[..., None]) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "file" / "below", fill("one"))
    assert tree(tmp_path) == {"file": "mine"}


def test_a_single_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "card.md"
    write_file(path, lambda place: place.write_text("one", encoding="utf-8"))

    def fail(place: Path) -> None:
        place.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"card\.md cannot be written: No space left on device"):
        write_file(path, fail)
    assert tree(tmp_path) == {"deep": "folder", "deep/card.md": "one"}
    assert path.stat().st_mode & 0o777 == 0o644


# --- manifests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_folder(tmp_path / "run", fill("one"))
    return tmp_path / "run"


def test_a_changed_file_is_noticed(run: Path) -> None:
    (run / "leads.jsonl").write_text("onE", encoding="utf-8")
    with pytest.raises(OutputError, match=r"leads\.jsonl is missing or was changed after the run; score again"):
        read_manifest(run)


def test_a_missing_file_is_noticed(run: Path) -> None:
    (run / "leads.jsonl").unlink()
    with pytest.raises(OutputError, match=r"leads\.jsonl is missing or was changed"):
        read_manifest(run)


def test_a_changed_checksum_is_noticed(run: Path) -> None:
    path = run / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["sha256"]["leads.jsonl"] = "0" * 64
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(OutputError, match=r"leads\.jsonl is missing or was changed"):
        read_manifest(run)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "{}", '{"sha256": 5}', '{"sha256": ["a"]}', "\x00"])
def test_what_is_no_manifest_is_refused(run: Path, text: str) -> None:
    (run / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match=r"is not a run's manifest: .*; score again"):
        read_manifest(run)


def test_a_folder_without_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--run names a folder written by csql score"):
        read_manifest(tmp_path)


# --- fingerprints -----------------------------------------------------------------------------------------------------


def one_column(values: list[Any], name: str = "x", **how: Any) -> dict[str, Any]:
    return {"features": pd.DataFrame({name: pd.Series(values, **how)})}


DIFFERENT = {
    "a number": (one_column([1.0, 2.0]), one_column([1.0, 2.0000000000000004])),
    "missing and zero": (one_column([np.nan, 1.0]), one_column([0.0, 1.0])),
    "no text and an empty one": (one_column([None, "a"], dtype=object), one_column(["", "a"], dtype=object)),
    "no text and the word": (one_column([None, "a"], dtype=object), one_column(["None", "a"], dtype=object)),
    "no text and a null byte": (one_column([None], dtype=object), one_column(["\x00"], dtype=object)),
    "one text or two": (one_column(["a\x1fb"]), one_column(["a", "b"])),
    "column names": (one_column([1.0], "x"), one_column([1.0], "y")),
    "the order of rows": (one_column([1.0, 2.0]), one_column([2.0, 1.0])),
    "the order of columns": (
        {"features": pd.DataFrame({"x": [1.0], "y": [1.0]})},
        {"features": pd.DataFrame({"y": [1.0], "x": [1.0]})},
    ),
    "large whole numbers": (one_column([2**53]), one_column([2**53 + 1])),
    "a number and its text": (one_column([1]), one_column(["1"])),
    "no rows and one": (one_column([], dtype="float64"), one_column([np.nan])),
    "days": (one_column([date(2025, 1, 1)]), one_column([date(2025, 1, 2)])),
    "flags": (one_column([True]), one_column([False])),
    "names of parts": (one_column([1.0]), {"facts": pd.DataFrame({"x": [1.0]})}),
    "a setting": ({"settings": {"a": 1}}, {"settings": {"a": 2}}),
    "a part more": ({"a": 1}, {"a": 1, "b": None}),
    "where a value stands": ({"a": ["b"], "c": []}, {"a": [], "c": ["b"]}),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_fingerprint_sees(case: str) -> None:
    one, other = DIFFERENT[case]
    assert fingerprint(one) != fingerprint(other)


def test_equal_content_has_equal_fingerprints() -> None:
    frame = pd.DataFrame({"x": [1.0, np.nan], "t": ["é", None], "n": [1, 2]})
    shuffled = pd.DataFrame({"x": [np.nan, 1.0], "t": [None, "é"], "n": [2, 1]}).iloc[::-1]
    odd_nan = np.array([np.float64(1.0), np.uint64(0x7FF8_0000_0000_0001).view("float64")])
    parts = {"a": frame, "s": {"k": 1, "l": 2}}
    same = [{"s": {"l": 2, "k": 1}, "a": frame.copy()}, {"a": shuffled, "s": parts["s"]}]
    same.append({"a": frame.assign(x=odd_nan), "s": parts["s"]})
    same.append({"a": frame.astype({"t": "str", "x": "Float64"}), "s": parts["s"]})
    assert {fingerprint(p) for p in same} == {fingerprint(parts)}


cells = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=3))
texts = st.lists(cells, max_size=4)


@given(one=texts, other=texts)
def test_texts_are_never_taken_for_others(one: list[str | None], other: list[str | None]) -> None:
    prints = [fingerprint(one_column(values, dtype=object)) for values in (one, other)]
    assert (prints[0] == prints[1]) == (one == other)


numbers = st.lists(st.floats(allow_nan=True, width=64), min_size=1, max_size=4)


@given(values=numbers, data=st.data())
def test_changing_any_number_changes_the_fingerprint(values: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(
        st.floats(allow_nan=True).filter(lambda v: np.float64(v).tobytes() != np.float64(values[place]).tobytes())
    )
    changed = [*values[:place], other, *values[place + 1 :]]
    both_missing = np.isnan(other) and np.isnan(values[place])
    assert (fingerprint(one_column(values)) == fingerprint(one_column(changed))) == both_missing


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_the_same_frame_gives_the_same_parquet_bytes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"account_id": ["a", "ü"], "propensity": [0.25, np.nan], "as_of": [date(2025, 1, 1)] * 2})
    write_parquet(frame, tmp_path / "one")
    write_parquet(frame.set_axis([7, 9]), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one"), frame)


def test_json_lines_are_sorted_and_keep_any_text_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "leads.jsonl"
    assert write_jsonl(({"b": "ü\n\u2028", "a": n} for n in (1, 2)), path) == 2
    assert path.read_bytes() == '{"a":1,"b":"ü\\n\u2028"}\n{"a":2,"b":"ü\\n\u2028"}\n'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"a": value})


def test_a_file_is_on_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(number: int) -> None:
        order.append("sync")
        sync(number)

    def moved(path: Path, target: Path) -> Path:
        order.append("move")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", moved)
    write_file(tmp_path / "a", lambda place: place.write_text("one", encoding="utf-8"))
    assert order == ["sync", "move", "sync"], "the content, then its name, then the folder that has the name"


def test_parts_keep_one_type_where_a_column_is_empty_at_first(tmp_path: Path):
    first = pd.DataFrame({"account_id": ["a"], "as_of": [date(2026, 1, 1)], "x": [np.nan], "plan": [None]})
    second = first.assign(as_of=date(2026, 4, 1), x=1.5, plan="Pro")
    write_parquet_parts([first, second], tmp_path / "f.parquet")
    written = pq.read_table(tmp_path / "f.parquet")
    assert [str(t) for t in written.schema.types] == ["string", "date32[day]", "double", "string"]
    assert written.column("x").to_pylist() == [None, 1.5]
    assert written.column("plan").to_pylist() == [None, "Pro"]
    assert written.num_rows == 2


# --- Parquet in small tables ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 9))
def test_small_tables_make_the_file_that_one_frame_makes(tmp_path_factory: Any, sizes: list[int], group: int) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    rows = sum(sizes)
    numbers = [np.nan if i % 3 == 0 else i / 7 for i in range(rows)]
    frame = pd.DataFrame({"text": [f"row {i}" for i in range(rows)], "number": numbers}).astype({"text": "str"})
    schema = pa.schema({"text": pa.large_string(), "number": pa.float64()})
    whole = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(whole, folder / "whole.parquet", compression="zstd", row_group_size=group)
    as_spark = pa.table({"number": pa.array(numbers), "text": pa.array(frame["text"].tolist(), pa.string())})
    with ParquetStream(folder / "parts.parquet", schema, group) as stream:
        start = 0
        for size in sizes:
            stream.write(as_spark[start : start + size])
            start += size
        stream.flush()
    assert stream.rows == rows
    if rows:  # pyarrow writes one empty row group for a table without rows
        assert (folder / "parts.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    assert pq.read_table(folder / "parts.parquet").equals(whole)


def test_a_feature_table_has_a_text_column_for_each_category() -> None:
    schema = feature_schema(["plan", "seat_saturation"], ["plan"])
    assert schema.names == ["account_id", "as_of", "plan", "seat_saturation"]
    assert [str(t) for t in schema.types] == ["string", "date32[day]", "string", "double"]
