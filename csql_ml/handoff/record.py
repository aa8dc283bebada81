"""Records: what must reach a CRM, as flat fields, with a fingerprint that says whether it is worth sending."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import isfinite

from csql_ml.handoff.fields import ALWAYS_KEPT, FIELDS, Field, Kind, Payload, Value
from csql_ml.run_files import json_text

#: Stands where a text was cut.
SHORTENED = " […]"


@dataclass(frozen=True)
class Record:
    """What must reach a CRM.

    Attributes
    ----------
    key
        Of a lead: account, motion and trigger event; of a score: the account. Never of a run or date.
    as_of
        ISO date; an older one never overwrites a newer one.
    payload
        Contract field: value; see `csql_ml.handoff.fields`.
    remote_id
        The record's id in the sink, where it is known.
    changed
        Fields that differ from what the sink last acknowledged; None: everything is to be sent.
    """

    kind: Kind
    key: str
    account_id: str
    as_of: str
    payload: Payload
    remote_id: str | None = None
    changed: frozenset[str] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what counts as a change."""
        return fingerprint(self.kind, self.payload)

    @cached_property
    def text(self) -> str:
        """The payload as JSON."""
        return json_text(self.payload)

    def prepare(self) -> None:
        """Compute what is needed of it later anyway, while there is time."""
        _ = self.fingerprint, self.text

    def sent_fields(self) -> dict[str, Value]:
        """The fields to write: all of them, or those that changed."""
        return {n: v for n, v in self.payload.items() if self.changed is None or n in self.changed}


COUNTING = {kind: tuple(f for f in fields if f.counts) for kind, fields in FIELDS.items()}


def normal(kind: Kind, payload: Payload) -> dict[str, Value]:
    """The payload as far as changes count: numbers rounded, line ends alike, empty text missing."""
    return {f.name: normal_value(f, payload[f.name]) for f in COUNTING[kind] if f.name in payload}


def normal_value(field: Field, value: Value) -> Value:
    """One value as in `normal`."""
    if isinstance(value, str):
        text = (value.replace("\r\n", "\n").replace("\r", "\n") if "\r" in value else value).strip()
        return ("\n".join(sorted(text.split("\n"))) if field.listed else text) or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Adding zero turns -0.0, which is written differently, into 0.0.
        return round(float(value), field.digits) + 0.0
    return value


def fingerprint(kind: Kind, payload: Payload) -> str:
    """SHA-256 of a payload's `normal` form; missing fields and empty ones are the same."""
    known = {name: value for name, value in normal(kind, payload).items() if value is not None}
    return hashlib.sha256(json_text([kind, known]).encode()).hexdigest()


@dataclass(frozen=True)
class Fitted:
    """A record cut to what a sink takes, and why it cannot be sent (None: it can)."""

    record: Record
    problem: str | None


def fitted(record: Record, fields: Sequence[str], limits: Mapping[str, int]) -> Fitted:
    """Keep the sink's fields and shorten prose to its limits; what is no prose and too long cannot be sent."""
    declared = _declared(record.kind, tuple(fields))
    payload = {f.name: record.payload[f.name] for f in declared if f.name in record.payload}
    problem = None
    for name, value in payload.items():
        if isinstance(value, float) and not isfinite(value):
            problem = problem or f"{name} is not a finite number; score again"
    for field in declared:
        limit, value = limits.get(field.name), payload.get(field.name)
        if limit is None or not isinstance(value, str) or len(value) <= limit:
            continue
        if field.prose:
            payload[field.name] = shortened(value, limit)
        else:
            said = f"{field.name} has {len(value)} characters; the field there takes {limit}: make it longer"
            problem = problem or said
    return Fitted(replace(record, payload=payload), problem)


@cache
def _declared(kind: Kind, fields: tuple[str, ...]) -> tuple[Field, ...]:
    """What a sink takes, and what is kept in any case."""
    wanted = {*fields, *ALWAYS_KEPT}
    return tuple(f for f in FIELDS[kind] if f.name in wanted)


def shortened(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters; a cut text ends with a mark that says so.

    Examples
    --------
    >>> shortened("46 of 50 seats active", 16)
    '46 of 50 […]'
    """
    if len(text) <= limit:
        return text
    room = limit - len(SHORTENED)
    if room <= 0:
        return text[: max(limit - 1, 0)] + "…"[:limit]
    cut = text[:room]
    # A word or line is not broken unless that would cost half of the text.
    space = max(cut.rfind(" "), cut.rfind("\n"))
    if not text[room].isspace() and space >= room // 2:
        cut = cut[:space]
    return cut.rstrip() + SHORTENED


def by_key(records: Iterable[Record]) -> dict[str, Record]:
    """Records by key; of several with one key the first counts."""
    found: dict[str, Record] = {}
    for record in records:
        found.setdefault(record.key, record)
    return found
