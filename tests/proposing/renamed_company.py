"""The simulated company as its vendors would export it: other files, other formats, other names."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

#: Contract table -> the export's file (or folder) and its columns by contract column.
EXPORTS: dict[str, tuple[str, dict[str, str]]] = {
    "accounts": (
        "Account.csv",
        {
            "account_id": "Id",
            "name": "Name",
            "created_at": "Customer_Since__c",
            "industry": "Industry",
            "segment": "Segment__c",
            "region": "BillingCountry",
            "employees": "NumberOfEmployees",
            "csm_id": "CSM__c",
            "ae_id": "OwnerId",
            "parent_account_id": "ParentId",
        },
    ),
    "contracts": (
        "Subscriptions.csv",
        {
            "contract_id": "Subscription Number",
            "account_id": "AccountId",
            "product": "Product Name",
            "plan": "Plan Tier",
            "seats": "Licenses",
            "arr": "Annual Value EUR",
            "start_date": "Starts On",
            "end_date": "Expiry Date",
            "signed_at": "Signed Date",
        },
    ),
    "users": (
        "product_users.jsonl",
        {
            "user_id": "id",
            "account_id": "org_id",
            "created_at": "signed_up_at",
            "deactivated_at": "disabledAt",
            "role": "userRole",
        },
    ),
    "events": (
        "tracks",
        {
            "event_id": "message_id",
            "account_id": "groupId",
            "user_id": "distinct_id",
            "occurred_at": "timestamp",
            "event_name": "event",
            "feature": "feature_name",
            "recorded_at": "recorded_at",
        },
    ),
    "tickets": (
        "zendesk_tickets.csv",
        {
            "ticket_id": "id",
            "account_id": "organization_id",
            "opened_at": "created_at",
            "severity": "priority",
            "closed_at": "solved_at",
            "topic": "category",
        },
    ),
    "nps": (
        "Survey Responses.csv",
        {"account_id": "company_id", "responded_at": "submitted_at", "score": "nps_score", "user_id": "respondent_id"},
    ),
    "advocacy": (
        "advocacy_activities.csv",
        {"account_id": "companyId", "occurred_at": "date", "kind": "activityType"},
    ),
    "milestones": (
        "qbr_notes.csv",
        {"account_id": "account", "occurred_at": "qbr_date", "kind": "outcome", "product": "module", "note": "comment"},
    ),
    "contacts": (
        "hubspot_contacts.csv",
        {
            "contact_id": "vid",
            "account_id": "associatedcompanyid",
            "role": "hs_buying_role",
            "since": "createdate",
            "last_engaged_at": "notes_last_contacted",
            "name": "full_name",
            "recorded_at": "recorded_at",
        },
    ),
    "csqls": (
        "cs_leads.csv",
        {
            "csql_id": "lead_id",
            "account_id": "customer_id",
            "type": "lead_type",
            "created_at": "raised_at",
            "csm_id": "csm",
            "ae_id": "account_executive",
            "accepted_at": "accepted_date",
            "rejected_at": "rejected_date",
            "rejection_reason": "reject_reason",
            "opportunity_at": "converted_date",
            "closed_at": "closed_date",
            "won": "is_won",
            "arr": "incremental_arr",
            "source": "lead_source",
        },
    ),
    "opportunities": (
        "Opportunity.csv",
        {
            "opportunity_id": "Id",
            "account_id": "AccountId",
            "type": "Type",
            "created_at": "CreatedDate",
            "arr": "Amount",
            "closed_at": "CloseDate",
            "won": "IsWon",
            "source": "LeadSource",
        },
    ),
    "coverage": ("csm_coverage.csv", {"csm_id": "csm", "start_date": "start", "end_date": "end"}),
}


def export(company: Path, folder: Path) -> None:
    """Write a simulated company's tables under the names of `EXPORTS`."""
    folder.mkdir(parents=True)
    for table, (place, names) in EXPORTS.items():
        if table == "events":
            (folder / place).mkdir()
            for file in sorted((company / "events").glob("*.parquet")):
                pq.write_table(_renamed(pq.read_table(file), names), folder / place / file.name)
            continue
        rows = _renamed(pq.read_table(company / f"{table}.parquet"), names)
        if place.endswith(".jsonl"):
            records = _texts(rows).to_pylist()
            (folder / place).write_text("".join(f"{json.dumps(r)}\n" for r in records), encoding="utf-8")
        else:
            pv.write_csv(rows, folder / place)


def _renamed(rows: pa.Table, names: dict[str, str]) -> pa.Table:
    return rows.select(list(names)).rename_columns(list(names.values()))


def _texts(rows: pa.Table) -> pa.Table:
    return pa.table({name: pc.cast(rows.column(name), pa.string()) for name in rows.column_names})
