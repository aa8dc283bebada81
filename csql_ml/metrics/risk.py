"""Risk: what has to be put right before anybody talks about more."""

from __future__ import annotations

from csql_ml.metrics import measures as M
from csql_ml.metrics import usage
from csql_ml.metrics.definition import Metric

open_high_severity_tickets = Metric(
    name="open_high_severity_tickets",
    part="risk",
    direction=-1,
    unit="count",
    formula=lambda at: at(M.OPEN_SEVERE_TICKETS),
    label="open high-severity tickets",
    description="Tickets of high severity that are open as of the date.",
    sentence="high-severity tickets open: {value}",
    threshold=1.0,
    skewed=True,
)

tickets = Metric(
    name="tickets",
    part="risk",
    direction=0,
    unit="count",
    formula=lambda at: at(M.TICKETS),
    label="support tickets",
    description="Tickets opened in the period.",
    sentence="support tickets in 30 days: {value}; in the 30 days before: {previous}",
    windows=(30, 90),
    compare=True,
    skewed=True,
)

usage_decline = Metric(
    name="usage_decline",
    part="risk",
    direction=-1,
    unit="ratio",
    formula=lambda at: M.within(0.0 - usage.usage_growth.formula(at), 0.0, 1.0),
    label="usage decline",
    description="By how much usage fell against the 30 days before; 0 where it did not.",
    sentence="usage fell by {value} against the 30 days before",
    windows=(30,),
    facts={"usage": M.USAGE},
    in_model=False,  # the same number as usage_growth
)

engagement_decline = Metric(
    name="engagement_decline",
    part="risk",
    direction=-1,
    unit="score",
    formula=lambda at: M.within(0.0 - usage.engagement_change.formula(at), 0.0, 100.0),
    label="engagement decline",
    description="Points the engagement score lost against the 30 days before; 0 where it did not.",
    sentence="engagement score fell by {value} points against the 30 days before",
    windows=(30,),
    in_model=False,  # the same number as engagement_score_change
)
