"""What a place that takes records must be able to do: one small protocol for files and every CRM.

A sink never retries, sleeps or remembers: `csql_ml.handoff.delivery` does. It says truthfully what happened, and where
it cannot know (no answer came), it says that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from csql_ml.handoff.fields import Kind, Payload
from csql_ml.handoff.record import Record


class TransientError(Exception):
    """A request failed in a way that may pass: network, 5xx, 429, locked rows.

    Parameters
    ----------
    reason
        For the history; no secrets, no values of customers' rows.
    retry_after
        Seconds the sink asked to wait.
    uncertain
        Whether the request may have had its effect all the same, as when the answer was lost. False only where the
        sink is known to have done nothing (429; a connection that never came about).
    """

    def __init__(self, reason: str, retry_after: float | None = None, *, uncertain: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.uncertain = uncertain


class BatchRejected(Exception):  # noqa: N818 - names what happened to the batch
    """The sink refused a whole batch and took none of it; the row at fault is found by splitting."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Capabilities:
    """What a sink takes.

    Attributes
    ----------
    batch_size
        Most records of one `Sink.submit`.
    unique_key
        Whether the sink itself refuses a second lead with the same key.
    fields
        Per kind the contract fields it takes (see `csql_ml.handoff.fields`); a kind that is left out is not taken.
    field_limits
        Per kind and field the most characters.
    asynchronous
        Whether `Sink.submit` may return None. `Sink.prepare` and `Sink.collect` are called only then; the batches of
        any other sink have no receipt, and the next one is made ready while the sink works on one.
    """

    batch_size: int
    unique_key: bool
    fields: Mapping[Kind, Sequence[str]]
    field_limits: Mapping[Kind, Mapping[str, int]] = field(default_factory=dict)
    asynchronous: bool = False


@dataclass(frozen=True)
class Finding:
    """Something preflight found. ``name`` is what ``--accept`` overrides a refusal by."""

    name: str
    level: Literal["refuse", "warn"]
    message: str


@dataclass(frozen=True)
class Remote:
    """A record as the sink has it now: its id there, and the contract fields that can be read back."""

    remote_id: str
    fields: Payload


@dataclass(frozen=True)
class Result:
    """What became of one record.

    ``retry``: the sink did nothing and may do it later (a locked row). ``invalid``: it will never take this record.
    """

    key: str
    status: Literal["acknowledged", "retry", "invalid"]
    remote_id: str | None = None
    error: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class Swept:
    """Several remote records of one key: which was kept, and which were withdrawn by status."""

    key: str
    kept: str
    withdrawn: tuple[str, ...]


@dataclass(frozen=True)
class OutcomeChange:
    """A row of the ``csqls`` or ``opportunities`` table as the CRM has it now; ``key``: the lead it came from."""

    table: Literal["csqls", "opportunities"]
    remote_id: str
    key: str | None
    row: Mapping[str, Any]


class Sink(Protocol):
    """A place that takes records. It is called once at a time, though not always from the same thread.

    Every method may raise `TransientError`; `submit`, `prepare` and `collect` also `BatchRejected`. What no waiting can
    cure (wrong password, no such object) is a `DeliveryError` with what to do.
    """

    @property
    def name(self) -> str:
        """Name in the configuration, the outbox and the history."""
        ...

    def capabilities(self) -> Capabilities:
        """What it takes; asked once a push, after `preflight`."""
        ...

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        """Look at keys, permissions, picklists, lengths and currency before anything is sent; reads only."""
        ...

    def check(self, kind: Kind, records: Sequence[Record]) -> Mapping[str, str]:
        """Records that would be refused, as key: reason, as far as reading can tell; reads only."""
        ...

    def lookup(self, kind: Kind, keys: Sequence[str]) -> Mapping[str, Remote]:
        """What is there under these keys (at most `Capabilities.batch_size` of them); reads only."""
        ...

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        """Whatever `collect` needs to find the batch again (a bulk job's id), made before any record is sent.

        It is saved in the outbox before `submit` is called. Empty where a batch leaves no trace but its records.
        """
        ...

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result] | None:
        """Send a batch of different keys; None where the results are to be collected later.

        A record with ``changed`` is known to be there: only these fields are written, so that what sales edited stays.
        A withdrawal leaves a record alone that sales has accepted or closed, and acknowledges it.
        """
        ...

    def collect(self, receipt: str) -> list[Result] | None:
        """Results of a batch; None while it is not finished. Keys without a result are looked up."""
        ...

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        """What changed since the cursor ("" at first), and the next cursor."""
        ...

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        """Find keys that are there more than once, keep the oldest of each and withdraw the others."""
        ...
