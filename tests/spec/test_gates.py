"""What qualifies an account, what holds it, and what it could buy next, as small tables."""

# ruff: noqa: E501 - a table is read along its lines

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.baseline import gates, risk
from csql_ml.baseline.hypothesis import Hypothesis, hypotheses
from csql_ml.config import Config
from csql_ml.scoring import score_snapshot
from tests.small_company import SETTINGS, rows
from tests.snapshot_tables import AS_OF, CONFIG, METRICS, champion, features, snapshot


def settings(**sections: Any) -> Config:
    return Config(**{**SETTINGS, **sections})


def checked(text: str, config: Config = CONFIG) -> gates.GateResults:
    return gates.check(METRICS, features(text), config, AS_OF)


def column(text: str, name: str) -> list[str]:
    """A column of a table, in the order of the accounts."""
    return [line[name] for line in sorted(rows(text), key=lambda line: line["account_id"])]


# --- gates ------------------------------------------------------------------------------------------------------------

VALUE_PROVEN = """
account_id | seat_saturation | usage_growth | engagement_change | roi_milestones | nps_promoter | state       | because
a01        | 0.8             |              |                   |                |              | passed      | seat_saturation
a02        | 0.7999          |              |                   |                |              | failed      |
a03        |                 | 0.25         |                   |                |              | passed      | usage_growth
a04        | 0.5             | 0.2499       | 24                | 0              | 0            | failed      |
a05        |                 |              | 25                |                |              | passed      | engagement_change
a06        |                 |              |                   | 1              | 1            | passed      | nps_promoter roi_milestones
a07        |                 |              |                   | 0              |              | failed      |
a08        |                 |              |                   |                |              | not_checked |
a09        | 0.9             | -0.5         | -30               | 0              | 0            | passed      | seat_saturation
"""
OTHER_GATES = """
account_id | next_product_clear | buyer_identified | upgrade_attempts | new_executive_sponsor | next_product | buyer       | timing
b1         | 1                  | 1                | 1                |                       | passed       | passed      | passed
b2         | 0                  | 0                | 0                |                       | failed       | failed      | failed
b3         |                    |                  |                  |                       | not_checked  | not_checked | not_checked
b4         | 1                  |                  | 0                | 1                     | passed       | not_checked | passed
"""
ALSO = """
account_id | feature_adoption | gated_feature_clicks | advocacy_index | engaged_stakeholders | state
c1         | 0.6              | 1                    |                |                      | passed
c2         | 0.6              | 0                    |                |                      | failed
c3         | 0.6              |                      |                |                      | not_checked
c4         | 0.59             |                      |                |                      | failed
c5         | 0.59             | 3                    |                |                      | failed
c6         |                  | 3                    |                |                      | not_checked
c7         |                  |                      | 1              | 2                    | passed
c8         |                  |                      | 3              | 1                    | failed
c9         | 0.9              |                      | 0              |                      | failed
"""
#: The horizon ends 139 days after the as-of date; a term that ends then has its last day within it.
RENEWAL = """
account_id | days_to_renewal | state
d1         | 1               | passed
d2         | 139             | passed
d3         | 140             | failed
d4         |                 | not_checked
"""


def test_value_is_proven_by_any_of_its_metrics_at_its_threshold() -> None:
    found = checked(VALUE_PROVEN)
    assert found.states["value_proven"].tolist() == column(VALUE_PROVEN, "state")
    because = [" ".join(found.because(row, "value_proven")) for row in range(len(found.states))]
    assert because == column(VALUE_PROVEN, "because")


def test_every_gate_has_its_own_metrics() -> None:
    states = checked(OTHER_GATES).states
    assert states["next_product"].tolist() == column(OTHER_GATES, "next_product")
    assert states["buyer_identified"].tolist() == column(OTHER_GATES, "buyer")
    assert states["timing"].tolist() == column(OTHER_GATES, "timing")


def test_a_metric_that_needs_another_one_is_reached_with_both_and_unmeasured_without_it() -> None:
    assert checked(ALSO).states["value_proven"].tolist() == column(ALSO, "state")


def test_a_renewal_must_come_before_the_horizon_ends() -> None:
    assert checked(RENEWAL).states["timing"].tolist() == column(RENEWAL, "state")


