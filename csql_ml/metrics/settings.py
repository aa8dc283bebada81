"""What the configuration makes of the definitions: thresholds, score terms, excluded metrics."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from csql_ml.errors import ConfigError
from csql_ml.metrics.definition import Metric, ScoreTerm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csql_ml.config import Config


def threshold_of(name: str, config: Config, default: float | None) -> float:
    """Configured threshold of a metric, else its definition's."""
    settings = config.metrics.get(name)
    value = settings.threshold if settings is not None else None
    chosen = value if value is not None else default
    if chosen is None:
        raise ConfigError(f"metrics.{name}.threshold is needed, but neither configured nor part of the definition")
    return chosen


def score_terms(metrics: Iterable[Metric], config: Config) -> tuple[ScoreTerm, ...]:
    """Terms of the weighted score, in the order of definition, after configuration."""
    terms = []
    for metric in metrics:
        if metric.ramp is None:
            continue
        settings, ramp = config.metrics.get(metric.name), metric.ramp
        zero_at = ramp.zero_at if settings is None or settings.zero_at is None else settings.zero_at
        full_at = ramp.full_at if settings is None or settings.full_at is None else settings.full_at
        weight = ramp.weight if settings is None or settings.weight is None else settings.weight
        if zero_at == full_at:
            raise ConfigError(f"metrics.{metric.name}: zero_at and full_at are both {zero_at}; they must differ")
        if (full_at - zero_at) * metric.direction < 0:
            raise ConfigError(
                f"metrics.{metric.name}: from zero_at {zero_at} to full_at {full_at} the score falls where more of the "
                "metric speaks for an expansion (or rises where it speaks against); swap the two"
            )
        if weight > 0:
            terms.append(ScoreTerm(metric.name, ramp.part, zero_at, full_at, weight))
    return tuple(terms)


def check_names(config: Config, known: Iterable[str]) -> None:
    """Refuse settings of a metric that does not exist.

    Raises
    ------
    ConfigError
        With the nearest existing name.
    """
    names = list(known)
    for name in config.metrics:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else "csql metrics lists them"
            raise ConfigError(f"metrics.{name}: there is no metric of this name; {hint}")
