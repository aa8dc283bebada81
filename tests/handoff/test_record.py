from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.handoff.diff import differences, has_arrived
from csql_ml.handoff.record import SHORTENED, Record, by_key, fingerprint, fitted, shortened

LEAD = {"lead_key": "k", "propensity": 0.41, "title": "One\nTwo", "potential_arr": 100.0, "as_of": "2026-07-01"}


def record(**values: object) -> Record:
    return Record("lead", "k", "A1", "2026-07-01", {**LEAD, **values})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"run_id": "another"}, False),
        ({"as_of": "2026-08-01"}, False),
        ({"model_version": "another"}, False),
        ({"expected_arr": 5.0}, False),
        ({"propensity": 0.4149}, False),
        ({"propensity": 0.42}, True),
        ({"potential_arr": 100.4}, False),
        ({"potential_arr": 101.0}, True),
        ({"title": "One\r\nTwo "}, False),
        ({"title": "One Two"}, True),
        ({"product": ""}, False),
        ({"product": None}, False),
        ({"product": "Pro"}, True),
    ],
)
def test_the_fingerprint_changes_with_what_counts(change: dict[str, object], counts: bool) -> None:
    assert (record(**change).fingerprint != record().fingerprint) is counts
    assert bool(differences("lead", LEAD, {**LEAD, **change})) is counts  # type: ignore[arg-type, dict-item]


def test_kinds_never_share_a_fingerprint() -> None:
    assert fingerprint("lead", {"account_id": "A1"}) != fingerprint("score", {"account_id": "A1"})


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, "short"),
        ("46 of 50 seats active", 16, "46 of 50 […]"),
        ("unbreakable", 9, "unbre […]"),
        ("cut at a word", 12, "cut at a […]"),
        ("abcdef", 3, "ab…"),
        ("abcdef", 1, "…"),
    ],
)
def test_what_is_cut_says_so(text: str, limit: int, expected: str) -> None:
    assert shortened(text, limit) == expected


@given(st.text(), st.integers(1, 60))
def test_no_text_is_longer_than_its_limit_and_only_long_ones_are_cut(text: str, limit: int) -> None:
    cut = shortened(text, limit)
    assert len(cut) <= limit
    assert (cut == text) or cut.endswith((SHORTENED, "…"))
    assert (cut == text) is (len(text) <= limit) or text.endswith((SHORTENED, "…"))


def test_prose_is_shortened_and_a_key_that_is_too_long_is_a_problem() -> None:
    fit = fitted(record(title="A long title of a lead"), ["title", "lead_key"], {"title": 12, "lead_key": 40})
    assert fit.record.payload["title"] == "A long […]"
    assert fit.problem is None
    problem = fitted(record(lead_key="x" * 32), ["lead_key"], {"lead_key": 18}).problem
    assert problem == "lead_key has 32 characters; the field there takes 18: make it longer"
    assert "not a finite number" in str(fitted(record(propensity=math.nan), ["propensity"], {}).problem)


def test_a_sink_gets_its_fields_and_those_that_recovery_needs() -> None:
    assert set(fitted(record(), ["title"], {}).record.payload) == {"lead_key", "title", "as_of"}


def test_of_several_records_with_one_key_the_first_counts() -> None:
    assert by_key([record(title="first"), record(title="second")])["k"].payload["title"] == "first"


def test_a_record_has_arrived_where_all_that_can_be_read_back_is_as_sent() -> None:
    sent = {**LEAD, "owner": "AE-1"}
    assert has_arrived("lead", sent, {"title": "One\r\nTwo", "propensity": 0.4099})
    assert has_arrived("lead", sent, {"title": "One\nTwo", "owner": "AE-9"}), "sales may have moved it"
    assert not has_arrived("lead", sent, {"title": "One\nTwo", "propensity": 0.5})
    assert not has_arrived("lead", sent, {}), "nothing can be read back: nothing is known"
