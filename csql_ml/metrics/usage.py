"""Usage: how much, how steadily and how deeply the product is used, and whether that grows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ibis

from csql_ml.metrics import measures as M
from csql_ml.metrics.adoption import core_adoption
from csql_ml.metrics.definition import At, Metric, Period, Ramp

_MONTH = 30
_STREAK_MONTHS = 5


def _usage_growth(at: At) -> Any:
    return M.growth(at(M.USAGE), at.previous()(M.USAGE))


def _growth_streak(at: At) -> Any:
    """Consecutive months, newest first, in which usage was above the month before."""
    usage = [at(M.USAGE, Period(_MONTH, _MONTH * i)).cast("float64") for i in range(_STREAK_MONTHS + 1)]
    grew = [M.flag(now > before) for now, before in pairwise(usage)]
    streak = unbroken = grew[0]
    for month in grew[1:]:
        unbroken = unbroken * month.fill_null(0.0)
        streak = streak + unbroken
    return streak


def _engagement_score(at: At) -> Any:
    """0 to 100: weighted mix of breadth, depth and frequency; a part that cannot be measured is left out."""
    settings, one = at.config.engagement, 1.0
    seats_in_use = M.within(M.ratio(at(M.ACTIVE_USERS), at(M.SEATS)), 0.0, one)
    adoption = core_adoption(at)
    breadth = ibis.coalesce((seats_in_use + adoption) / 2.0, seats_in_use, adoption)
    depth = M.within(M.ratio(at(M.CORE_EVENTS), at(M.USER_DAYS)) / settings.full_depth, 0.0, one)
    days_per_user = M.ratio(at(M.USER_DAYS), at(M.ACTIVE_USERS)) * (30.0 / max(at.period.length, 1))
    frequency = M.within(days_per_user / settings.full_frequency, 0.0, one)
    # Nobody active is no depth and no frequency, which is known, not missing.
    nobody = at(M.ACTIVE_USERS) == 0
    depth, frequency = (ibis.ifelse(nobody, 0.0, part) for part in (depth, frequency))
    parts = [(breadth, settings.breadth), (depth, settings.depth), (frequency, settings.frequency)]
    there = sum((M.flag(p.notnull()) * w for p, w in parts), ibis.literal(0.0))
    points = sum((p.fill_null(0.0) * w for p, w in parts), ibis.literal(0.0))
    return 100.0 * points / there.nullif(0.0)


usage_growth = Metric(
    name="usage_growth",
    part="success",
    direction=+1,
    unit="change",
    formula=_usage_growth,
    label="usage growth",
    description="Usage of the period / usage of the period before - 1.",
    sentence="usage {value} against the 30 days before ({usage} against {usage_previous})",
    windows=(30, 90),
    threshold=0.25,
    gate="value_proven",
    ramp=Ramp("engagement", -0.10, 0.30),
    facts={"usage": M.USAGE},
    skewed=True,
)

usage_growth_streak = Metric(
    name="usage_growth_streak",
    part="success",
    direction=+1,
    unit="months",
    formula=_growth_streak,
    label="months of growth in a row",
    description="Consecutive months in which usage was above the month before (5 at most).",
    sentence="months in a row in which usage has grown: {value}",
    ramp=Ramp("engagement", 0.0, 3.0, weight=0.5),
)

engagement_score = Metric(
    name="engagement_score",
    part="success",
    direction=+1,
    unit="score",
    formula=_engagement_score,
    label="engagement score",
    description="0 to 100, weighted mix of breadth (features and seats in use), depth (core actions per user and day) "
    "and frequency (days per user).",
    sentence="engagement score {value} of 100; {previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    ramp=Ramp("engagement", 20.0, 80.0, weight=1.5),
    facts={"active_days": M.ACTIVE_DAYS},
)

engagement_change = Metric(
    name="engagement_change",
    part="success",
    direction=+1,
    unit="score",
    formula=lambda at: _engagement_score(at) - _engagement_score(at.previous()),
    label="change of the engagement score",
    description="Engagement score of the last 30 days minus that of the 30 days before, in points.",
    sentence="engagement score {value} points against the 30 days before",
    windows=(30,),
    threshold=25.0,
    gate="value_proven",
    ramp=Ramp("engagement", -5.0, 25.0, weight=0.5),
    in_model=False,  # the model has it as engagement_score_change
    shown=False,
)

usage_per_seat = Metric(
    name="usage_per_seat",
    part="success",
    direction=+1,
    unit="count",
    formula=lambda at: M.ratio(at(M.USAGE), at(M.SEATS)),
    label="usage per seat",
    description="Usage of the period / licensed seats.",
    sentence="{value} actions per seat in 30 days; {previous} in the 30 days before",
    windows=(30,),
    compare=True,
    facts={"usage": M.USAGE},
    skewed=True,
)

active_days = Metric(
    name="active_days",
    part="success",
    direction=+1,
    unit="days",
    formula=lambda at: at(M.ACTIVE_DAYS),
    label="active days",
    description="Days with any use in the period.",
    sentence="in use on {value} of 30 days; {previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    facts={},
)
