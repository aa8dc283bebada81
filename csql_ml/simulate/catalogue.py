"""What the simulated company sells and how its product names things; `configs/demo.yaml` maps these names."""

from __future__ import annotations

import numpy as np

from csql_ml.simulate.timeline import Floats, Ints

PLATFORM = "Platform"
PLANS = ("Basic", "Pro", "Enterprise")
#: Yearly list price of a seat per plan, EUR.
SEAT_PRICE = np.array([480.0, 840.0, 1440.0])
MODULES = ("Analytics", "Automation", "Integrations")
#: A module costs this share of what the platform costs.
MODULE_SHARE = np.array([0.22, 0.28, 0.18])

CORE_FEATURES = ("dashboards", "tasks", "calendar", "files", "approvals", "mobile_app")
ADVANCED_FEATURES = ("forecasting", "custom_fields", "bulk_edit")
#: Two features per module: a click on one is a gated click while the module is not bought.
GATED_FEATURES = (
    "benchmark_reports",
    "cohort_explorer",
    "automation_rules",
    "automation_bots",
    "erp_connector",
    "crm_connector",
)
FEATURES = (*CORE_FEATURES, *ADVANCED_FEATURES, *GATED_FEATURES)
EVENT_NAMES = (
    "feature_used",
    "login",
    "workflow_started",
    "workflow_completed",
    "gated_click",
    "upgrade_attempt",
)

#: Number of modules (or core features) in a bit set.
ONES = np.array([mask.bit_count() for mask in range(64)])


def platform_arr(seats: Ints, plan: Ints, discount: Floats) -> Floats:
    """Yearly revenue of seats on a plan, in whole EUR."""
    arr: Floats = np.round(seats * SEAT_PRICE[plan] * discount)
    return arr


def next_module(owned: Ints, liking: Ints) -> Ints:
    """The module an account would buy next: the one it likes best of those it has not; -1 when it has all."""
    chosen = np.full(len(owned), -1)
    for step in (2, 1, 0):
        candidate = (liking + step) % len(MODULES)
        chosen = np.where(owned >> candidate & 1 == 0, candidate, chosen)
    return chosen
