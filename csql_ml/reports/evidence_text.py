"""Facts as sentences: the metric's own sentence template, filled with formatted values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from typing import Any

from csql_ml.metrics import registry
from csql_ml.metrics.definition import Unit
from csql_ml.metrics.faces import Face, Spoken
from csql_ml.reports.texts import Texts

_COUNTED: tuple[Unit, ...] = ("count", "days", "months")


class Facts:
    """Words and sentences for metrics in one language.

    Parameters
    ----------
    texts
        The language.
    metrics
        The metrics of the run by name; one that is not there (any more) is called by its code name.
    """

    def __init__(self, texts: Texts, metrics: Mapping[str, Spoken]) -> None:
        self._texts = texts
        self._metrics = metrics

    def shown(self, name: str) -> bool:
        """Whether a report may show the metric as a reason."""
        metric = self._metrics.get(name)
        return metric is None or metric.shown

    def unit(self, name: str) -> Unit | None:
        """How the metric's values are written."""
        metric = self._metrics.get(name)
        return metric.unit if metric else None

    def direction(self, name: str) -> int:
        """+1 where more of the metric speaks for an expansion, -1 against, 0 where no direction is claimed."""
        metric = self._metrics.get(name)
        return metric.direction if metric else 0

    def label(self, name: str) -> str:
        """What a reader calls the metric, as the beginning of a line."""
        metric = self._metrics.get(name)
        if metric is None:
            return name
        return capitalised(metric.labels.get(self._texts.language) or self._texts.gettext(metric.label))

    def sentence(self, fact: Mapping[str, Any]) -> str:
        """The fact as a sentence; a missing value is named, never guessed or praised.

        Parameters
        ----------
        fact
            ``metric`` and ``value``, and where the sentence quotes them ``previous_value`` and ``facts``.
        """
        name, value = str(fact.get("metric")), fact.get("value")
        metric = self._metrics.get(name)
        if value is None:
            return self._texts.gettext("{metric} is missing", metric=self.label(name))
        values = self._values(metric, fact) if metric else None
        if metric is None or values is None:
            return self._plain(name, fact)
        return capitalised(self._template(metric, value).format(**values))

    def _template(self, metric: Spoken, value: Any) -> str:
        """The sentence in this language: the metric's own, else that of the catalogue, else the English one."""
        if self._texts.language in metric.sentences:
            return metric.sentences[self._texts.language]
        if metric.unit in _COUNTED and isinstance(value, int | float):
            return self._texts.template(metric.sentence, value)
        return self._texts.template(metric.sentence)

    def _values(self, metric: Spoken, fact: Mapping[str, Any]) -> dict[str, str] | None:
        """What the template quotes, formatted; None where something quoted is missing or nothing holds."""
        names = quoted_names(metric.sentences.get(self._texts.language, metric.sentence))
        known = {**(fact.get("facts") or {}), "value": fact["value"], "previous": fact.get("previous_value")}
        if any(known.get(n) is None for n in names) or ("value" not in names and not fact["value"]):
            return None
        units = {"value": metric.unit, "previous": metric.unit}
        return {n: self._texts.value(known[n], units.get(n)) for n in names}

    def _plain(self, name: str, fact: Mapping[str, Any]) -> str:
        """Name and value, for a fact whose sentence cannot be said in full."""
        now, unit = fact["value"], fact.get("unit") or self.unit(name)
        return self._texts.gettext("{metric}: {value}", metric=self.label(name), value=self._texts.quantity(now, unit))


def reaches(value: Any, threshold: Any, direction: int) -> bool:
    """Whether a value is on the good side of a threshold; not where one of them is missing."""
    if not isinstance(value, int | float) or not isinstance(threshold, int | float):
        return False
    return value >= threshold if direction >= 0 else value <= threshold


def facts_of(own_features: bool, texts: Texts, own_metrics: Mapping[str, Face] | None = None) -> Facts:
    """Words for a run; the columns of a table of one's own are not the metrics that happen to bear their names.

    Parameters
    ----------
    own_metrics
        The company's own metrics as the run's manifest describes them.
    """
    return Facts(texts, {} if own_features else {**registry(), **(own_metrics or {})})


@lru_cache(maxsize=1024)
def quoted_names(template: str) -> tuple[str, ...]:
    """The ``{names}`` a template quotes, in order."""
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)


def capitalised(text: str) -> str:
    """The text with an upper-case first letter; nothing else is touched."""
    return text[:1].upper() + text[1:]
