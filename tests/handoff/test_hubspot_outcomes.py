"""Outcomes back from the project's stand-in for HubSpot, which is not HubSpot's own system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from csql_ml.contract.tables import CSQLS, OPPORTUNITIES
from csql_ml.errors import DeliveryError
from csql_ml.handoff.hubspot.api import HubSpotApi
from csql_ml.handoff.hubspot.objects import Objects
from csql_ml.handoff.sink import OutcomeChange
from tests.crm.hubspot_records import record
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import TOKEN, HubSpotServer
from tests.crm.hubspot_state import START

DAY = 86_400_000
COLUMNS = ("accepted_at", "rejected_at", "opportunity_at", "closed_at", "won", "arr")


@pytest.fixture
def crm() -> Iterator[HubSpotServer]:
    with HubSpotServer() as server:
        for n in range(3):
            server.state.company(f"A{n}")
        server.state.now = START
        yield server
        assert server.broken == []


def made(crm: HubSpotServer, account: str = "A0", **settings: Any) -> str:
    """A lead handed over; its id."""
    (result,) = sink(crm.port, **settings).submit("lead", [record(account)], "")
    assert result.remote_id is not None
    return result.remote_id


def move(crm: HubSpotServer, one: str, day: int, stage: str, kind: str = "leads", **more: str) -> None:
    name = "hs_pipeline_stage" if kind == "leads" else "dealstage"
    crm.state.now = START + day * DAY
    crm.state.edit(kind, one, at=crm.state.now, **{name: stage}, **more)


def deal(crm: HubSpotServer, day: int, lead: str | None = None, account: str = "A0", **properties: str) -> str:
    """A deal of the account's company, made from a lead."""
    crm.state.now = START + day * DAY - 1
    one = crm.state.put("deals", {"dealstage": "appointmentscheduled", "amount": "5000", **properties})
    company = next(c.id for c in crm.state.objects["companies"].values() if c.properties["csql_account_id"] == account)
    crm.state.link("deals", one, "companies", company, 341, 5)
    if lead is not None:
        crm.state.link("deals", one, "leads", lead, 584)
        crm.state.link("leads", lead, "deals", one, 583)
    return one


def close(crm: HubSpotServer, one: str, day: int, *, won: bool, **more: str) -> None:
    state = {"hs_is_closed": "true", "hs_is_closed_won": str(won).lower()}
    move(crm, one, day, "closedwon" if won else "closedlost", "deals", **state, **more)


def day(number: int) -> str:
    return f"2026-07-{1 + number:02d}T00:00:00.000Z"


def csql(changes: list[OutcomeChange]) -> dict[str, Any]:
    (row,) = [dict(c.row) for c in changes if c.table == "csqls"]
    return row


def state(changes: list[OutcomeChange]) -> tuple[Any, ...]:
    row = csql(changes)
    return tuple(row[name] for name in COLUMNS)


# ---------------------------------------------------------------- leads


def test_a_fresh_lead_has_all_columns_and_no_outcome(crm: HubSpotServer) -> None:
    made(crm)
    (change,), _ = sink(crm.port).outcomes("")
    row = dict(change.row)
    assert set(row) <= {*CSQLS.column_names, "recorded_at"}
    assert (change.key, row["csql_id"], row["account_id"], row["type"]) == ("key-A0", "key-A0", "A0", "upsell")
    assert (row["csm_id"], row["ae_id"], row["source"]) == ("CSM-1", "AE-1", "CSQL")
    assert row["created_at"] == row["recorded_at"] == "2026-07-01T00:00:00.001Z"
    assert state([change]) == (None, None, None, None, None, None)


