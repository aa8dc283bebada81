"""The fields that are handed over: one declaration for texts, limits, fingerprints, files and diffs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Kind = Literal["lead", "score"]
Value = str | float | int | bool | None
Payload = Mapping[str, Value]

OPEN, WITHDRAWN = "open", "withdrawn"


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Parameters
    ----------
    dtype
        A ``date`` is ISO text.
    prose
        Written for people: may be shortened to what a CRM takes. Anything else that is too long is invalid.
    counts
        A change of it is worth an update. What does not count is sent along when something else changes.
    digits
        Decimals that count as a change of a number.
    listed
        A list, one entry a line, strongest first: another order alone is no change.
    """

    name: str
    dtype: Literal["text", "number", "date"] = "text"
    prose: bool = False
    counts: bool = True
    digits: int = 2
    listed: bool = False


#: Where a record comes from; a run with nothing new in it changes these alone.
_ORIGIN = (
    Field("as_of", "date", counts=False),
    Field("run_id", counts=False),
    Field("model_version", counts=False),
)
_NUMBERS = (
    Field("propensity", "number"),
    Field("baseline_score", "number", digits=0),
    Field("band"),
    # Propensity times potential ARR: it moves with every digit of the propensity, and says nothing that those do not.
    Field("expected_arr", "number", counts=False),
)

FIELDS: Mapping[Kind, tuple[Field, ...]] = {
    "lead": (
        Field("lead_key"),
        Field("status"),
        Field("title", prose=True),
        Field("account_id"),
        Field("account_name", prose=True),
        Field("lead_source"),
        Field("lead_type"),
        Field("product"),
        Field("owner"),
        Field("csm_id"),
        Field("opened_on", "date"),
        Field("answer_due", "date"),
        *_NUMBERS,
        Field("potential_arr", "number", digits=0),
        Field("currency"),
        Field("proof_of_value", prose=True, listed=True),
        Field("trigger_event", prose=True),
        Field("expansion_hypothesis", prose=True),
        Field("stakeholders", prose=True, listed=True),
        *_ORIGIN,
    ),
    "score": (
        Field("account_id"),
        Field("status"),
        *_NUMBERS,
        Field("lead_type"),
        Field("risk_flags"),
        Field("failed_gates"),
        Field("csm_id"),
        *_ORIGIN,
    ),
}
#: Set when a lead is created and never by a later run: sales may have moved them.
ONLY_AT_CREATION = ("lead_source", "owner", "opened_on", "answer_due")
#: Kept in the outbox whether or not a sink takes them: routing and recovery go by them.
ALWAYS_KEPT = ("lead_key", "account_id", "status", "owner", "csm_id", "opened_on", "answer_due", "as_of")
KEY_FIELD: Mapping[Kind, str] = {"lead": "lead_key", "score": "account_id"}


@cache
def field_names(kind: Kind) -> tuple[str, ...]:
    """Names of a kind's fields, in the order people read them."""
    return tuple(f.name for f in FIELDS[kind])
