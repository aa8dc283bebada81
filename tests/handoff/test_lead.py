"""The account record and the lead record: plain dicts with codes and typed numbers."""

# ruff: noqa: E501 - a table is read along its lines

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.explain.evidence import Evidence
from csql_ml.handoff.lead import Dossier, lead_key, lead_of, thresholds
from csql_ml.metrics import registry
from csql_ml.run_files import json_text
from csql_ml.scoring import score_snapshot, typical_values
from csql_ml.snapshots import Snapshot
from tests.small_company import SETTINGS
from tests.snapshot_tables import CONFIG, METRICS, champion, snapshot

ACCOUNTS = """
account_id | name   | ae_id | seat_saturation | seat_saturation_previous | seat_saturation.active_users | upgrade_attempts | days_to_renewal | budget_expansion | feature_adoption | gated_feature_clicks | open_high_severity_tickets | tenure | segment
good       | Groß   | e7    | 0.9             | 0.6                      | 9                            | 3                | 60              | 1                |                  |                      | 0                          | 400    | smb
held       |        |       | 0.9             |                          |                              | 3                |                 |                  |                  |                      | 2                          | 400    |
new        |        |       | 0.9             |                          |                              | 3                |                 |                  |                  |                      | 0                          | 3      |
not_yet    |        |       | 0.5             |                          |                              | 0                | 200             | 0                | 0.9              | 0                    | 0                          | 400    |
"""
CONTACTS = """
contact_id | account_id | role              | name  | since_days_ago | last_engaged_days_ago
k1         | good       | user              | Uwe   | 10             | 5
k2         | good       | champion          |       | 400            | 20
k3         | good       | executive_sponsor | Eva   | 90             |
k4         | good       | buyer             | Bo    | 300            | 3
k5         | good       | buyer             | Bea   | 30             | 300
k6         | held       | buyer             | Hanna | 30             | 300
"""


def dossier(made: Snapshot, config: Config = CONFIG) -> Dossier:
    of = champion()
    found = score_snapshot(made, METRICS, of, config, "run-1")
    evidence = Evidence(
        metrics=registry(),
        columns=found.points.metrics,
        points=found.points.points,
        features=made.features,
        facts=made.facts,
        typical=typical_values(of),
        thresholds=thresholds(METRICS, config, made),
        sources={"seat_saturation": (("contracts", None), ("events", 30))},
    )
    return Dossier(made, found, evidence, registry(), ("nps",), config)


def records(made: Snapshot, config: Config = CONFIG) -> dict[str, dict[str, Any]]:
    return {record["account_id"]: record for record in dossier(made, config).records()}


@pytest.fixture(scope="module")
def made() -> Snapshot:
    return snapshot(ACCOUNTS, CONTACTS)


@pytest.fixture(scope="module")
def by_account(made: Snapshot) -> dict[str, dict[str, Any]]:
    return records(made)


def test_every_account_has_a_record_that_json_can_hold(by_account: dict[str, dict[str, Any]]) -> None:
    assert {a: r["status"] for a, r in by_account.items()} == {
        "good": "qualified",
        "held": "held_for_risk",
        "new": "ineligible",
        "not_yet": "not_yet",
    }
    assert all("NaN" not in json_text(record) for record in by_account.values())


def test_a_record_says_who_the_account_is(by_account: dict[str, dict[str, Any]]) -> None:
    good = by_account["good"]
    names = ("name", "csm_id", "ae_id", "segment", "industry", "as_of", "product", "arr", "seats", "tenure_days")
    assert {n: good[n] for n in names} == {
        "name": "Groß",
        "csm_id": "c1",
        "ae_id": "e7",
        "segment": "smb",
        "industry": None,
        "as_of": "2025-08-15",
        "product": "Platform",
        "arr": 1000,
        "seats": 10,
        "tenure_days": 400,
    }
    assert good["absent_sources"] == ["nps"]
    assert good["trend"] == {"active_users": [0, 1, 2, 3, 4, 5], "usage": [0, 1, 2, 3, 4, 5]}