def test_accepted_opportunity_and_won_have_the_times_of_their_stages(crm: HubSpotServer) -> None:
    one = made(crm)
    move(crm, one, 1, "attempting-stage-id")
    move(crm, one, 2, "connected-stage-id")
    assert state(sink(crm.port).outcomes("")[0]) == (day(1), None, None, None, None, None)
    move(crm, one, 3, "qualified-stage-id")
    sold = deal(crm, 3, one)
    assert state(sink(crm.port).outcomes("")[0]) == (day(1), None, day(3), None, None, None)
    close(crm, sold, 9, won=True, amount="6000.50")
    crm.state.now += DAY
    crm.state.edit("deals", sold, amount="6100")
    changes, _ = sink(crm.port).outcomes("")
    assert state(changes) == (day(1), None, day(3), day(9), True, 6100.0)
    (opportunity,) = [c for c in changes if c.table == "opportunities"]
    assert opportunity.key == "key-A0"
    assert set(opportunity.row) <= {*OPPORTUNITIES.column_names, "recorded_at"}
    assert opportunity.row == {
        "opportunity_id": f"hubspot:{sold}",
        "account_id": "A0",
        "type": "expansion",
        "created_at": "2026-07-04T00:00:00.000Z",
        "arr": 6100.0,
        "closed_at": day(9),
        "won": True,
        "source": "CSQL",
        "recorded_at": opportunity.row["recorded_at"],
    }


def test_a_won_deal_brings_its_unchanged_lead_along(crm: HubSpotServer) -> None:
    one = made(crm)
    sold = deal(crm, 1, one)
    _, cursor = sink(crm.port, overlap=1.0).outcomes("")
    close(crm, sold, 5, won=True)
    changes, _ = sink(crm.port, overlap=1.0).outcomes(cursor)
    assert state(changes)[3:] == (day(5), True, 5000.0)
    assert csql(changes)["recorded_at"] == day(5)


def test_a_lead_is_lost_with_its_last_deal_and_open_while_one_is(crm: HubSpotServer) -> None:
    one = made(crm)
    first, second = deal(crm, 1, one), deal(crm, 2, one)
    close(crm, first, 3, won=False)
    assert state(sink(crm.port).outcomes("")[0])[2:] == (day(1), None, None, None)
    close(crm, second, 4, won=False)
    assert state(sink(crm.port).outcomes("")[0])[2:] == (day(1), day(4), False, None)


def test_a_deal_from_before_the_lead_is_not_its_own(crm: HubSpotServer) -> None:
    one = made(crm)
    old = deal(crm, -20, one)
    close(crm, old, -10, won=True)
    assert state(sink(crm.port).outcomes("")[0]) == (None,) * 6


def test_rejected_from_the_start_with_the_reason_and_lost_after_acceptance(crm: HubSpotServer) -> None:
    one = made(crm)
    move(crm, one, 2, "unqualified-stage-id", hs_lead_disqualification_reason="NO_BUDGET")
    changes, _ = sink(crm.port).outcomes("")
    assert state(changes) == (None, day(2), None, None, None, None)
    assert csql(changes)["rejection_reason"] == "NO_BUDGET"
    other = made(crm, "A1")
    move(crm, other, 3, "connected-stage-id")
    move(crm, other, 5, "unqualified-stage-id")
    changes = [c for c in sink(crm.port).outcomes("")[0] if c.key == "key-A1"]
    assert state(changes) == (day(3), None, None, day(5), False, None)


def test_what_we_withdrew_is_no_outcome(crm: HubSpotServer) -> None:
    one = made(crm)
    move(crm, one, 1, "unqualified-stage-id", csql_status="withdrawn")
    assert sink(crm.port).outcomes("")[0] == []


def test_other_peoples_leads_and_deals_without_our_accounts_are_left_out(crm: HubSpotServer) -> None:
    crm.state.put("leads", {"hs_lead_name": "somebody", "hs_pipeline_stage": "new-stage-id"})
    crm.state.put("deals", {"amount": "1", "dealtype": "newbusiness"})
    deal(crm, 1, account="A1", dealtype="newbusiness", origin="Fair")
    deal(crm, 2, account="A1", dealtype="internal")
    deal(crm, 3, account="A1", dealtype="renewal", amount="")
    changes, _ = sink(crm.port, source_property="origin").outcomes("")
    assert [(c.row["account_id"], c.row["type"], c.row["source"], c.key) for c in changes] == [
        ("A1", "new", "Fair", None)
    ]


# ---------------------------------------------------------------- leads that are deals


def test_deals_as_leads_are_accepted_become_opportunities_and_are_won(crm: HubSpotServer) -> None:
    one = made(crm, object="deals")
    hubspot = sink(crm.port, object="deals")
    crm.state.edit("deals", one, amount="7000")
    assert [c.table for c in hubspot.outcomes("")[0]] == ["csqls"], "no opportunity before sales says so"
    move(crm, one, 1, "qualifiedtobuy", "deals")
    move(crm, one, 2, "contractsent", "deals")
    close(crm, one, 4, won=True)
    changes, _ = hubspot.outcomes("")
    assert state(changes) == (day(1), None, day(2), day(4), True, 7000.0)
    assert [c.remote_id for c in changes] == [f"deals:{one}"] * 2


