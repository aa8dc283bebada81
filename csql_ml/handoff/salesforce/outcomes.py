"""What sales made of leads, and every opportunity of accounts that carry our id, as rows of the contract.

Read are records whose SystemModstamp is at or after the cursor, which lies some minutes before the newest change seen:
a transaction that began earlier may become visible later. A lead is also read again when its opportunity changed.
Stages come with times from LeadHistory (where field history is kept) and OpportunityHistory (always kept); without a
history, the last modification stands for the time of a stage. Deleted records are not reported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from csql_ml.config.salesforce import OpportunityKind, Salesforce
from csql_ml.errors import DeliveryError
from csql_ml.handoff.salesforce.answers import RequestRefusedError
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.description import Description
from csql_ml.handoff.salesforce.mapping import CLOSED_FIELD, STATUS_FIELD, Statuses, Target
from csql_ml.handoff.salesforce.owners import Owners
from csql_ml.handoff.salesforce.soql import among, changed, instant
from csql_ml.handoff.sink import OutcomeChange

_OVERLAP = timedelta(minutes=10)
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
#: A lead's history names a conversion by this in its Field column.
_CONVERSION = "leadConverted"
_OPPORTUNITY = ("Id", "StageName", "IsWon", "IsClosed", "CreatedDate", "LastModifiedDate", "SystemModstamp", "OwnerId")

#: Values of Opportunity.Type as Salesforce comes with them.
_KINDS: Mapping[str, OpportunityKind] = {
    "Existing Customer - Upgrade": "expansion",
    "Existing Customer - Replacement": "renewal",
    "Existing Customer - Downgrade": "renewal",
    "New Customer": "new",
}

Row = Mapping[str, Any]
#: (time, stage), oldest first.
Stages = Sequence[tuple[str, str | None]]


@dataclass(frozen=True)
class _Case:
    """A CSQL with what belongs to it."""

    lead: Row
    opportunity: Row | None
    lead_stages: Stages = ()
    opportunity_stages: Stages = ()


@dataclass
class _Found:
    """Rows read, by id."""

    leads: dict[str, Row] = field(default_factory=dict)
    opportunities: dict[str, Row] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)


class Outcomes:
    """Reads outcomes.

    Parameters
    ----------
    target
        Where leads go.
    """

    def __init__(self, api: Api, settings: Salesforce, target: Target, statuses: Statuses, owners: Owners) -> None:
        self._api = api
        self._settings = settings
        self._target = target
        self._statuses = statuses
        self._owners = owners

    def since(self, cursor: str, described: Callable[[str], Description]) -> tuple[list[OutcomeChange], str]:
        """Rows changed since the cursor, and the next cursor (JSON: what was read, until when)."""
        times = _times(cursor)
        found = _Found(newest=dict(times))
        there = described("Opportunity").fields
        columns = [c for c in (*_OPPORTUNITY, "Type", "LeadSource", self._settings.arr_field) if c in there]
        if self._settings.account_key in described("Account").fields:
            self._read(found, "accounts", [*columns, self._account], "Opportunity", f"{self._account} != null")
        of_accounts = sorted(found.opportunities)
        if self._target.object == "Lead":
            self._leads(found, columns, described("Lead"))
        else:
            self._own_opportunities(found, columns, described("Opportunity"))
        stages = self._opportunity_stages(found.opportunities)
        cases = self._cases(found, stages)
        changes = [c for case in cases if (c := self._csql(case)) is not None]
        ours = {c.opportunity["Id"]: c.lead for c in cases if c.opportunity is not None}
        changes += [self._opportunity(found.opportunities[i], ours.get(i), stages.get(i, ())) for i in of_accounts]
        return changes, json.dumps(found.newest, sort_keys=True)

    def _read(self, found: _Found, name: str, columns: Sequence[str], source: str, condition: str) -> None:
        """Add what changed since the cursor to leads or opportunities; ``name`` is the cursor's."""
        since = found.newest.get(name, "")
        rows = changed(self._api, columns, source, condition, since)
        if rows:
            found.newest[name] = _overlapping(rows[-1], since)
        into = found.leads if name == "leads" else found.opportunities
        for row in rows:
            into.setdefault(row["Id"], row)

    @property
    def _account(self) -> str:
        return f"Account.{self._settings.account_key}"

    # reading

    def _lead_columns(self, there: Description) -> list[str]:
        names = ("account_id", "lead_type", "csm_id")
        mine = [self._target.fields[n] for n in names if n in self._target.fields]
        status, reason = STATUS_FIELD[self._target.object], self._settings.rejection_reason_field
        always = [
            "Id",
            self._settings.key_field,
            "OwnerId",
            status,
            "CreatedDate",
            "LastModifiedDate",
            "SystemModstamp",
        ]
        more = [CLOSED_FIELD[self._target.object], *(["ConvertedOpportunityId"] if there.name == "Lead" else [])]
        wanted = [*always, *more, *mine, *([reason] if reason else [])]
        return [c for c in dict.fromkeys(wanted) if c in there.fields]

    def _leads(self, found: _Found, columns: list[str], there: Description) -> None:
        """Leads that changed themselves, and those whose opportunity did."""
        lead_columns, key = self._lead_columns(there), self._settings.key_field
        self._read(found, "leads", lead_columns, "Lead", f"{key} != null")
        came_from = f"Id IN (SELECT ConvertedOpportunityId FROM Lead WHERE {key} != null)"
        self._read(found, "conversions", columns, "Opportunity", came_from)
        select = f"SELECT {', '.join(lead_columns)} FROM Lead"
        behind = among(self._api, select, "ConvertedOpportunityId", found.opportunities, f" AND {key} != null")
        found.leads |= {r["Id"]: r for r in behind}
        needed = {str(r["ConvertedOpportunityId"]) for r in found.leads.values() if r["ConvertedOpportunityId"]}
        select = f"SELECT {', '.join(columns)} FROM Opportunity"
        rest = among(self._api, select, "Id", needed - set(found.opportunities))
        found.opportunities |= {r["Id"]: r for r in rest}

    def _own_opportunities(self, found: _Found, columns: list[str], there: Description) -> None:
        """Opportunities that are CSQLs themselves."""
        wanted = list(dict.fromkeys([*self._lead_columns(there), *columns]))
        self._read(found, "leads", wanted, "Opportunity", f"{self._settings.key_field} != null")
        found.opportunities = {**found.leads, **found.opportunities}

    def _cases(self, found: _Found, stages: Mapping[str, Stages]) -> list[_Case]:
        leads = [found.leads[i] for i in sorted(found.leads)]
        converted = self._target.object == "Lead"
        owning = [str((lead["ConvertedOpportunityId"] if converted else lead["Id"]) or "") for lead in leads]
        opportunities = [found.opportunities.get(i) for i in owning]
        lead_stages = self._lead_stages(leads) if converted else {}
        self._owners.names(str(r["OwnerId"]) for r in (*leads, *(o for o in opportunities if o is not None)))
        return [
            _Case(lead, o, lead_stages.get(lead["Id"], ()), stages.get(o["Id"], ()) if o is not None else ())
            for lead, o in zip(leads, opportunities, strict=True)
        ]

    def _lead_stages(self, leads: Iterable[Row]) -> dict[str, list[tuple[str, str | None]]]:
        """Stages by lead; `_CONVERSION` stands for a conversion. Empty where no field history is kept."""
        select = "SELECT LeadId, Field, NewValue, CreatedDate FROM LeadHistory"
        condition = f" AND Field IN ('Status', '{_CONVERSION}') ORDER BY CreatedDate, Id"
        try:
            rows = among(self._api, select, "LeadId", [lead["Id"] for lead in leads], condition)
        except RequestRefusedError:
            return {}
        found: dict[str, list[tuple[str, str | None]]] = {}
        for row in rows:
            stage = _CONVERSION if row["Field"] == _CONVERSION else row["NewValue"]
            found.setdefault(row["LeadId"], []).append((instant(row["CreatedDate"]), stage))
        return found

    def _opportunity_stages(self, ids: Iterable[str]) -> dict[str, list[tuple[str, str | None]]]:
        select = "SELECT OpportunityId, StageName, CreatedDate FROM OpportunityHistory"
        found: dict[str, list[tuple[str, str | None]]] = {}
        for row in among(self._api, select, "OpportunityId", ids, " ORDER BY CreatedDate, Id"):
            found.setdefault(row["OpportunityId"], []).append((instant(row["CreatedDate"]), row["StageName"]))
        return found

    # rows

    def _csql(self, case: _Case) -> OutcomeChange | None:
        """The row of a lead; None for one that was withdrawn before sales took it on."""
        lead, opportunity = case.lead, case.opportunity
        accepted, rejected = self._answered(case)
        if self._statuses.standing(lead[STATUS_FIELD[self._target.object]]) == "withdrawn" and accepted is None:
            return None
        key = str(lead[self._settings.key_field])
        owner = (opportunity or lead)["OwnerId"]
        names = self._owners.names([owner])
        row = {
            "csql_id": key,
            "account_id": self._of(lead, "account_id"),
            "type": self._of(lead, "lead_type"),
            "created_at": instant(lead["CreatedDate"]),
            "csm_id": self._of(lead, "csm_id"),
            "ae_id": names.get(owner),
            "accepted_at": accepted,
            "rejected_at": rejected,
            "rejection_reason": lead.get(self._settings.rejection_reason_field or "") if rejected else None,
            "opportunity_at": self._became_opportunity(case, accepted),
            **self._closing(opportunity, case.opportunity_stages, rejected),
            "source": "CSQL",
            "recorded_at": max(instant(r["SystemModstamp"]) for r in (lead, opportunity) if r is not None),
        }
        return OutcomeChange("csqls", str(lead["Id"]), key, row)

    def _of(self, lead: Row, name: str) -> Any:
        return lead.get(self._target.fields.get(name, "")) or None

    def _answered(self, case: _Case) -> tuple[str | None, str | None]:
        """When sales took a lead on, and when it turned it down."""
        lead = case.lead
        status, closed = lead[STATUS_FIELD[self._target.object]], bool(lead[CLOSED_FIELD[self._target.object]])
        stages = case.lead_stages if self._target.object == "Lead" else case.opportunity_stages
        standings = [(at, "accepted" if s == _CONVERSION else self._statuses.standing(s)) for at, s in stages]
        accepted = next((at for at, standing in standings if standing == "accepted"), None)
        now = self._statuses.standing(status)
        changed_at = instant(lead["LastModifiedDate"])
        if accepted is None and now not in ("rejected", "withdrawn") and (closed or now == "accepted"):
            accepted = changed_at
        if now != "rejected":
            return accepted, None
        return accepted, next((at for at, standing in reversed(standings) if standing == "rejected"), changed_at)

    def _became_opportunity(self, case: _Case, accepted: str | None) -> str | None:
        if case.opportunity is None:
            return None
        if self._target.object == "Opportunity":
            return accepted
        # A converted lead cannot be edited any more, so its last modification is the conversion.
        converted = (at for at, stage in case.lead_stages if stage == _CONVERSION)
        return next(converted, instant(case.lead["LastModifiedDate"]))

    def _closing(self, opportunity: Row | None, stages: Stages, rejected: str | None = None) -> dict[str, Any]:
        if opportunity is None or not opportunity["IsClosed"] or rejected is not None:
            return {"closed_at": None, "won": None, "arr": None}
        won = bool(opportunity["IsWon"])
        amount = float(opportunity.get(self._settings.arr_field) or 0.0)
        return {"closed_at": _closed_at(opportunity, stages), "won": won, "arr": max(amount, 0.0) if won else None}

    def _opportunity(self, row: Row, lead: Row | None, stages: Stages) -> OutcomeChange:
        kinds = {**_KINDS, **self._settings.opportunity_types}
        kind = kinds.get(str(row.get("Type")), self._settings.other_types)
        closing = self._closing(row, stages)
        found = {
            "opportunity_id": f"salesforce:{row['Id']}",
            "account_id": (row["Account"] or {}).get(self._settings.account_key),
            "type": "expansion" if lead is not None else kind,
            "created_at": instant(row["CreatedDate"]),
            "arr": max(float(row.get(self._settings.arr_field) or 0.0), 0.0),
            "closed_at": closing["closed_at"],
            "won": closing["won"],
            "source": row.get("LeadSource"),
            "recorded_at": instant(row["SystemModstamp"]),
        }
        key = str(lead[self._settings.key_field]) if lead is not None else None
        return OutcomeChange("opportunities", str(row["Id"]), key, found)


def _closed_at(opportunity: Row, stages: Stages) -> str:
    """When the stage it is in now was entered, the last time that happened."""
    entered = None
    for at, stage in reversed(stages):
        if stage != opportunity["StageName"]:
            break
        entered = at
    return entered or instant(opportunity["LastModifiedDate"])


def _times(cursor: str) -> dict[str, str]:
    """A cursor's times."""
    if not cursor:
        return {}
    try:
        found = json.loads(cursor)
        for at in found.values():
            datetime.strptime(at, _FORMAT)  # noqa: DTZ007 - only its form is looked at
    except (ValueError, TypeError, AttributeError):
        raise DeliveryError("the cursor of csql pull is none that this sink made; pull from the beginning") from None
    return {str(name): at for name, at in found.items()}


def _overlapping(last: Row, since: str) -> str:
    """Where to read on: some time before the newest change, never before the last start."""
    newest = datetime.strptime(instant(last["SystemModstamp"]), _FORMAT) - _OVERLAP  # noqa: DTZ007 - UTC, with a Z
    return max(newest.strftime("%Y-%m-%dT%H:%M:%S.") + f"{newest.microsecond // 1000:03d}Z", since)
