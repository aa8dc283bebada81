"""Handing over to the project's stand-in for HubSpot, which is not HubSpot's own system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.hubspot.answers import outcome
from csql_ml.handoff.push import push
from csql_ml.handoff.sink import BatchRejected, TransientError
from tests.crm.hubspot_records import changed, pushed, record, stored
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import Fault, HubSpotServer
from tests.handoff.scripted_sink import World
from tests.handoff.small_run import config, lead, score, write_run


@pytest.fixture
def crm() -> Iterator[HubSpotServer]:
    with HubSpotServer() as server:
        for n in range(6):
            server.state.company(f"A{n}")
        yield server
        assert server.broken == []


# ---------------------------------------------------------------- making and changing


def test_a_lead_has_its_stage_owner_company_contact_and_texts_that_are_texts(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    (result,) = hubspot.submit("lead", [record()], "")
    (one,) = crm.state.with_key("leads", "key-A0")
    assert (result.status, result.remote_id) == ("acknowledged", one.id)
    assert {n: one.properties[n] for n in ("hs_pipeline", "hs_pipeline_stage", "hubspot_owner_id", "hs_lead_name")} == {
        "hs_pipeline": "lead-pipeline-id",
        "hs_pipeline_stage": "new-stage-id",
        "hubspot_owner_id": "7001",
        "hs_lead_name": "Upsell for A0",
    }
    assert (one.properties["csql_propensity"], one.properties["csql_potential_arr"]) == ("0.4123", "10000")
    assert "csql_stakeholders" not in one.properties, "an empty field is left out of a new lead"
    (company,) = (i for i, c in crm.state.objects["companies"].items() if c.properties["csql_account_id"] == "A0")
    assert crm.state.links["leads", one.id, "companies"] == {company: {610}}
    assert [*crm.state.links["leads", one.id, "contacts"].values()] == [{578}]
    (remote,) = hubspot.lookup("lead", ["key-A0", "other"]).values()
    given = {n: v for n, v in record().payload.items() if n in remote.fields}
    assert {n: remote.fields[n] for n in given} == given, "what is read back is what was sent, in the contract's types"


def test_a_hundred_leads_are_three_requests(crm: HubSpotServer) -> None:
    for n in range(100):
        crm.state.company(f"B{n}")
    results = sink(crm.port).submit("lead", [record(f"B{n}") for n in range(100)], "")
    assert {r.status for r in results} == {"acknowledged"}
    assert [p for _, p in crm.requests if "batch" in p] == [
        "/crm/v3/objects/companies/batch/read",
        "/crm/v4/associations/companies/contacts/batch/read",
        "/crm/v3/objects/leads/batch/create",
    ]


def test_the_contact_is_the_labelled_one_else_one_of_the_companys_own(crm: HubSpotServer) -> None:
    company = crm.state.company("C1", contacts=0)
    ids = [crm.state.put("contacts", {"email": f"{n}@example.com"}) for n in range(3)]
    for one, types in zip(ids, ((280,), (280, 2), (280,)), strict=True):
        crm.state.link("companies", company, "contacts", one, *types)
    crm.state.page = 2
    crm.state.labels[company, ids[2]] = "CSQL buyer"
    sink(crm.port).submit("lead", [record("C1")], "")
    sink(crm.port, contact_label="CSQL buyer").submit("lead", [record("C1", "second")], "")
    chosen = [
        [*crm.state.links["leads", crm.state.with_key("leads", k)[0].id, "contacts"]] for k in ("key-C1", "second")
    ]
    assert chosen == [[ids[1]], [ids[2]]]


def test_only_what_changed_is_written_and_what_sales_moved_stays(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    (made,) = hubspot.submit("lead", [record()], "")
    crm.state.edit("leads", str(made.remote_id), hubspot_owner_id="7002", hs_lead_name="Call them", csql_band="mine")
    later = changed(
        record(), str(made.remote_id), title="New title", owner="AE-1", answer_due="2027-01-01", as_of="2026-07-02"
    )
    assert hubspot.submit("lead", [later], "")[0].status == "acknowledged"
    now = stored(crm)
    assert (now["hs_lead_name"], now["hubspot_owner_id"], now["csql_answer_due"]) == ("New title", "7002", "2026-07-06")
    assert now["csql_band"] == "mine"
    assert crm.bodies[-1][1]["inputs"][0]["properties"] == {"hs_lead_name": "New title", "csql_as_of": "2026-07-02"}


def test_a_field_can_be_emptied_and_an_older_run_changes_nothing(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    (made,) = hubspot.submit("lead", [record()], "")
    hubspot.submit("lead", [changed(record(), str(made.remote_id), product=None, as_of="2026-07-02")], "")
    assert stored(crm)["csql_product"] == ""
    older = changed(record(), str(made.remote_id), product="Old", as_of="2026-07-01")
    assert hubspot.submit("lead", [older], "")[0].status == "acknowledged"
    assert stored(crm)["csql_product"] == ""


def test_a_withdrawn_lead_is_moved_and_opened_again_with_new_dates(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    (made,) = hubspot.submit("lead", [record()], "")
    hubspot.submit("lead", [changed(record(), str(made.remote_id), status="withdrawn", as_of="2026-07-02")], "")
    assert (stored(crm)["csql_status"], stored(crm)["hs_pipeline_stage"]) == ("withdrawn", "unqualified-stage-id")
    assert hubspot.lookup("lead", ["key-A0"])["key-A0"].fields["status"] == "withdrawn"
    again = changed(record(), str(made.remote_id), status="open", answer_due="2026-08-01", as_of="2026-07-03")
    hubspot.submit("lead", [again], "")
    assert (stored(crm)["csql_status"], stored(crm)["hs_pipeline_stage"]) == ("open", "new-stage-id")
    assert stored(crm)["csql_answer_due"] == "2026-08-01"


@pytest.mark.parametrize("stage", ["attempting-stage-id", "qualified-stage-id", "unqualified-stage-id"])
def test_a_lead_that_sales_has_taken_up_or_closed_is_not_withdrawn(crm: HubSpotServer, stage: str) -> None:
    hubspot = sink(crm.port)
    (made,) = hubspot.submit("lead", [record()], "")
    crm.state.edit("leads", str(made.remote_id), hs_pipeline_stage=stage)
    results = hubspot.submit("lead", [changed(record(), str(made.remote_id), status="withdrawn")], "")
    assert [(r.status, r.remote_id) for r in results] == [("acknowledged", made.remote_id)]
    assert (stored(crm)["csql_status"], stored(crm)["hs_pipeline_stage"]) == ("open", stage)


def test_a_lead_that_was_deleted_is_not_made_again(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    (made,) = hubspot.submit("lead", [record()], "")
    del crm.state.objects["leads"][str(made.remote_id)]
    (result,) = hubspot.submit("lead", [changed(record(), str(made.remote_id), title="New")], "")
    assert (result.status, result.error) == (
        "invalid",
        "HubSpot has none of its leads under this key any more: it was deleted there; restore it",
    )
    (gone,) = hubspot.submit("lead", [changed(record(), str(made.remote_id), status="withdrawn")], "")
    assert gone.status == "acknowledged"
    assert crm.state.objects["leads"] == {}


def test_deals_need_no_contact_and_stand_in_their_own_pipeline(crm: HubSpotServer) -> None:
    crm.state.company("D1", contacts=0)
    hubspot = sink(crm.port, object="deals")
    assert [f.level for f in hubspot.preflight(["lead"])] == ["warn"]
    (result,) = hubspot.submit("lead", [record("D1")], "")
    now = stored(crm, "key-D1", "deals")
    assert result.status == "acknowledged"
    assert (now["dealname"], now["pipeline"], now["dealstage"]) == ("Upsell for D1", "default", "appointmentscheduled")
    assert hubspot.check("lead", [record("D1")]) == {}
    assert "D1" not in hubspot.check("lead", [record("D9")])["key-D9"]


# ---------------------------------------------------------------- refusals


def test_some_of_a_batch_are_taken_and_some_refused(crm: HubSpotServer) -> None:
    """A 207 raises nothing: every row has to be looked at."""
    crm.state.refused = {"A1"}
    results = sink(crm.port).submit("lead", [record(a) for a in ("A0", "A1", "A2", "none")], "")
    assert {r.key: r.status for r in results} == {
        "key-none": "invalid", "key-A0": "acknowledged", "key-A1": "invalid", "key-A2": "acknowledged",
    }  # fmt: skip
    errors = {r.key: r.error for r in results if r.error}
    assert errors["key-A1"] == "HubSpot refuses it: VALIDATION_ERROR, RULE of csql_account_id"
    assert errors["key-none"] == "no HubSpot company has this account's id in csql_account_id; fill it in there"
    assert crm.state.keys() == ["key-A0", "key-A2"]


def test_a_batch_refused_as_a_whole_is_said_to_be_so(crm: HubSpotServer) -> None:
    crm.multi_status = False
    crm.state.refused = {"A1"}
    with pytest.raises(BatchRejected, match="VALIDATION_ERROR") as caught:
        sink(crm.port).submit("lead", [record("A0"), record("A1")], "")
    assert "A1 breaks" not in caught.value.reason, "HubSpot's message quotes values"
    assert crm.state.keys() == []


def test_a_batch_whose_errors_name_no_row_is_split_too(crm: HubSpotServer) -> None:
    crm.traced = False
    crm.state.refused = {"A0", "A1"}
    with pytest.raises(BatchRejected):
        sink(crm.port).submit("lead", [record("A0"), record("A1")], "")
    both = sink(crm.port).submit("lead", [record("A0"), record("A2")], "")
    assert {r.key: r.status for r in both} == {"key-A2": "acknowledged", "key-A0": "invalid"}


def test_a_lead_without_a_contact_is_refused_before_it_is_sent_and_by_hubspot(crm: HubSpotServer) -> None:
    crm.state.company("E1", contacts=0)
    reason = sink(crm.port).check("lead", [record("E1")])["key-E1"]
    assert "has no contact, and a lead needs one" in reason
    with pytest.raises(Exception, match="contact"):
        crm.state.create("leads", {"properties": {"csql_lead_key": "x"}, "associations": []})


def test_check_says_what_would_be_refused_and_writes_nothing(crm: HubSpotServer) -> None:
    crm.state.definition("companies", "csql_account_id")["hasUniqueValue"] = False
    crm.state.company("A0")
    crm.state.definition("leads", "csql_product").update(type="enumeration", options=[{"value": "Pro"}])
    records = [record(), record("A1", owner="AE-7"), record("A2", product="Max"), record("A3")]
    found = sink(crm.port).check("lead", records)
    assert set(found) == {"key-A0", "key-A1", "key-A2"}
    assert "have the same csql_account_id; merge them there" in found["key-A0"]
    assert "account executive AE-7 is no owner in HubSpot" in found["key-A1"]
    assert "csql_product has no such option" in found["key-A2"]
    assert crm.writes == 0


def test_a_property_that_was_deleted_meanwhile_kills_no_row(crm: HubSpotServer) -> None:
    hubspot = sink(crm.port)
    hubspot.capabilities()
    crm.state.properties["leads"] = [p for p in crm.state.properties["leads"] if p["name"] != "csql_product"]
    with pytest.raises(DeliveryError, match="lost a property of the mapping"):
        hubspot.submit("lead", [record("A0"), record("A1")], "")


# ---------------------------------------------------------------- scores, keys that are not unique


def test_scores_are_written_on_companies_and_make_none(crm: HubSpotServer, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], scores=[score("A0"), score("none", propensity=0.5)])
    settings = config(tmp_path, send=("score",))
    found = push(settings, run, "hubspot", sink=sink(crm.port), clock=World().clock())
    company = next(c for c in crm.state.objects["companies"].values() if c.properties["csql_account_id"] == "A0")
    assert (company.properties["csql_propensity"], company.properties["csql_as_of"]) == ("0.1234", "2026-07-01")
    assert [d.error for d in found.dead] == [
        "no HubSpot company has this account's id in csql_account_id; fill it in there"
    ]
    assert len(crm.state.objects["companies"]) == 6
    before = crm.writes
    push(settings, run, "hubspot", sink=sink(crm.port), clock=World().clock())
    assert crm.writes == before


def test_without_a_unique_key_doubles_are_found_and_withdrawn(crm: HubSpotServer, tmp_path: Path) -> None:
    crm.state.definition("leads", "csql_lead_key")["hasUniqueValue"] = False
    run = write_run(tmp_path / "run", [lead("A0"), lead("A1")])
    with pytest.raises(DeliveryError, match="no_unique_key"):
        pushed(tmp_path, run, crm)
    own, hubspot = config(tmp_path), sink(crm.port)
    push(own, run, "hubspot", accept=["no_unique_key"], sink=hubspot, clock=World().clock())
    first, other = crm.state.objects["leads"].values()
    twin = crm.state.put("leads", dict(first.properties))
    worked_on = crm.state.put("leads", {**other.properties, "hs_pipeline_stage": "connected-stage-id"})
    found = push(own, run, "hubspot", accept=["no_unique_key"], sink=hubspot, clock=World().clock())
    kept = {(s.kept, s.withdrawn) for s in found.swept}
    assert kept == {(first.id, (twin,)), (worked_on, (other.id,))}
    status = {one: s.properties["csql_status"] for one, s in crm.state.objects["leads"].items()}
    assert status == {first.id: "open", other.id: "withdrawn", twin: "withdrawn", worked_on: "open"}
    assert push(own, run, "hubspot", accept=["no_unique_key"], sink=hubspot, clock=World().clock()).swept == ()


def test_companies_are_searched_where_the_account_id_is_not_unique(crm: HubSpotServer) -> None:
    crm.state.definition("companies", "csql_account_id")["hasUniqueValue"] = False
    crm.state.company("a0")
    hubspot = sink(crm.port)
    assert [(f.name, f.level) for f in hubspot.preflight(["lead"])] == [("account_not_unique", "warn")]
    assert hubspot.check("lead", [record("A0"), record("A1")]) == {}, "A0 and a0 are two accounts"
    assert hubspot.submit("lead", [record("A0")], "")[0].status == "acknowledged"


def test_an_error_other_than_absence_is_not_taken_for_absence(crm: HubSpotServer) -> None:
    answer = {"results": [], "errors": [{"category": "INTERNAL_ERROR", "message": ""}]}
    crm.faults = [Fault("leads/batch/read", 207, answer)]
    with pytest.raises(TransientError, match="INTERNAL_ERROR"):
        sink(crm.port).lookup("lead", ["key-A0"])


@pytest.mark.parametrize("answer", [{"results": [{}]}, {"results": 3}, {"results": [None]}, {"errors": ["x"]}])
def test_an_answer_of_another_form_leaves_open_what_became_of_it(crm: HubSpotServer, answer: dict[str, object]) -> None:
    crm.faults = [Fault("leads/batch/read", 200, answer), Fault("batch/create", 200, answer)]
    with pytest.raises(TransientError, match="unexpected form") as caught:
        sink(crm.port).lookup("lead", ["key-A0"])
    assert caught.value.uncertain
    with suppress(TransientError):
        assert sink(crm.port).submit("lead", [record()], "") == [], "what has no result is looked up"


def test_answers_are_told_apart_row_by_row() -> None:
    rate_limit = {"category": "RATE_LIMITS", "context": {"objectWriteTraceId": ["b"]}}
    answer = {"results": [{"id": "1", "properties": {"k": "a"}}], "errors": [rate_limit]}
    found = outcome(json.loads(json.dumps(answer)), {"a": "a", "b": "b", "c": "c"}, "k")
    assert (found.taken, found.silent, found.unclear) == ({"a": "1"}, ("c",), ())
    assert set(found.failed) == {"b"}
