"""What a HubSpot account is like: its properties, pipelines, owners, currencies and what the access token may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from csql_ml.config.hubspot import HubSpot
from csql_ml.handoff.hubspot.api import Content, HubSpotApi, Refused, understood


@dataclass(frozen=True)
class Property:
    """A property's definition; ``options`` are the values an enumeration takes."""

    name: str
    type: str
    options: frozenset[str]
    unique: bool
    read_only: bool


@dataclass(frozen=True)
class Currencies:
    """The company's currency, and others that deals may be in."""

    company: str
    additional: frozenset[str]


class Owners:
    """Account executives of the contract and owners of HubSpot.

    Parameters
    ----------
    by_id
        Owner's id: e-mail.
    named
        Account executive: e-mail or id, as configured.
    """

    def __init__(self, by_id: Mapping[str, str], named: Mapping[str, str]) -> None:
        self._by_id = by_id
        self._by_mail = {mail.lower(): one for one, mail in by_id.items() if mail}
        self._named = named
        self._executives = {owner: ae for ae in sorted(named, reverse=True) if (owner := self.id_of(ae))}

    def id_of(self, executive: str) -> str | None:
        """Id of an executive's owner: as configured, or by being an owner's e-mail or id; None: there is none."""
        called = self._named.get(executive, executive).strip()
        return called if called in self._by_id else self._by_mail.get(called.lower())

    def executive(self, owner: str) -> str | None:
        """Who an owner is in the contract; for one that nobody is mapped to, the e-mail, or else the id."""
        if not owner:
            return None
        return self._executives.get(owner) or self._by_id.get(owner) or owner

    def unknown(self) -> list[str]:
        """Executives whose configured owner is not there."""
        return sorted(ae for ae in self._named if self.id_of(ae) is None)


class Portal:
    """Looks at an account; what was read once is kept, because it does not change during a push."""

    def __init__(self, api: HubSpotApi, settings: HubSpot) -> None:
        self._api = api
        self._settings = settings
        self._properties: dict[str, dict[str, Property]] = {}
        self._answers: dict[str, Content] = {}

    def properties(self, object_type: str) -> dict[str, Property]:
        """Definitions of an object's properties, by name."""
        if object_type not in self._properties:
            found = self._api.get(f"/crm/v3/properties/{object_type}").get("results", ())
            with understood(f"/crm/v3/properties/{object_type}"):
                self._properties[object_type] = _definitions(found)
        return self._properties[object_type]

    def unique(self, object_type: str, name: str) -> bool:
        """Whether HubSpot takes a value of this property once only."""
        found = self.properties(object_type).get(name)
        return found is not None and found.unique

    @cached_property
    def owners(self) -> Owners:
        """All owners who are not archived."""
        found = self._api.pages("/crm/v3/owners", limit="100", archived="false")
        return Owners({str(o["id"]): str(o.get("email") or "") for o in found}, self._settings.owners)

    def pipelines(self, object_type: str) -> dict[str, list[str]]:
        """Ids of pipelines and of their stages."""
        found = self._once(f"/crm/v3/pipelines/{object_type}").get("results", ())
        return {str(p["id"]): [str(s["id"]) for s in p.get("stages") or ()] for p in found}

    def association_types(self, from_type: str, to_type: str) -> set[int]:
        """Ids of the association types between two objects."""
        found = self._once(f"/crm/v4/associations/{from_type}/{to_type}/labels").get("results", ())
        return {int(t["typeId"]) for t in found}

    def currencies(self) -> Currencies:
        """In which currencies amounts are."""
        found = self._once("/account-info/v3/details")
        return Currencies(str(found.get("companyCurrency") or ""), _words(found.get("additionalCurrencies")))

    def _once(self, path: str) -> Content:
        """An answer that is kept where a later question fails: the next attempt at preflight goes on from here."""
        if path not in self._answers:
            self._answers[path] = self._api.get(path)
        return self._answers[path]

    def scopes(self, token: str) -> frozenset[str] | None:
        """What the token may do; None where HubSpot does not say (it is no token of a private app)."""
        try:
            found = self._api.order("/oauth/v2/private-apps/get/access-token-info", {"tokenKey": token})
        except Refused:
            return None
        return _words(found.get("scopes")) or None


def _definitions(found: Iterable[Content]) -> dict[str, Property]:
    return {
        p["name"]: Property(
            p["name"],
            p.get("type") or "string",
            frozenset(o["value"] for o in p.get("options") or ()),
            bool(p.get("hasUniqueValue")),
            bool((p.get("modificationMetadata") or {}).get("readOnlyValue")) or bool(p.get("calculated")),
        )
        for p in found
    }


def _words(found: object) -> frozenset[str]:
    return (
        frozenset(str(one) for one in found)
        if isinstance(found, Iterable) and not isinstance(found, str)
        else (frozenset())
    )
