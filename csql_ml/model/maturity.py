"""How far a model has moved from the rules, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, floor, isfinite, log10
from typing import Any, Literal

from csql_ml.model.stack_weights import StackWeights

#: ``rules``: as they stand; ``learning``: the rules still weigh more; ``learned``: the outcomes weigh more.
Stage = Literal["rules", "learning", "learned"]
#: Share of the rules from which on the model is the rules, and below which outcomes weigh more.
RULES_FROM, LEARNED_BELOW = 0.95, 0.5


@dataclass(frozen=True)
class Maturity:
    """How far the model has moved from the rules.

    Attributes
    ----------
    labels, positives
        Rows it learned from.
    weights
        Weight of each member in log-odds.
    evidence
        What the weights rest on; None where the model was read from a bundle.
    """

    labels: int
    positives: int
    weights: Mapping[str, float]
    evidence: StackWeights | None = field(default=None, compare=False, repr=False)

    @property
    def shares(self) -> dict[str, float]:
        """The weights as shares that sum to 1."""
        total = sum(self.weights.values())
        return {name: weight / total if total else 0.0 for name, weight in self.weights.items()}

    @property
    def rules_share(self) -> float:
        """Share of the two members that are made of the weighted score."""
        return self.shares["score"] + self.shares["sub_scores"]

    @property
    def stage(self) -> Stage:
        """Where it stands on its way from the rules."""
        if self.rules_share >= RULES_FROM:
            return "rules"
        return "learning" if self.rules_share > LEARNED_BELOW else "learned"

    @property
    def more_outcomes(self) -> int | None:
        """About how many more outcomes until they weigh as much as the rules; None where that is past or unknown.

        A pull of fixed strength leaves the rules the share h / (h + n) after n outcomes, h being where both weigh the
        same. On the simulated worlds A to C of the learning curve, h as read from 500 outcomes was 1.2 to 1.7 times the
        one read from 5,000 (medians of ten seeds); where hardly anything was learned it said nothing.
        """
        if self.stage != "learning":
            return None
        return _two_digits(self.labels * (self.rules_share / (1.0 - self.rules_share) - 1.0))

    def __str__(self) -> str:
        shares = self.shares
        return (
            f"rules {self.rules_share:.0%}, logistic regression {shares['ridge']:.0%}, LightGBM {shares['trees']:.0%} "
            f"after {self.labels:,} labels ({self.positives:,} positive); {self._outlook()}"
        )

    def _outlook(self) -> str:
        if self.stage == "rules":
            return (
                "the outcomes show nothing yet that the rules do not say, so it is too early to tell how many it takes"
            )
        if self.stage == "learning":
            return f"about {self.more_outcomes:,} more outcomes until what was learned weighs as much as the rules"
        return "what was learned weighs more than the rules"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        found = self.evidence
        judged = found is not None and isfinite(found.gain)
        return {
            "stage": self.stage,
            "text": str(self),
            "labels": self.labels,
            "positives": self.positives,
            "weights": dict(self.weights),
            "shares": self.shares,
            "rules_share": self.rules_share,
            "more_outcomes": self.more_outcomes,
            "gain": found.gain if found is not None and judged else None,
            "gain_error": found.error if found is not None and judged else None,
            "trust": found.trust if found is not None else None,
        }


def _two_digits(number: float) -> int:
    """Rounded up to two leading digits, at least 1."""
    step = int(10 ** max(floor(log10(max(number, 1.0))) - 1, 0))
    return max(int(ceil(round(number / step, 6)) * step), 1)
