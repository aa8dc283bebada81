"""The risk check: what holds an account back, and what releases it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from csql_ml.config import Config


@dataclass(frozen=True)
class RiskRule:
    """Hold an account when ``column`` is on the wrong side of ``limit``; a missing value holds nobody."""

    name: str
    column: str
    limit: float
    at_least: bool

    def holds(self, features: pd.DataFrame) -> pd.Series:
        """Whether each account is held by this rule; boolean Series."""
        values = features[self.column].astype("float64")
        return (values >= self.limit) if self.at_least else (values <= self.limit)


def rules(config: Config) -> tuple[RiskRule, ...]:
    """The rules that the configuration switches on."""
    risk = config.risk
    found = (
        ("open_high_severity_tickets", "open_high_severity_tickets", risk.open_high_severity_tickets, True),
        ("usage_decline", "usage_growth", risk.usage_decline, False),
        ("engagement_decline", "engagement_change", risk.engagement_decline, False),
    )
    return tuple(RiskRule(n, c, float(limit), at_least) for n, c, limit, at_least in found if limit is not None)


def flags(features: pd.DataFrame, config: Config) -> pd.DataFrame:
    """One boolean column per rule, rows as in ``features``. A metric that was excluded holds nobody."""
    return pd.DataFrame(
        {rule.name: rule.holds(features) for rule in rules(config) if rule.column in features.columns},
        index=features.index,
    )
