"""What differs between a record as the sink has it and as it is wanted, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from csql_ml.handoff.fields import ONLY_AT_CREATION, Kind, Payload, Value
from csql_ml.handoff.record import COUNTING, normal, normal_value


@dataclass(frozen=True)
class Difference:
    """One field before and after."""

    field: str
    before: Value
    after: Value


def differences(kind: Kind, before: Payload | None, after: Payload) -> tuple[Difference, ...]:
    """Fields whose change counts, in the order people read them; all filled ones for a new record."""
    return tuple(_differences(kind, before or {}, after))


def differ(kind: Kind, before: Payload, after: Payload) -> bool:
    """Whether there are any `differences`."""
    return any(True for _ in _differences(kind, before, after))


def _differences(kind: Kind, before: Payload, after: Payload) -> Iterator[Difference]:
    for field in COUNTING[kind]:
        name = field.name
        if name in after:
            old, new = before.get(name), after[name]
            # Most values are the same as they stand, which costs less to see.
            if old != new and normal_value(field, old) != normal_value(field, new):
                yield Difference(name, old, new)


def has_arrived(kind: Kind, sent: Payload, found: Payload) -> bool:
    """Whether what the sink has is what was sent, as far as it can be read back and is ours to say."""
    expected = {n: v for n, v in normal(kind, sent).items() if n in found and n not in ONLY_AT_CREATION}
    there = normal(kind, found)
    return bool(expected) and all(there.get(name) == value for name, value in expected.items())