@pytest.mark.parametrize(
    ("sections", "limit"),
    [
        ({}, 139),
        ({"labels": {"horizon_quarters": 0}}, 47),
        ({"company": {"fiscal_year_start_month": 2}}, 170),
        ({"metrics": {"days_to_renewal": {"threshold": 60}}}, 60),
    ],
)
def test_the_renewal_limit_is_the_horizon_unless_configured(sections: dict[str, Any], limit: int) -> None:
    metric = next(m for m in METRICS if m.name == "days_to_renewal")
    assert gates.threshold(metric, settings(**sections), AS_OF) == limit
    days = f"account_id | days_to_renewal\na | {limit}\nb | {limit + 1}"
    assert checked(days, settings(**sections)).states["timing"].tolist() == ["passed", "failed"]


def test_thresholds_are_configured() -> None:
    strict = settings(metrics={"seat_saturation": {"threshold": 0.9}})
    text = "account_id | seat_saturation\na | 0.85\nb | 0.9"
    assert checked(text, strict).states["value_proven"].tolist() == ["failed", "passed"]


def test_only_required_gates_are_checked() -> None:
    found = checked(OTHER_GATES, settings(gates={"required": ["timing", "next_product"]}))
    assert list(found.states) == ["timing", "next_product"]
    assert [found.failed(row) for row in range(4)] == [[], ["timing", "next_product"], [], []]


def test_a_gate_whose_metrics_are_all_excluded_is_not_checked() -> None:
    kept = [m for m in METRICS if m.gate != "buyer_identified"]
    table = features(OTHER_GATES).drop(columns=["buyer_identified"])
    found = gates.check(kept, table, CONFIG, AS_OF)
    assert found.states["buyer_identified"].tolist() == ["not_checked"] * 4
    assert found.because(0, "buyer_identified") == []


def test_a_condition_that_is_excluded_is_no_condition() -> None:
    kept = [m for m in METRICS if m.name != "gated_feature_clicks"]
    table = features("account_id | feature_adoption\na | 0.6").drop(columns=["gated_feature_clicks"])
    assert gates.check(kept, table, CONFIG, AS_OF).states["value_proven"].tolist() == ["passed"]


# --- risk -------------------------------------------------------------------------------------------------------------

RISKS = """
account_id | open_high_severity_tickets | usage_growth | engagement_change | flags
a1         | 0                          | 0.1          | 3                 |
a2         | 1                          | 0.1          | 3                 | open_high_severity_tickets
a3         | 0                          | -0.25        | 3                 | usage_decline
a4         | 0                          | -0.2499      | -24.99            |
a5         | 0                          | 0.1          | -25               | engagement_decline
a6         | 4                          | -0.9         | -60               | open_high_severity_tickets,usage_decline,engagement_decline
a7         |                            |              |                   |
a8         |                            | -0.9         |                   | usage_decline
"""


def flagged(table: pd.DataFrame, config: Config = CONFIG) -> list[str]:
    found = risk.flags(table, config)
    assert found.index.equals(table.index)
    return [",".join(found.columns[row]) for row in found.to_numpy(dtype=bool)]


def test_risks_hold_from_their_limits_on_and_a_missing_value_holds_nobody() -> None:
    assert flagged(features(RISKS)) == column(RISKS, "flags")


def test_a_risk_check_can_be_switched_off_or_moved() -> None:
    config = settings(risk={"usage_decline": None, "open_high_severity_tickets": 3, "engagement_decline": -61})
    assert flagged(features(RISKS), config) == ["", "", "", "", "", "open_high_severity_tickets", "", ""]


def test_a_risk_whose_metric_is_excluded_holds_nobody() -> None:
    assert set(flagged(features(RISKS).drop(columns=["usage_growth"]))) == {
        "",
        "open_high_severity_tickets",
        "engagement_decline",
        "open_high_severity_tickets,engagement_decline",
    }


# --- the expansion hypothesis -----------------------------------------------------------------------------------------

