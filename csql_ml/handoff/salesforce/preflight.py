"""What is looked at before anything is sent: key, permissions, field names, statuses, owners, currency, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from csql_ml.errors import DeliveryError
from csql_ml.handoff.fields import FIELDS
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
_LIMITS = {"DailyApiRequests": "API requests", "DailyBulkApiBatches": "bulk batches"}
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
            what = "create and change" if target.has_life else "change"
            yield Finding("permission", "refuse", f"the integration user may not {what} {target.object} records")

    def _fields(self, target: Target, there: Description) -> Iterator[Finding]:
        """Names that are missing, fields that cannot be written, and those of another type."""
        named = dict(target.fields)
        if target.has_life:
            named |= {"key_field": target.key_field, "status": STATUS_FIELD[target.object], "owner": "OwnerId"}
            named |= {f"constants.{name}": name for name in self._settings.constants}
        missing = {n: c for n, c in named.items() if c not in there.fields and n != "key_field"}
        if missing:
            names = "; ".join(f"{n}: {c}{_nearest(c, there)}" for n, c in missing.items())
            yield Finding(
                "field_missing",
                "refuse",
                f"{target.object} has no such fields, or the integration user does not see them: {names}",
            )
        present = {n: there.fields[c] for n, c in named.items() if c in there.fields}
        locked = [f.name for n, f in present.items() if not _writable(target, n, f)]
        if locked:
            yield Finding("field_permission", "refuse", f"the integration user may not write {', '.join(locked)}")
        for declared in FIELDS[target.kind]:
            field = present.get(declared.name) if declared.name in target.fields else None
            if field is not None and field.type not in _TYPES[declared.dtype]:
                message = (
                    f"{declared.name} is a {declared.dtype}, but {target.object}.{field.name} is of type {field.type}"
                )
                yield Finding("field_type", "refuse", message)
            elif field is not None:
                yield from _precision(declared.name, declared.digits, field)
        yield from self._required(target, there, set(named.values()))

    def _required(self, target: Target, there: Description, written: set[str]) -> Iterator[Finding]:
        if not target.has_life:
            return
        filled = written | {"CloseDate", "Amount", "CurrencyIsoCode"}
        bare = sorted(f.name for f in there.fields.values() if f.required and f.name not in filled)
        if bare:
            yield Finding(
                "required_field",
                "refuse",
                f"a new {target.object} needs {', '.join(bare)}, which nothing fills; set delivery.salesforce.fields "
                "or .constants",
            )

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
                yield Finding(
                    name,
                    "refuse",
                    f"{target.object}.{field.name} has no active value {' or '.join(map(repr, missing))}: add it there",
                )
        ours = {self._statuses.open, self._statuses.withdrawn}
        if len(ours) == 1:
            yield Finding("status", "refuse", "statuses.open and statuses.withdrawn are the same value")

    def _people(self) -> Iterator[Finding]:
        settings = self._settings
        named = [*settings.owners.values(), *([settings.default_owner] if settings.default_owner else [])]
        if not named and not settings.owner_field:
            yield Finding(
                "owners",
                "refuse",
                "no way leads from account executives to users; set owners, owner_field or default_owner",
            )
        if settings.owner_field and settings.owner_field not in self._described("User").fields:
            yield Finding("owners", "refuse", f"User has no field {settings.owner_field}, or it cannot be seen")
        if inactive := self._owners.inactive(named):
            yield Finding("inactive_owner", "warn", f"no active users: {', '.join(sorted(set(inactive)))}")

    def _account_key(self, target: Target) -> Iterator[Finding]:
        """The account's id on Account: opportunities name their account by it, and csql pull finds accounts by it."""
        key = self._described("Account").fields.get(self._settings.account_key)
        if key is None or (target.object == "Opportunity" and not key.external_id):
            yield Finding(
                "account_key",
                "refuse" if target.object == "Opportunity" else "warn",
                f"Account has no external id field {self._settings.account_key}; without it "
                + ("no opportunity has an account" if target.object == "Opportunity" else "csql pull sees leads only"),
            )

    def _currency(self, target: Target, there: Description) -> Iterator[Finding]:
        money = [c for c in target.fields.values() if c in there.fields and there.fields[c].type == "currency"]
        # A new opportunity's Amount is money whatever else is mapped.
        if not money and target.object != "Opportunity":
            return
        ours = self._config.company.currency
        code = there.fields.get("CurrencyIsoCode")
        if code is not None:
            if ours not in code.values:
                yield Finding(
                    "currency", "refuse", f"{ours} is not active in Salesforce; add it under Company Information"
                )
            elif target.fields.get("currency") != "CurrencyIsoCode":
                yield Finding(
                    "currency",
                    "refuse",
                    f"Salesforce has several currencies and would take amounts in {ours} for the integration user's; "
                    "set delivery.salesforce.fields.currency to CurrencyIsoCode",
                )
            return
        theirs = self._own_currency()
        if theirs is None:
            yield Finding("currency", "warn", f"Salesforce does not say its currency; amounts are sent in {ours}")
        elif theirs != ours:
            yield Finding(
                "currency", "refuse", f"amounts are in {ours}, Salesforce counts in {theirs}; map them to number fields"
            )

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
            yield Finding("limits", "warn", "the limits cannot be read (View Setup and Configuration is missing)")
            return
        for name, what in _LIMITS.items():
            given = limits.get(name) or {}
            most, left = given.get("Max"), given.get("Remaining")
            if most and left is not None and left < _LOW * most:
                yield Finding("limits", "warn", f"{left} of {most} {what} are left for these 24 hours")


def _key(target: Target, field: RemoteField | None) -> Iterator[Finding]:
    where = f"{target.object}.{target.key_field}"
    if field is None or not field.unique:
        what = "does not exist, or the integration user does not see it" if field is None else "is not unique"
        yield Finding(
            "no_unique_key",
            "refuse",
            f"{where} {what}, so a lost answer could make a lead twice; make it a Text({_KEY_LENGTH}) field with "
            "External ID and Unique ticked",
        )
    if field is None or not field.external_id:
        yield Finding("no_key_field", "refuse", f"{where} is no external id, and upsert needs one")
        return
    if target.has_life and field.length < _KEY_LENGTH:
        yield Finding("key_length", "refuse", f"{where} takes {field.length} characters; keys have {_KEY_LENGTH}")
    if not target.has_life and not field.case_sensitive:
        yield Finding("key_case", "warn", f"{where} takes account ids that differ in case alone for the same")


def _writable(target: Target, name: str, field: RemoteField) -> bool:
    if not target.has_life:
        return field.updateable
    return field.createable and (field.updateable or name == "key_field" or name.startswith("constants."))


def _precision(name: str, digits: int, field: RemoteField) -> Iterator[Finding]:
    needed = digits if name == "propensity" else 0
    if field.type in ("double", "currency") and field.scale < needed:
        yield Finding("field_scale", "warn", f"{field.name} keeps {field.scale} decimals; {name} needs {needed}")
    if field.html:
        yield Finding("rich_text", "warn", f"{field.name} is rich text and would lose line breaks; use plain Long Text")


def _nearest(name: str, there: Description) -> str:
    near = get_close_matches(name, there.fields, 1, cutoff=0.85)
    return f" (did you mean {near[0]}?)" if near else ""
