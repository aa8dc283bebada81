from __future__ import annotations

import math
from pathlib import Path

import pytest

from csql_ml.config import Config
from csql_ml.errors import OutputError
from csql_ml.handoff.run_records import RunRecords
from tests.handoff.small_run import account, config, lead, score, write_run


def records(tmp_path: Path, *leads: dict[str, object], **more: object) -> RunRecords:
    return RunRecords(write_run(tmp_path / "run", leads, **more), config(tmp_path))  # type: ignore[arg-type]


def test_texts_are_sentences_in_the_company_s_language_and_days_ago_are_dates(tmp_path: Path) -> None:
    (found,) = records(tmp_path, lead()).leads
    assert found.payload["title"] == "Account A1 · Upsell · Pro"
    assert found.payload["proof_of_value"] == "46 of 50 seats active (92%); 31 of 50 in the 30 days before"
    assert found.payload["trigger_event"] == "Upgrade attempts in 90 days: 2; in the 90 days before: 0"
    assert found.payload["expansion_hypothesis"] == (
        "Upsell: Pro\nPoints there: Upgrade attempts\nPotential: €10,000 a year"
    )
    assert found.payload["stakeholders"] == "Ines Okafor (Buyer), since Jun 1, 2026, last contact Jun 28, 2026"


def test_what_a_lead_lacks_is_none_and_nothing_is_made_up(tmp_path: Path) -> None:
    bare = lead(
        lead_type=None,
        product=None,
        trigger_event=None,
        expansion_hypothesis=None,
        stakeholders=[],
        proof_of_value=[],
        account_name=None,
        expected_arr=None,
    )
    (found,) = records(tmp_path, bare).leads
    assert found.payload["title"] == "A1 · Expansion"
    absent = ("trigger_event", "expansion_hypothesis", "stakeholders", "proof_of_value", "product", "expected_arr")
    assert [found.payload[name] for name in absent] == [None] * len(absent)
    assert found.motion == ":"


def test_a_missing_value_is_never_a_proof(tmp_path: Path) -> None:
    missing = {"metric": "nps_score", "value": None, "side": "for", "unit": "score", "facts": {}}
    (found,) = records(tmp_path, lead(proof_of_value=[missing])).leads
    assert found.payload["proof_of_value"] is None


def test_scores_are_flat_and_not_a_number_is_missing(tmp_path: Path) -> None:
    (found,) = records(tmp_path, scores=[score("A1", expected_arr=math.nan, propensity=0.123456)]).scores
    assert (found.kind, found.key, found.as_of) == ("score", "A1", "2026-07-01")
    assert found.payload["expected_arr"] is None
    assert found.payload["propensity"] == 0.1235
    assert "rank" not in found.payload, "a rank changes when others do"


def test_accounts_say_what_routing_asks(tmp_path: Path) -> None:
    there = account("A9", region="EMEA", segment="smb", ineligible_because=["lead_in_work"])
    found = records(tmp_path, lead(), accounts=[there]).accounts({"A9", "gone"})
    assert set(found) == {"A9"}
    assert (found["A9"].region, found["A9"].segment, found["A9"].barred) == ("EMEA", "smb", ("lead_in_work",))


def test_a_changed_file_and_a_broken_line_and_another_currency_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [lead()])
    (run / "leads.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match=r"leads\.jsonl is missing or was changed after the run"):
        RunRecords(run, config(tmp_path))
    with pytest.raises(OutputError, match=r"leads\.jsonl, line 1: not a lead record"):
        _ = records(tmp_path, {"account_id": "A1"}, accounts=[account("A1")]).leads
    with pytest.raises(OutputError, match="amounts in EUR, the configuration's company counts in USD"):
        RunRecords(write_run(tmp_path / "run", [lead()]), Config())
