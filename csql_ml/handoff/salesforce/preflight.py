"""What is looked at before anything is sent: key, permissions, field names, statuses, owners, currency, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from csql_ml.errors import DeliveryError
from csql_ml.handoff.fields import FIELDS
from csql_ml.handoff.note import Note, either
from csql_ml.handoff.salesforce.answers import RequestRefusedError
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.description import NUMBERS, PICKLISTS, TEXTS, Description, RemoteField
from csql_ml.handoff.salesforce.mapping import STATUS_FIELD, Statuses, Target
from csql_ml.handoff.salesforce.owners import Owners
from csql_ml.handoff.sink import Finding

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Characters of a lead's key.
_KEY_LENGTH = 32
#: Share of a daily limit below which it is worth a warning.
_LOW = 0.1
_TYPES = {"text": TEXTS, "number": NUMBERS, "date": ("date",)}


class Preflight:
    """Reads the descriptions of the objects and says what would go wrong.

    Parameters
    ----------
    described
        Gives the description of an object.
    """

    def __init__(
        self,
        api: Api,
        config: Config,
        chosen: Sequence[Target],
        statuses: Statuses,
        owners: Owners,
        described: Callable[[str], Description],
    ) -> None:
        self._api = api
        self._config = config
        self._settings = config.delivery.salesforce
        self._chosen = chosen
        self._statuses = statuses
        self._owners = owners
        self._described = described

    def findings(self) -> list[Finding]:
        """Everything there is to say, refusals first."""
        found = [f for target in self._chosen for f in self._of_target(target, self._described(target.object))]
        found += self._limits()
        return sorted(found, key=lambda f: f.level != "refuse")

    def _of_target(self, target: Target, there: Description) -> Iterator[Finding]:
        yield from _key(target, there.fields.get(target.key_field))
        yield from self._permissions(target, there)
        yield from self._fields(target, there)
        if target.has_life:
            yield from self._values(target, there)
            yield from self._people()
            yield from self._account_key(target)
        yield from self._currency(target, there)

    def _permissions(self, target: Target, there: Description) -> Iterator[Finding]:
        if not there.updateable or (target.has_life and not there.createable):
            if target.has_life:
                said = Note("the integration user may not create and change {object} records", object=target.object)
            else:
                said = Note("the integration user may not change {object} records", object=target.object)
            yield Finding("permission", "refuse", said)

    def _fields(self, target: Target, there: Description) -> Iterator[Finding]:
        """Names that are missing, fields that cannot be written, and those of another type."""
        named = dict(target.fields)
        if target.has_life:
            named |= {"key_field": target.key_field, "status": STATUS_FIELD[target.object], "owner": "OwnerId"}
            named |= {f"constants.{name}": name for name in self._settings.constants}
        missing = {n: c for n, c in named.items() if c not in there.fields and n != "key_field"}
        if missing:
            said = Note(
                "{object} has no such fields, or the integration user does not see them: {names}",
                object=target.object,
                names=tuple(_named(n, c, there) for n, c in missing.items()),
            )
            yield Finding("field_missing", "refuse", said)
        present = {n: there.fields[c] for n, c in named.items() if c in there.fields}
        locked = [f.name for n, f in present.items() if not _writable(target, n, f)]
        if locked:
            said = Note("the integration user may not write {fields}", fields=tuple(locked))
            yield Finding("field_permission", "refuse", said)
        for declared in FIELDS[target.kind]:
            field = present.get(declared.name) if declared.name in target.fields else None
            if field is not None and field.type not in _TYPES[declared.dtype]:
                said = Note(
                    "{name} is a {dtype}, but {field} is of type {type}",
                    name=declared.name,
                    dtype=declared.dtype,
                    field=f"{target.object}.{field.name}",
                    type=field.type,
                )
                yield Finding("field_type", "refuse", said)
            elif field is not None:
                yield from _precision(declared.name, declared.digits, field)
        yield from self._required(target, there, set(named.values()))

    def _required(self, target: Target, there: Description, written: set[str]) -> Iterator[Finding]:
        if not target.has_life:
            return
        filled = written | {"CloseDate", "Amount", "CurrencyIsoCode"}
        bare = sorted(f.name for f in there.fields.values() if f.required and f.name not in filled)
        if bare:
            said = Note(
                "a new {object} needs {fields}, which nothing fills; set delivery.salesforce.fields or .constants",
                object=target.object,
                fields=tuple(bare),
            )
            yield Finding("required_field", "refuse", said)

    def _values(self, target: Target, there: Description) -> Iterator[Finding]:
        """Picklist values: the lead source and the statuses that are written."""
        wanted = [
            ("lead_source", target.fields.get("lead_source"), (self._config.handoff.lead_source,)),
            ("status", STATUS_FIELD[target.object], (self._statuses.open, self._statuses.withdrawn)),
        ]
        for name, column, values in wanted:
            field = there.fields.get(column or "")
            if field is None or field.type not in PICKLISTS:
                continue
            missing = [v for v in values if v not in field.values]
            if missing:
                said = Note(
                    "{field} has no active value {values}: add it there",
                    field=f"{target.object}.{field.name}",
                    values=either([repr(v) for v in missing]),
                )
                yield Finding(name, "refuse", said)
        ours = {self._statuses.open, self._statuses.withdrawn}
        if len(ours) == 1:
            yield Finding("status", "refuse", Note("statuses.open and statuses.withdrawn are the same value"))

    def _people(self) -> Iterator[Finding]:
        settings = self._settings
        named = [*settings.owners.values(), *([settings.default_owner] if settings.default_owner else [])]
        if not named and not settings.owner_field:
            said = Note("no way leads from account executives to users; set owners, owner_field or default_owner")
            yield Finding("owners", "refuse", said)
        if settings.owner_field and settings.owner_field not in self._described("User").fields:
            said = Note("User has no field {field}, or it cannot be seen", field=settings.owner_field)
            yield Finding("owners", "refuse", said)
        if inactive := self._owners.inactive(named):
            said = Note("no active users: {users}", users=tuple(sorted(set(inactive))))
            yield Finding("inactive_owner", "warn", said)

    def _account_key(self, target: Target) -> Iterator[Finding]:
        """The account's id on Account: opportunities name their account by it, and csql pull finds accounts by it."""
        key = self._described("Account").fields.get(self._settings.account_key)
        name = self._settings.account_key
        if target.object == "Opportunity" and (key is None or not key.external_id):
            said = Note(
                "Account has no external id field {field}; without it no opportunity has an account", field=name
            )
            yield Finding("account_key", "refuse", said)
        elif key is None:
            said = Note("Account has no external id field {field}; without it csql pull sees leads only", field=name)
            yield Finding("account_key", "warn", said)

    def _currency(self, target: Target, there: Description) -> Iterator[Finding]:
        money = [c for c in target.fields.values() if c in there.fields and there.fields[c].type == "currency"]
        # A new opportunity's Amount is money whatever else is mapped.
        if not money and target.object != "Opportunity":
            return
        ours = self._config.company.currency
        code = there.fields.get("CurrencyIsoCode")
        if code is not None:
            if ours not in code.values:
                said = Note("{currency} is not active in Salesforce; add it under Company Information", currency=ours)
                yield Finding("currency", "refuse", said)
            elif target.fields.get("currency") != "CurrencyIsoCode":
                said = Note(
                    "Salesforce has several currencies and would take amounts in {currency} for the integration "
                    "user's; set delivery.salesforce.fields.currency to CurrencyIsoCode",
                    currency=ours,
                )
                yield Finding("currency", "refuse", said)
            return
        theirs = self._own_currency()
        if theirs is None:
            said = Note("Salesforce does not say its currency; amounts are sent in {currency}", currency=ours)
            yield Finding("currency", "warn", said)
        elif theirs != ours:
            said = Note(
                "amounts are in {ours}, Salesforce counts in {theirs}; map them to number fields",
                ours=ours,
                theirs=theirs,
            )
            yield Finding("currency", "refuse", said)

    def _own_currency(self) -> str | None:
        """The currency of an org that has one."""
        try:
            found = self._api.request("GET", "/connect/organization").json()
            return str(found["userSettings"]["userDefaultCurrencyIsoCode"])
        except (RequestRefusedError, DeliveryError, KeyError, TypeError):
            return None

    def _limits(self) -> Iterator[Finding]:
        try:
            limits: Any = self._api.request("GET", "/limits").json()
        except (RequestRefusedError, DeliveryError):
            said = Note("the limits cannot be read (View Setup and Configuration is missing)")
            yield Finding("limits", "warn", said)
            return
        if few := _running_out(limits.get("DailyApiRequests")):
            said = Note("{left} of {most} API requests are left for these 24 hours", **few)
            yield Finding("limits", "warn", said)
        if few := _running_out(limits.get("DailyBulkApiBatches")):
            said = Note("{left} of {most} bulk batches are left for these 24 hours", **few)
            yield Finding("limits", "warn", said)


