"""Adoption: how much of what was bought is in use."""

from __future__ import annotations

from typing import Any

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import At, Metric, Ramp


def core_adoption(at: At) -> Any:
    """Core features used / core features."""
    width = len(at.config.signals.core_features)
    return M.ones(at(M.CORE_MASK), width) / float(max(width, 1))


def _advanced_adoption(at: At) -> Any:
    width = len(at.config.signals.advanced_features)
    return M.ones(at(M.ADVANCED_MASK), width) / float(max(width, 1))


seat_saturation = Metric(
    name="seat_saturation",
    part="success",
    direction=+1,
    unit="ratio",
    formula=lambda at: M.ratio(at(M.ACTIVE_USERS), at(M.SEATS)),
    label="seat saturation",
    description="Active seats / licensed seats.",
    sentence="{active_users} of {licensed_seats} seats active ({value}); {active_users_previous} of "
    "{licensed_seats_previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    threshold=0.80,
    gate="value_proven",
    ramp=Ramp("engagement", 0.40, 0.95, weight=2.0),
    facts={"active_users": M.ACTIVE_USERS, "licensed_seats": M.SEATS},
    actionable=True,
)

feature_adoption = Metric(
    name="feature_adoption",
    part="success",
    direction=+1,
    unit="ratio",
    formula=core_adoption,
    label="feature adoption",
    description="Core features used / core features.",
    sentence="{value} of the core features in use; {previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    threshold=0.60,
    gate="value_proven",
    also="gated_feature_clicks",
    ramp=Ramp("engagement", 0.20, 0.90, weight=1.5),
    facts={"core_events": M.CORE_EVENTS},
    actionable=True,
)

advanced_adoption = Metric(
    name="advanced_adoption",
    part="success",
    direction=+1,
    unit="ratio",
    formula=_advanced_adoption,
    label="advanced-feature adoption",
    description="Advanced features used / advanced features.",
    sentence="{value} of the advanced features in use; {previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    ramp=Ramp("engagement", 0.0, 0.7),
    facts={"advanced_events": M.ADVANCED_EVENTS},
    actionable=True,
)

active_user_ratio = Metric(
    name="active_user_ratio",
    part="success",
    direction=+1,
    unit="ratio",
    formula=lambda at: M.ratio(at(M.ACTIVE_USERS), at(M.USERS)),
    label="active user ratio",
    description="Active users / users with a login.",
    sentence="{active_users} of {known_users} users active ({value}); {previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    ramp=Ramp("engagement", 0.30, 0.90, weight=0.5),
    facts={"active_users": M.ACTIVE_USERS, "known_users": M.USERS},
    actionable=True,
)

workflow_completion_rate = Metric(
    name="workflow_completion_rate",
    part="success",
    direction=+1,
    unit="ratio",
    formula=lambda at: M.ratio(at(M.WORKFLOW_COMPLETIONS), at(M.WORKFLOW_STARTS)),
    label="workflow completion rate",
    description="Key actions completed / key actions started.",
    sentence="{workflow_completions} of {workflow_starts} workflows completed ({value}); "
    "{previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    ramp=Ramp("engagement", 0.40, 0.90, weight=0.5),
    facts={"workflow_completions": M.WORKFLOW_COMPLETIONS, "workflow_starts": M.WORKFLOW_STARTS},
    actionable=True,
)
