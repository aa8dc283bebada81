"""What a metric is.

A metric is data with a face: one definition holds its formula and everything else anybody needs to know about the
signal. Feature columns, monotone constraints, explanation groups, score terms, gates, the data dictionary and the
sentences of the reports are all read off it.

Formulas see no dates. They are written over *measures*: aggregates of one input table in a `Period` counted in days
before the as-of date. The tables a measure gets were cut at the as-of date by `csql_ml.as_of`, so a formula cannot
look ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Part = Literal["success", "fit", "timing", "risk", "profile", "history"]
ScorePart = Literal["engagement", "fit", "intent"]
Gate = Literal["value_proven", "next_product", "buyer_identified", "timing"]
Unit = Literal["ratio", "change", "count", "days", "months", "score", "money", "flag", "category"]

#: Compared periods are this many days long; the previous period lies directly before.
WINDOWS = (30, 90)


@dataclass(frozen=True, order=True)
class Period:
    """``length`` days that end ``ago`` days before the as-of date; (30, 0) are the 30 days before it."""

    length: int
    ago: int = 0

    @property
    def reach(self) -> int:
        """How many days before the as-of date the period begins."""
        return self.ago + self.length

    def covers(self, days_ago: Any) -> Any:
        """Whether a day count (1 = the day before the as-of date) lies in the period."""
        return (days_ago > self.ago) & (days_ago <= self.reach)

    def before(self) -> Period:
        """The period of the same length directly before."""
        return Period(self.length, self.reach)


@dataclass(frozen=True)
class Merge:
    """How rows of the daily rollup combine into one number: over any set of days, from what smaller sets gave.

    What merges is computed for all periods in one pass over the days: see `csql_ml.metrics.buckets`.

    Parameters
    ----------
    how
        ``sum``, ``or`` (bitwise), ``min`` or ``max`` of ``column``, or ``users``: distinct users.
    column
        Column of the rollup; of ``users`` only those with ``column`` above 0 on some day (None: all).
    always
        The period that is counted whatever is asked for.
    """

    how: Literal["sum", "or", "min", "max", "users"]
    column: str | None = None
    always: Period | None = None

    def period(self, asked: Period) -> Period:
        """The period that is counted."""
        return self.always or asked

    def value(self, rows: Any, asked: Period, _: Any = None) -> Any:
        """The same number as one aggregate over an account's rows, as `Measure.value` gives it."""
        counted = self.period(asked).covers(rows.days_ago)
        if self.how == "users":
            if self.column is not None:
                counted = counted & (rows[self.column] > 0)
            return rows.user_id.nunique(where=counted)
        return aggregate(self.how, rows[self.column], counted)


def aggregate(how: str, values: Any, where: Any = None) -> Any:
    """``sum``, ``or``, ``min`` or ``max`` of a column of an Ibis table."""
    return getattr(values, "bit_or" if how == "or" else how)(where=where)


@dataclass(frozen=True)
class Measure:
    """One number per account, aggregated from one as-of table.

    Parameters
    ----------
    name
        Unique name; column names in printed SQL are made of it.
    source
        The as-of table: ``activity`` or a contract table.
    value
        ``value(rows, period, config)`` returns an Ibis aggregate over the account's rows. Times are there as day
        counts: ``opened_at`` is ``opened_days_ago`` (1 = the day before the as-of date, negative = ahead).
    empty
        The value for an account without any row: 0 for counts, None (missing) where nothing can be said.
    needs
        What must be mapped for the measure to exist: ``column:<name>`` of the source or ``signal:<name>``.
    dense
        Rows are expected every few days, so a period that begins before the source's first day is missing, not 0.
    state
        The value stands at the period's end; its length does not matter.
    text
        The value is text, not a number.
    merge
        For measures of the rollup: the same number in a form that is computed for all periods at once.
    """

    name: str
    source: str
    value: Callable[[Any, Period, Any], Any] = field(compare=False, repr=False)
    empty: float | None = None
    needs: tuple[str, ...] = ()
    dense: bool = False
    state: bool = False
    text: bool = False
    merge: Merge | None = field(default=None, compare=False)

    def column(self, period: Period) -> str:
        """Name of the column that holds this measure in ``period``."""
        return f"{self.name}__{0 if self.state else period.length}_{period.ago}"


