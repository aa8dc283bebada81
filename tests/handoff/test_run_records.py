from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.errors import OutputError
from csql_ml.handoff.diff import differences
from csql_ml.handoff.record import fingerprint
from csql_ml.handoff.run_records import RunRecords
from tests.handoff.small_run import REASON, account, config, lead, score, write_run


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


def reworded(days_later: int) -> dict[str, object]:
    """The lead of a renewal 58 days from the first of July, as a run of some days later has it."""
    renewal = {"metric": "days_to_renewal", "value": 58 - days_later, "unit": "days", "side": "for", "facts": {}}
    person = {**lead()["stakeholders"][0]}
    person |= {name: person[name] + days_later for name in ("since_days_ago", "last_engaged_days_ago")}
    as_of = (date(2026, 7, 1) + timedelta(days=days_later)).isoformat()
    reasons = [REASON, renewal] if days_later % 2 else [renewal, REASON]
    return lead(as_of=as_of, trigger_event=renewal, proof_of_value=reasons, stakeholders=[person])


@settings(max_examples=30)
@given(st.integers(0, 57))
def test_the_same_situation_is_the_same_record_on_any_day(days_later: int) -> None:
    with TemporaryDirectory() as home:
        as_of = (date(2026, 7, 1) + timedelta(days=days_later)).isoformat()
        (first,) = records(Path(home) / "first", reworded(0)).leads
        (later,) = records(Path(home) / "later", reworded(days_later), as_of=as_of).leads
        assert first.payload["trigger_event"] == "Renewal on Aug 28, 2026"
        assert later.payload["trigger_event"] == "Renewal on Aug 28, 2026"
        assert differences("lead", first.payload, later.payload) == ()
        assert fingerprint("lead", first.payload) == fingerprint("lead", later.payload)


def test_a_column_of_a_table_of_one_s_own_that_bears_a_metric_s_name_is_not_taken_for_a_date(tmp_path: Path) -> None:
    (found,) = records(tmp_path, reworded(0), own_features=True).leads
    assert found.payload["trigger_event"] == "days_to_renewal: 58 days"
