"""What every metric is, as small tables: rows of input, and the values as of 2025-12-01 of account a1.

One scenario per family keeps the tables short. A metric without a row here fails `test_every_metric_has_a_spec`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from csql_ml.metrics import registry
from tests.small_company import rows, small_company

AS_OF = date(2025, 12, 1)


@dataclass(frozen=True)
class Spec:
    """Input tables, and ``column | value`` lines of what must come out for account a1 (empty value: missing)."""

    tables: dict[str, str]
    expected: str
    settings: dict[str, Any] = field(default_factory=dict)


ADOPTION = Spec(
    {
        "users": """
user_id | account_id | created_at | deactivated_at
u1      | a1         | 2025-01-05 |
u2      | a1         | 2025-01-05 |
u3      | a1         | 2025-01-05 |
u4      | a1         | 2025-01-05 | 2025-06-01
u5      | a1         | 2025-12-01 |
""",
        "events": """
account_id | user_id | occurred_at      | event_name         | feature
a1         | u1      | 2025-11-02       | used               | boards
a1         | u1      | 2025-11-20       | used               | reports
a1         | u2      | 2025-11-30 23:59 | used               | boards
a1         | u3      | 2025-12-01 00:00 | used               | search
a1         | u3      | 2025-10-10       | used               | search
a1         | u1      | 2025-11-21       | used               | api
a1         | u1      | 2025-11-21       | workflow_started   |
a1         | u1      | 2025-11-21       | workflow_started   |
a1         | u1      | 2025-11-21       | workflow_completed |
a1         | u3      | 2025-10-11       | workflow_started   |
a1         | u3      | 2025-10-11       | workflow_completed |
""",
    },
    """
column                            | value
seat_saturation                   | 0.2
seat_saturation_90d               | 0.3
seat_saturation_previous          | 0.1
seat_saturation_change            | 0.1
seat_saturation_reached           | 0
feature_adoption_reached          | 0
feature_adoption                  | 0.4
feature_adoption_90d              | 0.6
feature_adoption_previous         | 0.2
advanced_adoption                 | 0.5
advanced_adoption_previous        | 0
active_user_ratio                 | 0.666667
active_user_ratio_previous        | 0.333333
workflow_completion_rate          | 0.5
workflow_completion_rate_90d      | 0.666667
workflow_completion_rate_previous | 1
workflow_completion_rate_change   | -0.5
""",
)

USAGE = Spec(
    {
        "events": """
account_id | user_id | occurred_at | event_name | feature | quantity
a1         | u1      | 2025-11-20  | used       | boards  | 6
a1         | u1      | 2025-11-21  | used       | boards  | 6
a1         | u2      | 2025-11-21  | used       | reports | 3
a1         | u1      | 2025-10-20  | used       | boards  | 12
a1         | u1      | 2025-09-20  | used       | boards  | 8
a1         | u1      | 2025-08-20  | used       | boards  | 9
""",
    },
    """
column                    | value
usage_growth              | 0.25
usage_growth_90d          | 2.888889
usage_growth_streak       | 2
usage_per_seat            | 1.5
usage_per_seat_previous   | 1.2
usage_per_seat_change     | 0.3
active_days               | 2
active_days_90d           | 4
active_days_previous      | 1
engagement_score          | 17.5
engagement_score_previous | 10.5
engagement_score_change   | 7
engagement_change         | 7
usage_decline             | 0
engagement_decline        | 0
""",
)

DECLINE = Spec(
    {
        "events": """
account_id | user_id | occurred_at | event_name | feature | quantity
a1         | u1      | 2025-11-20  | used       | boards  | 3
a1         | u1      | 2025-10-20  | used       | boards  | 12
a1         | u2      | 2025-10-20  | used       | reports | 12
""",
        "tickets": """
ticket_id | account_id | opened_at        | severity | closed_at        | topic
t1        | a1         | 2025-11-10       | High     |                  |
t2        | a1         | 2025-11-12       | urgent   | 2025-12-01 00:00 |
t3        | a1         | 2025-11-13       | high     | 2025-11-30       |
t4        | a1         | 2025-11-14       | low      |                  |
t5        | a1         | 2025-12-01 00:00 | high     |                  |
t6        | a1         | 2025-10-03       | low      | 2025-10-04       |
""",
    },
    """
column                     | value
usage_growth               | -0.875
usage_decline              | 0.875
engagement_change          | -6
engagement_decline         | 6
open_high_severity_tickets | 2
tickets                    | 4
tickets_previous           | 1
tickets_change             | 3
tickets_90d                | 5
""",
)

INTENT = Spec(
    {
        "events": """
