"""Contract fields and Salesforce's: which is which, what is written at creation, and values both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import isfinite
from typing import Any, Literal

from csql_ml.config.salesforce import Salesforce
from csql_ml.errors import ConfigError
from csql_ml.handoff.fields import FIELDS, OPEN, WITHDRAWN, Kind, Value, field_names
from csql_ml.handoff.record import Record
from csql_ml.handoff.salesforce.description import Description, RemoteField

#: What a bulk job takes in one cell, where a field says nothing smaller.
LONGEST = 131_072
_OWN: dict[str, str | None] = {
    "account_id": "CSQL_Account_Id__c",
    "lead_source": "LeadSource",
    "lead_type": "CSQL_Type__c",
    "product": "CSQL_Product__c",
    "csm_id": "CSQL_CSM__c",
    "opened_on": "CSQL_Opened_On__c",
    "answer_due": "CSQL_Answer_Due__c",
    "propensity": "CSQL_Propensity__c",
    "baseline_score": "CSQL_Score__c",
    "band": "CSQL_Band__c",
    "expected_arr": "CSQL_Expected_ARR__c",
    "potential_arr": "CSQL_Potential_ARR__c",
    "currency": "CSQL_Currency__c",
    "proof_of_value": "CSQL_Proof_Of_Value__c",
    "trigger_event": "CSQL_Trigger__c",
    "expansion_hypothesis": "CSQL_Hypothesis__c",
    "stakeholders": "CSQL_Stakeholders__c",
    "as_of": "CSQL_As_Of__c",
    "run_id": "CSQL_Run__c",
    "model_version": "CSQL_Model__c",
}
#: Contract field: field there, for each object; ``delivery.salesforce.fields`` comes on top.
DEFAULT_FIELDS: Mapping[str, dict[str, str | None]] = {
    "Lead": {"title": "LastName", "account_name": "Company", **_OWN},
    "Opportunity": {"title": "Name", **_OWN},
}
STATUS_FIELD = {"Lead": "Status", "Opportunity": "StageName"}
#: True on records that sales has turned into something else, or closed.
CLOSED_FIELD = {"Lead": "IsConverted", "Opportunity": "IsClosed"}
_OPEN_STATUS = {"Lead": "Open - Not Contacted", "Opportunity": "Prospecting"}
_REJECTED: Mapping[str, tuple[str, ...]] = {"Lead": ("Closed - Not Converted",), "Opportunity": ()}
#: Named by sections of their own.
_FIXED = ("lead_key", "status", "owner")

Standing = Literal["open", "withdrawn", "accepted", "rejected"]
Values = dict[str, Value]


@dataclass(frozen=True)
class Statuses:
    """What the values of the status field mean."""

    open: str
    withdrawn: str
    accepted: tuple[str, ...]
    rejected: tuple[str, ...]

    def standing(self, status: str | None) -> Standing:
        """What a status says; where no accepted ones are named, every other one is."""
        if status == self.withdrawn:
            return "withdrawn"
        if status in self.rejected:
            return "rejected"
        if status in self.accepted or (not self.accepted and status not in (self.open, None)):
            return "accepted"
        return "open"


def statuses(settings: Salesforce) -> Statuses:
    """As configured, with Salesforce's own values where nothing is."""
    given = settings.statuses
    rejected = _REJECTED[settings.object] if given.rejected is None else given.rejected
    return Statuses(given.open or _OPEN_STATUS[settings.object], given.withdrawn, given.accepted, rejected)


@dataclass(frozen=True)
class Target:
    """Where the records of one kind go.

    Attributes
    ----------
    fields
        Contract field: field there. Key, status and owner of a lead are not among them.
    """

    kind: Kind
    object: str
    key_field: str
    fields: Mapping[str, str]

    @property
    def has_life(self) -> bool:
        """Whether it has a status of sales, an owner, and can be closed."""
        return self.kind == "lead"

    def columns(self) -> list[str]:
        """Fields there that are read back."""
        own = [STATUS_FIELD[self.object], CLOSED_FIELD[self.object], "OwnerId"] if self.has_life else []
        return list(dict.fromkeys(["Id", self.key_field, "LastModifiedDate", *own, *self.fields.values()]))

    def contract_names(self) -> list[str]:
        """Contract fields that are taken."""
        fixed = _FIXED if self.has_life else ("account_id",)
        return [n for n in field_names(self.kind) if n in self.fields or n in fixed]


