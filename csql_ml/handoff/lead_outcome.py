"""What sales made of a lead, read off a row of the ``csqls`` table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

Outcome = Literal["accepted", "rejected", "opportunity", "won", "lost"]
#: In the order in which a lead goes through them.
OUTCOMES: tuple[Outcome, ...] = ("accepted", "opportunity", "won", "lost", "rejected")
_STEPS: tuple[tuple[Outcome, str], ...] = (
    ("accepted", "accepted_at"),
    ("opportunity", "opportunity_at"),
    ("rejected", "rejected_at"),
)


def outcome_of(row: Mapping[str, Any]) -> tuple[Outcome | None, datetime | None]:
    """The outcome and when it came; (None, None) for a lead that sales has not touched.

    A closed lead is won or lost, whatever came before. Else the latest step counts: a lead may be rejected and taken up
    again.

    Examples
    --------
    >>> outcome_of({"accepted_at": datetime(2026, 7, 3), "closed_at": None})
    ('accepted', datetime.datetime(2026, 7, 3, 0, 0))
    """
    closed = row.get("closed_at")
    if closed is not None:
        return ("won" if row.get("won") else "lost"), closed
    steps = [(at, place, what) for place, (what, name) in enumerate(_STEPS) if (at := row.get(name)) is not None]
    if not steps:
        return None, None
    at, _, what = max(steps, key=lambda step: step[:2])
    return what, at