def test_reference_reasons_and_the_rest_add_up_to_the_propensity(by_account: dict[str, dict[str, Any]]) -> None:
    for record in by_account.values():
        parts = [record["reference"], record["other_points"], *(r["points"] for r in record["reasons"])]
        assert sum(parts) == pytest.approx(record["propensity"], abs=1e-12), record["account_id"]


def test_a_reason_quotes_its_fact(by_account: dict[str, dict[str, Any]]) -> None:
    reason = next(r for r in by_account["good"]["reasons"] if r["metric"] == "seat_saturation")
    assert (reason["value"], reason["previous_value"], reason["facts"]) == (0.9, 0.6, {"active_users": 9})
    assert (reason["source"], reason["threshold"]) == ("contracts, events", 0.8)


def test_gates_say_what_opened_them(by_account: dict[str, dict[str, Any]]) -> None:
    assert by_account["good"]["gates"] == [
        {"gate": "value_proven", "state": "passed", "because": ["seat_saturation"]},
        {"gate": "next_product", "state": "not_checked", "because": []},
        {"gate": "buyer_identified", "state": "not_checked", "because": []},
        {"gate": "timing", "state": "passed", "because": ["upgrade_attempts", "days_to_renewal", "budget_expansion"]},
    ]


def test_a_held_account_says_why_and_what_releases_it(by_account: dict[str, dict[str, Any]]) -> None:
    assert by_account["held"]["risks"] == [{"risk": "open_high_severity_tickets", "value": 2, "limit": 1.0}]
    assert by_account["good"]["risks"] == []


def test_an_ineligible_account_says_why(by_account: dict[str, dict[str, Any]]) -> None:
    assert by_account["new"]["ineligible_because"] == ["tenure"]
    assert by_account["good"]["ineligible_because"] == []


def test_not_yet_says_which_measured_metrics_keep_its_gates_shut(by_account: dict[str, dict[str, Any]]) -> None:
    missing = {m["metric"]: (m["value"], m["threshold"], m["unit"]) for m in by_account["not_yet"]["missing"]}
    assert missing == {
        "seat_saturation": (0.5, 0.8, "ratio"),
        # Feature adoption is at its threshold; what it lacks is the interaction with a gated feature.
        "gated_feature_clicks": (0, 1.0, "count"),
        "upgrade_attempts": (0, 1.0, "count"),
        "budget_expansion": (0, 1.0, "count"),
        "days_to_renewal": (200, 139.0, "days"),
    }
    assert by_account["good"]["missing"] == by_account["held"]["missing"] == []


def test_a_condition_shared_by_its_own_metric_is_named_once() -> None:
    text = "account_id | advocacy_index | engaged_stakeholders | upgrade_attempts\na | 2 | 1 | 3"
    missing = records(snapshot(text))["a"]["missing"]
    assert [(m["metric"], m["value"], m["threshold"]) for m in missing] == [("engaged_stakeholders", 1, 2.0)]


def test_the_trigger_is_the_timing_sign_that_moved_the_score_most(by_account: dict[str, dict[str, Any]]) -> None:
    assert by_account["good"]["trigger"] == {
        "metric": "upgrade_attempts",
        "value": 3,
        "previous_value": None,
        "unit": "count",
        "facts": {},
    }
    assert by_account["not_yet"]["trigger"] is None


def test_a_trigger_that_moved_nothing_is_chosen_by_name() -> None:
    text = "account_id | seat_saturation | phase_two | budget_expansion\na | 0.9 | 1 | 1"
    assert records(snapshot(text))["a"]["trigger"]["metric"] == "phase_two"


def test_without_the_timing_gate_there_is_no_trigger(made: Snapshot) -> None:
    config = Config(**{**SETTINGS, "gates": {"required": ["value_proven"]}})
    assert records(made, config)["good"]["trigger"] is None