def targets(settings: Salesforce) -> dict[Kind, Target]:
    """Where leads go, and scores if fields are named for them.

    Raises
    ------
    ConfigError
        A contract field is not known, or is set elsewhere.
    """
    named = {**DEFAULT_FIELDS[settings.object], **settings.fields}
    lead = {name: there for name, there in named.items() if there is not None}
    _refuse_unknown("lead", "fields", settings.fields)
    _refuse_unknown("score", "score_fields", settings.score_fields)
    found: dict[Kind, Target] = {"lead": Target("lead", settings.object, settings.key_field, lead)}
    if settings.score_fields:
        found["score"] = Target("score", "Account", settings.account_key, settings.score_fields)
    return found


def _refuse_unknown(kind: Kind, section: str, given: Mapping[str, str | None]) -> None:
    fixed = _FIXED if kind == "lead" else ("account_id",)
    for name in given:
        if name in fixed:
            raise ConfigError(
                f"delivery.salesforce.{section}.{name} is set by key_field, statuses, owners or account_key"
            )
        if name not in field_names(kind):
            raise ConfigError(
                f"delivery.salesforce.{section}: there is no field {name!r} in a {kind}; "
                f"there are {', '.join(n for n in field_names(kind) if n not in fixed)}"
            )


def at_creation(settings: Salesforce, target: Target, record: Record) -> Values:
    """What only a new record gets beside its fields."""
    found: Values = dict(settings.constants)
    if target.object == "Opportunity" and target.has_life:
        payload = record.payload
        opened = date.fromisoformat(str(payload.get("opened_on") or record.as_of))
        found.setdefault("CloseDate", (opened + timedelta(days=settings.close_in_days)).isoformat())
        found.setdefault("Amount", payload.get("potential_arr"))
        if record.account_id:
            found[f"Account.{settings.account_key}"] = record.account_id
    return found


def to_remote(name: str, value: Value, field: RemoteField | None) -> Value:
    """A contract value as the field there takes it; what is no number is empty."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value):
            return None
        if field is not None and field.type == "percent" and name == "propensity":
            return round(value * 100, 6)
        return round(value) if field is not None and field.type == "int" else value
    return value or None


def from_remote(kind: Kind, name: str, value: Any, field: RemoteField | None) -> Value:
    """The contract value of what was read."""
    if value is None or value == "":
        return None
    dtype = next(f.dtype for f in FIELDS[kind] if f.name == name)
    if dtype == "number":
        number = float(value)
        return round(number / 100, 8) if field is not None and field.type == "percent" else number
    return str(value)[:10] if dtype == "date" else str(value)


def written(target: Target, record: Record, there: Description, known: Statuses) -> Values:
    """Fields to write as they are named there; key and owner are the caller's."""
    sent = record.sent_fields()
    found = {c: to_remote(n, sent[n], there.fields.get(c)) for n, c in target.fields.items() if n in sent}
    if target.has_life and "status" in sent:
        found[STATUS_FIELD[target.object]] = known.withdrawn if sent["status"] == WITHDRAWN else known.open
    return found


def read(target: Target, row: Mapping[str, Any], there: Description, known: Statuses) -> Values:
    """Contract fields of a record as it was read; sales' own stages count as open."""
    found = {
        n: from_remote(target.kind, n, row.get(c), there.fields.get(c)) for n, c in target.fields.items() if c in row
    }
    key = str(row[target.key_field])
    if not target.has_life:
        return {"account_id": key, **found}
    withdrawn = row.get(STATUS_FIELD[target.object]) == known.withdrawn
    return {"lead_key": key, "status": WITHDRAWN if withdrawn else OPEN, **found}


def field_limits(target: Target, there: Description) -> dict[str, int]:
    """Per contract field the most characters."""
    texts = {f.name for f in FIELDS[target.kind] if f.dtype == "text"}
    return {
        name: min(there.fields[column].length or LONGEST, LONGEST)
        for name, column in target.fields.items()
        if name in texts and column in there.fields
    }
