"""The verdict: whether the model replaces the rules.

The rule, in one sentence: **promote if the paired 90 % interval of the log loss lies entirely on the side of the model,
and the one of the precision at capacity does not lie entirely on the side of the rules.**

Why log loss decides: propensities are multiplied with money, so both their ranking and their level count, and log loss
judges both; it uses every row, where the precision at capacity uses only the top k, and so shows a real gain with the
fewest outcomes. Why precision at capacity has a veto and no vote: it is what a CSM feels, so a proven loss there is a
loss; but at a handful of accounts per portfolio it swings by several points by chance, and asking for a proven gain
would keep good models out for years.

The rules stay in every other case, for a named reason:

=====================  ================================================================================================
reason                 when
=====================  ================================================================================================
no_labels              no outcome is complete yet
too_few_positives      fewer positive outcomes than ``model.min_positives``, or too few to judge on
too_few_negatives      the same for accounts that did not expand
no_usable_signal       the ROC-AUC intervals of both the model and the rules reach down to 0.5
worse_than_rules       the log loss, or the precision at capacity, is proven worse
cannot_tell            the interval of the log loss holds zero
=====================  ================================================================================================

Not having been validated in time is a caveat of any verdict, never a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import floor, isfinite, log10
from typing import Any, Literal

from csql_ml.config import Config
from csql_ml.model.figures import LOSSES, Figures, measure
from csql_ml.model.validation import FEWEST, Fold, Validation
from csql_ml.model.verdict_words import paragraph

Outcome = Literal["promote", "keep"]
Reason = Literal[
    "no_labels", "too_few_positives", "too_few_negatives", "no_usable_signal", "worse_than_rules", "cannot_tell"
]

#: The figure that decides, and the one that can veto.
DECIDING, VETO = "log_loss", "precision_at_k"
#: Share of the rules' log loss that a gain must have to be worth waiting for.
WORTHWHILE = 0.01
#: Standard errors between no gain and a gain that four of five trials would prove: 1.645 (two-sided 90 %) + 0.842.
_PROVABLE = 1.645 + 0.842


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on: how many outcomes, and from when."""

    outcomes: int = 0
    positives: int = 0
    accounts: int = 0
    judged: int = 0
    judged_positives: int = 0
    judged_accounts: int = 0
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Verdict:
    """Promote or keep, with everything needed to check it.

    Parameters
    ----------
    outcome, reason
        ``reason`` is None for a promotion.
    in_time
        Judged on later snapshots than trained on.
    figures
        None where nothing could be judged.
    more_outcomes
        About how many more judged outcomes would settle it; None where that cannot be said or would not help.
    wait_until
        Where outcomes are not complete yet: the day from which the first are.
    """

    outcome: Outcome
    reason: Reason | None
    in_time: bool
    capacity: int
    min_positives: int
    evidence: Evidence = Evidence()
    figures: Figures | None = field(default=None, repr=False)
    folds: tuple[Fold, ...] = field(default=(), repr=False)
    left_out: tuple[str, ...] = ()
    unseen_auc: Mapping[str, float] = field(default_factory=dict)
    more_outcomes: int | None = None
    wait_until: date | None = None

    @property
    def promoted(self) -> bool:
        return self.outcome == "promote"

    def paragraph(self) -> str:
        """The verdict in words a manager can read."""
        return paragraph(self)

    def table(self) -> list[dict[str, Any]]:
        """One row per judged model and figure: value, interval, paired difference to the rules."""
        if self.figures is None:
            return []
        rows = []
        for judged, figures in self.figures.of.items():
            for name, estimate in figures.items():
                gain = self.figures.gain.get(judged, {}).get(name)
                rows.append(
                    {"judged": judged, "figure": name, "less_is_better": name in LOSSES, **estimate.to_dict()}
                    | {f"difference_{k}": v for k, v in (gain.to_dict() if gain else _NO_GAIN).items()}
                )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values; a figure that does not exist is None."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "paragraph": self.paragraph(),
            "validated_in_time": self.in_time,
            "capacity_per_portfolio": self.capacity,
            "evidence": vars(self.evidence).copy(),
            "more_outcomes": self.more_outcomes,
            "wait_until": self.wait_until.isoformat() if self.wait_until else None,
            "figures": self.table(),
            "lift": _plain({k: list(v) for k, v in self.figures.lift.items()}) if self.figures else {},
            "ece_noise": {k: v.to_dict() for k, v in self.figures.ece_noise.items()} if self.figures else {},
            "folds": [_plain(vars(f)) for f in self.folds],
            "left_out": list(self.left_out),
            "unseen_auc": _plain(dict(self.unseen_auc)),
        }


