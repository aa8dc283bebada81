"""What must hold for a metric definition, whoever wrote it: said in words before anything is computed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import TYPE_CHECKING, Any, get_args

import ibis

from csql_ml.contract.tables import TABLES
from csql_ml.metrics import measures as M
from csql_ml.metrics.compiler import TREND_LENGTH, TRENDS, measures_of, periods_of
from csql_ml.metrics.definition import (
    Gate,
    Measure,
    Metric,
    Part,
    Period,
    ScorePart,
    Unit,
    has_step,
    reached_column,
)

if TYPE_CHECKING:
    from csql_ml.config import Config

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
#: What stands beside the features in a training or scoring frame.
_KEYS = ("account_id", "as_of", "portfolio", "label", "amount", "arr", "csm_id", "in_work")


def columns_of(metric: Metric) -> tuple[str, ...]:
    """Every feature column of a metric."""
    change = (f"{metric.name}_change",) if metric.compare else ()
    reached = (reached_column(metric),) if has_step(metric) else ()
    return (*periods_of(metric), *change, *reached)


def reserved_columns() -> tuple[str, ...]:
    """Columns of a snapshot that belong to no metric."""
    trends = (f"trend.{name}.{i}" for name in TRENDS for i in range(TREND_LENGTH))
    return (*_KEYS, *(m.name for m in (*M.HYPOTHESIS, *M.ELIGIBILITY)), *trends)


def used_measures(metric: Metric, config: Config) -> tuple[Measure, ...]:
    """The measures of a metric's formula and facts, each once."""
    return tuple(dict.fromkeys(measure for measure, _ in measures_of(metric, config)))


def problems_of(metric: Metric, config: Config) -> list[str]:
    """What is wrong with a definition, in the order a reader would mend it; empty where nothing is.

    Parameters
    ----------
    config
        The configuration the formula is tried with.
    """
    found = list(_wrong_words(metric))
    if found:
        return found
    found = [*_wrong_numbers(metric), *_wrong_sense(metric), *_wrong_texts(metric)]
    return found or list(_wrong_formula(metric, config))


def _wrong_words(metric: Metric) -> Iterator[str]:
    if not isinstance(metric.name, str) or not _NAME.fullmatch(metric.name):
        yield f"name {metric.name!r}: use lower-case letters, digits and _, a letter first, 40 at most"
    for key, words in (("part", Part), ("unit", Unit), ("gate", Gate)):
        word = getattr(metric, key)
        if word not in get_args(words) and not (key == "gate" and word is None):
            yield f"{key} is {word!r}; it is one of {', '.join(get_args(words))}"
    if metric.direction not in (-1, 0, 1):
        yield f"direction is {metric.direction!r}; it is +1 (more of it speaks for an expansion), -1 (against) or 0"
    if not callable(metric.formula):
        yield "formula is no function of one argument"


def _wrong_numbers(metric: Metric) -> Iterator[str]:
    if any(not isinstance(days, int) or days < 1 for days in metric.windows):
        yield f"windows are {metric.windows}; they are whole numbers of days from 1"
    if len(set(metric.windows)) < len(metric.windows):
        yield f"windows are {metric.windows}; each number of days stands once"
    if metric.compare and not metric.windows:
        yield "compare needs windows: without a period there is none before"
    if metric.threshold is not None and not math.isfinite(metric.threshold):
        yield f"threshold is {metric.threshold}, which is no number"
    ramp = metric.ramp
    if ramp is None:
        return
    if ramp.part not in get_args(ScorePart):
        yield f"the score has no part {ramp.part!r}; it has {', '.join(get_args(ScorePart))}"
    if not ramp.weight > 0 or not math.isfinite(ramp.weight):
        yield f"its weight in the score is {ramp.weight}; it must be above 0"
    if not (ramp.full_at - ramp.zero_at) * metric.direction > 0:
        yield (
            f"the score goes from zero_at {ramp.zero_at:g} to full_at {ramp.full_at:g}, but direction is "
            f"{metric.direction:+d}: it must rise where more speaks for an expansion and fall where it speaks against"
        )


