"""The succession in words a manager can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from csql_ml.model.figures import Estimate

if TYPE_CHECKING:
    from csql_ml.model.succession import Succession, Trial

_OPENING: Mapping[str, str] = {
    "better": "The challenger replaces the champion: it is better.",
    "champion_failed": (
        "The challenger replaces the champion: the champion has become worse than the rules, and the challenger is "
        "better than they are."
    ),
    "rules_better": (
        "The rules come back: the champion has become worse than they are, and the challenger is not proven better."
    ),
    "same_model": "The champion stays: training now gives the same model again.",
    "worse": "The champion stays: the challenger is worse.",
    "cannot_tell": "The champion stays: it cannot be told whether the challenger is better.",
    "too_few_left": "The champion stays: there is too little that it could be judged on.",
    "rolled_back": (
        "The champion stays: what was trained now is the very model that was rolled back, and it does not come back "
        "without new data."
    ),
}


def paragraph(succession: Succession) -> str:
    """One paragraph: the decision, what it rests on, what a CSM would feel, and what was left out."""
    if succession.reason == "cannot_score":
        return _cannot_score(succession)
    sentences = [_OPENING[succession.reason]]
    trial = succession.trial
    if trial is not None:
        sentences.append(_left_out(succession, trial))
        if trial.figures:
            sentences += _judged(succession, trial)
    return " ".join(s for s in sentences if s)


def _cannot_score(succession: Succession) -> str:
    heir, proof = "The rules replace", "no challenger is proven better than they are"
    if succession.outcome == "promote":
        heir, proof = "The challenger replaces", "it is proven better than the rules"
    return (
        f"{heir} the champion {succession.champion}, which cannot score any more because the metrics it was trained on "
        f"have changed ({proof})."
    )


def _left_out(succession: Succession, trial: Trial) -> str:
    if trial.judged == trial.outcomes:
        return ""
    return (
        f"It was trained on {succession.champion_day} and had learned by then from outcomes within the judged quarter "
        f"(from {trial.quarter} on); of its {trial.outcomes:,} complete outcomes, {trial.judged:,} "
        f"({trial.positives:,} positive) are of accounts of which it had not. Challenger and rules were trained on "
        "what was known on that day, too."
    )


def _judged(succession: Succession, trial: Trial) -> list[str]:
    over_champion, over_rules = trial.figures["champion"], trial.figures["baseline"]
    challenger = over_champion.gain["challenger"]
    of = {name: figures["precision_at_k"].value for name, figures in over_rules.of.items()}
    judged = (
        f"On {trial.judged:,} outcomes of the snapshot of {trial.quarter} ({trial.positives:,} positive), the "
        f"challenger's log loss differs from the champion's by {_by(challenger['log_loss'])}, the champion's from "
        f"that of the rules by {_by(over_rules.gain['champion']['log_loss'])}; below zero is better."
    )
    felt = (
        f"Of the {succession.capacity} accounts per portfolio that a CSM would work, {of['champion']:.0%} expanded "
        f"when the champion chose, {of['challenger']:.0%} when the challenger did and {of['baseline']:.0%} when the "
        "rules did."
    )
    return [judged, felt]


def _by(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} (90 % interval {estimate.low:+.4f} to {estimate.high:+.4f})"
