from __future__ import annotations

from typing import Any

import pytest

from csql_ml.metrics import registry
from csql_ml.reports.catalogue import Catalogue, load
from csql_ml.reports.evidence_text import Facts, quoted_names
from csql_ml.reports.texts import Texts
from tests.reports.sample_run import METRICS

FACTS = Facts(Texts(load("en"), "USD"), METRICS)
SEATS = {"active_users": 46, "licensed_seats": 50, "active_users_previous": 31, "licensed_seats_previous": 50}


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (
            {"metric": "seat_saturation", "value": 0.92, "facts": SEATS},
            "46 of 50 seats active (92%); 31 of 50 in the 30 days before",
        ),
        ({"metric": "usage_growth", "value": 0.34}, "Usage +34% against the 30 days before"),
        ({"metric": "days_to_renewal", "value": 45}, "Renewal in 45 days"),
        ({"metric": "new_sponsor", "value": 1}, "A new executive sponsor within 90 days"),
        ({"metric": "arr_today", "value": 48000}, "ARR today $48,000"),
        # A flag that is not set does not say what the set one says.
        ({"metric": "new_sponsor", "value": 0}, "New sponsor: no"),
        # A quoted number that is missing is not made up.
        ({"metric": "engagement_score", "value": 71.0, "previous_value": None}, "Engagement score: 71"),
        ({"metric": "seat_saturation", "value": 0.92, "facts": SEATS | {"active_users": None}}, "Seat saturation: 92%"),
        ({"metric": "days_to_renewal", "value": None}, "Days to renewal is missing"),
        # A metric of an older run that the registry no longer has.
        ({"metric": "gone_metric", "value": 3}, "gone_metric: 3"),
    ],
)
def test_a_fact_is_a_sentence_with_formatted_values(fact: dict[str, Any], expected: str) -> None:
    assert FACTS.sentence(fact) == expected


def test_a_counted_sentence_takes_the_plural_form_of_its_value() -> None:
    sentence = METRICS["upgrade_attempts"].sentence
    forms = {sentence: ("{value} upgrade attempt in 90 days", sentence)}
    facts = Facts(Texts(Catalogue("en", forms, lambda n: int(n != 1)), "USD"), METRICS)
    said = [facts.sentence({"metric": "upgrade_attempts", "value": n}) for n in (1, 2)]
    assert said == ["1 upgrade attempt in 90 days", "2 upgrade attempts in 90 days"]


def test_a_metric_kept_from_reports_is_not_shown() -> None:
    assert not FACTS.shown("buyer_identified")
    assert FACTS.shown("seat_saturation")


@pytest.mark.parametrize("name", registry())
def test_every_registered_metric_can_be_said(name: str) -> None:
    metric = registry()[name]
    facts = dict.fromkeys(quoted_names(metric.sentence), 3)
    value: Any = "Business" if metric.unit == "category" else 1
    fact = {"metric": name, "value": value, "previous_value": value, "facts": facts}
    sentence = Facts(Texts(load("en"), "USD"), registry()).sentence(fact)
    assert "{" not in sentence
    assert sentence[:1] == sentence[:1].upper()
    assert not sentence.lower().startswith(f"{metric.label.lower()}: "), "the sentence could not be said in full"


@pytest.mark.parametrize(("days", "expected"), [(1, "Renewal in 1 day"), (12, "Renewal in 12 days")])
def test_english_has_its_plural_forms_too(days: int, expected: str) -> None:
    assert FACTS.sentence({"metric": "days_to_renewal", "value": days}) == expected
