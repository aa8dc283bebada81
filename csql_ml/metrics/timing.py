"""Timing: what makes this quarter or the next the right moment."""

from __future__ import annotations

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric, Period, Ramp

days_to_renewal = Metric(
    name="days_to_renewal",
    part="timing",
    direction=-1,
    unit="days",
    formula=lambda at: at(M.RENEWAL_IN),
    label="days to renewal",
    description="Days until the first contract in force ends; missing where all are open-ended.",
    sentence="renewal in {value} days",
    gate="timing",
    ramp=Ramp("intent", 240.0, 60.0),
)

new_executive_sponsor = Metric(
    name="new_executive_sponsor",
    part="timing",
    direction=+1,
    unit="flag",
    formula=lambda at: M.flag(at(M.NEW_SPONSORS) > 0),
    label="new executive sponsor",
    description="An executive sponsor has been in the role for at most 90 days.",
    sentence="a new executive sponsor within the last 90 days",
    threshold=1.0,
    gate="timing",
    ramp=Ramp("intent", 0.0, 1.0),
)

budget_expansion = Metric(
    name="budget_expansion",
    part="timing",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.BUDGET_EXPANSIONS, Period(180)),
    label="budget expansion",
    description="Budget expansions noted in business reviews within 180 days.",
    sentence="budget expansions noted within 180 days: {value}",
    threshold=1.0,
    gate="timing",
    ramp=Ramp("intent", 0.0, 1.0),
    facts={},
)