account_id | user_id | occurred_at | event_name      | feature
a1         | u1      | 2025-11-20  | gated_click     | dashboards
a1         | u1      | 2025-11-21  | gated_click     | dashboards
a1         | u1      | 2025-10-21  | gated_click     | bots
a1         | u1      | 2025-11-22  | upgrade_attempt |
a1         | u1      | 2025-09-22  | upgrade_attempt |
a1         | u1      | 2025-07-22  | upgrade_attempt |
a1         | u1      | 2025-12-01  | upgrade_attempt |
""",
        "tickets": """
ticket_id | account_id | opened_at  | severity | topic
t1        | a1         | 2025-11-10 | low      | New Module
t2        | a1         | 2025-11-10 | low      | billing
t3        | a1         | 2025-07-10 | low      | new module
""",
    },
    """
column                           | value
gated_feature_clicks             | 2
gated_feature_clicks_90d         | 3
gated_feature_clicks_previous    | 1
upgrade_attempts                 | 2
upgrade_attempts_30d             | 1
upgrade_attempts_previous        | 1
upgrade_attempts_reached         | 1
module_requests                  | 1
module_requests_previous         | 1
expansion_intent_events          | 4
expansion_intent_events_previous | 1
expansion_intent_events_90d      | 6
next_product_clear               | 1
""",
)

ADVOCACY = Spec(
    {
        "nps": """
account_id | responded_at     | score
a1         | 2025-06-01       | 6
a1         | 2025-11-01       | 9
a1         | 2025-12-01 00:00 | 3
""",
        "advocacy": """
account_id | occurred_at | kind
a1         | 2025-03-01  | review
a1         | 2025-04-01  | review
a1         | 2024-11-01  | referral
""",
        "contacts": """
contact_id | account_id | role              | since      | last_engaged_at
k1         | a1         | champion          | 2025-01-01 | 2025-11-20
k2         | a1         | user              | 2025-01-01 | 2025-08-01
k3         | a1         | buyer             | 2025-01-01 | 2025-12-02
k4         | a1         | executive_sponsor | 2025-10-01 | 2025-11-30
""",
    },
    """
column                | value
nps_score             | 9
nps_promoter          | 1
advocacy_index        | 2
engaged_stakeholders  | 2
buyer_identified      | 1
new_executive_sponsor | 1
""",
)

FIT_AND_TIMING = Spec(
    {
        "contracts": """
account_id | product   | seats | arr   | start_date | end_date   | plan  | signed_at
a1         | Platform  | 10    | 10000 | 2025-02-01 | 2026-02-01 | Pro   | 2025-01-15
a1         | Analytics | 10    | 2000  | 2025-06-01 | 2026-06-01 |       |
a1         | Platform  | 99    | 99000 | 2026-02-01 | 2027-02-01 | Pro   | 2025-12-01
a2         | Platform  | 4     | 4000  | 2025-01-01 |            | Basic |
""",
        "milestones": """
account_id | occurred_at      | kind             | product
a1         | 2025-09-01       | phase_two        | Automation
a1         | 2025-01-20       | phase_two        | Automation
a1         | 2025-11-01       | budget_expansion |
a1         | 2025-12-01 00:00 | budget_expansion |
a1         | 2025-03-01       | goal             |
a1         | 2025-08-01       | goal             |
a1         | 2025-08-01       | roi              |
""",
    },
    """
column             | value
days_to_renewal    | 62
budget_expansion   | 1
phase_two          | 1
goals              | 2
roi_milestones     | 1
unowned_modules    | 1
plan_headroom      | 0.5
next_product_clear | 1
icp_fit            | 0.75
arr                | 12000
seats              | 10
plan               | Pro
segment            | mid_market
industry           | Retail
tenure_days        | 334
employees          |
""",
)

HISTORY = Spec(
    {
        "csqls": """
csql_id | account_id | type    | created_at | rejected_at | closed_at  | won   | arr
q1      | a1         | upsell  | 2025-03-01 |             | 2025-04-01 | true  | 500
q2      | a1         | upsell  | 2025-05-01 | 2025-05-12  |            |       |
q3      | a1         | upsell  | 2025-06-01 |             | 2025-08-01 | false |
q4      | a1         | renewal | 2025-06-01 |             | 2025-08-01 | true  | 900
q5      | a1         | upsell  | 2025-11-01 |             | 2025-12-01 | true  | 800
q6      | a1         | upsell  | 2025-12-01 |             |            |       |
""",
        "opportunities": """
opportunity_id | account_id | type      | created_at | arr | closed_at  | won
o1             | a1         | expansion | 2025-03-02 | 500 | 2025-04-01 | true
o2             | a1         | renewal   | 2025-03-02 | 500 | 2025-04-01 | true
o3             | a1         | expansion | 2025-11-02 | 800 | 2025-12-01 | true
""",
    },
    """
