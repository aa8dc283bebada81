"""Metrics of one's own made from the configuration alone: an amount of a mapped signal over a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from csql_ml.config import ALL_EVENTS, BUILT_IN_SIGNALS, Language
from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import At, Measure, Metric, Ramp, Unit

if TYPE_CHECKING:
    from csql_ml.config import Config, OwnMetric

#: Count of each built-in signal's events.
_COUNTS: Mapping[str, Measure] = {
    "core_features": M.CORE_EVENTS,
    "advanced_features": M.ADVANCED_EVENTS,
    "gated_clicks": M.GATED_CLICKS,
    "upgrade_attempts": M.UPGRADE_ATTEMPTS,
    "workflow_starts": M.WORKFLOW_STARTS,
    "workflow_completions": M.WORKFLOW_COMPLETIONS,
}
_ALL: Mapping[str, Measure] = {"count": M.EVENTS, "sum": M.USAGE, "users": M.ACTIVE_USERS}
_UNITS: Mapping[str, Unit] = {"share": "ratio", "change": "change"}

#: Sentences where none is given, by language and kind of measure; double braces are filled per account.
_SENTENCES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "amount": "{label} in {days} days: {{value}}; in the {days} days before: {{previous}}",
        "share": "{label}: {{part}} of {{whole}} ({{value}}); {{previous}} in the {days} days before",
        "change": "{label}: {{value}} against the {days} days before ({{amount}} against {{amount_previous}})",
    },
    "de": {
        "amount": "{label} in {days} Tagen: {{value}}; in den {days} Tagen davor: {{previous}}",
        "share": "{label}: {{part}} von {{whole}} ({{value}}); {{previous}} in den {days} Tagen davor",
        "change": "{label}: {{value}} gegenüber den {days} Tagen davor ({{amount}} gegenüber {{amount_previous}})",
    },
    "fr": {
        "amount": "{label} en {days} jours : {{value}} ; au cours des {days} jours précédents : {{previous}}",
        "share": "{label} : {{part}} sur {{whole}} ({{value}}) ; {{previous}} au cours des {days} jours précédents",
        "change": "{label} : {{value}} par rapport aux {days} jours précédents ({{amount}} contre {{amount_previous}})",
    },
    "es": {
        "amount": "{label} en {days} días: {{value}}; en los {days} días anteriores: {{previous}}",
        "share": "{label}: {{part}} de {{whole}} ({{value}}); {{previous}} en los {days} días anteriores",
        "change": "{label}: {{value}} frente a los {days} días anteriores ({{amount}} frente a {{amount_previous}})",
    },
}
_AMOUNTS = {"count": "events", "sum": "quantity", "users": "distinct users"}


def metrics_from_config(config: Config) -> list[tuple[str, Metric]]:
    """The metrics of section ``own_metrics``, each with the words that say where it is from."""
    return [(f"own_metrics.{name}", _metric(name, own)) for name, own in config.own_metrics.items()]


def _metric(name: str, own: OwnMetric) -> Metric:
    formula, facts = _formula(own)
    english = own.sentence or _sentence("en", own)
    others: dict[str, str] = {}
    if own.sentence is None:
        others = {language: _sentence(language, own) for language in _SENTENCES if language != "en"}
    return Metric(
        name=name,
        part=own.part,
        direction=own.direction,
        unit=_UNITS.get(own.measure, "count"),
        formula=formula,
        label=own.labels.get("en", own.label),
        labels={k: v for k, v in own.labels.items() if k != "en"},
        description=own.description or _description(own),
        sentence=own.sentences.get("en", english),
        sentences=others | {k: v for k, v in own.sentences.items() if k != "en"},
        windows=own.window,
        compare=own.compared,
        threshold=own.threshold,
        gate=own.gate,
        ramp=Ramp(own.score.part, own.score.zero_at, own.score.full_at, own.score.weight) if own.score else None,
        facts=facts,
        # A share lies between 0 and 1, or near it; all else has a long right tail.
        skewed=own.measure != "share",
        in_model=own.in_model,
        shown=own.shown,
        actionable=own.actionable,
        source_note="own_metrics in the configuration",
    )


def _formula(own: OwnMetric) -> tuple[Callable[[At], Any], Mapping[str, Measure]]:
    """The formula and the measures its sentence may quote."""
    if own.measure == "share":
        part, whole = amount_of(own.signal, own.by), amount_of(own.of, own.by)
        return lambda at: M.ratio(at(part), at(whole)), {"part": part, "whole": whole}
    if own.measure == "change":
        amount = amount_of(own.signal, own.by)
        return lambda at: M.growth(at(amount), at.previous()(amount)), {"amount": amount}
    plain = amount_of(own.signal, own.measure)
    return lambda at: at(plain), {}


@cache
def amount_of(signal: str, by: str) -> Measure:
    """How much of a signal there was: ``count`` of its events, ``sum`` of their quantity, or distinct ``users``.

    Parameters
    ----------
    signal
        ``all``, a built-in signal of product events, or a name under ``signals.own``.
    """
    if signal == ALL_EVENTS:
        return _ALL[by]
    if signal in BUILT_IN_SIGNALS:
        count = _COUNTS[signal]
        return count if by == "count" else M.users_of(f"users_of_{count.name}", count.name, *count.needs)
    column, need = f"own_{signal}", f"own:{signal}"
    if by == "users":
        return M.users_of(f"users_of_{column}", column, need)
    summed = column if by == "count" else f"{column}_quantity"
    return M.used(summed, summed, need)


def _sentence(language: Language, own: OwnMetric) -> str:
    kind = own.measure if own.measure in ("share", "change") else "amount"
    label = own.labels.get(language, own.label)
    return _SENTENCES[language][kind].format(label=label.replace("{", "{{").replace("}", "}}"), days=own.window[0])


def _description(own: OwnMetric) -> str:
    if own.measure == "share":
        return f"{_words(own.signal, own.by).capitalize()} / {_words(own.of, own.by)}."
    if own.measure == "change":
        return f"{_words(own.signal, own.by).capitalize()} in the period / the same in the period before - 1."
    return f"{_words(own.signal, own.measure).capitalize()} in the period."


def _words(signal: str, by: str) -> str:
    if signal == ALL_EVENTS:
        return {"count": "all events", "sum": "quantity of all events", "users": "all active users"}[by]
    return f"{_AMOUNTS[by]} of signal {signal}"
