"""What must be right in HubSpot before anything is sent: read, compared, and named with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from csql_ml.config.hubspot import HubSpot
from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.handoff.fields import FIELDS, OPEN, WITHDRAWN, Kind
from csql_ml.handoff.hubspot.accounts import COMPANIES, CONTACTS
from csql_ml.handoff.hubspot.layout import Layout
from csql_ml.handoff.hubspot.portal import Portal, Property
from csql_ml.handoff.note import Note, either
from csql_ml.handoff.sink import Finding

#: What property types take a contract value of a type without loss.
_TYPES = {
    "text": ("string", "enumeration"),
    "number": ("number", "string"),
    "date": ("date", "datetime", "string"),
}
#: Prose has no options to choose from.
_PROSE_TYPES = ("string",)
#: Managed with its values by HubSpot itself.
_OWNER = "hubspot_owner_id"
_READ, _WRITE = "crm.objects.{}.read", "crm.objects.{}.write"


class Preflight:
    """Reads an account's definitions and compares them with the configuration."""

    def __init__(
        self,
        portal: Portal,
        layouts: Mapping[Kind, Layout],
        settings: HubSpot,
        token: str,
        currency: str,
        lead_source: str,
    ) -> None:
        self._portal = portal
        self._layouts = layouts
        self._settings = settings
        self._token = token
        self._currency = currency
        self._lead_source = lead_source

    def findings(self, kinds: Sequence[Kind]) -> list[Finding]:
        """Everything that would go wrong, the reasons that need no further look first."""
        found = list(self._scopes(kinds))
        if any(f.level == "refuse" for f in found):
            # Without these permissions the questions below would be refused one by one.
            return found
        for kind in kinds:
            found += self._mapping(self._layouts[kind])
        found += self._account_key()
        if "lead" in kinds:
            found += [*self._unique_key(), *self._pipeline(), *self._associations(), *self._owners()]
        return [*found, *self._money()]

    def _scopes(self, kinds: Sequence[Kind]) -> Iterator[Finding]:
        granted = self._portal.scopes(self._token)
        if granted is None:
            yield _warn("scopes_unknown", Note("HubSpot does not say what this access token may do; pushing will tell"))
        elif missing := sorted(self._needed(kinds) - granted):
            said = Note("the private app lacks {scopes}; add them in its settings in HubSpot", scopes=tuple(missing))
            yield _refuse("scopes", said)

    def _needed(self, kinds: Sequence[Kind]) -> set[str]:
        needed = {_READ.format(COMPANIES)}
        if "score" in kinds:
            needed.add(_WRITE.format(COMPANIES))
        if "lead" in kinds:
            kept = self._settings.object
            needed |= {_READ.format(kept), _WRITE.format(kept), _READ.format("owners")}
            needed |= {_READ.format(CONTACTS)} if kept == "leads" else set()
        return needed

    def _mapping(self, layout: Layout) -> Iterator[Finding]:
        there, names = layout.definitions, layout.properties
        fields = {f.name: f for f in FIELDS[layout.kind]}
        missing = [Note("{property} (for {field})", property=n, field=f) for f, n in names.items() if n not in there]
        if layout.key_property not in there and layout.kind == "lead":
            missing.insert(0, Note("{property} (for the key)", property=layout.key_property))
        if missing:
            yield _refuse(
                "missing_properties",
                Note(
                    "HubSpot's {object} have no property {missing}; make them, or change the names under "
                    "delivery.hubspot",
                    object=layout.object_type,
                    missing=tuple(missing),
                ),
            )
        for field, name in names.items():
            if (definition := there.get(name)) is None:
                continue
            allowed = _PROSE_TYPES if fields[field].prose else _TYPES[fields[field].dtype]
            if definition.type not in allowed and name != _OWNER:
                said = Note(
                    "{property} is of type {type}, {field} needs {allowed}",
                    property=f"{layout.object_type}.{name}",
                    type=definition.type,
                    field=field,
                    allowed=either(allowed),
                )
                yield _refuse("property_types", said)
            if definition.read_only:
                where = f"{layout.object_type}.{name}"
                said = Note("{property} (for {field}) cannot be written in HubSpot", property=where, field=field)
                yield _refuse("read_only", said)
        if layout.kind == "lead":
            yield from self._options(there, names)

    def _options(self, there: Mapping[str, Property], names: Mapping[str, str]) -> Iterator[Finding]:
        """A dropdown refuses what is not among its options, each single lead of it."""
        wanted = {"lead_source": (self._lead_source,), "status": (OPEN, WITHDRAWN), "lead_type": LEAD_TYPES}
        for field, values in wanted.items():
            definition = there.get(names.get(field, ""))
            if definition is None or definition.type != "enumeration":
                continue
            if missing := [v for v in values if v not in definition.options]:
                yield _refuse(
                    "lead_source" if field == "lead_source" else "options",
                    Note(
                        "{property} (for {field}) has no option {missing} among its internal values; add it in HubSpot",
                        property=definition.name,
                        field=field,
                        missing=tuple(missing),
                    ),
                )

    def _unique_key(self) -> Iterator[Finding]:
        layout = self._layouts["lead"]
        if layout.key_property in layout.definitions and not layout.unique:
            yield _refuse(
                "no_unique_key",
                Note(
                    "{property} takes a value twice, so a lost answer could make a lead twice; HubSpot sets this only "
                    "when a property is made: make a new one with unique values and name it under "
                    "delivery.hubspot.key_property",
                    property=f"{layout.object_type}.{layout.key_property}",
                ),
            )

    def _account_key(self) -> Iterator[Finding]:
        name = self._settings.account_property
        if name not in self._portal.properties(COMPANIES):
            yield _refuse(
                "missing_properties",
                Note(
                    "HubSpot's companies have no property {property}; make one that holds your account ids, or name "
                    "yours under delivery.hubspot.account_property",
                    property=name,
                ),
            )
        elif not self._portal.unique(COMPANIES, name):
            yield _warn(
                "account_not_unique",
                Note(
                    "companies.{property} takes a value twice: companies are found by search, some seconds late and "
                    "slower, and an account with two companies gets no lead",
                    property=name,
                ),
            )

    def _pipeline(self) -> Iterator[Finding]:
        there, stages = self._portal.pipelines(self._settings.object), self._settings.stage_ids
        if self._settings.pipeline_id not in there:
            yield _refuse(
                "pipeline",
                Note(
                    "HubSpot has no {object} pipeline {pipeline}; there are {there}: name one under "
                    "delivery.hubspot.pipeline",
                    object=self._settings.object,
                    pipeline=self._settings.pipeline_id,
                    there=tuple(sorted(there)) or Note("none yet"),
                ),
            )
            return
        if self._settings.object == "deals" and self._settings.pipeline_id == self._settings.own.pipeline:
            yield _warn(
                "shared_pipeline",
                Note(
                    "leads would stand among all other deals and count in their forecast; make a pipeline of their "
                    "own and name it and its stages under delivery.hubspot"
                ),
            )
        own = there[self._settings.pipeline_id]
        named = (stages.open, stages.withdrawn, *stages.accepted, *stages.opportunity, *stages.rejected)
        if missing := sorted(set(named) - set(own)):
            yield _refuse(
                "stages",
                Note(
                    "the pipeline {pipeline} has no stage {missing}; there are {there}: name them under "
                    "delivery.hubspot.stages",
                    pipeline=self._settings.pipeline_id,
                    missing=tuple(missing),
                    there=tuple(own),
                ),
            )

    def _associations(self) -> Iterator[Finding]:
        company, contact = self._settings.associations
        for to_type, type_id in ((COMPANIES, company), (CONTACTS, contact)):
            if type_id is None:
                continue
            there = self._portal.association_types(self._settings.object, to_type)
            if type_id not in there:
                yield _refuse(
                    "associations",
                    Note(
                        "HubSpot has no association type {type} from {object} to {to}; there are {there}: name one "
                        "under delivery.hubspot",
                        type=str(type_id),
                        object=self._settings.object,
                        to=to_type,
                        there=tuple(map(str, sorted(there))) or Note("none yet"),
                    ),
                )

    def _owners(self) -> Iterator[Finding]:
        if unknown := self._portal.owners.unknown():
            yield _refuse(
                "owners",
                Note(
                    "delivery.hubspot.owners names nobody in HubSpot for {executives}; give an e-mail or id of a "
                    "HubSpot owner who is not archived",
                    executives=tuple(unknown),
                ),
            )

    def _money(self) -> Iterator[Finding]:
        money = self._portal.currencies()
        if self._currency == money.company:
            return
        own = self._settings.lead_properties.get("currency")
        if self._settings.object == "deals" and own == "deal_currency_code" and self._currency in money.additional:
            return
        yield _refuse(
            "currency",
            Note(
                "the company counts in {ours}, HubSpot in {theirs}; for deals in a further currency of HubSpot map "
                "fields.currency to deal_currency_code, else set company.currency right",
                ours=self._currency,
                theirs=money.company,
            ),
        )


def _refuse(name: str, message: Note) -> Finding:
    return Finding(name, "refuse", message)


def _warn(name: str, message: Note) -> Finding:
    return Finding(name, "warn", message)
