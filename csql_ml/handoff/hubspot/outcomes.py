"""Outcomes back: leads that carry our key, and the deals of companies that carry our account ids.

What changed is found by search, in the order of its change; states, and when each stage was entered, are then read by
id with the history of the stage. A deal that changes brings its lead along, since that is where a lead is won.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csql_ml.config.hubspot import HubSpot
from csql_ml.errors import DeliveryError
from csql_ml.handoff.hubspot.accounts import COMPANIES
from csql_ml.handoff.hubspot.api import Content
from csql_ml.handoff.hubspot.layout import Layout
from csql_ml.handoff.hubspot.objects import MODIFIED, Found, Linked, Objects
from csql_ml.handoff.hubspot.portal import Portal
from csql_ml.handoff.hubspot.stages import Deal, deal, of_deal, of_lead, way
from csql_ml.handoff.hubspot.values import read, utc
from csql_ml.handoff.sink import OutcomeChange

DEALS, LEADS = "deals", "leads"
#: Type of the association from a deal to its primary company.
_PRIMARY = 5
_DEAL_STATE = ("dealstage", "hs_is_closed", "hs_is_closed_won", MODIFIED)


@dataclass(frozen=True)
class _Deals:
    """Deals by id: as they are in HubSpot, as outcomes, and the account of each that has one."""

    found: Mapping[str, Found]
    states: Mapping[str, Deal]
    accounts: Mapping[str, str]


class Pull:
    """Reads outcomes."""

    def __init__(self, objects: Objects, portal: Portal, layout: Layout, settings: HubSpot, lead_source: str) -> None:
        self._objects = objects
        self._portal = portal
        self._layout = layout
        self._settings = settings
        self._lead_source = lead_source

    def changes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        """Rows of what changed since the cursor, and the next cursor: the times of the newest changes seen."""
        since = _times(cursor)
        conditions: list[Content] = [{"propertyName": self._settings.key_property, "operator": "HAS_PROPERTY"}]
        if self._settings.object == DEALS:
            deals = self._changed(DEALS, since)
            rows = self._of_deals(deals)
        else:
            leads, deals = self._changed(LEADS, since, conditions), self._changed(DEALS, since)
            rows = self._of_leads(leads, deals)
            since[LEADS] = max([since[LEADS], *leads.values()])
        since[DEALS] = max([since[DEALS], *deals.values()])
        return rows, json.dumps(since, sort_keys=True, separators=(",", ":"))

    def _changed(
        self, object_type: str, since: Mapping[str, int], conditions: Sequence[Content] = ()
    ) -> dict[str, int]:
        """Ids of what changed, and when."""
        start = max(since[object_type] - int(self._settings.overlap * 1000), 0)
        return {one.id: one.modified for one in self._objects.changed(object_type, start, (), conditions)}

    # leads that become deals

    def _of_leads(self, changed: Iterable[str], changed_deals: Iterable[str]) -> list[OutcomeChange]:
        of_deals = self._objects.linked(DEALS, LEADS, changed_deals)
        ids = {*changed, *(link.id for links in of_deals.values() for link in links)}
        leads = self._ours(self._objects.by_id(LEADS, ids, self._asked(), [self._settings.own.stage_property]))
        links = self._objects.linked(LEADS, DEALS, leads)
        deals = self._deals({*changed_deals, *(link.id for some in links.values() for link in some)})
        own = {one: self._made_from(lead, links.get(one, ()), deals) for one, lead in leads.items()}
        rows = [row for one, lead in leads.items() if (row := self._lead_row(lead, own[one])) is not None]
        keys = {d.id: leads[one][self._settings.key_property] for one, made in own.items() for d in made}
        return [*rows, *self._opportunities(deals, keys)]

    def _made_from(self, lead: Found, links: Iterable[Linked], deals: _Deals) -> list[Deal]:
        """A lead's deals, the first one first; those that were there before it have another origin."""
        found = [deals.states[link.id] for link in links if link.id in deals.states]
        return sorted((d for d in found if d.created >= lead.created), key=lambda d: (d.created, int(d.id)))

    def _lead_row(self, lead: Found, deals: Sequence[Deal]) -> OutcomeChange | None:
        stages, stage = self._settings.stage_ids, self._settings.own.stage_property
        columns = of_lead(way(lead, stage), deals, stages, withdrawn=self._layout.withdrawn(lead))
        recorded = max([lead.modified, *(d.modified for d in deals)])
        return None if columns is None else self._csql(lead, columns, recorded)

    # leads that are deals

    def _of_deals(self, changed: Iterable[str]) -> list[OutcomeChange]:
        deals = self._deals(changed)
        ours = self._ours(deals.found)
        begun, rows = {}, []
        for one, found in ours.items():
            columns = of_deal(
                way(found, "dealstage"),
                deals.states[one],
                self._settings.stage_ids,
                withdrawn=self._layout.withdrawn(found),
            )
            if columns is not None:
                rows.append(self._csql(found, columns, found.modified))
            if columns is not None and columns["opportunity_at"] is not None:
                begun[one] = found[self._settings.key_property]
        others = {one: d for one, d in deals.found.items() if one not in ours or one in begun}
        return [*rows, *self._opportunities(_Deals(others, deals.states, deals.accounts), begun)]

    # rows

    def _csql(self, lead: Found, columns: Mapping[str, Any], recorded: int) -> OutcomeChange:
        names, key = self._layout.properties, lead[self._settings.key_property]
        reason = read(lead[self._settings.rejection_property], "text") if columns["rejected_at"] else None
        owner = lead[names["owner"]] if "owner" in names else ""
        row = {
            "csql_id": key,
            "account_id": lead[names["account_id"]],
            "type": lead[names["lead_type"]],
            "created_at": utc(lead.created),
            "csm_id": read(lead[names["csm_id"]], "text") if "csm_id" in names else None,
            "ae_id": self._portal.owners.executive(owner),
            **columns,
            "rejection_reason": reason,
            "source": self._lead_source,
            "recorded_at": utc(recorded),
        }
        return OutcomeChange("csqls", f"{self._settings.object}:{lead.id}", key, row)

    def _opportunities(self, deals: _Deals, keys: Mapping[str, str]) -> list[OutcomeChange]:
        """Deals of companies that carry an account id; those in ``keys`` came from a lead of ours."""
        rows = []
        for one, found in sorted(deals.found.items(), key=lambda entry: int(entry[0])):
            kind = (
                "expansion"
                if one in keys
                else self._settings.opportunity_types.get(found[self._settings.type_property])
            )
            state, account = deals.states[one], deals.accounts.get(one)
            if kind is None or account is None or state.amount is None:
                continue
            other = self._settings.source_property
            row = {
                "opportunity_id": f"hubspot:{one}",
                "account_id": account,
                "type": kind,
                "created_at": utc(state.created),
                "arr": state.amount,
                "closed_at": utc(state.closed),
                "won": state.won,
                "source": self._lead_source if one in keys else read(found[other], "text") if other else None,
                "recorded_at": utc(state.modified),
            }
            rows.append(OutcomeChange("opportunities", f"deals:{one}", keys.get(one), row))
        return rows

    # reading

    def _asked(self) -> list[str]:
        return [*self._layout.read_properties, self._settings.rejection_property, MODIFIED]

    def _ours(self, found: Mapping[str, Found]) -> dict[str, Found]:
        """Records with a key, an account and a type: what is needed for a row."""
        names = self._layout.properties
        needed = (self._settings.key_property, names["account_id"], names["lead_type"])
        return {one: f for one, f in sorted(found.items(), key=lambda e: int(e[0])) if all(f[n] for n in needed)}

    def _deals(self, ids: Iterable[str]) -> _Deals:
        settings = self._settings
        asked = [*_DEAL_STATE, settings.amount_property, settings.type_property]
        asked += [settings.source_property] if settings.source_property else []
        asked += self._asked() if settings.object == DEALS else []
        found = self._objects.by_id(DEALS, ids, set(asked), ["dealstage"])
        states = {one: deal(f, _amount(f[settings.amount_property])) for one, f in found.items()}
        return _Deals(found, states, self._accounts(found))

    def _accounts(self, deals: Iterable[str]) -> dict[str, str]:
        """Our account id of each deal's company: its primary one, else the first."""
        links = self._objects.linked(DEALS, COMPANIES, deals)
        chosen = {
            one: min(some, key=lambda c: (_PRIMARY not in c.types, int(c.id))).id for one, some in links.items() if some
        }
        name = self._settings.account_property
        companies = self._objects.by_id(COMPANIES, chosen.values(), [name])
        return {one: companies[c][name] for one, c in chosen.items() if c in companies and companies[c][name]}


def _amount(text: str) -> float | None:
    found = read(text, "number")
    return found if isinstance(found, float) else None


def _times(cursor: str) -> dict[str, int]:
    try:
        found = json.loads(cursor) if cursor else {}
        return {name: int(found.get(name, 0)) for name in (DEALS, LEADS)}
    except (ValueError, AttributeError, TypeError) as error:
        raise DeliveryError("the cursor of the last pull is not one of hubspot's; pull everything again") from error
