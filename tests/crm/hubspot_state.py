"""What the project's own stand-in for HubSpot remembers, and the rules it keeps; it is not HubSpot's own system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: 2026-07-01T00:00:00Z
START = 1_782_864_000_000
TEXT_LIMIT = 65_536


def iso(moment: int) -> str:
    return (EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RowError(Exception):
    """A row that is not taken. Messages quote values, as HubSpot's do."""

    def __init__(self, category: str, message: str, code: str = "", **context: Any) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"status": "error", "category": category, "message": message, "context": context}
        if code:
            self.error["errors"] = [{"message": message, "code": code}]


@dataclass
class Stored:
    """A record: values with their history (milliseconds, value), oldest first."""

    id: str
    created: int
    properties: dict[str, str] = field(default_factory=dict)
    history: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


def text(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "string", "fieldType": "text", "hasUniqueValue": False, "options": [], **more}


def dropdown(name: str, *values: str) -> dict[str, Any]:
    return text(name, type="enumeration", options=[{"label": v.title(), "value": v} for v in values])


def _lead_properties() -> list[dict[str, Any]]:
    texts = (
        *("product", "csm", "band", "currency", "proof_of_value", "trigger_event", "expansion_hypothesis"),
        *("stakeholders", "run_id", "model_version", "account_id"),
    )
    return [
        text("csql_lead_key", hasUniqueValue=True),
        dropdown("csql_lead_source", "CSQL", "MARKETING"),
        dropdown("csql_status", "open", "withdrawn"),
        dropdown("csql_lead_type", "upsell", "cross_sell", "referral"),
        *(text(f"csql_{name}") for name in texts),
        *(text(f"csql_{n}", type="number") for n in ("propensity", "baseline_score", "expected_arr", "potential_arr")),
        *(text(f"csql_{n}", type="date") for n in ("opened_on", "answer_due", "as_of")),
        text("hubspot_owner_id", type="enumeration"),
    ]


def _definitions() -> dict[str, list[dict[str, Any]]]:
    changed = text("hs_lastmodifieddate", type="datetime", modificationMetadata={"readOnlyValue": True})
    scores = [
        *(text(f"csql_{n}") for n in ("status", "band", "lead_type", "risk_flags", "failed_gates", "csm", "run_id")),
        *(text(f"csql_{n}", type="number") for n in ("propensity", "baseline_score", "expected_arr")),
        text("csql_model_version"),
        text("csql_as_of", type="date"),
    ]
    return {
        "leads": [
            *_lead_properties(),
            *map(text, ("hs_lead_name", "hs_pipeline", "hs_pipeline_stage", "hs_lead_disqualification_reason")),
            changed,
        ],
        "deals": [
            *_lead_properties(),
            *map(text, ("dealname", "pipeline", "dealstage", "closed_lost_reason", "dealtype", "origin")),
            *map(text, ("hs_is_closed", "hs_is_closed_won", "deal_currency_code")),
            text("amount", type="number"),
            changed,
        ],
        "companies": [text("csql_account_id", hasUniqueValue=True), text("name"), *scores, changed],
        "contacts": [text("email"), changed],
    }


