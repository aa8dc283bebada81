"""A retrain in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csql_ml.metrics.definition import Metric
    from csql_ml.retraining.churn import Cause, Churn
    from csql_ml.retraining.retrain import Retrained

_NAMES = {"champion": "champion", "challenger": "challenger", "baseline": "rules"}

_WHOSE: tuple[tuple[Cause, str], ...] = (
    ("data", "What is known of these accounts moved most in"),
    ("model", "The new model weighs differently, most of all"),
)


def sentences(result: Retrained, metrics: Mapping[str, Metric]) -> Iterator[str]:
    """What was decided, on what, what changes, and what comes next."""
    yield _stand(result)
    if result.training is None:
        yield (
            f"Nothing is new since the retrain of {result.change.as_of}: the same data and the same settings. "
            f"{result.in_force} stays in force."
        )
        return
    yield result.training.trained.paragraph()
    if result.told_from is not None:
        yield (
            "What the challenger has learned and the champion has not can be judged on a quarter that begins after the "
            f"champion was trained; the first one is complete from {result.told_from.isoformat()} on."
        )
    if result.churn is not None:
        yield churn_sentence(result.churn)
        yield from _moved(result.churn, metrics)
    if result.would_change is not None:
        yield _would_change(result.would_change)
    yield _next(result)


def _stand(result: Retrained) -> str:
    mature = result.mature
    text = (
        f"The newest quarter with complete outcomes is {mature.name} (snapshot of {mature.quarter.isoformat()}, "
        f"complete since {mature.complete_from.isoformat()})."
    )
    if result.still_open == 1:
        return f"{text} The outcome of 1 account is still open, because a lead is in work; it counts when it is closed."
    if result.still_open:
        return (
            f"{text} The outcomes of {result.still_open:,} accounts are still open, because a lead is in work; they "
            "count when it is closed."
        )
    return text


def churn_sentence(churn: Churn) -> str:
    """How many of the top changed, and why."""
    what = f"{churn.changed:,} of the top {churn.top:,} changed from {churn.old_day} to {churn.new_day}"
    if not churn.changed:
        return f"{what}."
    causes = [
        (churn.count("data"), "by new data"),
        (churn.count("model"), "by the new model"),
        (churn.count("new"), "could not be a lead then"),
    ]
    return f"{what}: {', '.join(f'{count:,} {cause}' for count, cause in causes if count)}."


def _moved(churn: Churn, metrics: Mapping[str, Metric]) -> Iterator[str]:
    if not churn.changed:
        return
    for cause, whose in _WHOSE:
        moved = churn.moved.get(cause, {})
        if moved and churn.count(cause):
            named = [f"{label(name, metrics)} ({100 * size:.1f} points)" for name, size in list(moved.items())[:3]]
            yield f"{whose} {', '.join(named)}; mean change per account that came in or went out."


def label(metric: str, metrics: Mapping[str, Metric]) -> str:
    """A metric's friendly name."""
    return metrics[metric].label if metric in metrics else metric.replace("_", " ")


def _would_change(churn: Churn) -> str:
    return (
        f"Had the challenger been promoted, {churn.changed:,} of the top {churn.top:,} of {churn.new_day} would be "
        "others."
    )


def _next(result: Retrained) -> str:
    mature = result.mature
    if mature.following is None or mature.following_from is None:
        return "There is no later snapshot in the configuration (snapshots)."
    return (
        f"Next: the outcomes of the snapshot of {mature.following.isoformat()} are complete from "
        f"{mature.following_from.isoformat()} on; retrain then."
    )


def judged_name(judged: str) -> str:
    """What a judged one is called."""
    return _NAMES[judged]