#: Module bits: 1 Analytics, 2 Automation. Plans: Basic 0, Pro 1, Enterprise 2.
HYPOTHESES = """
account_id | wanted_mask | modules_mask | upgrade_attempts | plan_rank | seat_saturation | gated_mask | gated_feature_clicks_90d | next_product_clear | advocacy_index | main_product | type       | product    | metric
a01        | 2           | 0            | 3                | 0         | 0.9             | 1          | 2                        | 1                  | 3              | Platform     | cross_sell | Automation | phase_two
a02        | 3           | 1            |                  |           |                 |            |                          | 1                  |                | Platform     | cross_sell | Automation | phase_two
a03        | 1           | 1            | 1                | 0         | 0.9             |            |                          | 1                  |                | Platform     | upsell     | Pro        | upgrade_attempts
a04        | 0           | 0            | 1                | 2         | 0.9             |            |                          | 1                  |                | Platform     | upsell     | Platform   | upgrade_attempts
a05        | 0           | 0            | 1                |           |                 |            |                          |                    |                | Platform     | upsell     | Platform   | upgrade_attempts
a06        | 0           | 0            | 0                | 0         | 0.8             | 1          | 2                        | 1                  | 3              | Platform     | upsell     | Platform   | seat_saturation
a07        | 0           | 0            | 0                | 0         | 0.79            | 3          | 2                        | 1                  | 3              | Platform     | cross_sell | Analytics  | gated_feature_clicks
a08        | 0           | 1            | 0                | 0         | 0.79            | 3          | 2                        | 1                  | 3              | Platform     | cross_sell | Automation | gated_feature_clicks
a09        | 0           | 0            | 0                | 1         | 0.5             | 0          | 2                        | 1                  | 3              | Platform     | upsell     | Enterprise | gated_feature_clicks
a10        | 0           | 0            | 0                | 2         | 0.5             | 0          | 2                        | 0                  | 3              | Platform     | referral   | Platform   | advocacy_index
a11        | 0           | 0            | 0                | 2         | 0.5             | 0          | 0                        | 0                  | 1              | Platform     |            |            |
a12        |             |              |                  |           |                 |            |                          |                    |                | Platform     |            |            |
a13        |             |              |                  |           | 0.9             |            |                          | 1                  |                |              | upsell     | current product | seat_saturation
"""


def as_lines(found: list[Hypothesis | None]) -> list[tuple[str, str, str]]:
    return [(h.type, h.product, h.metric) if h else ("", "", "") for h in found]


def test_the_strongest_sign_makes_the_hypothesis() -> None:
    made = snapshot(HYPOTHESES)
    expected = list(zip(*(column(HYPOTHESES, c) for c in ("type", "product", "metric")), strict=True))
    assert as_lines(hypotheses(made.features, made.facts, CONFIG)) == expected


def test_the_seat_threshold_of_the_hypothesis_is_the_configured_one() -> None:
    made = snapshot("account_id | seat_saturation\na | 0.85")
    strict = settings(metrics={"seat_saturation": {"threshold": 0.9}})
    assert as_lines(hypotheses(made.features, made.facts, strict)) == [("", "", "")]


def test_without_a_catalogue_there_is_still_more_of_the_same_to_sell() -> None:
    made = snapshot(HYPOTHESES)
    found = hypotheses(made.features, made.facts, settings(catalogue={}))
    assert {h.product for h in found if h} == {"Platform", "current product"}


masks = st.sampled_from([np.nan, 0.0, 1.0, 2.0, 3.0])
counts = st.sampled_from([np.nan, 0.0, 1.0, 5.0])


@given(
    facts=st.fixed_dictionaries(
        {
            "wanted_mask": masks,
            "modules_mask": masks,
            "gated_mask": masks,
            "plan_rank": st.sampled_from([np.nan, 0.0, 2.0]),
        }
    ),
    values=st.fixed_dictionaries(
        {"upgrade_attempts": counts, "gated_feature_clicks_90d": counts, "seat_saturation": counts}
    ),
    dropped=st.sets(st.sampled_from(["upgrade_attempts", "gated_feature_clicks_90d", "seat_saturation"])),
)
def test_a_clear_next_product_always_has_a_hypothesis(
    facts: dict[str, float], values: dict[str, float], dropped: set[str]
) -> None:
    table = pd.DataFrame([{**values, "next_product_clear": 1.0}]).drop(columns=list(dropped))
    (found,) = hypotheses(table, pd.DataFrame([facts]), CONFIG)
    assert found is not None
    owned = int(np.nan_to_num(facts["modules_mask"]))
    assert not (found.type == "cross_sell" and owned >> ["Analytics", "Automation"].index(found.product) & 1)


# --- statuses ---------------------------------------------------------------------------------------------------------