def without_judging(
    reason: Reason, config: Config, evidence: Evidence | None = None, wait_until: date | None = None
) -> Verdict:
    """The rules stay because there is nothing to judge on."""
    return Verdict(
        "keep",
        reason,
        in_time=False,
        capacity=config.scoring.capacity_per_portfolio,
        min_positives=config.model.min_positives,
        evidence=evidence or Evidence(),
        wait_until=wait_until,
    )


def decide(validation: Validation, config: Config, evidence: Evidence) -> Verdict:
    """Measure the validated propensities and apply the rule of this module.

    Parameters
    ----------
    validation
        With ``model`` and ``baseline`` among the judged.
    evidence
        Counts of all outcomes; those of the judged ones are filled in here.
    """
    judged = _judged(validation, evidence)
    if judged.judged_positives < FEWEST:
        return without_judging("too_few_positives", config, judged)
    if judged.judged - judged.judged_positives < FEWEST:
        return without_judging("too_few_negatives", config, judged)
    capacity = config.scoring.capacity_per_portfolio
    figures = measure(validation.scored_set(), capacity, config.model.bootstrap, config.model.seed)
    reason = _reason(figures)
    return Verdict(
        outcome="keep" if reason else "promote",
        reason=reason,
        in_time=validation.in_time,
        capacity=capacity,
        min_positives=config.model.min_positives,
        evidence=judged,
        figures=figures,
        folds=validation.folds,
        left_out=validation.left_out,
        unseen_auc=validation.unseen_auc(),
        more_outcomes=_more_outcomes(figures, judged.judged) if reason == "cannot_tell" else None,
    )


def _judged(validation: Validation, evidence: Evidence) -> Evidence:
    rows = validation.outcomes
    days = sorted(rows["as_of"].unique())
    return Evidence(
        outcomes=evidence.outcomes,
        positives=evidence.positives,
        accounts=evidence.accounts,
        judged=len(rows),
        judged_positives=int(rows["label"].sum()),
        judged_accounts=int(rows["account_id"].nunique()),
        first=days[0].isoformat() if days else "",
        last=days[-1].isoformat() if days else "",
    )


def _reason(figures: Figures) -> Reason | None:
    """Why the rules stay; None where the model is promoted."""
    gain, veto = figures.gain["model"][DECIDING], figures.gain["model"][VETO]
    if not any(figures.of[name]["roc_auc"].low > 0.5 for name in ("model", "baseline")):
        return "no_usable_signal"
    if gain.low > 0 or veto.high < 0:
        return "worse_than_rules"
    return None if gain.high < 0 else "cannot_tell"


def _more_outcomes(figures: Figures, outcomes: int) -> int | None:
    """About how many more judged outcomes would prove the gain seen, or the smallest one worth having.

    The standard error falls with the square root of the number of outcomes. None where a worthwhile gain would have
    shown already: then the models are about equally good and waiting does not help.
    """
    gain = figures.gain["model"][DECIDING]
    effect = max(-gain.value, WORTHWHILE * figures.of["baseline"][DECIDING].value)
    if not isfinite(gain.error) or effect <= 0:
        return None
    more = outcomes * ((_PROVABLE * gain.error / effect) ** 2 - 1)
    return _two_digits(more) if more >= 1 else None


def _two_digits(number: float) -> int:
    step = 10 ** max(floor(log10(number)) - 1, 0)
    return int(-(-number // step) * step)


_NO_GAIN: Mapping[str, float | None] = {"value": None, "low": None, "high": None, "error": None}


def _plain(value: Any) -> Any:
    """JSON-able: NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not isfinite(value) else value
