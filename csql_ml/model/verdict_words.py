"""The verdict in words a manager can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from csql_ml.model.figures import Estimate, Figures

if TYPE_CHECKING:
    from csql_ml.model.verdict import Verdict


def paragraph(verdict: Verdict) -> str:
    """One paragraph: the outcome, what it rests on, what a CSM would feel, and the caveat if there is one."""
    sentences = [_SENTENCES[verdict.reason](verdict)]
    if verdict.figures is not None:
        sentences.append(_at_capacity(verdict))
        if not verdict.in_time:
            sentences.append(
                "It was not validated in time: no later snapshot could be judged, so accounts were held out at random "
                "instead, which tends to flatter every model."
            )
    return " ".join(sentences)


def _no_labels(verdict: Verdict) -> str:
    wait = f" Outcomes are complete from {verdict.wait_until} on: train again then." if verdict.wait_until else ""
    return f"The rules are used, because no outcome is complete yet.{wait}"


def _too_few(verdict: Verdict, kind: str) -> str:
    seen = verdict.evidence
    judged = (
        f" Only {seen.judged:,} of them ({seen.judged_positives:,} positive) could be held out to judge on."
        if seen.judged
        else ""
    )
    wait = f" More outcomes are complete from {verdict.wait_until}." if verdict.wait_until else ""
    return (
        f"The rules stay: there are too few {kind} outcomes to judge a model on. {seen.outcomes:,} outcomes of "
        f"{seen.accounts:,} accounts are complete, {seen.positives:,} of them positive; a model is judged from "
        f"{verdict.min_positives} positive and as many negative ones on.{judged}{wait}"
    )


def _promoted(verdict: Verdict) -> str:
    return (
        f"The model replaces the rules. On {_judged_on(verdict)}, its log loss differs from that of the "
        f"rules by {_by(_difference(verdict, 'log_loss'))}; below zero is better, and the whole "
        "interval is."
    )


def _no_signal(verdict: Verdict) -> str:
    model, rules = (_figure(verdict, name, "roc_auc") for name in ("model", "baseline"))
    return (
        f"The rules stay: there is no usable signal. On {_judged_on(verdict)}, neither the model nor the rules told "
        "accounts that expanded from the others reliably better than a coin would (ROC-AUC 0.5): the model's is "
        f"{model.value:.3f} (90 % interval {model.low:.3f} to {model.high:.3f}), that of the rules {rules.value:.3f} "
        f"({rules.low:.3f} to {rules.high:.3f})."
    )


def _worse(verdict: Verdict) -> str:
    loss = _difference(verdict, "log_loss")
    if loss.low > 0:
        return (
            f"The rules stay: the model is worse. On {_judged_on(verdict)}, its log loss differs from that of the "
            f"rules by {_by(loss)}; above zero is worse, and the whole interval is."
        )
    return (
        f"The rules stay: at the top of the list, where it counts, the model is worse. On {_judged_on(verdict)}, the "
        f"share of accounts within capacity that expanded differs by {_by(_difference(verdict, 'precision_at_k'))}."
    )


def _cannot_tell(verdict: Verdict) -> str:
    more = (
        f"About {verdict.more_outcomes:,} more outcomes would show whether the gain is real."
        if verdict.more_outcomes
        else "A gain worth having would have shown by now, so more outcomes of the same kind will hardly change this."
    )
    return (
        f"The rules stay: it cannot be told yet whether the model is better. On {_judged_on(verdict)}, its log loss "
        f"differs from that of the rules by {_by(_difference(verdict, 'log_loss'))}; below zero is better, but the "
        f"interval holds zero. {more}"
    )


def _at_capacity(verdict: Verdict) -> str:
    model, rules = (_figure(verdict, name, "precision_at_k") for name in ("model", "baseline"))
    more = _difference(verdict, "precision_at_k")
    return (
        f"Of the {verdict.capacity} accounts per portfolio that a CSM would work, {model.value:.0%} expanded when the "
        f"model chose and {rules.value:.0%} when the rules did (90 % interval of the difference: {100 * more.low:+.0f} "
        f"to {100 * more.high:+.0f} points)."
    )


def _judged_on(verdict: Verdict) -> str:
    seen = verdict.evidence
    when = f"of {seen.first}" if seen.first == seen.last else f"from {seen.first} to {seen.last}"
    return (
        f"{seen.judged:,} held-out outcomes of {seen.judged_accounts:,} accounts ({seen.judged_positives:,} positive, "
        f"snapshots {when})"
    )


def _by(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} (90 % interval {estimate.low:+.4f} to {estimate.high:+.4f})"


def _figure(verdict: Verdict, judged: str, figure: str) -> Estimate:
    return _measured(verdict).of[judged][figure]


def _difference(verdict: Verdict, figure: str) -> Estimate:
    return _measured(verdict).gain["model"][figure]


def _measured(verdict: Verdict) -> Figures:
    if verdict.figures is None:
        raise ValueError(f"a verdict with reason {verdict.reason} must have been judged, but has no figures")
    return verdict.figures


_SENTENCES: Mapping[str | None, Callable[[Verdict], str]] = {
    None: _promoted,
    "no_labels": _no_labels,
    "too_few_positives": lambda verdict: _too_few(verdict, "positive"),
    "too_few_negatives": lambda verdict: _too_few(verdict, "negative"),
    "no_usable_signal": _no_signal,
    "worse_than_rules": _worse,
    "cannot_tell": _cannot_tell,
}