#: The score is 100 points at full saturation and four upgrade attempts; accounts qualify from 50 on.
STATUSES = """
account_id | tenure | open_leads | open_expansions | days_since_failed_lead | open_high_severity_tickets | seat_saturation | upgrade_attempts | next_product_clear | buyer_identified | status        | barred       | failed_gates
a01        | 400    | 0          | 0               |                        | 0                          | 0.9             | 2                | 1                  | 1                | qualified     |              |
a02        | 29     | 0          | 0               |                        | 2                          | 0.9             | 2                | 1                  | 1                | ineligible    | tenure       |
a03        | 30     | 0          | 0               |                        | 0                          | 0.9             | 2                | 1                  | 1                | qualified     |              |
a04        | 400    | 1          | 0               |                        | 2                          | 0.1             | 0                | 0                  | 0                | ineligible    | lead_in_work | value_proven,next_product,buyer_identified,timing
a05        | 400    | 0          | 1               |                        | 0                          | 0.9             | 2                | 1                  | 1                | ineligible    | lead_in_work |
a06        | 400    | 0          | 0               | 30                     | 0                          | 0.9             | 2                | 1                  | 1                | ineligible    | cooldown     |
a07        | 400    | 0          | 0               | 31                     | 0                          | 0.9             | 2                | 1                  | 1                | qualified     |              |
a08        | 10     | 2          | 1               | 5                      | 0                          | 0.9             | 2                | 1                  | 1                | ineligible    | tenure,lead_in_work,cooldown |
a09        | 400    | 0          | 0               |                        | 1                          | 0.9             | 2                | 1                  | 1                | held_for_risk |              |
a10        | 400    | 0          | 0               |                        | 1                          | 0.1             | 0                | 0                  | 0                | held_for_risk |              | value_proven,next_product,buyer_identified,timing
a11        | 400    | 0          | 0               |                        | 0                          | 0.9             | 2                | 0                  | 1                | not_yet       |              | next_product
a12        | 400    | 0          | 0               |                        | 0                          | 0.8             | 1                | 1                  | 1                | qualified     |              |
a13        | 400    | 0          | 0               |                        | 0                          | 0.8             | 0                | 1                  | 1                | not_yet       |              | timing
a14        | 400    |            |                 |                        |                            | 0.9             | 2                |                    |                  | qualified     |              |
a15        |        | 0          | 0               |                        | 0                          | 0.9             | 2                | 1                  | 1                | qualified     |              |
a17        | 400    | 0          | 0               |                        | 0                          | 0.7             | 4                | 1                  | 1                | not_yet       |              | value_proven
"""


def test_the_status_is_the_first_that_applies() -> None:
    scored = score_snapshot(snapshot(STATUSES), METRICS, champion(), CONFIG, "run")
    assert scored.scores["status"].tolist() == column(STATUSES, "status")
    assert [",".join(b) for b in scored.barred] == column(STATUSES, "barred")
    assert scored.scores["failed_gates"].tolist() == column(STATUSES, "failed_gates")


def test_an_account_below_the_threshold_of_the_score_is_not_yet() -> None:
    text = "account_id | seat_saturation | upgrade_attempts | usage_growth\na | 0.8 | 1 | 0\nb | 0.75 | 1 | 0.3\nc | 0.74 | 1 | 0.3"
    scores = score_snapshot(snapshot(text), METRICS, champion(), CONFIG, "run").scores
    assert scores["baseline_score"].round(6).tolist() == [52.5, 50.0, 49.5]
    assert scores["failed_gates"].tolist() == ["", "", ""]
    assert scores["status"].tolist() == ["qualified", "qualified", "not_yet"]


def test_a_stack_qualifies_by_its_propensity_and_not_by_the_score() -> None:
    text = "account_id | seat_saturation | upgrade_attempts\na | 0.9 | 4\nb | 0.8 | 1"
    stack = champion(threshold=0.2)
    object.__setattr__(stack, "kind", "stack")  # a real one would have to be trained
    scores = score_snapshot(snapshot(text), METRICS, stack, CONFIG, "run").scores
    assert (scores["propensity"] >= 0.2).tolist() == [True, False]
    assert scores["status"].tolist() == ["qualified", "not_yet"]


def test_eligibility_is_configured() -> None:
    config = settings(eligibility={"min_tenure_days": 0, "cooldown_days": 0})
    text = "account_id | tenure | days_since_failed_lead | seat_saturation | upgrade_attempts\na | 0 | 1 | 0.9 | 4"
    assert score_snapshot(snapshot(text), METRICS, champion(), config, "run").scores["status"].tolist() == ["qualified"]
