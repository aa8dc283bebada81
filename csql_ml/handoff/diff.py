"""What differs between a record as the sink has it and as it is wanted, field by field."""

from __future__ import annotations

from dataclasses import dataclass

from csql_ml.handoff.fields import ONLY_AT_CREATION, Kind, Payload, Value, field_names
from csql_ml.handoff.record import normal


@dataclass(frozen=True)
class Difference:
    """One field before and after."""

    field: str
    before: Value
    after: Value


def differences(kind: Kind, before: Payload | None, after: Payload) -> tuple[Difference, ...]:
    """Fields whose change counts, in the order people read them; all filled ones for a new record."""
    old, new = normal(kind, before or {}), normal(kind, after)
    return tuple(
        Difference(name, (before or {}).get(name), after[name])
        for name in field_names(kind)
        if name in new and old.get(name) != new[name]
    )


def has_arrived(kind: Kind, sent: Payload, found: Payload) -> bool:
    """Whether what the sink has is what was sent, as far as it can be read back and is ours to say."""
    expected = {n: v for n, v in normal(kind, sent).items() if n in found and n not in ONLY_AT_CREATION}
    there = normal(kind, found)
    return bool(expected) and all(there.get(name) == value for name, value in expected.items())
