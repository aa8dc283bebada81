from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from csql_ml.errors import OutputError
from csql_ml.handoff.outbox import Outbox, Watermark
from csql_ml.handoff.outbox_file import looking, writing
from csql_ml.handoff.record import Record
from csql_ml.handoff.row import new_row, sending


def fill(path: Path) -> None:
    row = new_row(Record("lead", "k", "A1", "2026-07-01", {"lead_key": "k", "status": "open"}), "create", "run-1")
    with writing(path) as connection:
        outbox = Outbox(connection, "files")
        with outbox.transaction():
            outbox.put([row])
            outbox.raise_watermark("lead", Watermark("2026-07-01", "run-1"))


def test_it_is_made_when_needed_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep/outbox.sqlite"
    fill(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with looking(path) as connection:
        assert Outbox(connection, "files").rows("lead")["k"].state == "pending"
        assert Outbox(connection, "other").rows("lead") == {}
    assert [p.name for p in path.parent.iterdir()] == ["outbox.sqlite"]


def test_commits_are_flushed_to_the_disk(tmp_path: Path) -> None:
    with writing(tmp_path / "outbox.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_looking_at_none_makes_none(tmp_path: Path) -> None:
    with looking(tmp_path / "outbox.sqlite") as connection:
        assert Outbox(connection, "files").rows("lead") == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_it", [writing, looking])
def test_what_is_no_outbox_is_refused(tmp_path: Path, open_it: object) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(OutputError, match="file is not a database"), open_it(path):  # type: ignore[operator]
        pass
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(OutputError, match="no outbox; set delivery"), open_it(path):  # type: ignore[operator]
        pass


def test_a_newer_schema_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(OutputError, match="has schema version 9, this version of csql_ml knows 1"), writing(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    content = bytearray(path.read_bytes())
    content[4096:4200] = b"\xff" * 104
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"cannot be used: .*; restore it from a copy"), writing(path):
        pass


@pytest.mark.parametrize(
    "half",
    [
        "UPDATE deliveries SET state = 'in_flight'",
        "UPDATE deliveries SET state = 'acknowledged'",
        "UPDATE deliveries SET state = 'dead'",
        "UPDATE deliveries SET sent_payload = '{}'",
        "UPDATE deliveries SET state = 'somewhere'",
    ],
)
def test_half_states_cannot_be_stored(tmp_path: Path, half: str) -> None:
    path = tmp_path / "outbox.sqlite"
    fill(path)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(half)


def test_the_watermark_never_falls_and_reached_rows_are_never_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    fill(path)
    with writing(path) as connection:
        outbox = Outbox(connection, "files")
        with outbox.transaction():
            outbox.raise_watermark("lead", Watermark("2026-06-01", "older"))
            row = sending(outbox.rows("lead")["k"], "", 1.0)
            outbox.put([row])
            outbox.remove([row])
        assert outbox.watermark("lead") == Watermark("2026-07-01", "run-1")
        assert list(outbox.rows("lead")) == ["k"]
