"""Runs handed over one after the other: what is sent, and what is not."""

from __future__ import annotations

import pytest

from csql_ml.handoff.fields import FIELDS
from csql_ml.handoff.lead import lead_key
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.outbox_file import writing
from tests.handoff.push_desk import KEY, Desk, actions
from tests.handoff.small_run import account, lead, score


def test_new_leads_are_created_and_the_same_run_again_sends_nothing(desk: Desk) -> None:
    first = desk.push(lead("A1"), lead("A2"))
    assert (first.counts, first.exit_code) == ({"create": 2}, 0)
    assert desk.crm.stored_keys() == sorted([KEY, lead_key("A2", "upsell", "Pro", "upgrade_attempts")])
    writes = desk.crm.writes
    again = desk.push(lead("A1"), lead("A2"))
    assert (actions(again), again.counts, desk.crm.writes) == ({"unchanged": 2}, {}, writes)


def test_another_run_with_the_same_facts_sends_nothing(desk: Desk) -> None:
    desk.push(lead("A1"))
    again = desk.push(lead("A1", as_of="2026-07-02", propensity=0.4141, expected_arr=4141.0), as_of="2026-07-02")
    people = {"since_days_ago": 31, "last_engaged_days_ago": 4}
    same_people = [{**lead("A1")["stakeholders"][0], **people}]
    assert actions(again) == {"update": 1}, "a day later the same days ago are other dates"
    again = desk.push(lead("A1", stakeholders=same_people), as_of="2026-07-02")
    assert actions(again) == {"update": 1}
    assert actions(desk.push(lead("A1", stakeholders=same_people, propensity=0.4141), as_of="2026-07-02")) == {
        "unchanged": 1
    }


def test_the_distance_to_a_renewal_is_no_news(desk: Desk) -> None:
    days = {"2026-07-01": 58, "2026-07-02": 57, "2026-08-01": 27}
    people = {"2026-07-01": 30, "2026-07-02": 31, "2026-08-01": 61}
    found = []
    for as_of, left in days.items():
        renewal = {"metric": "days_to_renewal", "value": left, "unit": "days", "side": "for", "facts": {}}
        person = {"role": "buyer", "name": "Ines Okafor", "since_days_ago": people[as_of]}
        one = lead("A1", as_of=as_of, trigger_event=renewal, proof_of_value=[renewal], stakeholders=[person])
        found.append(actions(desk.push(one, as_of=as_of)))
    assert found == [{"create": 1}, {"unchanged": 1}, {"unchanged": 1}]
    assert desk.crm.fields(KEY)["trigger_event"] == "Renewal on Aug 28, 2026"


def test_only_what_changed_is_written_so_that_what_sales_edited_stays(desk: Desk) -> None:
    desk.push(lead("A1"))
    desk.crm.fields(KEY).update(owner="AE-9", title="called on Monday")
    desk.push(lead("A1", propensity=0.6, ae_id="AE-2"))
    assert desk.crm.fields(KEY)["propensity"] == 0.6
    assert desk.crm.fields(KEY)["owner"] == "AE-9"
    assert desk.crm.fields(KEY)["title"] == "called on Monday"


def test_an_older_run_changes_nothing_and_says_so(desk: Desk) -> None:
    desk.push(lead("A1"), as_of="2026-08-01")
    older = desk.push(lead("A1", propensity=0.9), lead("A2"), as_of="2026-07-01")
    assert actions(older) == {"older": 2}
    assert older.plan is not None
    assert "a run as of 2026-08-01 was handed over before" in older.plan.notes[0]
    assert len(desk.crm.stored_keys()) == 1
    assert desk.crm.fields(KEY)["propensity"] == 0.4123


