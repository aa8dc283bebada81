"""One row of the outbox and the state machine it goes through; plain values, nothing is read or written here.

::

    pending ──► in_flight ──► acknowledged
       ▲          │  ▲  └───► dead (invalid: with the reason)
       │          ▼  │
       └─ retry ◄─┴──┴──────► dead (exhausted: too many attempts)

A row in flight was sent and it is not known what became of it; it leaves that state only by an answer, a collected
result or a look at the sink. Dead rows come back by a changed payload or a replay; exhausted ones also by the next run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from csql_ml.handoff.fields import Kind, Payload
from csql_ml.handoff.record import Record
from csql_ml.run_files import json_text

State = Literal["pending", "in_flight", "acknowledged", "retry", "dead"]
INVALID, EXHAUSTED = "invalid", "exhausted"
#: Outcomes after which sales does not work on a lead any more.
CLOSED = ("rejected", "won", "lost")
FAILED = ("rejected", "lost")
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class Row:
    """What one record is wanted to be at the sink, what is known of it there, and how far that is.

    Attributes
    ----------
    payload, payload_hash
        What is wanted (JSON text and fingerprint).
    sent_payload, sent_hash, receipt, sent_at
        What was sent and not answered yet; None where nothing is open.
    acknowledged_payload, acknowledged_hash
        What the sink last took.
    action
        What sending it means: ``create``, ``update``, ``withdraw`` or ``reopen``.
    outcome, outcome_on
        What sales made of a lead, as far as it was pulled, and the day (ISO).
    """

    kind: Kind
    key: str
    account_id: str
    motion: str
    as_of: str
    run_id: str
    action: str
    payload: str
    payload_hash: str
    state: State = "pending"
    attempts: int = 0
    next_attempt: float = 0.0
    receipt: str = ""
    sent_at: float | None = None
    sent_payload: str | None = None
    sent_hash: str | None = None
    remote_id: str | None = None
    acknowledged_payload: str | None = None
    acknowledged_hash: str | None = None
    error: str | None = None
    dead_because: str | None = None
    outcome: str | None = None
    outcome_on: str | None = None

    @cached_property
    def wanted(self) -> Mapping[str, Any]:
        """The payload that is wanted."""
        found: dict[str, Any] = json.loads(self.payload)
        return found

    @cached_property
    def sent(self) -> Mapping[str, Any]:
        """The payload on its way; empty where there is none."""
        found: dict[str, Any] = json.loads(self.sent_payload or "{}")
        return found

    @cached_property
    def acknowledged(self) -> Mapping[str, Any] | None:
        """The payload the sink last took; None where it never took one."""
        return None if self.acknowledged_payload is None else json.loads(self.acknowledged_payload)

    @property
    def closed(self) -> bool:
        """Whether sales is done with the lead."""
        return self.outcome in CLOSED

    def record(self) -> Record:
        """What is to be sent now; only what changed where the sink has the record already."""
        wanted, before = self.wanted, self.acknowledged
        changed = None if before is None else frozenset(n for n, v in wanted.items() if before.get(n) != v)
        return Record(self.kind, self.key, self.account_id, self.as_of, wanted, self.remote_id, changed)


COLUMNS: tuple[str, ...] = tuple(Row.__dataclass_fields__)
#: What is read out of a column once and kept: it goes where the column changes.
_READ = {"payload": "wanted", "sent_payload": "sent", "acknowledged_payload": "acknowledged"}


def replace(row: Row, **values: Any) -> Row:
    """The row with other values, as `dataclasses.replace`, which takes five times as long: a lead needs it often."""
    if unknown_names := values.keys() - COLUMNS:
        raise TypeError(f"a row has no {', '.join(sorted(unknown_names))}")
    found = object.__new__(Row)
    found.__dict__.update(row.__dict__)
    for name in values.keys() & _READ.keys():
        found.__dict__.pop(_READ[name], None)
    found.__dict__.update(values)
    return found


def new_row(record: Record, action: str, run_id: str, motion: str = "") -> Row:
    """A row for a record that the outbox does not have."""
    return Row(
        kind=record.kind,
        key=record.key,
        account_id=record.account_id,
        motion=motion,
        as_of=record.as_of,
        run_id=run_id,
        action=action,
        payload=record.text,
        payload_hash=record.fingerprint,
    )


def known_remotely(row: Row, remote_id: str, fields: Payload, fingerprint: str) -> Row:
    """The row with what the sink was found to have, although nobody here knew of it."""
    return replace(
        row, remote_id=remote_id, acknowledged_payload=json_text(dict(fields)), acknowledged_hash=fingerprint
    )


def wanted(row: Row, record: Record, action: str, run_id: str) -> Row:
    """The row after a run asked for this record: to be sent, unless the sink has it or will never take it."""
    same = row.payload_hash == record.fingerprint
    newer = replace(
        row,
        as_of=record.as_of,
        run_id=run_id,
        action=action,
        payload=record.text,
        payload_hash=record.fingerprint,
    )
    if row.state == "dead" and row.dead_because == INVALID and same:
        return row
    if action == "reopen":
        newer = replace(newer, outcome=None, outcome_on=None)
    return _again(newer)


def replayed(row: Row) -> Row:
    """A dead row to be tried anew; one whose fate is unknown is looked up first."""
    if row.state != "dead":
        raise ValueError(f"{row.kind} {row.key} is {row.state}, not dead")
    return _again(row)


def _again(row: Row) -> Row:
    fresh = replace(row, attempts=0, next_attempt=0.0, error=None, dead_because=None)
    return replace(fresh, state="in_flight", sent_at=None) if row.sent_hash is not None else _settled(fresh)


def sending(row: Row, receipt: str, now: float) -> Row:
    """The row as it must be on the disk before the request leaves."""
    return replace(
        row,
        state="in_flight",
        attempts=row.attempts + 1,
        receipt=receipt,
        sent_at=now,
        next_attempt=now,
        sent_payload=row.payload,
        sent_hash=row.payload_hash,
        error=None,
    )


def taken(row: Row, remote_id: str | None) -> Row:
    """The sink has what was sent; what was wanted since then is still to be sent."""
    held = replace(
        row,
        remote_id=remote_id or row.remote_id,
        acknowledged_payload=row.sent_payload,
        acknowledged_hash=row.sent_hash,
        next_attempt=0.0,
        error=None,
    )
    settled = _settled(held)
    return settled if settled.state == "acknowledged" else replace(settled, attempts=0)


def not_taken(row: Row, at: float, error: str, *, most: int, counted: bool = True) -> Row:
    """The sink surely did nothing; again at ``at``, unless this was the last of ``most`` attempts.

    ``counted`` False: the row was only part of a batch that was refused as a whole.
    """
    attempts = row.attempts if counted else max(row.attempts - 1, 0)
    back = _settled(replace(row, attempts=attempts, next_attempt=at, error=_line(error)))
    if back.state == "acknowledged":
        return back
    if counted and attempts >= most:
        return _dead(back, EXHAUSTED, f"given up after {attempts} attempts; the last one: {error}")
    return replace(back, state="retry")


def refused(row: Row, error: str) -> Row:
    """The sink will never take what was sent; a payload wanted since then gets its own chance."""
    if row.sent_hash is not None and row.sent_hash != row.payload_hash:
        return replace(_settled(row), attempts=0, next_attempt=0.0)
    return _dead(_settled(row), INVALID, error)


def unknown(row: Row, at: float, error: str | None, *, most: int, counted: bool = True) -> Row:
    """Nothing was learned of what was sent; to be looked at again at ``at``, unless this was the last attempt."""
    attempts = row.attempts + counted
    if counted and attempts > most:
        return given_up(row, f"given up after {row.attempts} attempts; the last one: {error}")
    return replace(row, attempts=attempts, next_attempt=at, error=_line(error) if error else row.error)


def running(row: Row, since: float, at: float) -> Row:
    """The sink works on it since then, and shall be asked again at ``at``."""
    return replace(row, sent_at=since, next_attempt=at)


def given_up(row: Row, error: str) -> Row:
    """Dead without knowing what became of what was sent; a replay asks the sink first."""
    return _dead(row, EXHAUSTED, error)


def _settled(row: Row) -> Row:
    """Nothing is on its way: acknowledged where the sink has what is wanted, else pending."""
    done = row.acknowledged_hash == row.payload_hash
    return replace(
        row,
        state="acknowledged" if done else "pending",
        receipt="",
        sent_at=None,
        sent_payload=None,
        sent_hash=None,
        error=None if done else row.error,
    )


def _dead(row: Row, because: str, error: str) -> Row:
    return replace(row, state="dead", dead_because=because, error=_line(error))


def _line(error: str) -> str:
    """An error as one line of bearable length."""
    return " ".join(error.split())[:_LONGEST_ERROR] or "no reason given"


def row_of(columns: Mapping[str, Any]) -> Row:
    """A row as the outbox stores it."""
    return Row(**{name: columns[name] for name in COLUMNS})