def test_stakeholders_stand_by_role_newest_first(by_account: dict[str, dict[str, Any]]) -> None:
    good = by_account["good"]["stakeholders"]
    assert [(s["role"], s["name"]) for s in good] == [
        ("executive_sponsor", "Eva"),
        ("buyer", "Bea"),
        ("buyer", "Bo"),
        ("champion", None),
        ("user", "Uwe"),
    ]
    assert good[0] == {
        "contact_id": "k3",
        "role": "executive_sponsor",
        "name": "Eva",
        "since_days_ago": 90,
        "last_engaged_days_ago": None,
    }
    assert by_account["not_yet"]["stakeholders"] == []


# --- leads ------------------------------------------------------------------------------------------------------------


def test_a_lead_has_what_the_executive_needs(made: Snapshot, by_account: dict[str, dict[str, Any]]) -> None:
    good = by_account["good"]
    lead = lead_of(good, champion(), "run-1", CONFIG, made)
    assert {k: lead[k] for k in ("lead_source", "lead_type", "product", "currency", "owner", "account_name")} == {
        "lead_source": "CSQL",
        "lead_type": "upsell",
        "product": "Platform",
        "currency": "USD",
        "owner": "e7",
        "account_name": "Groß",
    }
    assert lead["route"] == {"ae_id": "e7", "csm_id": "c1", "answer_due": "2025-08-20"}
    assert lead["value_proven_by"] == ["seat_saturation"]
    assert [r["side"] for r in lead["proof_of_value"]] == ["for", "for"]
    assert lead["trigger_event"]["metric"] == "upgrade_attempts"
    assert lead["expansion_hypothesis"]["because"] == "upgrade_attempts"
    assert lead["potential_arr"] == 200
    assert lead["expected_arr"] == pytest.approx(200 * good["propensity"])
    assert lead["stakeholders"] == good["stakeholders"]
    assert json_text(lead)


def test_the_answer_is_due_within_the_agreed_days(made: Snapshot, by_account: dict[str, dict[str, Any]]) -> None:
    config = Config(**{**SETTINGS, "handoff": {"sla_days": 17, "lead_source": "CS"}})
    lead = lead_of(by_account["good"], champion(), "run-1", config, made)
    assert (lead["route"]["answer_due"], lead["lead_source"]) == ("2025-09-01", "CS")


@pytest.mark.parametrize("account", ["held", "new", "not_yet"])
def test_only_a_qualified_account_is_a_lead(
    made: Snapshot, by_account: dict[str, dict[str, Any]], account: str
) -> None:
    with pytest.raises(ValueError, match=f"account {account} is .*, not qualified"):
        lead_of(by_account[account], champion(), "run-1", CONFIG, made)


def test_the_key_of_a_lead_depends_on_what_it_is_and_never_on_run_date_or_model(
    made: Snapshot, by_account: dict[str, dict[str, Any]]
) -> None:
    good = by_account["good"]
    keys = {
        lead_of(record, model, run, CONFIG, made)["lead_key"]
        for record, model, run in (
            (good, champion(), "run-1"),
            (good, champion(threshold=30.0), "run-2"),
            ({**good, "as_of": "2025-09-01", "propensity": 0.5, "rank": 9, "reasons": []}, champion(), "run-3"),
        )
    }
    assert keys == {lead_key("good", "upsell", "Platform", "upgrade_attempts")}


parts = st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=3)
leads = st.tuples(parts, st.sampled_from(["upsell", "cross_sell", "referral"]), parts, parts)


@given(one=leads, other=leads)
def test_another_lead_has_another_key(one: tuple[str, str, str, str], other: tuple[str, str, str, str]) -> None:
    assert (lead_key(*one) == lead_key(*other)) == (one == other)


def test_the_key_of_a_lead_is_the_same_in_every_version() -> None:
    assert lead_key("a1", "upsell", "Pro", "upgrade_attempts") == "336958402f19b0833e542c6d8dae6c41"
    assert lead_key("a1", None, None, None) == lead_key("a1", "", "", "")