def _running_out(limit: Any) -> dict[str, int]:
    """What is left of a daily limit, where it is little."""
    most, left = (limit or {}).get("Max"), (limit or {}).get("Remaining")
    return {"left": left, "most": most} if most and left is not None and left < _LOW * most else {}


def _key(target: Target, field: RemoteField | None) -> Iterator[Finding]:
    where = f"{target.object}.{target.key_field}"
    if field is None or not field.unique:
        values = {"field": where, "length": _KEY_LENGTH}
        if field is None:
            said = Note(
                "{field} does not exist, or the integration user does not see it, so a lost answer could make a lead "
                "twice; make it a Text({length}) field with External ID and Unique ticked",
                **values,
            )
        else:
            said = Note(
                "{field} is not unique, so a lost answer could make a lead twice; make it a Text({length}) field with "
                "External ID and Unique ticked",
                **values,
            )
        yield Finding("no_unique_key", "refuse", said)
    if field is None or not field.external_id:
        yield Finding("no_key_field", "refuse", Note("{field} is no external id, and upsert needs one", field=where))
        return
    if target.has_life and field.length < _KEY_LENGTH:
        said = Note(
            "{field} takes {length} characters; keys have {needed}",
            field=where,
            length=field.length,
            needed=_KEY_LENGTH,
        )
        yield Finding("key_length", "refuse", said)
    if not target.has_life and not field.case_sensitive:
        said = Note("{field} takes account ids that differ in case alone for the same", field=where)
        yield Finding("key_case", "warn", said)


def _writable(target: Target, name: str, field: RemoteField) -> bool:
    if not target.has_life:
        return field.updateable
    return field.createable and (field.updateable or name == "key_field" or name.startswith("constants."))


def _precision(name: str, digits: int, field: RemoteField) -> Iterator[Finding]:
    needed = digits if name == "propensity" else 0
    if field.type in ("double", "currency") and field.scale < needed:
        said = Note(
            "{field} keeps {scale} decimals; {name} needs {needed}",
            field=field.name,
            scale=field.scale,
            name=name,
            needed=needed,
        )
        yield Finding("field_scale", "warn", said)
    if field.html:
        said = Note("{field} is rich text and would lose line breaks; use plain Long Text", field=field.name)
        yield Finding("rich_text", "warn", said)


def _named(name: str, column: str, there: Description) -> str:
    """A setting and the field it names, with the one that may be meant."""
    near = get_close_matches(column, there.fields, 1, cutoff=0.85)
    given = f"{name}: {column}"
    return Note("{given} (did you mean {near}?)", given=given, near=near[0]) if near else given
