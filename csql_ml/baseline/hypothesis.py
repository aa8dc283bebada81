"""The expansion hypothesis: which next product the facts point at, from the strongest sign to the weakest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from csql_ml.metrics.settings import threshold_of

if TYPE_CHECKING:
    from csql_ml.config import Config


@dataclass(frozen=True)
class Hypothesis:
    """A possible lead: its type, the product, and the metric whose fact suggests it."""

    type: str
    product: str
    metric: str


def hypotheses(features: pd.DataFrame, facts: pd.DataFrame, config: Config) -> list[Hypothesis | None]:
    """The hypothesis of every account, None where the facts point at nothing; same order as ``features``.

    Signs in order of strength: a module named in a business review, an upgrade attempt (to the next plan, or more of
    the same on the highest), seats running out, clicks on a module's gated features, clicks on other gated features
    with a higher plan left, and advocacy for a referral. An account with a clear next product always has a hypothesis.
    """
    columns = {**facts.to_dict("series"), **features.to_dict("series")}
    names = [n for n in _NEEDED if n in columns]
    rows = zip(*(columns[n].tolist() for n in names), strict=True)
    return [_hypothesis(dict(zip(names, row, strict=True)), config) for row in rows]


_NEEDED = (
    "main_product",
    "plan_rank",
    "modules_mask",
    "wanted_mask",
    "gated_mask",
    "seat_saturation",
    "upgrade_attempts",
    "gated_feature_clicks_90d",
    "next_product_clear",
    "advocacy_index",
)


def _hypothesis(row: dict[str, Any], config: Config) -> Hypothesis | None:
    product = row.get("main_product")
    main = product if isinstance(product, str) else "current product"
    wanted = _first_module(row, "wanted_mask", config)
    if wanted is not None:
        return Hypothesis("cross_sell", wanted, "phase_two")
    higher = _next_plan(row, config)
    if _number(row, "upgrade_attempts") > 0:
        return Hypothesis("upsell", higher or main, "upgrade_attempts")
    if _number(row, "seat_saturation") >= threshold_of("seat_saturation", config, 0.8):
        return Hypothesis("upsell", main, "seat_saturation")
    clicked = _first_module(row, "gated_mask", config)
    if clicked is not None:
        return Hypothesis("cross_sell", clicked, "gated_feature_clicks")
    if higher is not None and _number(row, "gated_feature_clicks_90d") > 0:
        return Hypothesis("upsell", higher, "gated_feature_clicks")
    # The sign itself may be a metric that the configuration excludes.
    if _number(row, "next_product_clear") >= 1:
        return Hypothesis("upsell", higher or main, "next_product_clear")
    if _number(row, "advocacy_index") >= 2:
        return Hypothesis("referral", main, "advocacy_index")
    return None


def _number(row: dict[str, Any], name: str) -> float:
    """A number that is safe to compare: missing is never a sign."""
    value = row.get(name)
    return float("-inf") if value is None or pd.isna(value) else float(value)


def _first_module(row: dict[str, Any], mask: str, config: Config) -> str | None:
    """First module of the catalogue that the mask names and the account does not own."""
    signs, owned = (max(_number(row, name), 0.0) for name in (mask, "modules_mask"))
    for i, module in enumerate(config.catalogue.modules):
        if int(signs) >> i & 1 and not int(owned) >> i & 1:
            return module.name
    return None


def _next_plan(row: dict[str, Any], config: Config) -> str | None:
    rank, plans = _number(row, "plan_rank"), config.catalogue.plans
    return plans[int(rank) + 1] if 0 <= rank < len(plans) - 1 else None
