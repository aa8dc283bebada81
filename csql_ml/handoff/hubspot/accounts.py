"""Whose lead it is: the company that holds our account id, and the contact a HubSpot lead must have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from csql_ml.config.hubspot import HubSpot
from csql_ml.handoff.hubspot.objects import Linked, Objects
from csql_ml.handoff.hubspot.portal import Portal

COMPANIES, CONTACTS = "companies", "contacts"
#: Type of the association from a company to a contact whose primary company it is.
_PRIMARY = 2


@dataclass(frozen=True)
class Account:
    """HubSpot's company of an account, and the contact for its leads (None for deals); or why there is none."""

    company: str | None = None
    contact: str | None = None
    problem: str | None = None


class Accounts:
    """Finds companies and contacts."""

    def __init__(self, objects: Objects, portal: Portal, settings: HubSpot) -> None:
        self._objects = objects
        self._portal = portal
        self._settings = settings

    def of(self, account_ids: Iterable[str]) -> dict[str, Account]:
        """The account in HubSpot of each of our account ids."""
        wanted, name = list(dict.fromkeys(account_ids)), self._settings.account_property
        unique = self._portal.unique(COMPANIES, name)
        there = self._objects.by_value(COMPANIES, name, wanted, (), unique=unique)
        found = {one: self._company(len(there.get(one, ())), [c.id for c in there.get(one, ())]) for one in wanted}
        return self._with_contacts(found) if self._settings.object == "leads" else found

    def _company(self, count: int, ids: list[str]) -> Account:
        name = self._settings.account_property
        if count == 0:
            return Account(problem=f"no HubSpot company has this account's id in {name}; fill it in there")
        if count > 1:
            return Account(problem=f"HubSpot companies {', '.join(ids[:5])} have the same {name}; merge them there")
        return Account(company=ids[0])

    def _with_contacts(self, accounts: dict[str, Account]) -> dict[str, Account]:
        companies = [a.company for a in accounts.values() if a.company]
        contacts = self._objects.linked(COMPANIES, CONTACTS, companies)
        return {one: self._with_contact(a, contacts.get(a.company or "", [])) for one, a in accounts.items()}

    def _with_contact(self, account: Account, contacts: list[Linked]) -> Account:
        if account.company is None:
            return account
        if not contacts:
            return Account(
                problem=f"HubSpot company {account.company} has no contact, and a lead needs one; associate one there, "
                "or set delivery.hubspot.object to deals"
            )
        label = self._settings.contact_label
        best = min(contacts, key=lambda c: (label not in c.labels, _PRIMARY not in c.types, int(c.id)))
        return Account(account.company, best.id)
