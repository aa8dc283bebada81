"""The outbox of one sink: rows, their changes in whole transactions, and the history of pushes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from csql_ml.handoff.fields import Kind
from csql_ml.handoff.outbox_file import transaction
from csql_ml.handoff.row import COLUMNS, Row, row_of
from csql_ml.run_files import json_text

_NAMES = ", ".join(COLUMNS)
_values = attrgetter(*COLUMNS)
_PUT = (
    f"INSERT INTO deliveries (sink, {_NAMES}) VALUES (?, {', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (sink, kind, key) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[2:])}"
)
_UNFINISHED = "state IN ('pending', 'retry', 'in_flight')"
_RESULT = (
    "INSERT INTO results (push_id, kind, key, account_id, action, result, attempts, remote_id, error) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (push_id, kind, key) DO UPDATE SET action = excluded.action, "
    "result = excluded.result, attempts = excluded.attempts, remote_id = excluded.remote_id, error = excluded.error"
)


@dataclass(frozen=True)
class Watermark:
    """The newest run whose records of a kind were wanted at the sink."""

    as_of: str
    run_id: str


class Outbox:
    """What one sink is wanted to have, and what is known of it there.

    Parameters
    ----------
    connection
        From `csql_ml.handoff.outbox_file.writing` or ``looking``.
    sink
        Name of the sink; rows of others are never touched.
    """

    def __init__(self, connection: sqlite3.Connection, sink: str) -> None:
        self._connection = connection
        self.sink = sink

    # what there is

    def rows(self, kind: Kind) -> dict[str, Row]:
        """All rows of a kind by key."""
        return {row.key: row for row in self._select("kind = ? ORDER BY key", kind)}

    def due(self, kind: Kind, now: float, most: int) -> list[Row]:
        """Rows to be sent now, those that wait longest first."""
        where = "kind = ? AND state IN ('pending', 'retry') AND next_attempt <= ? ORDER BY next_attempt, key LIMIT ?"
        return list(self._select(where, kind, now, most))

    def in_flight(self, now: float) -> list[Row]:
        """Rows that were sent, are unanswered and shall be looked at now."""
        return list(self._select("state = 'in_flight' AND next_attempt <= ? ORDER BY kind, receipt, key", now))

    def to_settle(self, now: float) -> int:
        """How many rows `in_flight` would find."""
        query = "SELECT count(*) FROM deliveries WHERE sink = ? AND state = 'in_flight' AND next_attempt <= ?"
        return int(self._connection.execute(query, (self.sink, now)).fetchone()[0])

    def dead(self) -> list[Row]:
        """Rows that were given up, with their reasons."""
        return list(self._select("state = 'dead' ORDER BY kind, key"))

    def open_rows(self) -> int:
        """How many rows are neither acknowledged nor dead."""
        query = f"SELECT count(*) FROM deliveries WHERE sink = ? AND {_UNFINISHED}"
        return int(self._connection.execute(query, (self.sink,)).fetchone()[0])

    def next_attempt(self, kinds: Sequence[Kind]) -> float | None:
        """When the next row of these kinds is due; None where nothing is left to do."""
        query = (
            f"SELECT min(next_attempt) FROM deliveries WHERE sink = ? AND {_UNFINISHED} "
            f"AND kind IN ({', '.join('?' * len(kinds))})"
        )
        found = self._connection.execute(query, (self.sink, *kinds)).fetchone()[0]
        return None if found is None else float(found)

    def watermark(self, kind: Kind) -> Watermark | None:
        """The newest run that was wanted here; None before the first."""
        found = self._connection.execute(
            "SELECT as_of, run_id FROM watermarks WHERE sink = ? AND kind = ?", (self.sink, kind)
        ).fetchone()
        return None if found is None else Watermark(*found)

    def _select(self, where: str, *values: Any) -> Iterator[Row]:
        query = f"SELECT {_NAMES} FROM deliveries WHERE sink = ? AND {where}"
        for columns in self._connection.execute(query, (self.sink, *values)):
            yield row_of(columns)

    # changes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block is on the disk when it ends, or nothing is."""
        with transaction(self._connection):
            yield

    def put(self, rows: Iterable[Row]) -> None:
        """Store rows; only inside `transaction`."""
        self._connection.executemany(_PUT, ((self.sink, *_values(row)) for row in rows))

    def remove(self, rows: Iterable[Row]) -> None:
        """Forget rows of which nothing ever reached the sink; only inside `transaction`."""
        self._connection.executemany(
            "DELETE FROM deliveries WHERE sink = ? AND kind = ? AND key = ? AND remote_id IS NULL "
            "AND acknowledged_hash IS NULL AND sent_hash IS NULL",
            [(self.sink, row.kind, row.key) for row in rows],
        )

    def raise_watermark(self, kind: Kind, mark: Watermark) -> None:
        """Remember the newest run; an older one changes nothing. Only inside `transaction`."""
        self._connection.execute(
            "INSERT INTO watermarks (sink, kind, as_of, run_id) VALUES (?, ?, ?, ?) ON CONFLICT (sink, kind) "
            "DO UPDATE SET as_of = excluded.as_of, run_id = excluded.run_id WHERE excluded.as_of >= as_of",
            (self.sink, kind, mark.as_of, mark.run_id),
        )

    def look_again(self) -> None:
        """After a restart: whatever is in flight is to be looked at before anything is sent."""
        with self.transaction():
            self._connection.execute(
                "UPDATE deliveries SET next_attempt = 0 WHERE sink = ? AND state = 'in_flight'", (self.sink,)
            )

    def note_outcomes(self, outcomes: Mapping[str, tuple[str | None, str | None]]) -> int:
        """Remember what sales made of leads: lead key -> (outcome, ISO day); returns for how many that was news."""
        query = (
            "UPDATE deliveries SET outcome = :outcome, outcome_on = :day WHERE sink = :sink AND kind = 'lead' "
            "AND key = :key AND (outcome IS NOT :outcome OR outcome_on IS NOT :day)"
        )
        with self.transaction():
            return sum(
                self._connection.execute(
                    query, {"sink": self.sink, "key": key, "outcome": outcome, "day": day}
                ).rowcount
                for key, (outcome, day) in outcomes.items()
            )

    # history

    def begin_push(self, job: str, run: Watermark | None, at: str, planned: Mapping[str, Mapping[str, int]]) -> int:
        """A new entry of the history; only inside `transaction`. Returns its number."""
        found = self._connection.execute(
            "INSERT INTO pushes (sink, job, run_id, as_of, begun_at, planned) VALUES (?, ?, ?, ?, ?, ?)",
            (self.sink, job, run.run_id if run else None, run.as_of if run else None, at, json_text(planned)),
        )
        return int(found.lastrowid or 0)

    def last_push(self) -> int | None:
        """Number of the sink's newest entry; None before the first."""
        query = "SELECT max(push_id) FROM pushes WHERE sink = ?"
        found = self._connection.execute(query, (self.sink,)).fetchone()[0]
        return None if found is None else int(found)

    def end_push(self, push_id: int, at: str, seconds: float, counts: Mapping[str, int]) -> None:
        """The entry's end; a push without one was interrupted."""
        with self.transaction():
            self._connection.execute(
                "UPDATE pushes SET ended_at = ?, seconds = ?, counts = ? WHERE push_id = ?",
                (at, round(seconds, 3), json_text(counts), push_id),
            )

    def note_pull(self, begun_at: str, ended_at: str, seconds: float, counts: Mapping[str, int]) -> None:
        """An entry of the history for a pull that is done."""
        with self.transaction():
            self._connection.execute(
                "INSERT INTO pulls (sink, begun_at, ended_at, seconds, counts) VALUES (?, ?, ?, ?, ?)",
                (self.sink, begun_at, ended_at, round(seconds, 3), json_text(counts)),
            )

    def note_results(self, push_id: int, rows: Sequence[Row]) -> None:
        """What became of rows that a push ended with; only inside `transaction`."""
        self._connection.executemany(
            _RESULT,
            [
                (push_id, r.kind, r.key, r.account_id, r.action, r.state, r.attempts, r.remote_id, r.error)
                for r in rows
                if r.state in ("acknowledged", "dead")
            ],
        )

    def result_counts(self, push_id: int) -> dict[str, int]:
        """How many rows a push created, updated ... or ended with as dead."""
        query = (
            "SELECT CASE result WHEN 'dead' THEN 'dead' ELSE action END AS what, count(*) FROM results "
            "WHERE push_id = ? GROUP BY what ORDER BY what"
        )
        return {str(what): int(count) for what, count in self._connection.execute(query, (push_id,))}