def test_a_deal_lost_from_the_start_was_rejected(crm: HubSpotServer) -> None:
    one = made(crm, object="deals")
    close(crm, one, 3, won=False, closed_lost_reason="Too dear")
    changes, _ = sink(crm.port, object="deals").outcomes("")
    assert state(changes) == (None, day(3), None, None, None, None)
    assert csql(changes)["rejection_reason"] == "Too dear"
    withdrawn = made(crm, "A1", object="deals")
    close(crm, withdrawn, 4, won=False, csql_status="withdrawn")
    assert [c.key for c in sink(crm.port, object="deals").outcomes("")[0]] == ["key-A0"]


# ---------------------------------------------------------------- the cursor


def test_the_same_account_gives_the_same_rows_and_the_cursor_moves_on(crm: HubSpotServer) -> None:
    one = made(crm)
    first = sink(crm.port).outcomes("")
    assert sink(crm.port).outcomes("") == first
    crm.state.now += DAY
    assert sink(crm.port, overlap=1.0).outcomes(first[1])[0] == first[0], "the newest change is read again"
    made(crm, "A1")
    changes, cursor = sink(crm.port, overlap=1.0).outcomes(first[1])
    assert [c.key for c in changes] == ["key-A0", "key-A1"]
    assert [c.key for c in sink(crm.port, overlap=1.0).outcomes(cursor)[0]] == ["key-A1"]
    assert json.loads(cursor)["leads"] > json.loads(first[1])["leads"]
    assert one


def test_what_the_search_has_not_indexed_yet_comes_with_the_next_pull(crm: HubSpotServer) -> None:
    made(crm)
    crm.state.now += 60_000
    made(crm, "A1")
    crm.state.now += 1_000
    made(crm, "A2")
    # A1 alone is behind: the cursor stands at A2 when it turns up, before that time.
    late = crm.state.objects["leads"].pop(crm.state.with_key("leads", "key-A1")[0].id)
    changes, cursor = sink(crm.port).outcomes("")
    assert [c.key for c in changes] == ["key-A0", "key-A2"]
    crm.state.objects["leads"][late.id] = late
    assert "key-A1" in [c.key for c in sink(crm.port).outcomes(cursor)[0]]


@pytest.mark.parametrize("tick", [0, 1])
def test_ten_thousand_and_more_are_read_completely_also_of_one_instant(crm: HubSpotServer, tick: int) -> None:
    """A search of HubSpot ends at 10,000 results, and the pages of one shift when a record changes."""
    crm.state.tick = tick
    for n in range(10_450 if tick else 450):
        crm.state.put("deals", {"dealtype": "renewal", "amount": str(n), "dealstage": "contractsent"})
    objects = Objects(HubSpotApi(crm.url, TOKEN, 5.0, 20.0))
    found = [one.id for one in objects.changed("deals", 0, ())]
    assert set(found) == set(crm.state.objects["deals"])
    assert len(found) < 1.5 * len(set(found)) + 400
    assert all("after" not in body for path, body in crm.bodies if path.endswith("search"))


def test_a_record_that_changes_while_it_is_paged_over_is_not_skipped(crm: HubSpotServer) -> None:
    for n in range(450):
        crm.state.put("deals", {"amount": str(n)})
    objects = Objects(HubSpotApi(crm.url, TOKEN, 5.0, 5.0))
    ids, seen = list(crm.state.objects["deals"]), set()
    for number, one in enumerate(objects.changed("deals", 0, ())):
        seen.add(one.id)
        if number % 100 == 0:
            crm.state.edit("deals", ids[number // 100], amount="changed")
    assert seen == set(ids)


def test_a_cursor_of_something_else_is_refused(crm: HubSpotServer) -> None:
    for cursor in ("yesterday", "[1]", '{"deals": "x"}'):
        with pytest.raises(DeliveryError, match="cursor of the last pull"):
            sink(crm.port).outcomes(cursor)