class At(Protocol):
    """What a formula is given: measures and metrics of one account, in one period."""

    period: Period
    config: Any

    def __call__(self, measure: Measure, period: Period | None = None) -> Any:
        """A measure's value in ``period`` (default: the formula's own period)."""

    def previous(self) -> At:
        """The same account in the period directly before."""


@dataclass(frozen=True)
class Ramp:
    """How a metric enters the weighted score: no points at ``zero_at``, full points at ``full_at``, a line between."""

    part: ScorePart
    zero_at: float
    full_at: float
    weight: float = 1.0


@dataclass(frozen=True)
class Metric:
    """One definition that carries everything about a signal.

    Parameters
    ----------
    name
        Name of the feature column and of everything derived from it. Unique.
    part
        Which part of the formula ``success + fit + timing`` it belongs to (or risk, profile, history).
    direction
        +1: more of it speaks for an expansion; -1: against; 0: no direction is claimed.
        The model is constrained to it.
    unit
        How values are written.
    formula
        ``formula(at)`` returns an Ibis value; see `At`.
    label, description
        What a reader calls it, and what it measures.
    sentence
        The fact a CSM may say, with ``{value}``, ``{previous}`` and the names of ``facts`` (also ``<fact>_previous``).
    windows
        Lengths in days; the first is the headline column ``name``, others are ``name_<days>d``. Empty: a state as of
        the date.
    compare
        Add ``name_previous`` (the period before) and ``name_change`` (now minus before).
    change_is_feature
        Whether ``name_change`` goes into the model (the difference may be a metric of its own).
    threshold
        Starting threshold of the guide; configuration may override it.
    also
        Name of a metric that must be at its threshold too before this one counts as reached.
    gate
        The qualification gate that this metric opens when its threshold is reached.
    ramp
        Term of the weighted score.
    facts
        Measures quoted by the sentence.
    skewed
        Long right tail: linear parts of the model use log1p.
    in_model
        False for what must not be learned from (for example anything CSMs set themselves).
    shown
        False for what a report never shows as a reason.
    source_note
        Where the formula comes from.
    labels, sentences
        Label and sentence in further languages by code (``de``), for metrics whose English texts are in no catalogue.
    """

    name: str
    part: Part
    direction: int
    unit: Unit
    formula: Callable[[At], Any] = field(compare=False, repr=False)
    label: str
    description: str
    sentence: str
    windows: tuple[int, ...] = ()
    compare: bool = False
    change_is_feature: bool = True
    threshold: float | None = None
    also: str | None = None
    gate: Gate | None = None
    ramp: Ramp | None = None
    facts: Mapping[str, Measure] = field(default_factory=dict, hash=False)
    skewed: bool = False
    in_model: bool = True
    shown: bool = True
    actionable: bool = False
    source_note: str = "domain.md, metrics and their formulas"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    sentences: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Feature:
    """One feature column, as the model layer sees it.

    ``metric`` groups columns for explanations; ``direction`` is the monotone constraint (-1, 0, +1).
    """

    name: str
    metric: str
    direction: int = 0
    categorical: bool = False
    skewed: bool = False


@dataclass(frozen=True)
class ScoreTerm:
    """One term of the weighted score after configuration: see `Ramp`."""

    feature: str
    part: ScorePart
    zero_at: float
    full_at: float
    weight: float


def features_of(metric: Metric) -> tuple[Feature, ...]:
    """The model's feature columns of one metric."""
    if not metric.in_model:
        return ()
    plain = Feature(metric.name, metric.name, metric.direction, metric.unit == "category", metric.skewed)
    longer = tuple(
        Feature(f"{metric.name}_{days}d", metric.name, metric.direction, False, metric.skewed)
        for days in metric.windows[1:]
    )
    change = (
        (Feature(f"{metric.name}_change", metric.name, metric.direction),)
        if metric.compare and metric.change_is_feature
        else ()
    )
    reached = (Feature(reached_column(metric), metric.name, metric.direction),) if has_step(metric) else ()
    return (plain, *longer, *change, *reached)


def has_step(metric: Metric) -> bool:
    """Whether reaching the threshold is a model feature of its own: the guide's thresholds are steps, not slopes."""
    return metric.in_model and metric.threshold is not None and metric.unit != "flag"


def reached_column(metric: Metric) -> str:
    """Name of the column that says whether the threshold is reached: 1, 0 or missing."""
    return f"{metric.name}_reached"