def _wrong_sense(metric: Metric) -> Iterator[str]:
    if metric.threshold is not None and metric.direction == 0:
        yield "a threshold is reached from one side: direction must be +1 or -1"
    if metric.gate is not None and metric.threshold is None:
        yield f"gate {metric.gate} opens at a threshold; give one"
    if metric.also is not None and metric.threshold is None:
        yield f"also ({metric.also}) goes with a threshold; give one"
    if metric.unit == "category" and (metric.direction, metric.windows, metric.skewed) != (0, (), False):
        yield "a category has direction 0, no windows and is not skewed"
    if metric.part == "risk" and (metric.direction > 0 or metric.ramp is not None):
        yield "risk speaks against an expansion or claims nothing, and has no term in the score"
    if metric.part in ("profile", "history") and (metric.direction != 0 or metric.shown):
        yield f"part {metric.part} claims no direction and is not shown as a reason"
    if metric.actionable and not (metric.in_model and metric.shown and metric.direction == 1):
        yield "what is actionable is in the model, shown, and has direction +1"


def _wrong_texts(metric: Metric) -> Iterator[str]:
    for key in ("label", "description", "sentence"):
        text = getattr(metric, key)
        if not isinstance(text, str) or not text.strip():
            yield f"{key} is empty"
            return
    known = quotable(metric)
    for sentence in (metric.sentence, *metric.sentences.values()):
        try:
            parts = list(Formatter().parse(sentence))
        except ValueError as error:
            yield f"sentence {sentence!r}: {error}"
            continue
        for _, name, style, conversion in parts:
            if name is not None and (name not in known or style or conversion):
                yield f"a sentence quotes {{{name}}}; this metric has {', '.join(f'{{{n}}}' for n in known)}"


def quotable(metric: Metric) -> tuple[str, ...]:
    """What a metric's sentence may have in braces."""
    before = tuple(f"{fact}_previous" for fact in metric.facts) if metric.windows else ()
    return ("value", *(("previous",) if metric.compare else ()), *metric.facts, *before)


class Trial:
    """A formula's argument that notes which measures are asked for; values are columns of an empty table.

    Attributes
    ----------
    asked
        Periods by measure.
    """

    values = ibis.table({"number": "float64", "text": "string"}, name="measured")

    def __init__(self, config: Config, period: Period, asked: dict[Measure, set[Period]] | None = None) -> None:
        self.config, self.period = config, period
        self.asked: dict[Measure, set[Period]] = {} if asked is None else asked

    def __call__(self, measure: Measure, period: Period | None = None) -> Any:
        """A column of the measure's type."""
        if not isinstance(measure, Measure):
            raise TypeError(f"it asks for {type(measure).__name__} {measure!r:.60}, which is no Measure")
        self.asked.setdefault(measure, set()).add(period or self.period)
        return self.values.text if measure.text else self.values.number

    def previous(self) -> Trial:
        """The same in the period directly before."""
        return Trial(self.config, self.period.before(), self.asked)


def _wrong_formula(metric: Metric, config: Config) -> Iterator[str]:
    asked: dict[Measure, set[Period]] = {}
    for period in periods_of(metric).values():
        try:
            value = metric.formula(Trial(config, period, asked))
        except Exception as error:  # noqa: BLE001 - the formula is anybody's code
            yield f"its formula fails: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return
        if not isinstance(value, ibis.Value):
            yield f"its formula returns {type(value).__name__}; it must return an expression made of measures"
            return
    if not asked:
        yield "its formula asks for no measure"
    for measure in (*asked, *metric.facts.values()):
        yield from _wrong_measure(measure)


def _wrong_measure(measure: Any) -> Iterator[str]:
    if not isinstance(measure, Measure):
        yield f"facts have {type(measure).__name__} {measure!r:.60}, which is no Measure"
        return
    sources = ("activity", *(name for name in TABLES if name != "events"))
    if measure.source not in sources:
        yield f"measure {measure.name} has source {measure.source!r}; there are {', '.join(sources)}"
        return
    kinds: Mapping[str, tuple[str, ...]] = {
        "column": TABLES[measure.source].column_names if measure.source in TABLES else (),
    }
    for need in measure.needs:
        kind, _, name = need.partition(":")
        if kind not in ("column", "signal", "catalogue", "users", "own") or (kind in kinds and name not in kinds[kind]):
            yield f"measure {measure.name} needs {need!r}, which no input can have"
