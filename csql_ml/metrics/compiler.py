"""Metric definitions -> one Ibis expression per snapshot.

Formulas are run twice: once to record which measures they ask for in which period, once with the columns those
became. All measures of one source are computed in one pass over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from csql_ml.metrics import measures as M
from csql_ml.metrics import registry
from csql_ml.metrics.definition import Measure, Metric, Period, has_step, reached_column
from csql_ml.metrics.settings import threshold_of

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Length of the buckets of a trend line in days, and how many there are.
TREND_DAYS, TREND_LENGTH = 30, 6
TRENDS = {"active_users": M.ACTIVE_USERS, "usage": M.USAGE}
_AS_OF = Period(0, 0)
#: What a formula is given while it is only being recorded.
_ANY = ibis.table({"number": "float64", "text": "string"}, name="recorded")


@dataclass(frozen=True)
class Compiled:
    """A snapshot's expression and what its columns are.

    Attributes
    ----------
    steps
        Named expressions in the order they are computed, for printing.
    unavailable
        Per metric, why a measure it uses cannot be computed here.
    """

    table: ir.Table
    feature_columns: tuple[str, ...]
    fact_columns: tuple[str, ...]
    categories: tuple[str, ...]
    steps: Mapping[str, ir.Table]
    unavailable: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Available:
    """What this company's inputs allow: which tables, columns and signals there are, and how far back they reach."""

    present: Mapping[str, frozenset[str]]
    config: Config
    history: Mapping[str, int] = field(default_factory=dict)
    users_known: bool = True

    def why_not(self, measure: Measure) -> str | None:
        """The reason why a measure cannot be computed, or None."""
        source = "events" if measure.source == "activity" else measure.source
        if not self.present.get(source):
            return f"table {source} is absent"
        for need in measure.needs:
            kind, _, name = need.partition(":")
            if kind == "column" and name not in self.present[source]:
                return f"column {source}.{name} is absent"
            if kind == "signal" and not getattr(self.config.signals, name):
                return f"signals.{name} is not mapped"
            if kind == "users" and not self.users_known:
                return "events name no users"
            if kind == "catalogue" and not getattr(self.config.catalogue, name):
                return f"catalogue.{name} is empty"
        return None

    def reaches(self, measure: Measure, period: Period) -> bool:
        """Whether the source's history covers the whole period."""
        return not measure.dense or period.reach <= self.history.get(measure.source, 0)


class _Recorder:
    """Formula argument of the first run: notes what is asked for."""

    def __init__(self, config: Config, period: Period, asked: list[tuple[Measure, Period]]) -> None:
        self.config, self.period, self._asked = config, period, asked

    def __call__(self, measure: Measure, period: Period | None = None) -> Any:
        self._asked.append((measure, period or self.period))
        return _ANY.text if measure.text else _ANY.number

    def previous(self) -> _Recorder:
        return _Recorder(self.config, self.period.before(), self._asked)


class _Columns:
    """Formula argument of the second run: returns the measures' columns."""

    def __init__(self, config: Config, period: Period, table: ir.Table) -> None:
        self.config, self.period, self._table = config, period, table

    def __call__(self, measure: Measure, period: Period | None = None) -> Any:
        return self._table[measure.column(period or self.period)]

    def previous(self) -> _Columns:
        return _Columns(self.config, self.period.before(), self._table)


def periods_of(metric: Metric) -> dict[str, Period]:
    """Column name -> period, for every column computed by the metric's formula."""
    if not metric.windows:
        return {metric.name: _AS_OF}
    first, *longer = metric.windows
    columns = {metric.name: Period(first)}
    columns |= {f"{metric.name}_{days}d": Period(days) for days in longer}
    if metric.compare:
        columns[f"{metric.name}_previous"] = Period(first).before()
    return columns


def measures_of(metric: Metric, config: Config) -> list[tuple[Measure, Period]]:
    """Every measure and period that a metric's columns and facts need."""
    asked: list[tuple[Measure, Period]] = []
    for period in periods_of(metric).values():
        metric.formula(_Recorder(config, period, asked))
    for _, measure, period in _facts_of(metric):
        asked.append((measure, period))
    return asked


def _facts_of(metric: Metric) -> list[tuple[str, Measure, Period]]:
    period = Period(metric.windows[0]) if metric.windows else _AS_OF
    now = [(f"{metric.name}.{fact}", measure, period) for fact, measure in metric.facts.items()]
    if not metric.windows:
        return now
    return now + [(f"{name}_previous", measure, period.before()) for name, measure, _ in now]


def unavailable_measures(metrics: Iterable[Metric], available: Available) -> dict[str, tuple[str, ...]]:
    """Per metric that loses something here: the reasons, sorted."""
    lost = {}
    for metric in metrics:
        reasons = {available.why_not(m) for m, _ in measures_of(metric, available.config)} - {None}
        if reasons:
            lost[metric.name] = tuple(sorted(r for r in reasons if r))
    return lost


