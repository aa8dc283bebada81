"""What sales made of leads. Against a server of the project's own, which is not the vendor's system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from csql_ml.contract.tables import CSQLS, OPPORTUNITIES
from csql_ml.errors import DeliveryError
from csql_ml.handoff.salesforce import soql
from csql_ml.handoff.sink import OutcomeChange
from tests.crm.salesforce_server import SalesforceServer
from tests.handoff.salesforce_case import key, record, sink

WORKING, REJECTED = "Working - Contacted", "Closed - Not Converted"


@pytest.fixture
def server() -> Iterator[SalesforceServer]:
    with SalesforceServer() as found:
        found.org.add_account("A1")
        sink(found).submit("lead", [record(n) for n in range(1, 5)], "")
        yield found
    assert found.violations == [], "every request keeps its schema"


def lead_id(server: SalesforceServer, number: int) -> str:
    return str(server.org.by_key(key(number))["Id"])


def pulled(server: SalesforceServer, cursor: str = "", **given: Any) -> tuple[dict[str, dict[str, Any]], str]:
    """Rows by lead key or opportunity id."""
    changes, after = sink(server, **given).outcomes(cursor)
    for change in changes:
        columns = {c.name for c in (CSQLS if change.table == "csqls" else OPPORTUNITIES).columns}
        assert set(change.row) <= columns | {"recorded_at"}
    return {str(c.row.get("csql_id") or c.row["opportunity_id"]): dict(c.row) for c in changes}, after


def times(row: dict[str, Any]) -> list[str | None]:
    names = ("accepted_at", "rejected_at", "opportunity_at", "closed_at")
    return [row[n] and row[n][11:16] for n in names]


def test_the_life_of_leads(server: SalesforceServer) -> None:
    org = server.org
    org.pass_time(hours=1)
    for number in (1, 2, 3):
        org.edit("Lead", lead_id(server, number), Status=WORKING)
    org.pass_time(hours=1)
    org.edit("Lead", lead_id(server, 2), Status=REJECTED, CSQL_Rejection_Reason__c="no budget")
    won = org.convert(lead_id(server, 3))
    org.pass_time(hours=1)
    org.edit("Opportunity", won, StageName="Closed Won", Amount=12_000.0)
    org.pass_time(hours=1)
    org.edit("Lead", lead_id(server, 1), Company="renamed later")
    org.edit("Opportunity", won, Amount=13_000.0)
    rows, _ = pulled(server, rejection_reason_field="CSQL_Rejection_Reason__c")
    assert times(rows[key(1)]) == ["09:00", None, None, None]
    assert times(rows[key(2)]) == ["09:00", "10:00", None, None]
    assert rows[key(2)]["rejection_reason"] == "no budget"
    assert times(rows[key(3)]) == ["09:00", None, "10:00", "11:00"]
    assert (rows[key(3)]["won"], rows[key(3)]["arr"], rows[key(3)]["recorded_at"][11:16]) == (True, 13_000.0, "12:00")
    assert times(rows[key(4)]) == [None] * 4
    common = {n: rows[key(4)][n] for n in ("account_id", "type", "csm_id", "ae_id", "source", "created_at")}
    assert common == {
        "account_id": "A1",
        "type": "upsell",
        "csm_id": "CSM-1",
        "ae_id": "AE-1",
        "source": "CSQL",
        "created_at": "2026-07-01T08:00:00.040Z",
    }


def test_without_field_history_the_last_modification_stands_in(server: SalesforceServer) -> None:
    server.org.history = False
    server.org.history_rows["LeadHistory"].clear()
    server.org.pass_time(hours=1)
    server.org.edit("Lead", lead_id(server, 1), Status=WORKING)
    server.org.edit("Lead", lead_id(server, 2), Status=REJECTED)
    server.org.convert(lead_id(server, 3))
    rows, _ = pulled(server)
    assert times(rows[key(1)]) == ["09:00", None, None, None]
    assert times(rows[key(2)]) == [None, "09:00", None, None]
    assert times(rows[key(3)]) == ["09:00", None, "09:00", None]


def test_what_was_withdrawn_unanswered_is_no_outcome(server: SalesforceServer) -> None:
    sink(server).submit("lead", [record(1, {"status"}, status="withdrawn")], "")
    rows, _ = pulled(server)
    assert set(rows) == {key(2), key(3), key(4)}


@pytest.mark.parametrize(
    ("accepted", "status", "expected"),
    [((), "Nurturing", True), ((WORKING,), "Nurturing", False), ((WORKING,), WORKING, True)],
)
def test_which_statuses_count_as_accepted(
    server: SalesforceServer, accepted: tuple[str, ...], status: str, expected: bool
) -> None:
    server.org.edit("Lead", lead_id(server, 1), Status=status)
    rows, _ = pulled(server, statuses={"accepted": accepted})
    assert bool(rows[key(1)]["accepted_at"]) == expected


def test_every_opportunity_of_a_known_account_is_reported(server: SalesforceServer) -> None:
    org = server.org
    account = org.add_account("A7")
    given = {"Name": "x", "StageName": "Prospecting", "CloseDate": "2026-09-01", "AccountId": account, "Amount": 50.0}
    org.insert("Opportunity", {**given, "Type": "New Customer", "LeadSource": "Web"})
    upgrade = org.insert("Opportunity", {**given, "Type": "Existing Customer - Upgrade"})
    org.insert("Opportunity", {**given, "Type": "Renewal", "Amount": -5.0})
    org.insert("Opportunity", {"Name": "no account", "StageName": "Prospecting", "CloseDate": "2026-09-01"})
    ours = org.convert(lead_id(server, 1))
    org.edit("Opportunity", upgrade, StageName="Closed Lost")
    rows, _ = pulled(server)
    found = {i: r for i, r in rows.items() if i.startswith("salesforce:")}
    assert [(r["account_id"], r["type"], r["arr"], r["won"], r["source"]) for _, r in sorted(found.items())] == [
        ("A7", "new", 50.0, None, "Web"),
        ("A7", "expansion", 50.0, False, None),
        ("A7", "renewal", 0.0, None, None),
        ("A1", "expansion", 0.0, None, "CSQL"),
    ]
    assert f"salesforce:{ours}" in found
    changes, _ = sink(server).outcomes("")
    assert [c.key for c in changes if c.remote_id == ours] == [key(1)]


def test_the_cursor_overlaps_and_loses_nothing(server: SalesforceServer) -> None:
    org = server.org
    everything, cursor = pulled(server)
    assert set(everything) == {key(n) for n in range(1, 5)}
    org.pass_time(hours=1)
    won = org.convert(lead_id(server, 1))
    rows, cursor = pulled(server, cursor)
    assert {key(1), f"salesforce:{won}"} <= set(rows)
    org.pass_time(hours=1)
    org.edit("Opportunity", won, StageName="Closed Won", Amount=900.0)
    rows, cursor = pulled(server, cursor)
    assert (rows[key(1)]["won"], rows[key(1)]["arr"]) == (True, 900.0), "the lead follows its opportunity"
    assert key(2) not in rows
    same, again = pulled(server, cursor)
    assert (same, again) == (rows, cursor), "the same CRM, the same rows"


def test_equal_times_are_paged_by_id(server: SalesforceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soql, "PAGE", 3)
    for row in server.org.rows["Lead"].values():
        row["SystemModstamp"] = "2026-07-01T08:00:00.000+0000"
    sink(server).submit("lead", [record(n) for n in range(5, 12)], "")
    rows, _ = pulled(server)
    assert set(rows) == {key(n) for n in range(1, 12)}


def test_a_cursor_of_another_kind_is_refused(server: SalesforceServer) -> None:
    for cursor in ("yesterday", '{"leads": "2026-07-01\' OR Id != null"}', "[]"):
        with pytest.raises(DeliveryError, match="cursor of csql pull"):
            sink(server).outcomes(cursor)


def test_opportunities_as_leads(server: SalesforceServer) -> None:
    org, asked = server.org, sink(server, object="Opportunity")
    asked.submit("lead", [record(n) for n in range(1, 5)], "")
    ids = {n: str(org.by_key(key(n), "Opportunity")["Id"]) for n in range(1, 5)}
    org.pass_time(hours=1)
    org.edit("Opportunity", ids[1], StageName="Qualification")
    org.edit("Opportunity", ids[2], StageName="Closed Lost")
    org.pass_time(hours=1)
    org.edit("Opportunity", ids[1], StageName="Closed Won", Amount=700.0)
    asked.submit("lead", [record(3, {"status"}, status="withdrawn")], "")
    changes, _ = asked.outcomes("")
    rows = {c.key: dict(c.row) for c in changes if c.table == "csqls"}
    assert set(rows) == {key(1), key(2), key(4)}
    assert times(rows[key(1)]) == ["09:00", None, "09:00", "10:00"]
    assert (rows[key(1)]["won"], rows[key(1)]["arr"]) == (True, 700.0)
    assert (rows[key(2)]["won"], rows[key(2)]["arr"]) == (False, None)
    assert times(rows[key(4)]) == [None] * 4
    assert {type(c) for c in changes} == {OutcomeChange}
