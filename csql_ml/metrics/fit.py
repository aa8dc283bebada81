"""Expansion fit: is there a clear next thing to buy, and does the customer match the ideal profile."""

from __future__ import annotations

from functools import reduce
from typing import Any

import ibis

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import At, Metric, Period, Ramp
from csql_ml.metrics.settings import threshold_of

_HALF_YEAR = Period(180)


def _share(value: Any, shares: dict[str, float]) -> Any:
    """Closeness of one attribute to the profile; an attribute the profile does not name says nothing."""
    cases = [(value.cast("string") == name, share) for name, share in sorted(shares.items())]
    return ibis.cases(*cases, else_=ibis.null("float64")) if cases else ibis.null("float64")


def _icp_fit(at: At) -> Any:
    profile = at.config.ideal_customer
    parts = [_share(at(M.SEGMENT), profile.segments), _share(at(M.INDUSTRY), profile.industries)]
    if profile.min_employees is not None or profile.max_employees is not None:
        size = at(M.EMPLOYEES).cast("float64")
        low, high = profile.min_employees or 0, profile.max_employees or 2**31
        parts.append(M.flag((size >= low) & (size <= high)))
    known = reduce(lambda a, b: a + b, [M.flag(p.notnull()) for p in parts])
    return reduce(lambda a, b: a + b, [p.fill_null(0.0) for p in parts]) / known.nullif(0.0)


def _plan_headroom(at: At) -> Any:
    """Plans above the present one / plans above the smallest."""
    steps = max(len(at.config.catalogue.plans) - 1, 1)
    return (steps - at(M.PLAN_RANK).cast("float64")) / float(steps)


def _unowned_modules(at: At) -> Any:
    width = len(at.config.catalogue.modules)
    return width - M.ones(at(M.MODULES_MASK), width) if width else ibis.null("float64")


def _next_product_clear(at: At) -> Any:
    """Seats run out, interest meets a higher plan, or a module not owned is wanted or clicked at."""
    seats = M.ratio(at(M.ACTIVE_USERS, Period(30)), at(M.SEATS)) >= threshold_of("seat_saturation", at.config, 0.8)
    interest = M.total(at(M.UPGRADE_ATTEMPTS, Period(90)), at(M.GATED_CLICKS, Period(90))) > 0
    plan = (_plan_headroom(at) > 0) & interest
    signs = [seats, plan]
    if at.config.catalogue.modules:
        owned = at(M.MODULES_MASK).cast("int64")
        signs += [(at(mask).cast("int64") | owned) > owned for mask in (M.WANTED_MASK, M.GATED_MASK)]
    return M.flag(reduce(lambda a, b: a | b, (s.fill_null(False) for s in signs)))


next_product_clear = Metric(
    name="next_product_clear",
    part="fit",
    direction=+1,
    unit="flag",
    formula=_next_product_clear,
    label="clear next product",
    description="Seats run out, or interest meets a higher plan, or a module not owned is wanted or clicked at.",
    sentence="a clear next product",
    threshold=1.0,
    gate="next_product",
    ramp=Ramp("fit", 0.0, 1.0, weight=1.5),
)

plan_headroom = Metric(
    name="plan_headroom",
    part="fit",
    direction=0,
    unit="ratio",
    formula=_plan_headroom,
    label="room for a higher plan",
    description="Plans above the present one / plans above the smallest.",
    sentence="a higher plan is available",
)

unowned_modules = Metric(
    name="unowned_modules",
    part="fit",
    direction=0,
    unit="count",
    formula=_unowned_modules,
    label="modules not yet bought",
    description="Modules of the catalogue without a contract in force.",
    sentence="{value} modules not yet bought",
)

phase_two = Metric(
    name="phase_two",
    part="fit",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.PHASE_TWO, _HALF_YEAR),
    label="phase-two project",
    description="Follow-up projects noted in business reviews within 180 days.",
    sentence="phase-two projects noted within 180 days: {value}",
    threshold=1.0,
    gate="timing",
    ramp=Ramp("fit", 0.0, 1.0),
)

goals = Metric(
    name="goals",
    part="fit",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.GOALS, M.YEAR),
    label="goals agreed",
    description="Goals noted in business reviews within a year.",
    sentence="goals agreed in business reviews within a year: {value}",
    ramp=Ramp("fit", 0.0, 2.0, weight=0.5),
)

roi_milestones = Metric(
    name="roi_milestones",
    part="success",
    direction=+1,
    unit="count",
    formula=lambda at: at(M.ROI_MILESTONES, M.YEAR),
    label="ROI milestones",
    description="Return-on-investment milestones reached in business reviews within a year.",
    sentence="ROI milestones reached within a year: {value}",
    threshold=1.0,
    gate="value_proven",
    ramp=Ramp("fit", 0.0, 2.0),
)

icp_fit = Metric(
    name="icp_fit",
    part="fit",
    direction=+1,
    unit="ratio",
    formula=_icp_fit,
    label="match with the ideal customer profile",
    description="Mean closeness of segment, industry and size to the ideal customer profile (ICP).",
    sentence="matches the ideal customer profile by {value}",
    ramp=Ramp("fit", 0.2, 1.0),
    shown=False,
)

buyer_identified = Metric(
    name="buyer_identified",
    part="fit",
    direction=+1,
    unit="flag",
    formula=lambda at: M.flag(at(M.BUYERS) > 0),
    label="buyer identified",
    description="A contact is known as buyer or executive sponsor.",
    sentence="the buyer is known",
    threshold=1.0,
    gate="buyer_identified",
    ramp=Ramp("fit", 0.0, 1.0, weight=0.5),
    in_model=False,  # CSMs set it themselves
    shown=False,
)