def compile_metrics(
    metrics: Sequence[Metric],
    tables: Mapping[str, ir.Table],
    available: Available,
) -> Compiled:
    """Compile metric definitions over tables that were cut at one as-of date.

    Parameters
    ----------
    tables
        As-of tables by name, with day counts instead of times.
    available
        What the company's sources really have.
    """
    config = available.config
    wanted = [pair for m in metrics for pair in measures_of(m, config)]
    wanted += [(m, _AS_OF) for m in (*M.HYPOTHESIS, *M.ELIGIBILITY)] + [(m, p) for _, m, p in _trend_columns()]
    steps: dict[str, ir.Table] = {}
    joined = _joined_measures(wanted, tables, available, steps)
    columns = {n: v for m in metrics for n, v in _metric_columns(m, joined, config).items()}
    columns |= {reached_column(m): _reached(m, columns, config) for m in metrics if has_step(m)}
    facts = {name: joined[m.column(p)] for metric in metrics for name, m, p in _facts_of(metric)}
    facts |= {m.name: joined[m.column(_AS_OF)] for m in (*M.HYPOTHESIS, *M.ELIGIBILITY)}
    facts |= {name: joined[m.column(p)] for name, m, p in _trend_columns()}
    facts = {n: v if v.type().is_string() else v.cast("float64") for n, v in facts.items()}
    steps["metrics"] = joined.select("account_id", **columns, **facts)
    return Compiled(
        table=steps["metrics"],
        feature_columns=tuple(columns),
        fact_columns=tuple(facts),
        categories=tuple(m.name for m in metrics if m.unit == "category"),
        steps=steps,
        unavailable=unavailable_measures(metrics, available),
    )


def _trend_columns() -> list[tuple[str, Measure, Period]]:
    """Trend buckets, oldest first."""
    return [
        (f"trend.{name}.{i}", measure, Period(TREND_DAYS, TREND_DAYS * (TREND_LENGTH - 1 - i)))
        for name, measure in TRENDS.items()
        for i in range(TREND_LENGTH)
    ]


def _metric_columns(metric: Metric, joined: ir.Table, config: Config) -> dict[str, Any]:
    columns = {name: metric.formula(_Columns(config, period, joined)) for name, period in periods_of(metric).items()}
    if metric.compare:
        columns[f"{metric.name}_change"] = columns[metric.name] - columns[f"{metric.name}_previous"]
    if metric.unit == "category":
        return {n: v.cast("string") for n, v in columns.items()}
    return {n: v.cast("float64") for n, v in columns.items()}


def _reached(metric: Metric, columns: Mapping[str, Any], config: Config) -> Any:
    """1.0 where the threshold is reached (and that of the metric it depends on), 0.0 where not, else missing."""
    return M.flag(_at_threshold(metric, columns, config))


def _at_threshold(metric: Metric, columns: Mapping[str, Any], config: Config) -> Any:
    value, limit = columns[metric.name], threshold_of(metric.name, config, metric.threshold)
    reached = value <= limit if metric.direction < 0 else value >= limit
    other = registry().get(metric.also or "")
    if other is None or other.name not in columns:
        return reached
    return reached & _at_threshold(other, columns, config)


def _joined_measures(
    wanted: Sequence[tuple[Measure, Period]],
    tables: Mapping[str, ir.Table],
    available: Available,
    steps: dict[str, ir.Table],
) -> ir.Table:
    """The spine (accounts with a contract in force) with one column per measure and period."""
    by_name = {measure.column(period): (measure, period) for measure, period in wanted}
    spine = _spine(tables)
    steps["spine"] = spine
    joined = spine
    missing: dict[str, Measure] = {}
    for source in sorted({m.source for m, _ in by_name.values()}):
        computable = {
            name: (m, p)
            for name, (m, p) in by_name.items()
            if m.source == source and available.why_not(m) is None and available.reaches(m, p)
        }
        missing |= {n: m for n, (m, _) in by_name.items() if m.source == source and n not in computable}
        if computable:
            steps[source] = _aggregate(tables[source], computable, available.config)
            joined = joined.left_join(steps[source], "account_id").drop("account_id_right")
    values = {n: joined[n] if n not in missing else _nothing(missing[n]) for n in by_name}
    filled = {
        name: value.fill_null(by_name[name][0].empty)
        if name not in missing and by_name[name][0].empty is not None
        else value
        for name, value in values.items()
    }
    return joined.select("account_id", **filled)


def _nothing(measure: Measure) -> Any:
    return ibis.null("string" if measure.text else "float64")


def _spine(tables: Mapping[str, ir.Table]) -> ir.Table:
    contracts = tables["contracts"]
    in_force = contracts.filter(M.in_force(contracts, 0)).select("account_id").distinct()
    return tables["accounts"].select("account_id").semi_join(in_force, "account_id")


def _aggregate(rows: ir.Table, computable: Mapping[str, tuple[Measure, Period]], config: Config) -> ir.Table:
    reach = max(p.reach for _, p in computable.values())
    if "days_ago" in rows.columns:
        rows = rows.filter(rows.days_ago <= reach)
    values = {name: measure.value(rows, period, config) for name, (measure, period) in computable.items()}
    return rows.group_by("account_id").aggregate(**values)
