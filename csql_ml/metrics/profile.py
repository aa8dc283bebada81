"""Profile: who the customer is; no direction is claimed."""

from __future__ import annotations

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric

tenure_days = Metric(
    name="tenure_days",
    part="profile",
    direction=0,
    unit="days",
    formula=lambda at: at(M.TENURE),
    label="time as a customer",
    description="Days since the account became a customer.",
    sentence="customer for {value} days",
    skewed=True,
    shown=False,
)

arr = Metric(
    name="arr",
    part="profile",
    direction=0,
    unit="money",
    formula=lambda at: at(M.ARR),
    label="ARR today",
    description="Annual recurring revenue of the contracts in force.",
    sentence="ARR today {value}",
    skewed=True,
    shown=False,
)

seats = Metric(
    name="seats",
    part="profile",
    direction=0,
    unit="count",
    formula=lambda at: at(M.SEATS),
    label="licensed seats",
    description="Licensed seats in force, modules not counted.",
    sentence="{value} licensed seats",
    skewed=True,
    shown=False,
)

plan = Metric(
    name="plan",
    part="profile",
    direction=0,
    unit="category",
    formula=lambda at: at(M.PLAN),
    label="plan",
    description="Plan in force.",
    sentence="on plan {value}",
    shown=False,
)

segment = Metric(
    name="segment",
    part="profile",
    direction=0,
    unit="category",
    formula=lambda at: at(M.SEGMENT),
    label="segment",
    description="Segment as the company names it.",
    sentence="in segment {value}",
    shown=False,
)

industry = Metric(
    name="industry",
    part="profile",
    direction=0,
    unit="category",
    formula=lambda at: at(M.INDUSTRY),
    label="industry",
    description="Industry as the company names it.",
    sentence="in industry {value}",
    shown=False,
)

employees = Metric(
    name="employees",
    part="profile",
    direction=0,
    unit="count",
    formula=lambda at: at(M.EMPLOYEES),
    label="employees",
    description="Employees of the customer.",
    sentence="{value} employees",
    skewed=True,
    shown=False,
)