def test_a_lead_that_is_gone_is_withdrawn_by_status_and_comes_back_under_its_key(desk: Desk) -> None:
    desk.push(lead("A1"), lead("A2"))
    gone = desk.push(lead("A2"), accounts=[account("A1", status="held_for_risk")], as_of="2026-08-01")
    assert actions(gone)["withdraw"] == 1
    assert desk.crm.fields(KEY)["status"] == "withdrawn"
    assert desk.crm.fields(KEY)["answer_due"] == "2026-07-06"
    assert actions(desk.push(lead("A2"), as_of="2026-08-01")) == {"unchanged": 1}, "withdrawn once"
    back = desk.push(lead("A1"), lead("A2"), as_of="2026-09-01")
    assert back.counts["reopen"] == 1
    assert (desk.crm.fields(KEY)["status"], desk.crm.fields(KEY)["answer_due"]) == ("open", "2026-09-06")
    assert len(desk.crm.stored_keys()) == 2


@pytest.mark.parametrize("barred", ["lead_in_work", "cooldown"])
def test_a_lead_that_sales_works_on_is_not_withdrawn(desk: Desk, barred: str) -> None:
    desk.push(lead("A1"))
    later = desk.push(accounts=[account("A1", status="ineligible", ineligible_because=[barred])], as_of="2026-08-01")
    assert actions(later) == {}
    assert desk.crm.fields(KEY)["status"] == "open"


def test_a_retrained_model_s_other_trigger_updates_the_open_lead(desk: Desk) -> None:
    desk.push(lead("A1"))
    again = desk.push(lead("A1", trigger="gated_clicks"), as_of="2026-08-01")
    assert again.counts == {"update": 1}
    assert desk.crm.stored_keys() == [KEY]
    assert desk.crm.fields(KEY)["answer_due"] == "2026-07-06"


def test_another_motion_withdraws_the_old_lead_and_opens_a_new_one(desk: Desk) -> None:
    desk.push(lead("A1"))
    again = desk.push(lead("A1", product="Analytics", lead_type="cross_sell"), as_of="2026-08-01")
    assert again.counts == {"create": 1, "withdraw": 1}
    states = sorted((desk.crm.fields(k)["product"], desk.crm.fields(k)["status"]) for k in desk.crm.stored_keys())
    assert states == [("Analytics", "open"), ("Pro", "withdrawn")]


def test_full_portfolios_make_leads_wait_until_there_is_room(desk: Desk) -> None:
    desk.options["capacity"] = 1
    first = desk.push(lead("A1"), lead("A2"))
    assert actions(first) == {"create": 1, "waiting": 1}
    second = desk.push(lead("A2"), accounts=[account("A1")], as_of="2026-08-01")
    assert actions(second) == {"create": 1, "withdraw": 1}


def test_after_a_pulled_loss_the_account_rests_and_then_gets_a_lead_of_its_own(desk: Desk) -> None:
    desk.push(lead("A1"))
    with writing(desk.home / "outbox.sqlite") as connection:
        assert Outbox(connection, "scripted").note_outcomes({KEY: ("lost", "2026-07-20")}) == 1
    assert actions(desk.push(lead("A1"), as_of="2026-08-01")) == {"waiting": 1}
    assert actions(desk.push(lead("A1"), as_of="2026-09-01")) == {"create": 1}
    assert len(desk.crm.stored_keys()) == 2
    assert desk.crm.fields(KEY)["status"] == "open", "what sales has closed is not touched any more"


def test_scores_are_handed_over_where_they_are_wanted(desk: Desk) -> None:
    desk.options["send"] = ("lead", "score")
    first = desk.push(lead("A1"), scores=[score("A1"), score("A2"), score("A2")])
    assert actions(first, "score") == {"create": 2}
    second = desk.push(lead("A1"), scores=[score("A1", propensity=0.5), score("A2", rank=9)])
    assert actions(second, "score") == {"update": 1, "unchanged": 1}


def test_every_field_of_a_lead_reaches_the_sink(desk: Desk) -> None:
    desk.push(lead("A1"))
    assert set(desk.crm.fields(KEY)) == {f.name for f in FIELDS["lead"]}
    assert all(value is not None for value in desk.crm.fields(KEY).values())
