"""One writer at a time, one stroke, and nothing left of writers that died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from csql_ml import in_place
from csql_ml.errors import OutputError
from csql_ml.run_files import write_file

HOLDER = """
import sys, time
from pathlib import Path
from csql_ml.in_place import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def folder_with(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(in_place, "_exchanged", lambda new, place: False)
    new, place = folder_with(tmp_path / "new", "new"), folder_with(tmp_path / "place", "old")
    in_place.put_folder(new, place)
    assert ((place / "file").read_text(), (new / "file").read_text()) == ("new", "old")
    assert names(tmp_path) == ["new", "place"]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="other systems cannot exchange names")
def test_there_is_no_moment_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_place, "_put_in_two_steps", lambda new, place: pytest.fail("took two steps"))
    in_place.put_folder(folder_with(tmp_path / "new", "new"), folder_with(tmp_path / "place", "old"))
    assert (tmp_path / "place/file").read_text() == "new"


def test_what_a_dead_writer_left_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "run"
    in_place.fresh_file(place)
    folder_with(in_place.fresh_folder(place) / "half", "half")
    folder_with(tmp_path / ".run.earlier", "old")
    others = [".run.settings", ".run2.abcdefgh.part", ".run.v2.abcdefgh.part", "run.abcdefgh.part", ".run.abc.part"]
    for other in others:
        (tmp_path / other).touch()
    with in_place.only_writer(place):
        assert (place / "file").read_text() == "old", "the earlier one comes back where its heir did not move in"
    assert names(tmp_path) == sorted([*others, "run"])


def test_the_second_writer_is_told_who_is_at_work(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    with subprocess.Popen([sys.executable, "-c", HOLDER, place], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            host = os.uname().nodename if hasattr(os, "uname") else ""
            who = rf"process {holder.pid} on {host}.*, since 2\d\d\d-\d\d-\d\dT.*wait for its end"
            with pytest.raises(OutputError, match=who):
                write_file(place, lambda path: pytest.fail("wrote"))
        finally:
            holder.kill()
    write_file(place, lambda path: path.write_text("mine"))
    assert names(tmp_path) == ["report.html"], "a writer that was killed holds nothing"


TURNS = """
import sys, time
from pathlib import Path
from csql_ml.errors import OutputError
from csql_ml.in_place import only_writer
place, count = map(Path, sys.argv[1:])
done = 0
while done < 20:
    try:
        with only_writer(place):
            found = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(found + 1))
            done += 1
    except OutputError as error:
        assert "is being written by" in str(error), error
        time.sleep(0.0005)
"""


def test_writers_take_turns_and_leave_no_lock(tmp_path: Path) -> None:
    """A lock that its holder removes while another one has it open is no lock any more."""
    count = tmp_path / "count"
    count.write_text("0")
    command = [sys.executable, "-c", TURNS, str(tmp_path / "x"), str(count)]
    writers = [subprocess.Popen(command) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert count.read_text() == "60"
    assert names(tmp_path) == ["count"]
