"""The headline of an account: propensity and weighted score, where they stand among all accounts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.chart import bar, scale
from csql_ml.reports.site import Site

#: Decimals of the 0 to 100 score.
SCORE_DIGITS = 0


def tenths(share: float) -> int:
    """A share (0 to 1) in tenths of a percentage point, as every page shows it."""
    return round(share * 1000)


def score_block(account: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """Both numbers with band, rank and position.

    ``main`` is what the page shows large: the propensity, or the 0 to 100 score while the propensity is a starting
    assumption. ``other`` is the second number.
    """
    t = site.texts
    propensity, score = account.get("propensity"), account.get("baseline_score")
    chance = {
        "label": t.gettext("Propensity (assumed)") if site.prior else t.gettext("Propensity to expand"),
        "value": None if propensity is None else t.tenths(tenths(propensity)),
        "unit": "",
    }
    points = {
        "label": t.gettext("CSQL score"),
        "value": None if score is None else t.number(score, SCORE_DIGITS),
        "unit": t.gettext("of 100"),
    }
    expected = account.get("expected_arr")
    return {
        "main": points if site.prior else chance,
        "other": chance if site.prior else points,
        "band": account.get("band"),
        "band_word": w.word(t, w.BAND, account.get("band")),
        "type": w.word(t, w.LEAD_TYPE, account.get("lead_type")) if account.get("lead_type") else None,
        "expected": None if expected is None else t.money(expected),
        "interval": None if site.prior else interval_text(account.get("interval"), site),
        **_position(account, site),
    }


def interval_text(interval: Mapping[str, Any] | None, site: Site) -> str | None:
    """The interval of the propensity; None where the run has none."""
    t = site.texts
    if not interval or interval.get("low") is None or interval.get("high") is None:
        return None
    low, high = (t.tenths(tenths(interval[end])) for end in ("low", "high"))
    level = interval.get("level")
    if level is None:
        return t.gettext("between {low} and {high}", low=low, high=high)
    return t.gettext("{level} interval: {low} to {high}", level=t.percent(level), low=low, high=high)


def _position(account: Mapping[str, Any], site: Site) -> dict[str, Any]:
    t, percentile = site.texts, account.get("percentile")
    rank, in_portfolio = account.get("rank"), account.get("rank_in_portfolio")
    size = site.portfolio_sizes.get(account.get("csm_id"), 0)
    position: dict[str, Any] = {"percentile": None, "scale": None}
    if percentile is not None:
        # Rounded down: nobody stands above all accounts, itself included.
        share = t.percent(min(math.floor(percentile * 100), 99) / 100)
        position["percentile"] = t.gettext("Higher than {share} of all accounts", share=share)
        marks = (site.config.scoring.medium_band, site.config.scoring.high_band)
        position["scale"] = scale(percentile, marks, position["percentile"])
    position["rank"] = None if rank is None else _rank(t, rank, site.total)
    position["rank_in_portfolio"] = None if in_portfolio is None else _rank(t, in_portfolio, size)
    return position


def _rank(texts: Any, rank: int, count: int) -> str:
    text: str = texts.gettext("{rank} of {count}", rank=texts.number(rank), count=texts.number(max(count, rank)))
    return text


def score_parts(account: Mapping[str, Any], site: Site) -> list[dict[str, Any]]:
    """Engagement, fit and intent, each 0 to 100, with their weights in the score; empty where the run has none."""
    if all(account["sub_scores"].get(code) is None for code in w.SCORE_PART):
        return []
    t, weights = site.texts, site.config.baseline.weights
    total = weights.engagement + weights.fit + weights.intent
    parts = []
    for code in w.SCORE_PART:
        value = account["sub_scores"].get(code)
        label = w.word(t, w.SCORE_PART, code)
        parts.append(
            {
                "label": label,
                "value": None if value is None else t.number(value, SCORE_DIGITS),
                "weight": t.percent(getattr(weights, code) / total),
                "bar": None if value is None else bar(0, value, 0, 100),
            }
        )
    return parts
