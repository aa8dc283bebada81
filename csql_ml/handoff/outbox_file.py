"""The outbox on disk: one SQLite file, its tables, and opening it to write or only to look.

Write-ahead log with ``synchronous=FULL``: a commit is on the disk when it returns, and costs one flush (3 ms here; with
a rollback journal that survives a power cut 16 ms). The file must lie on a local disk.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csql_ml.errors import OutputError

SCHEMA_VERSION = 1
#: Written into the file's header, so that no other SQLite file is taken for an outbox: "CSQL" in ASCII.
APPLICATION_ID = 0x4353514C
_WAIT = 30.0
#: The disk is full, read-only or defective, or the file cannot be opened there.
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)

#: ``sent_*`` is filled while it is not known what became of a payload that was sent.
SCHEMA = """
CREATE TABLE deliveries (
    sink TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('lead', 'score')),
    key TEXT NOT NULL,
    account_id TEXT NOT NULL,
    motion TEXT NOT NULL DEFAULT '',
    as_of TEXT NOT NULL,
    run_id TEXT NOT NULL,
    action TEXT NOT NULL,
    payload TEXT NOT NULL,
    payload_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'in_flight', 'acknowledged', 'retry', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt REAL NOT NULL DEFAULT 0,
    receipt TEXT NOT NULL DEFAULT '',
    sent_at REAL,
    sent_payload TEXT,
    sent_hash TEXT,
    remote_id TEXT,
    acknowledged_payload TEXT,
    acknowledged_hash TEXT,
    error TEXT,
    dead_because TEXT CHECK (dead_because IN ('invalid', 'exhausted')),
    outcome TEXT CHECK (outcome IN ('accepted', 'rejected', 'opportunity', 'won', 'lost')),
    outcome_on TEXT,
    PRIMARY KEY (sink, kind, key),
    CHECK (state <> 'in_flight' OR sent_payload IS NOT NULL),
    CHECK (state NOT IN ('pending', 'retry', 'acknowledged') OR sent_payload IS NULL),
    CHECK (state <> 'acknowledged' OR acknowledged_hash IS payload_hash),
    CHECK ((state = 'dead') = (dead_because IS NOT NULL)),
    CHECK (state <> 'dead' OR error IS NOT NULL),
    CHECK ((sent_payload IS NULL) = (sent_hash IS NULL)),
    CHECK ((acknowledged_payload IS NULL) = (acknowledged_hash IS NULL))
);
CREATE INDEX deliveries_due ON deliveries (sink, state, next_attempt);
CREATE TABLE watermarks (
    sink TEXT NOT NULL,
    kind TEXT NOT NULL,
    as_of TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (sink, kind)
) WITHOUT ROWID;
CREATE TABLE pushes (
    push_id INTEGER PRIMARY KEY,
    sink TEXT NOT NULL,
    job TEXT NOT NULL CHECK (job IN ('push', 'replay')),
    run_id TEXT,
    as_of TEXT,
    begun_at TEXT NOT NULL,
    ended_at TEXT,
    seconds REAL,
    planned TEXT NOT NULL,
    counts TEXT
);
CREATE TABLE results (
    push_id INTEGER NOT NULL REFERENCES pushes (push_id),
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    account_id TEXT NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    remote_id TEXT,
    error TEXT,
    PRIMARY KEY (push_id, kind, key)
) WITHOUT ROWID;
"""
#: Came later, and is added to outboxes that do not have it.
PULLS = """
CREATE TABLE IF NOT EXISTS pulls (
    pull_id INTEGER PRIMARY KEY,
    sink TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    seconds REAL NOT NULL,
    counts TEXT NOT NULL
)
"""


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The outbox, made if there is none; readable by its owner only, since it holds customers' data.

    Raises
    ------
    OutputError
        It cannot be opened, is damaged, is something else, or was made by a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        connection = _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"outbox {path} cannot be opened: {error}") from error
    try:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _prepare(connection, path)
        except sqlite3.Error as error:
            what = _unwritten(path, error) or f"outbox {path} cannot be used: {error}; restore it from a copy"
            raise OutputError(what) from error
        try:
            yield connection
        except sqlite3.Error as error:
            raise OutputError(_unwritten(path, error) or f"outbox {path} cannot be used: {error}") from error
    finally:
        connection.close()


def _unwritten(path: Path, error: sqlite3.Error) -> str | None:
    """What to say where the disk, and not the file, is in the way."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DISK:
        return None
    return (
        f"outbox {path} cannot be written: {error}; what was acknowledged before is in it. Make room on its disk and "
        "run the command again"
    )


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the outbox in a temporary folder, so that not a byte of it or beside it changes; empty without one.

    Raises
    ------
    OutputError
        As `writing`; also while somebody writes so much that no sound copy can be taken.
    """
    with tempfile.TemporaryDirectory(prefix="csql-outbox-") as folder:
        copy = Path(folder) / "outbox.sqlite"
        for _ in range(3):
            try:
                _copy(path, copy)
                connection = _connect(copy)
            except (OSError, sqlite3.Error) as error:
                raise OutputError(f"outbox {path} cannot be read: {error}") from error
            try:
                _prepare(connection, path)
            except sqlite3.Error as error:
                connection.close()
                problem = error
                continue
            except OutputError:
                connection.close()
                raise
            try:
                yield connection
            finally:
                connection.close()
            return
        raise OutputError(f"outbox {path} cannot be read: {problem}; if a push is running, wait for its end")


def _copy(path: Path, copy: Path) -> None:
    for end in ("", "-wal"):
        source, target = Path(f"{path}{end}"), Path(f"{copy}{end}")
        target.unlink(missing_ok=True)
        if source.is_file():
            shutil.copyfile(source, target)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check a file that is an outbox; make an empty one into an outbox."""
    connection.execute("PRAGMA foreign_keys = ON")
    with transaction(connection):
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            _check(connection, path)
            connection.execute(PULLS)
            return
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(PULLS)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise OutputError(f"{path} is a SQLite file but no outbox; set delivery.outbox to another path")
    if version != SCHEMA_VERSION:
        raise OutputError(
            f"outbox {path} has schema version {version}, this version of csql_ml knows {SCHEMA_VERSION}; "
            "use the version that made it"
        )
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise sqlite3.DatabaseError(f"damaged ({sound.splitlines()[-1]})")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the right to write at once, so that a commit never finds somebody else's."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise
