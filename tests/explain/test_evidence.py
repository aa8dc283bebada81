"""Which metrics become reasons, and that reasons and everything else add up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.explain.evidence import LEAST_POINTS, MOST_AGAINST, MOST_FOR, Evidence, plain, source_of
from csql_ml.metrics import registry
from tests.small_company import rows
from tests.snapshot_tables import CONFIG

#: One account: the points of each metric, its value, and what is typical.
REASONS = """
metric                     | points  | value | typical | side
seat_saturation            | 0.050   | 0.9   | 0.5     | for
usage_growth               | 0.040   | 0.3   | 0.1     | for
feature_adoption           | 0.030   | 0.9   | 0.5     | for
active_days                | 0.020   | 28    | 10      | for
upgrade_attempts           | 0.010   | 3     | 0       |
open_high_severity_tickets | -0.060  | 2     | 0       | against
nps_score                  | -0.0251 | 3     | 8       | against
workflow_completion_rate   | -0.024  | 0.1   | 0.5     |
"""
#: Large points without a fact that says the same: never a reason.
SILENT = """
metric                     | points | value | typical | why
seat_saturation            | 0.05   | 0.4   | 0.5     | speaks for an expansion, but the value is below the typical one
usage_growth               | -0.05  | 0.3   | 0.1     | counts against it, but the value is above the typical one
open_high_severity_tickets | 0.05   | 2     | 0       | more tickets are never a reason for
feature_adoption           | 0.05   | 0.5   | 0.5     | exactly typical
active_days                | 0.05   |       | 10      | no value
nps_score                  | 0.05   | 9     |         | nothing typical is known
icp_fit                    | 0.05   | 0.9   | 0.5     | never shown
tickets                    | 0.05   | 1     | 5       | no direction is claimed
of_nobody                  | 0.05   | 1     | 0       | no metric of this company
usage_per_seat             | 0.0004 | 9     | 5       | too small to be seen
"""


def evidence(text: str, **more: Any) -> Evidence:
    lines = rows(text)
    numbers = {c: [float(line[c] or "nan") for line in lines] for c in ("points", "value", "typical")}
    names = [line["metric"] for line in lines]
    return Evidence(
        **{
            "metrics": registry(),
            "columns": names,
            "points": np.array([numbers["points"]]),
            "features": pd.DataFrame([numbers["value"]], columns=names),
            "facts": pd.DataFrame(index=[0]),
            "typical": dict(zip(names, numbers["typical"], strict=True)),
            "thresholds": {},
            "sources": {},
            **more,
        }
    )


def test_reasons_are_the_largest_points_whose_facts_agree_strongest_first() -> None:
    reasons, other = evidence(REASONS).reasons(0)
    expected = [(line["metric"], line["side"]) for line in rows(REASONS) if line["side"]]
    assert [(r["metric"], r["side"]) for r in reasons] == expected
    assert other == pytest.approx(0.010 - 0.024, abs=1e-15)


def test_what_its_fact_does_not_say_is_no_reason() -> None:
    reasons, other = evidence(SILENT).reasons(0)
    assert reasons == []
    assert other == pytest.approx(sum(float(line["points"]) for line in rows(SILENT)), abs=1e-15)


def test_points_that_are_equal_are_ordered_by_name() -> None:
    text = "metric | points | value | typical\nusage_growth | 0.02 | 1 | 0\nactive_days | 0.02 | 9 | 1"
    assert [r["metric"] for r in evidence(text).reasons(0)[0]] == ["active_days", "usage_growth"]


def test_a_reason_has_the_numbers_of_its_fact() -> None:
    text = "metric | points | value | typical\nseat_saturation | 0.05 | 0.92 | 0.5"
    found = evidence(
        text,
        features=pd.DataFrame({"seat_saturation": [0.92], "seat_saturation_previous": [0.62]}),
        facts=pd.DataFrame(
            {"seat_saturation.active_users": [46.0], "seat_saturation.licensed_seats": [50.0], "seats.other": [1.0]}
        ),
        thresholds={"seat_saturation": 0.8},
        sources={"seat_saturation": "contracts, events"},
    )
    (reason,), _ = found.reasons(0)
    assert reason == {
        "metric": "seat_saturation",
        "points": 0.05,
        "value": 0.92,
        "previous_value": 0.62,
        "unit": "ratio",
        "threshold": 0.8,
        "typical": 0.5,
        "window_days": 30,
        "facts": {"active_users": 46, "licensed_seats": 50},
        "source": "contracts, events",
        "side": "for",
    }


def test_a_reason_without_a_period_before_has_none() -> None:
    text = "metric | points | value | typical\nroi_milestones | 0.05 | 2 | 0"
    (reason,), _ = evidence(text).reasons(0)
    assert (reason["previous_value"], reason["window_days"], reason["threshold"], reason["source"]) == (None,) * 4
    assert reason["facts"] == {}


names = [n for n, m in registry().items() if m.in_model and m.unit != "category"]
numbers = st.one_of(st.just(float("nan")), st.floats(-2, 2))


@given(data=st.data(), columns=st.lists(st.sampled_from(names), min_size=1, max_size=20, unique=True))
def test_reasons_agree_with_their_facts_and_close_the_sum(data: st.DataObject, columns: list[str]) -> None:
    points = data.draw(st.lists(st.floats(-0.5, 0.5), min_size=len(columns), max_size=len(columns)))
    values, typical = (data.draw(st.lists(numbers, min_size=len(columns), max_size=len(columns))) for _ in range(2))
    lines = zip(columns, points, values, typical, strict=True)
    body = "\n".join(f"{c} | {p!r} | {'' if v != v else v} | {'' if t != t else t}" for c, p, v, t in lines)
    reasons, other = evidence(f"metric | points | value | typical\n{body}").reasons(0)
    assert sum(r["points"] for r in reasons) + other == pytest.approx(sum(points), abs=1e-12)
    sides = [r["side"] for r in reasons]
    assert sides == sorted(sides, reverse=True)
    assert sides.count("for") <= MOST_FOR
    assert sides.count("against") <= MOST_AGAINST
    for reason in reasons:
        metric = registry()[reason["metric"]]
        assert abs(reason["points"]) >= LEAST_POINTS
        assert metric.shown
        above = reason["value"] > reason["typical"]
        assert above == (metric.direction * reason["points"] > 0)
        assert (reason["side"] == "for") == (reason["points"] > 0)


def test_sources_are_the_input_tables_of_the_formula() -> None:
    found = {name: source_of(registry()[name], CONFIG) for name in ("seat_saturation", "active_days", "advocacy_index")}
    assert found == {"seat_saturation": "contracts, events", "active_days": "events", "advocacy_index": "advocacy, nps"}


PLAIN: list[tuple[Any, Any]] = [
    (None, None),
    (pd.NA, None),
    (float("nan"), None),
    (float("inf"), None),
    (np.float64(2.0), 2),
    (2.5, 2.5),
    (-0.0, 0),
    (1e300, 1e300),
    (np.int64(2**60 + 1), 2**60 + 1),
    (Decimal("3.0"), 3),
    ("text", "text"),
    ("", ""),
    (True, True),
]


@pytest.mark.parametrize(("value", "expected"), PLAIN, ids=repr)
def test_values_are_as_json_has_them(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_a_date_is_no_number() -> None:
    with pytest.raises(TypeError):
        plain(date(2025, 1, 1))
