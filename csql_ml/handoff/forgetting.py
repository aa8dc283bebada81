"""Taking an account out of what is kept for CRMs: the outbox, the files of the ``files`` sink, pulled outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from csql_ml.config.inputs import PULLED_TABLES
from csql_ml.contract.tables import TABLES
from csql_ml.errors import DeliveryError
from csql_ml.handoff import outbox_file, pull_state, pulled_rows
from csql_ml.handoff.backoff import system_clock
from csql_ml.handoff.files import open_sink
from csql_ml.handoff.sender_lock import only_sender
from csql_ml.run_files import write_file

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from csql_ml.config import Config

#: Where the sink is a folder of this project's own.
_FILES = "files"


@dataclass(frozen=True)
class ForgottenDelivery:
    """What was taken out, and what a CRM still has.

    Attributes
    ----------
    outbox, files, pulled
        Rows taken out of the outbox, of the ``files`` sink's files and of pulled tables.
    remote
        Records that a CRM has: ``sink, kind, key, remote_id``.
    """

    outbox: int = 0
    files: int = 0
    pulled: int = 0
    remote: tuple[dict[str, Any], ...] = ()


def forget_delivery(config: Config, account_id: str, dry_run: bool = False) -> ForgottenDelivery:
    """Take an account out of outbox, files and pulled outcomes.

    Raises
    ------
    DeliveryError
        A push or a pull is at work, or it is not known yet what became of something that was sent.
    OutputError
        The outbox or a file cannot be read or written.
    """
    rows, remote = _outbox(config.path(config.delivery.outbox), account_id, dry_run)
    files = open_sink(config).forget(account_id, dry_run)
    return ForgottenDelivery(rows, files, _pulled(config, account_id, dry_run), remote)


def _outbox(path: Path, account_id: str, dry_run: bool) -> tuple[int, tuple[dict[str, Any], ...]]:
    if not path.is_file():
        return 0, ()
    with outbox_file.looking(path) as copy:
        found = copy.execute("SELECT * FROM deliveries WHERE account_id = ?", (account_id,)).fetchall()
        results = copy.execute("SELECT count(*) FROM results WHERE account_id = ?", (account_id,)).fetchone()[0]
        sinks = [row[0] for row in copy.execute("SELECT DISTINCT sink FROM deliveries ORDER BY sink")]
    for row in found:
        if row["sent_hash"] is not None:
            raise DeliveryError(
                f"outbox {path}: {row['kind']} {row['key']} was sent to {row['sink']} and not answered yet; run csql "
                f"push --to {row['sink']} (with --replay for what was given up), then forget the account"
            )
    if not dry_run and (found or results):
        with _only_one(path, sinks), outbox_file.writing(path) as connection:
            _delete(connection, account_id)
    remote = [
        {name: row[name] for name in ("sink", "kind", "key", "remote_id")}
        for row in found
        if row["remote_id"] and row["sink"] != _FILES
    ]
    return len(found) + results, tuple(remote)


@contextmanager
def _only_one(outbox: Path, sinks: list[str]) -> Iterator[None]:
    since = datetime.fromtimestamp(system_clock().now(), UTC).isoformat(timespec="seconds")
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(only_sender(outbox, sink, since))
        yield


def _delete(connection: sqlite3.Connection, account_id: str) -> None:
    """Delete rows so that nothing of them stays in the file's free pages or in its log."""
    connection.execute("PRAGMA secure_delete = ON")
    with outbox_file.transaction(connection):
        connection.execute("DELETE FROM results WHERE account_id = ?", (account_id,))
        connection.execute("DELETE FROM deliveries WHERE account_id = ? AND sent_hash IS NULL", (account_id,))
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _pulled(config: Config, account_id: str, dry_run: bool) -> int:
    """Rows leave the files after the state expects fewer, so that the next pull does not take them for lost."""
    if config.data.pulled is None or not config.path(config.data.pulled).is_dir():
        return 0
    import pyarrow.compute as pc

    folder, total = config.path(config.data.pulled), 0
    for name in PULLED_TABLES:
        path, table = folder / f"{name}.parquet", TABLES[name]
        kept = pulled_rows.read_rows(path, table)
        rest = kept.filter(pc.fill_null(pc.not_equal(kept["account_id"], account_id), True))
        gone = len(kept) - len(rest)
        total += gone
        if gone and not dry_run:
            with pull_state.only_pull(folder):
                state = pull_state.read_state(folder)
                pull_state.write_state(folder, replace(state, rows={**state.rows, name: len(rest)}))
                write_file(path, partial(pulled_rows.write_rows, rest, table))
    return total
