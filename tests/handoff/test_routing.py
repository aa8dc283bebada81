from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from csql_ml.config.delivery import Routing
from csql_ml.handoff.record import Record
from csql_ml.handoff.routing import Routed, Terms, executive, route, successor
from csql_ml.handoff.row import Row, new_row
from csql_ml.handoff.run_records import RunAccount, RunLead

AS_OF = date(2026, 7, 1)
TERRITORIES = [
    {"regions": ["EMEA"], "segments": ["smb"], "executives": ["AE-emea-smb"]},
    {"regions": ["EMEA"], "executives": ["AE-emea"]},
]


def lead(account: str = "A1", key: str = "", product: str = "Pro", **values: object) -> RunLead:
    found = RunLead(key or f"key-{account}", account, "upsell", product, "AE-1", "CSM-1", dict)
    return replace(found, **values)  # type: ignore[arg-type]


def handed_over(one: RunLead, **values: object) -> Row:
    payload = {
        "status": "open",
        "owner": "AE-old",
        "csm_id": one.csm_id,
        "opened_on": "2026-05-01",
        "answer_due": "2026-05-06",
    }
    payload |= {k: v for k, v in values.items() if k in payload}  # type: ignore[misc]
    row = new_row(Record("lead", one.key, one.account_id, "2026-05-01", payload), "create", "run-0", one.motion)
    return replace(row, **{k: v for k, v in values.items() if k not in payload})  # type: ignore[arg-type]


def routed(
    leads: list[RunLead], rows: list[Row] | None = None, *, capacity: int = 10, barred: str = ""
) -> list[Routed]:
    accounts = {r.account_id: RunAccount(None, None, (barred,) if barred else ()) for r in rows or []}
    terms = Terms(Routing(), capacity, cooldown_days=30, sla_days=5)
    return route(leads, {r.key: r for r in rows or []}, accounts, terms, AS_OF)


def test_a_new_lead_is_due_after_the_response_time_from_its_run() -> None:
    (found,) = routed([lead()])
    assert (found.owner, found.opened_on, found.answer_due) == ("AE-1", "2026-07-01", "2026-07-06")


def test_a_later_run_moves_neither_the_due_date_nor_the_executive() -> None:
    (found,) = routed([lead(ae_id="AE-new")], [handed_over(lead())])
    assert (found.owner, found.opened_on, found.answer_due) == ("AE-old", "2026-05-01", "2026-05-06")


def test_an_open_lead_keeps_its_key_when_the_trigger_changes() -> None:
    (found,) = routed([lead(key="another-trigger")], [handed_over(lead(key="first-trigger"))])
    assert found.key == "first-trigger"
    assert found.waits_for is None


def test_another_motion_of_the_account_is_another_lead() -> None:
    (found,) = routed([lead(key="new", product="Analytics")], [handed_over(lead(key="old"))])
    assert found.key == "new"


def test_the_second_lead_of_a_motion_in_one_run_waits() -> None:
    first, second = routed([lead(key="a"), lead(key="b")])
    assert (first.waits_for, second.waits_for) == (None, "duplicate")


def test_a_withdrawn_lead_is_reopened_under_its_key_with_a_new_due_date() -> None:
    (found,) = routed([lead()], [handed_over(lead(), status="withdrawn")])
    assert (found.key, found.answer_due) == ("key-A1", "2026-07-06")


@pytest.mark.parametrize("outcome", ["won", "lost", "rejected"])
def test_after_a_closed_lead_the_next_one_has_a_key_of_its_own(outcome: str) -> None:
    closed = handed_over(lead(), outcome=outcome, outcome_on="2026-01-15")
    (found,) = routed([lead()], [closed])
    assert found.key == successor("key-A1", 2) != "key-A1"
    second = replace(closed, key=found.key)
    assert routed([lead()], [closed, second])[0].key == successor("key-A1", 3)


def test_portfolios_take_no_more_leads_than_they_can_work_best_first() -> None:
    rows = [handed_over(lead("A1")), handed_over(lead("A2"))]
    found = routed([lead("A1"), lead("A3"), lead("A4"), lead("B1", csm_id="CSM-2")], rows, capacity=2)
    # A2 is not in the run and not in work: it will be withdrawn, so its place is free.
    assert [r.waits_for for r in found] == [None, None, "capacity", None]


def test_a_lead_that_sales_works_on_takes_its_place_although_it_is_not_in_the_run() -> None:
    found = routed([lead("A3")], [handed_over(lead("A1"))], capacity=1, barred="lead_in_work")
    assert [r.waits_for for r in found] == ["capacity"]


def test_open_leads_go_on_beyond_the_capacity_and_without_a_portfolio_there_is_none() -> None:
    rows = [handed_over(lead("A1")), handed_over(lead("A2"))]
    found = routed([lead("A1"), lead("A2"), lead("A3", csm_id=None)], rows, capacity=1)
    assert [r.waits_for for r in found] == [None, None, None]


@pytest.mark.parametrize(("closed_on", "waits_for"), [("2026-06-01", "cooldown"), ("2026-05-31", None)])
def test_a_failed_lead_rests_the_account(closed_on: str, waits_for: str | None) -> None:
    failed = handed_over(lead(key="old", product="Analytics"), outcome="lost", outcome_on=closed_on)
    assert routed([lead()], [failed])[0].waits_for == waits_for


@pytest.mark.parametrize(
    ("by", "region", "segment", "ae", "expected"),
    [
        ("account", "EMEA", "smb", "AE-1", "AE-1"),
        ("account", "EMEA", "smb", None, "AE-emea-smb"),
        ("territory", "EMEA", "smb", "AE-1", "AE-emea-smb"),
        ("territory", "EMEA", "enterprise", "AE-1", "AE-emea"),
        ("territory", "APAC", "smb", "AE-1", "AE-1"),
        ("territory", "APAC", "smb", None, "AE-turn"),
        ("round_robin", "EMEA", "smb", "AE-1", "AE-turn"),
    ],
)
def test_ways_to_an_executive(by: str, region: str, segment: str, ae: str | None, expected: str) -> None:
    routing = Routing.model_validate({"by": by, "territories": TERRITORIES, "executives": ["AE-turn"]})
    assert executive(lead(ae_id=ae), "key", RunAccount(region, segment, ()), routing) == expected


def test_nobody_is_made_up() -> None:
    assert executive(lead(ae_id=None), "key", None, Routing()) is None


def test_the_round_robin_is_even_and_the_same_every_time() -> None:
    routing = Routing.model_validate({"by": "round_robin", "executives": ["a", "b", "c"]})
    first = [executive(lead(), f"key-{i}", None, routing) for i in range(900)]
    assert first == [executive(lead(), f"key-{i}", None, routing) for i in range(900)]
    assert all(250 < first.count(who) < 350 for who in "abc")
