"""The table of docs/reliability.md: what it adds up, and that every row names a test that exists."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.tally import BEGIN, DOCUMENT, END, Tally, missing_tests, read, table, write


def test_counts_of_a_tests_cases_are_added_up(tmp_path: Path) -> None:
    for case, tried, well in (("a", 3, 3), ("b", 5, 4)):
        one = Tally(f"tests/test_tally.py::test_x[{case}]", "fault", "killed", tried, well)
        (tmp_path / f"{case}.json").write_text(json.dumps(asdict(one)), encoding="utf-8")
    (found,) = read(tmp_path)
    assert (found.test, found.tried, found.well) == ("tests/test_tally.py::test_x", 8, 7)
    assert "| killed | 8 | 7 | 1 | [`test_x`](../tests/test_tally.py) |" in table([found])


def test_a_row_without_a_test_is_found(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    one = Tally("tests/test_tally.py::test_of_long_ago", "input", "x", 1, 1)
    made = table([one])
    assert missing_tests(f"{BEGIN}{made}{END}") == ["tests/test_tally.py::test_of_long_ago"]
    write(document, tmp_path)
    assert document.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\n{END}\nafter\n"


def test_every_row_of_the_document_names_a_test() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count("](../tests/") > 10
    assert missing_tests(text) == []


def test_nothing_was_lost_wrong_or_executed() -> None:
    rows = [line.split("|") for line in DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].splitlines()]
    counts = [row[4].strip() for row in rows if len(row) == 7 and row[2].strip().replace(",", "").isdigit()]
    assert counts
    assert set(counts) == {"0"}
