"""Contract fields as HubSpot's properties, in both directions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from csql_ml.config.hubspot import HubSpot
from csql_ml.handoff.fields import FIELDS, KEY_FIELD, ONLY_AT_CREATION, OPEN, WITHDRAWN, Kind, Value
from csql_ml.handoff.hubspot.objects import Found
from csql_ml.handoff.hubspot.portal import Portal, Property
from csql_ml.handoff.hubspot.values import read, written
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import Remote

#: Most characters of a text property.
TEXT_LIMIT = 65_536


@dataclass(frozen=True)
class Layout:
    """Where records of a kind are kept.

    Attributes
    ----------
    properties
        Contract field: property; the key field is not among them.
    """

    kind: Kind
    object_type: str
    key_property: str
    properties: dict[str, str]
    settings: HubSpot
    portal: Portal

    @property
    def unique(self) -> bool:
        """Whether HubSpot takes a key once only."""
        return self.portal.unique(self.object_type, self.key_property)

    @property
    def definitions(self) -> dict[str, Property]:
        return self.portal.properties(self.object_type)

    @property
    def read_properties(self) -> list[str]:
        """Properties that tell everything about a record."""
        more = [self.settings.own.stage_property] if self.kind == "lead" else []
        return [self.key_property, *self.properties.values(), *more]

    def fields(self) -> tuple[str, ...]:
        """Contract fields that are handed over."""
        return tuple(f.name for f in FIELDS[self.kind] if f.name in (*self.properties, KEY_FIELD[self.kind]))

    def limits(self) -> dict[str, int]:
        """Most characters of every text."""
        return {f.name: TEXT_LIMIT for f in FIELDS[self.kind] if f.name in self.fields() and f.dtype == "text"}

    def as_of(self, found: Found) -> str:
        """As-of date of the record as HubSpot has it."""
        return str(read(found[self.properties["as_of"]], "date") or "")

    def withdrawn(self, found: Found) -> bool:
        return found[self.properties["status"]] == WITHDRAWN

    def stage(self, found: Found) -> str:
        return found[self.settings.own.stage_property]

    def remote(self, found: Found) -> Remote:
        """A record in the contract's terms."""
        fields: dict[str, Value] = {KEY_FIELD[self.kind]: found[self.key_property]}
        for field in FIELDS[self.kind]:
            if field.name in self.properties:
                fields[field.name] = read(found[self.properties[field.name]], field.dtype)
        if self.kind == "lead":
            # Stages are sales' own: whatever is not withdrawn is open, as far as it is ours to say.
            fields["status"] = WITHDRAWN if self.withdrawn(found) else OPEN
            if "owner" in fields:
                fields["owner"] = self.portal.owners.executive(found[self.properties["owner"]])
        return Remote(found.id, fields)

    def created(self, record: Record) -> dict[str, str]:
        """Properties of a new lead; empty ones are left out."""
        status = record.payload.get("status")
        stages, own = self.settings.stage_ids, self.settings.own
        given = {name: text for name, text in self._texts(record.payload.items()) if text}
        return {
            **given,
            self.key_property: record.key,
            own.pipeline_property: self.settings.pipeline_id,
            own.stage_property: stages.withdrawn if status == WITHDRAWN else stages.open,
        }

    def changed(self, record: Record, there: Found) -> dict[str, str]:
        """Properties to write over those of a record that is there; "" empties one."""
        sent = record.sent_fields()
        status = sent.get("status")
        if self.kind == "lead" and record.changed is not None and status != OPEN:
            # Sales may have moved them; a lead that is opened again gets new ones.
            sent = {name: value for name, value in sent.items() if name not in ONLY_AT_CREATION}
        found = dict(self._texts(sent.items()))
        if self.kind == "lead":
            stages = self.settings.stage_ids
            if status == WITHDRAWN:
                found[self.settings.own.stage_property] = stages.withdrawn
            elif status == OPEN and self.withdrawn(there) and self.stage(there) == stages.withdrawn:
                found[self.settings.own.stage_property] = stages.open
        return found

    def problem(self, record: Record) -> str | None:
        """Why HubSpot would not take these values, as far as its definitions tell."""
        sent = record.sent_fields()
        owner = record.payload.get("owner") if record.changed is None or sent.get("status") == OPEN else None
        if self.kind == "lead" and owner and self._owner(owner) is None:
            return (
                f"account executive {owner} is no owner in HubSpot; name the owner's e-mail under "
                "delivery.hubspot.owners"
            )
        for name, text in self._texts((f, v) for f, v in sent.items() if f != "owner"):
            definition = self.definitions.get(name)
            if definition and definition.type == "enumeration" and text and text not in definition.options:
                return f"the HubSpot property {name} has no such option; add it there, or make it a text property"
        return None

    def _texts(self, values: Iterable[tuple[str, Value]]) -> Iterable[tuple[str, str]]:
        for field, value in values:
            name = self.properties.get(field)
            if name is None:
                continue
            if field == "owner":
                value = self._owner(value)
            definition = self.definitions.get(name)
            yield name, written(value, definition.type if definition else "string")

    def _owner(self, executive: Value) -> str | None:
        return self.portal.owners.id_of(str(executive)) if executive else None


def layouts(settings: HubSpot, portal: Portal) -> dict[Kind, Layout]:
    """Leads on the chosen object, scores on companies."""
    lead = Layout("lead", settings.object, settings.key_property, settings.lead_properties, settings, portal)
    score = Layout("score", "companies", settings.account_property, settings.score_properties, settings, portal)
    return {"lead": lead, "score": score}