_STAGES = {
    "leads": {
        "lead-pipeline-id": [f"{s}-stage-id" for s in ("new", "attempting", "connected", "qualified", "unqualified")]
    },
    "deals": {
        "default": [
            *("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "decisionmakerboughtin"),
            *("contractsent", "closedwon", "closedlost"),
        ]
    },
}
_PIPELINE = {"leads": ("hs_pipeline", "hs_pipeline_stage"), "deals": ("pipeline", "dealstage")}
#: From, to: type ids, the plain one first.
ASSOCIATIONS = {
    ("leads", "companies"): [610, 580],
    ("leads", "contacts"): [608, 578],
    ("deals", "companies"): [341, 5],
    ("leads", "deals"): [583],
    ("deals", "leads"): [584],
    ("companies", "contacts"): [280, 2],
}


class State:
    """Objects, links and settings of an account; every change takes ``tick`` milliseconds."""

    def __init__(self) -> None:
        self.now = START
        self.tick = 1
        self.properties = _definitions()
        self.pipelines = {kind: dict(pipelines) for kind, pipelines in _STAGES.items()}
        self.objects: dict[str, dict[str, Stored]] = {n: {} for n in ("leads", "deals", "companies", "contacts")}
        self.links: dict[tuple[str, str, str], dict[str, set[int]]] = {}
        self.labels: dict[tuple[str, str], str] = {}
        self.owners = {"7001": "ada@example.com", "7002": "grace@example.com"}
        self.currency = {"companyCurrency": "EUR", "additionalCurrencies": ["USD"]}
        self.created = 0
        self.page = 500
        #: Accounts whose leads a rule of the account's own refuses.
        self.refused: set[str] = set()
        self._ids = 1000

    # what a test arranges and looks at

    def company(self, account: str, contacts: int = 1, **properties: str) -> str:
        """A company with our account id, and contacts whose primary company it is."""
        company = self.put("companies", {"csql_account_id": account, "name": f"Account {account}", **properties})
        for _ in range(contacts):
            contact = self.put("contacts", {"email": "someone@example.com"})
            self.link("companies", company, "contacts", contact, 280, 2)
        return company

    def put(self, kind: str, properties: Mapping[str, str], created: int | None = None) -> str:
        """Store a record as somebody in HubSpot's pages would, without any rule."""
        self._ids += 1
        one = Stored(str(self._ids), self._next() if created is None else created)
        self.objects[kind][one.id] = one
        self._write(one, properties, one.created)
        return one.id

    def edit(self, kind: str, one: str, at: int | None = None, **properties: str) -> None:
        """Somebody in sales changes a record."""
        moment = self._next() if at is None else at
        self._write(self.objects[kind][one], properties, moment)

    def link(self, from_type: str, one: str, to_type: str, other: str, *types: int) -> None:
        self.links.setdefault((from_type, one, to_type), {}).setdefault(other, set()).update(types)

    def with_key(self, kind: str, key: str) -> list[Stored]:
        return [s for s in self.objects[kind].values() if s.properties.get("csql_lead_key") == key]

    def keys(self, kind: str = "leads") -> list[str]:
        """Lead keys that are there, one per record."""
        return sorted(s.properties["csql_lead_key"] for s in self.objects[kind].values())

    def definition(self, kind: str, name: str) -> dict[str, Any]:
        return next(p for p in self.properties[kind] if p["name"] == name)

    # what the API does

    def create(self, kind: str, given: Mapping[str, Any]) -> Stored:
        """Take one input of a batch/create, or refuse it."""
        self.check(kind, given["properties"])
        kinds = {t["associationTypeId"]: a["to"]["id"] for a in given["associations"] for t in a["types"]}
        for type_id, other in kinds.items():
            to_type = next((b for (a, b), ids in ASSOCIATIONS.items() if a == kind and type_id in ids), None)
            if to_type is None or other not in self.objects[to_type]:
                raise RowError("VALIDATION_ERROR", f"no record {other} for type {type_id}", "INVALID_ASSOCIATION")
        if kind == "leads" and 578 not in kinds:
            raise RowError("VALIDATION_ERROR", "a lead must be associated with a contact", "MISSING_ASSOCIATION")
        one = self.objects[kind][self.put(kind, given["properties"])]
        self.created += 1
        for association in given["associations"]:
            for sort in association["types"]:
                type_id = sort["associationTypeId"]
                to_type = next(b for (a, b), ids in ASSOCIATIONS.items() if a == kind and type_id in ids)
                self.link(kind, one.id, to_type, association["to"]["id"], type_id)
        return one

    def check(self, kind: str, properties: Mapping[str, str], own: str = "") -> None:
        """Names, types, options, lengths, stages and uniqueness of what would be written."""
        known = {p["name"]: p for p in self.properties[kind]}
        if missing := sorted(set(properties) - set(known)):
            raise RowError("VALIDATION_ERROR", f"Property {missing[0]} does not exist", "PROPERTY_DOESNT_EXIST")
        for name, value in properties.items():
            if value:
                self._check_value(kind, known[name], value, own)
        if (account := properties.get("csql_account_id")) in self.refused:
            raise RowError("VALIDATION_ERROR", f"{account} breaks a rule", "RULE", propertyName=["csql_account_id"])
        pipeline, stage = _PIPELINE.get(kind, ("", ""))
        if stage in properties:
            in_pipeline = self.pipelines[kind].get(properties.get(pipeline, next(iter(self.pipelines[kind]))), [])
            if properties[stage] not in in_pipeline:
                raise RowError(
                    "VALIDATION_ERROR", f"{properties[stage]} is no stage", "INVALID_STAGE", propertyName=stage
                )

    def _check_value(self, kind: str, definition: Mapping[str, Any], value: str, own: str) -> None:
        name, error = definition["name"], ""
        if definition["type"] == "number":
            error = "" if value.lstrip("-").replace(".", "", 1).isdigit() else "INVALID_DOUBLE"
        elif definition["type"] == "date":
            error = "" if len(value) == 10 and value.count("-") == 2 else "INVALID_DATE"
        elif name == "hubspot_owner_id":
            error = "" if value in self.owners else "INVALID_OWNER_ID"
        elif definition["type"] == "enumeration":
            error = "" if value in {o["value"] for o in definition["options"]} else "INVALID_OPTION"
        elif len(value) > TEXT_LIMIT:
            error = "VALUE_TOO_LONG"
        if error:
            quoted = f'[{{"isValid":false,"message":"{value[:30]} was not valid","error":"{error}","name":"{name}"}}]'
            raise RowError("VALIDATION_ERROR", f"Property values were not valid: {quoted}")
        if definition["hasUniqueValue"]:
            for other in self.objects[kind].values():
                if other.id != own and other.properties.get(name) == value:
                    raise RowError("VALIDATION_ERROR", f"Cannot set {name}={value}. {other.id} already has that value.")

    def update(self, kind: str, one: str, properties: Mapping[str, str]) -> Stored:
        self._write(self.objects[kind][one], properties, self._next())
        return self.objects[kind][one]

    def named(self, kind: str, name: str | None, value: str) -> Stored | None:
        """A record by id or by a unique property."""
        if name is None:
            return self.objects[kind].get(value)
        return next((s for s in self.objects[kind].values() if s.properties.get(name) == value), None)

    def matching(self, kind: str, filters: Iterable[Mapping[str, Any]], seen_until: int) -> list[Stored]:
        """What a search finds among the records it has indexed."""
        conditions = list(filters)
        there = (s for s in self.objects[kind].values() if self.modified(s) <= seen_until)
        return [s for s in there if all(self._fits(s, c) for c in conditions)]

    def _fits(self, one: Stored, condition: Mapping[str, Any]) -> bool:
        name, operator = condition["propertyName"], condition["operator"]
        if operator == "HAS_PROPERTY":
            return bool(one.properties.get(name))
        if operator == "IN":
            return (one.properties.get(name) or "").lower() in condition["values"]
        number, limit = self.number(one, name), int(condition["value"])
        return {"GTE": number >= limit, "GT": number > limit, "LTE": number <= limit}[operator]

    def number(self, one: Stored, name: str) -> int:
        return int(one.id) if name == "hs_object_id" else self.modified(one)

    def modified(self, one: Stored) -> int:
        return max(entries[-1][0] for entries in one.history.values())

    def _write(self, one: Stored, properties: Mapping[str, str], at: int) -> None:
        for name, value in properties.items():
            one.properties[name] = value
            one.history.setdefault(name, []).append((at, value))

    def _next(self) -> int:
        self.now += self.tick
        return self.now
