"""Advocacy: who speaks well of us, and how many of the customer's people we are in touch with."""

from __future__ import annotations

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric, Ramp

nps_score = Metric(
    name="nps_score",
    part="success",
    direction=+1,
    unit="score",
    formula=lambda at: at(M.NPS_SCORE),
    label="NPS answer",
    description="The newest answer to the net promoter question within a year, 0 to 10.",
    sentence="newest NPS answer {value} of 10",
    threshold=9.0,
    ramp=Ramp("engagement", 6.0, 9.0),
)

nps_promoter = Metric(
    name="nps_promoter",
    part="success",
    direction=+1,
    unit="flag",
    formula=lambda at: M.flag(at(M.NPS_SCORE) >= 9),
    label="NPS promoter",
    description="The newest answer is 9 or 10.",
    sentence="promoter in the newest NPS answer",
    threshold=1.0,
    gate="value_proven",
)

advocacy_index = Metric(
    name="advocacy_index",
    part="success",
    direction=+1,
    unit="count",
    formula=lambda at: M.total(M.flag(at(M.NPS_SCORE) >= 9), M.flag(at(M.REVIEWS) > 0), M.flag(at(M.REFERRALS) > 0)),
    label="advocacy index",
    description="How many of three hold within a year: NPS promoter, public review, referral or reference.",
    sentence="{value} of 3 signs of advocacy (promoter, public review, referral)",
    threshold=1.0,
    gate="value_proven",
    also="engaged_stakeholders",
    ramp=Ramp("engagement", 0.0, 2.0, weight=0.5),
    facts={"reviews": M.REVIEWS, "referrals": M.REFERRALS},
)


engaged_stakeholders = Metric(
    name="engaged_stakeholders",
    part="success",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.ENGAGED_CONTACTS),
    label="engaged stakeholders",
    description="Known contacts we were in touch with in the last 90 days.",
    sentence="{value} of the customer's people in touch with us in 90 days",
    threshold=2.0,
    ramp=Ramp("fit", 0.0, 3.0, weight=0.5),
    in_model=False,  # CSMs keep the contact dates themselves
    shown=False,
)
