from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.errors import OutputError
from csql_ml.reports.build_why import why
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.run_folder import Run
from csql_ml.reports.site import Site
from csql_ml.reports.texts import Texts
from tests.reports.sample_run import METRICS, account, reason

SHOWN = [name for name, metric in METRICS.items() if metric.shown]


def make_site(language: str = "en") -> Site:
    texts = Texts(load(language), "USD")
    run = Run(Path(), "r", date(2026, 7, 1), "m", "stack", "Example", "USD", True)
    return Site(run, texts, Facts(texts, METRICS), Config(), {}, 1)


SITE = make_site()


def record(reference: float, points: Sequence[float], other: float) -> dict[str, Any]:
    made = account(50, random.Random(1), holes=0)
    rng = random.Random(2)
    reasons = [reason(n, p, rng, holes=0) for n, p in zip(SHOWN, points, strict=False)]
    return made | {
        "reference": reference,
        "reasons": reasons,
        "other_points": other,
        "propensity": reference + sum(points) + other,
    }


def tenths(text: str) -> int:
    """``+14.2`` or ``34.2%`` as tenths."""
    return round(10 * float(re.sub(r"[%+±]", "", text).replace("−", "-")))


POINTS = st.floats(-0.4, 0.4, allow_subnormal=False)


@given(st.floats(0.0, 1.0), st.lists(POINTS, max_size=6), POINTS)
def test_the_parts_add_up_as_they_are_displayed(reference: float, points: list[float], other: float) -> None:
    one = record(reference, points, other)
    *parts, total = [tenths(row["text"]) for row in why(one, SITE)["sum"]]
    assert sum(parts) == total
    assert abs(total - 1000 * one["propensity"]) <= 0.5 + 1e-9
    ordered = sorted(points, key=lambda p: p < 0)
    exact = [reference, *ordered, other]
    assert all(abs(part - 1000 * e) <= 1 + 1e-9 for part, e in zip(parts, exact, strict=True))


@given(st.lists(POINTS, min_size=1, max_size=6))
def test_a_reason_and_its_row_in_the_sum_show_the_same_points(points: list[float]) -> None:
    page = why(record(0.1, points, 0.01), SITE)
    reasons = [*page["for"], *page["against"], *page["missing"]]
    rows = page["sum"][1:-2]
    assert [(r["label"], r["points"]) for r in reasons] == [(row["label"], row["text"]) for row in rows]


def test_parts_that_do_not_add_up_stop_the_report() -> None:
    broken = record(0.1, [0.2], 0.0) | {"propensity": 0.31}
    with pytest.raises(OutputError, match="acct_00050: reference and points do not add up"):
        why(broken, SITE)


@pytest.mark.parametrize("hole", ["propensity", "reference", "other_points"])
def test_a_missing_part_leaves_the_sum_out_and_keeps_the_reasons(hole: str) -> None:
    page = why(record(0.1, [0.2, -0.1], 0.0) | {hole: None}, SITE)
    assert page["sum"] is None
    assert len(page["for"]) == len(page["against"]) == 1
    assert page["for"][0]["points"] is None


def test_a_missing_value_is_named_and_never_praised() -> None:
    one = record(0.1, [0.2], 0.0)
    one["reasons"][0] |= {"value": None}
    page = why(one, SITE)
    assert page["for"] == []
    assert page["missing"][0]["sentence"] == "Seat saturation is missing"
    assert ("Now", "missing") in page["missing"][0]["evidence"]
    assert tenths(page["sum"][-1]["text"]) == 300


def test_a_metric_that_is_never_shown_counts_as_everything_else() -> None:
    one = record(0.1, [0.2], 0.0)
    one["reasons"][0] |= {"metric": "buyer_identified"}
    page = why(one, SITE)
    assert page["for"] == []
    assert [(row["label"], row["text"]) for row in page["sum"]] == [
        ("Typical account", "10.0%"),
        ("Everything else", "+20.0"),
        ("This account", "30.0%"),
    ]


def test_the_evidence_names_value_earlier_value_threshold_and_source() -> None:
    one = record(0.1, [0.2], 0.0)
    one["reasons"][0] |= {"value": 0.92, "previous_value": 0.62, "typical": 0.5, "source": "contracts, events"}
    one["reasons"][0] |= {"peers": None, "stability": None, "where": None}
    shown = why(one, SITE)["for"][0]
    assert shown["evidence"] == [
        ("Now", "92%"),
        ("Before", "62%"),
        ("Typical", "50%"),
        ("Threshold", "80%, reached"),
    ]
    assert shown["where"] == "contracts, product events, 30 days before Jul 1, 2026"


@pytest.mark.parametrize(
    ("metric", "value", "word"), [("seat_saturation", 0.5, "not reached"), ("tickets", 0, "reached")]
)
def test_reaching_a_threshold_follows_the_direction(metric: str, value: float, word: str) -> None:
    one = record(0.1, [0.2], 0.0)
    one["reasons"][0] |= {"metric": metric, "value": value, "threshold": 0.8, "unit": METRICS[metric].unit}
    threshold = dict(why(one, SITE)["for"][0]["evidence"])["Threshold"]
    assert threshold.endswith(f", {word}")