column                 | value
earlier_csqls          | 4
earlier_csqls_won      | 1
earlier_csqls_rejected | 1
days_since_failed_csql | 122
earlier_expansions     | 1
""",
)

SPECS = {
    "adoption": ADOPTION,
    "usage": USAGE,
    "decline": DECLINE,
    "intent": INTENT,
    "advocacy": ADVOCACY,
    "fit_and_timing": FIT_AND_TIMING,
    "history": HISTORY,
}


@pytest.mark.parametrize("name", SPECS)
def test_metrics_have_the_values_of_their_spec(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    with small_company(tmp_path, dict(spec.tables), **spec.settings) as company:
        features = company.builder.build(AS_OF).features.set_index("account_id").loc["a1"]
    expected = {line["column"]: line["value"] for line in rows(spec.expected)}
    found = {column: _text(features[column]) for column in expected}
    assert found == {column: _text(_parsed(value)) for column, value in expected.items()}


def test_every_metric_has_a_spec() -> None:
    specified = {line["column"] for spec in SPECS.values() for line in rows(spec.expected)}
    assert set(registry()) - specified == set()


def test_a_missing_table_makes_its_metrics_missing_and_never_zero(tmp_path: Path) -> None:
    with small_company(tmp_path, {}) as company:
        features = company.builder.build(AS_OF).features.set_index("account_id").loc["a1"]
        unavailable = company.builder.plan(AS_OF).unavailable
    for metric in ("tickets", "nps_score", "roi_milestones", "earlier_csqls", "buyer_identified", "active_user_ratio"):
        assert features[metric] != features[metric], metric
    assert unavailable["open_high_severity_tickets"] == ("table tickets is absent",)


def test_a_window_before_the_first_event_is_missing_and_not_zero(tmp_path: Path) -> None:
    contracts = "account_id | product | seats | arr | start_date | end_date\na1 | Platform | 10 | 1000 | 2025-01-01 |"
    with small_company(tmp_path, {"contracts": contracts}) as company:
        young = company.builder.build(date(2025, 2, 10)).features.iloc[0]
    assert young["seat_saturation"] == 0.0
    assert young["seat_saturation_previous"] != young["seat_saturation_previous"]
    assert young["seat_saturation_90d"] != young["seat_saturation_90d"]


@pytest.mark.parametrize(
    ("zone", "instant", "active"),
    [
        ("UTC", "2025-11-30T23:59:59Z", 1),
        ("UTC", "2025-12-01T00:00:00Z", 0),
        ("Europe/Berlin", "2025-11-30T22:59:59Z", 1),
        ("Europe/Berlin", "2025-11-30T23:00:00Z", 0),
        ("America/New_York", "2025-12-01T04:59:59Z", 1),
        ("America/New_York", "2025-12-01T05:00:00Z", 0),
        ("America/New_York", "2025-11-30T23:59:59-05:00", 1),
    ],
)
def test_the_cut_off_is_the_companys_midnight(tmp_path: Path, zone: str, instant: str, active: int) -> None:
    events = f"account_id | user_id | occurred_at | event_name\na1 | u1 | {instant} | login"
    with small_company(tmp_path, {"events": events}, company={"time_zone": zone}) as company:
        assert company.builder.build(AS_OF).features["active_days"].iloc[0] == active


def test_a_row_recorded_late_is_known_late(tmp_path: Path) -> None:
    events = """
account_id | user_id | occurred_at | event_name | recorded_at
a1         | u1      | 2025-11-20  | login      | 2025-12-01
a1         | u2      | 2025-11-21  | login      | 2025-11-30
"""
    with small_company(tmp_path, {"events": events}) as company:
        assert company.builder.build(AS_OF).features["seat_saturation"].iloc[0] == 0.1
        assert company.builder.build(date(2025, 12, 2)).features["seat_saturation"].iloc[0] == 0.2


def test_the_newest_known_version_of_a_row_counts(tmp_path: Path) -> None:
    contracts = """
account_id | product  | seats | arr   | start_date | end_date   | recorded_at
a1         | Platform | 10    | 10000 | 2025-01-01 | 2026-01-01 | 2025-01-01
a1         | Platform | 20    | 20000 | 2025-01-01 | 2026-01-01 | 2025-06-01
a1         | Platform | 40    | 40000 | 2025-01-01 | 2026-01-01 | 2025-12-01
"""
    with small_company(tmp_path, {"contracts": contracts}) as company:
        assert company.builder.build(AS_OF).features["seats"].tolist() == [20.0]


def _parsed(value: str) -> Any:
    try:
        return float(value) if value else None
    except ValueError:
        return value


def _text(value: Any) -> str:
    if value is None or value != value:
        return "missing"
    return value if isinstance(value, str) else f"{value:.6f}"