def past_pushes(connection: sqlite3.Connection, sink: str | None = None) -> list[dict[str, Any]]:
    """The history, newest first, as plain dicts."""
    rows = connection.execute(
        "SELECT * FROM pushes WHERE ? IS NULL OR sink = ? ORDER BY push_id DESC", (sink, sink)
    ).fetchall()
    return [
        {**dict(row), "planned": json.loads(row["planned"]), "counts": json.loads(row["counts"] or "{}")}
        for row in rows
    ]


def past_pulls(connection: sqlite3.Connection, sink: str | None = None) -> list[dict[str, Any]]:
    """Pulls, newest first, in the form of `past_pushes`; they have no number."""
    rows = connection.execute(
        "SELECT sink, begun_at, ended_at, seconds, counts FROM pulls WHERE ? IS NULL OR sink = ? ORDER BY pull_id DESC",
        (sink, sink),
    ).fetchall()
    same: dict[str, Any] = {"push_id": None, "job": "pull", "run_id": None, "as_of": None, "planned": {}}
    return [{**same, **dict(row), "counts": json.loads(row["counts"])} for row in rows]


def past_results(connection: sqlite3.Connection, push_id: int) -> list[dict[str, Any]]:
    """What became of every row that a push sent, as plain dicts."""
    query = "SELECT * FROM results WHERE push_id = ? ORDER BY kind, key"
    return [dict(row) for row in connection.execute(query, (push_id,))]
