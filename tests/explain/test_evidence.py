"""Which metrics become reasons, and that reasons and everything else add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.explain.evidence import (
    LEAST_POINTS,
    MOST_AGAINST,
    MOST_FOR,
    MOST_MISSING,
    SET_BY_CSMS,
    Evidence,
    plain,
    source_of,
)
from csql_ml.metrics import registry
from csql_ml.model.peers import Peers
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
            {
                "seat_saturation.active_users": [46.0],
                "seat_saturation.licensed_seats": [50.0],
                "seats.other": [1.0],
                "rows.events.30": [812.0],
            }
        ),
        thresholds={"seat_saturation": 0.8},
        sources={"seat_saturation": (("contracts", None), ("events", 30))},
        as_of=date(2026, 7, 1),
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
        "from": "2026-06-01",
        "to": "2026-06-30",
        "peers": None,
        "where": [
            {"table": "contracts", "from": None, "to": "2026-06-30", "rows": None},
            {"table": "events", "from": "2026-06-01", "to": "2026-06-30", "rows": 812},
        ],
        "stability": None,
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
    assert sides == sorted(sides, key=["for", "against", "missing"].index)
    assert sides.count("for") <= MOST_FOR
    assert sides.count("against") <= MOST_AGAINST
    assert sides.count("missing") <= MOST_MISSING
    for reason in reasons:
        metric = registry()[reason["metric"]]
        assert abs(reason["points"]) >= LEAST_POINTS
        assert metric.shown
        if reason["side"] == "missing":
            assert reason["value"] is None
            assert reason["points"] < 0
            continue
        above = reason["value"] > reason["typical"]
        assert above == (metric.direction * reason["points"] > 0)
        assert (reason["side"] == "for") == (reason["points"] > 0)


def test_a_missing_value_is_named_where_it_costs_points_and_never_praised() -> None:
    text = """
metric        | points | value | typical
nps_score     | -0.03  |       | 8
active_days   | 0.04   |       | 10
usage_growth  | -0.02  |       | 0.1
"""
    reasons, other = evidence(text).reasons(0)
    assert [(r["metric"], r["side"], r["value"]) for r in reasons] == [
        ("nps_score", "missing", None),
        ("usage_growth", "missing", None),
    ]
    assert other == pytest.approx(0.04, abs=1e-15)


def test_one_gap_in_the_data_is_named_once() -> None:
    text = "metric | points | value | typical\nnps_score | -0.03 | | 8\nnps_promoter | -0.02 | | 0"
    sources = dict.fromkeys(("nps_score", "nps_promoter"), (("nps", None),))
    assert [r["metric"] for r in evidence(text, sources=sources).reasons(0)[0]] == ["nps_score"]


#: Share of refits in which each metric is among the strongest: only the steady ones are told.
STEADY = """
metric           | points | value | typical | share
seat_saturation  | 0.05   | 0.9   | 0.5     | 0.75
usage_growth     | 0.04   | 0.3   | 0.1     | 1.0
feature_adoption | 0.03   | 0.9   | 0.5     | 0.8
active_days      | 0.02   | 28    | 10      | 0.1
upgrade_attempts | 0.01   | 3     | 0       | 0.0
nps_score        | -0.02  | 3     | 8       | 0.9
"""


def test_only_reasons_that_stand_in_most_refits_are_told() -> None:
    shares = np.array([[float(line["share"]) for line in rows(STEADY)]])
    found = evidence(STEADY, shares=shares, least_share=0.8)
    reasons, other, unsteady = found.told(0)
    assert [(r["metric"], r["stability"]) for r in reasons] == [
        ("usage_growth", 1.0),
        ("feature_adoption", 0.8),
        ("nps_score", 0.9),
    ]
    assert other == pytest.approx(0.05 + 0.02 + 0.01, abs=1e-15)
    assert unsteady == 2, "of the four that would be shown; the fifth would not be shown anyway"


def test_a_value_stands_in_a_quartile_of_its_segment() -> None:
    text = "metric | points | value | typical\nactive_days | 0.05 | 21 | 10"
    peers = Peers(date(2026, 6, 1), {"smb": 40, "large": 9}, {"smb": {"active_days": (5.0, 12.0, 20.0)}})
    said = {"segment": "smb", "quartile": 4, "low": 5.0, "median": 12.0, "high": 20.0, "accounts": 40}
    for segment, expected in [("smb", {**said, "as_of": "2026-06-01"}), ("large", None), (None, None)]:
        features = pd.DataFrame({"active_days": [21.0], "segment": [segment]})
        assert evidence(text, features=features, peers=peers).reasons(0)[0][0]["peers"] == expected


#: What a reason may consist of: numbers, dates, codes of metrics, tables and segments, and nothing about persons.
ALLOWED = {
    "metric", "points", "value", "previous_value", "unit", "threshold", "typical", "window_days", "facts", "source",
    "side", "from", "to", "peers", "where", "stability",
}  # fmt: skip


def test_what_must_never_be_shown_is_no_reason() -> None:
    """Anything CSMs set, whatever a definition says; and a reason carries no keys or words of its account."""
    defined = registry()
    sources = {name: source_of(m, CONFIG) for name, m in defined.items()}
    shown = {n: replace(m, shown=True, direction=m.direction or 1) for n, m in defined.items() if m.unit != "category"}
    names = list(shown)
    features = pd.DataFrame([[2.0] * len(names)], columns=names).assign(account_id="A-17", segment="smb")
    by_csms = {n for n in names if SET_BY_CSMS & {table for table, _ in sources[n]}}
    assert {"earlier_csqls", "earlier_csqls_won", "days_since_failed_csql"} <= by_csms
    for place, name in enumerate(names):
        points = np.zeros((1, len(names)))
        points[0, place] = 0.05 * shown[name].direction
        found = evidence(
            STEADY,
            metrics=shown,
            columns=names,
            points=points,
            features=features,
            typical=dict.fromkeys(names, 1.0),
            sources=sources,
            as_of=date(2026, 7, 1),
        )
        reasons, _ = found.reasons(0)
        assert [r["metric"] for r in reasons] == ([] if name in by_csms else [name])
        assert all(set(r) == ALLOWED and "A-17" not in str(r) for r in reasons)


def test_definitions_of_profile_and_history_are_not_shown() -> None:
    hidden = {n for n, m in registry().items() if m.part in ("profile", "history") or m.unit == "category"}
    assert {n for n in hidden if registry()[n].shown} == set()


def test_sources_are_the_input_tables_of_the_formula() -> None:
    found = {name: source_of(registry()[name], CONFIG) for name in ("seat_saturation", "active_days", "advocacy_index")}
    assert found == {
        "seat_saturation": (("contracts", None), ("events", 30)),
        "active_days": (("events", 30),),
        "advocacy_index": (("advocacy", None), ("nps", None)),
    }


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
