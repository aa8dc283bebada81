"""Metric definitions -> one Ibis expression per snapshot, in named steps.

Formulas are run twice: once to record which measures they ask for in which period, once with the columns those
became. Measures of the daily rollup are computed for all periods at once (`csql_ml.metrics.buckets`), all other
measures of a table in one pass over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from csql_ml.metrics import measures as M
from csql_ml.metrics.buckets import ActivityMeasures, Summaries, Wanted
from csql_ml.metrics.definition import Measure, Metric, Period, has_step, reached_column
from csql_ml.metrics.row_counts import Read, count_column, reads, row_count
from csql_ml.metrics.settings import threshold_of
from csql_ml.metrics.sharing import with_shared_parts

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Length of the buckets of a trend line in days, and how many there are.
TREND_DAYS, TREND_LENGTH = 30, 6
TRENDS = {"active_users": M.ACTIVE_USERS, "usage": M.USAGE}
#: The steps that read the daily rollup.
PASSES = ("activity", "active_users")
_AS_OF = Period(0, 0)
#: What a formula is given while it is only being recorded.
_ANY = ibis.table({"number": "float64", "text": "string"}, name="recorded")


@dataclass(frozen=True)
class Compiled:
    """A snapshot's expression and what its columns are.

    Attributes
    ----------
    table
        One row per account, in no order: ``account_id``, `feature_columns`, `fact_columns`.
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

    def reading(self, kept: Mapping[str, str]) -> ir.Table:
        """`table`, where some steps are read from tables that they were written to: step -> name of the table."""
        tables = {self.steps[s].op(): ibis.table(self.steps[s].schema(), name=name).op() for s, name in kept.items()}
        result: ir.Table = self.table.op().replace(tables).to_expr()
        return result


@dataclass(frozen=True)
class Available:
    """What this company's inputs allow: which tables, columns and signals there are, and how far back they reach.

    Attributes
    ----------
    present
        Columns of each table that the source really has.
    history
        For sources of which rows are expected every few days, how many days ago the first known one was.
    users_known
        Whether any known event names a user.
    """

    present: Mapping[str, frozenset[str]]
    config: Config
    history: Mapping[str, int] = field(default_factory=dict)
    users_known: bool | int = True

    def why_not(self, measure: Measure) -> str | None:
        """The reason why a measure cannot be computed, or None."""
        reason = self.why_never(measure)
        if reason is None and "users" in measure.needs and not self.users_known:
            return "events name no users"
        return reason

    def why_never(self, measure: Measure) -> str | None:
        """The reason why a measure cannot be computed at any date, or None."""
        source = "events" if measure.source == "activity" else measure.source
        if not self.present.get(source):
            return f"table {source} is absent"
        for need in measure.needs:
            kind, _, name = need.partition(":")
            if kind == "column" and name not in self.present[source]:
                return f"column {source}.{name} is absent"
            if kind == "signal" and not getattr(self.config.signals, name):
                return f"signals.{name} is not mapped"
            if kind == "own" and name not in self.config.signals.own:
                return f"signals.own.{name} is not mapped"
            if kind == "catalogue" and not getattr(self.config.catalogue, name):
                return f"catalogue.{name} is empty"
        return None

    def reaches(self, measure: Measure, period: Period) -> Any:
        """An Ibis condition, the same for all accounts: the source's history covers the period; None for always."""
        conditions = []
        if measure.dense:
            history = ibis.literal(self.history.get(measure.source, 0), "int64")
            conditions.append(history >= ibis.literal(period.reach, "int64"))
        if "users" in measure.needs:
            conditions.append(ibis.literal(int(self.users_known), "int64") == 1)
        return ibis.and_(*conditions) if conditions else None


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


def reads_of(metric: Metric, config: Config) -> tuple[Read, ...]:
    """The tables, and how many days of each, that the metric's headline value and facts are computed from."""
    asked: list[tuple[Measure, Period]] = []
    metric.formula(_Recorder(config, periods_of(metric)[metric.name], asked))
    return reads([*asked, *((m, p) for name, m, p in _facts_of(metric) if not name.endswith("_previous"))])


def _facts_of(metric: Metric) -> list[tuple[str, Measure, Period]]:
    period = Period(metric.windows[0]) if metric.windows else _AS_OF
    now = [(f"{metric.name}.{fact}", measure, period) for fact, measure in metric.facts.items()]
    if not metric.windows:
        return now
    return now + [(f"{name}_previous", measure, period.before()) for name, measure, _ in now]


def _trend_columns() -> list[tuple[str, Measure, Period]]:
    """Trend buckets, oldest first."""
    return [
        (f"trend.{name}.{i}", measure, Period(TREND_DAYS, TREND_DAYS * (TREND_LENGTH - 1 - i)))
        for name, measure in TRENDS.items()
        for i in range(TREND_LENGTH)
    ]


class Compiler:
    """Metric definitions of one company, compiled over the as-of tables of any date.

    Parameters
    ----------
    metrics
        What to compute, in the order of the columns.
    """

    def __init__(self, metrics: Sequence[Metric], config: Config) -> None:
        self.metrics, self.config = metrics, config
        self._of_metric = {m.name: measures_of(m, config) for m in metrics}
        counted = {count_column(read): row_count(read) for m in metrics for read in reads_of(m, config)}
        self._row_counts = {name: pair for name, pair in sorted(counted.items()) if pair is not None}

    @cached_property
    def wanted(self) -> Wanted:
        """Every measure in every period that is needed, by the name of its column."""
        pairs = [pair for m in self.metrics for pair in self._of_metric[m.name]]
        pairs += [(m, _AS_OF) for m in (*M.HYPOTHESIS, *M.ELIGIBILITY)] + [(m, p) for _, m, p in _trend_columns()]
        pairs += self._row_counts.values()
        return {measure.column(period): (measure, period) for measure, period in pairs}

    @cached_property
    def reach(self) -> int:
        """How many days before the as-of date the daily rollup is read."""
        return max(
            (m.merge.period(p) if m.merge else p).reach for m, p in self.wanted.values() if m.source == "activity"
        )

    def unavailable(self, available: Available) -> dict[str, tuple[str, ...]]:
        """Per metric that loses something here: the reasons, sorted."""
        lost = {}
        for metric in self.metrics:
            reasons = {available.why_not(m) for m, _ in self._of_metric[metric.name]} - {None}
            if reasons:
                lost[metric.name] = tuple(sorted(r for r in reasons if r))
        return lost

    def compile(
        self, tables: Mapping[str, ir.Table], available: Available, summaries: Summaries | None = None
    ) -> Compiled:
        """Compile over tables that were cut at one as-of date.

        Parameters
        ----------
        tables
            As-of tables by name, with day counts instead of times; ``recent_activity`` are the rows of ``activity``
            that are not older than `reach`.
        available
            What there is; `Available.history` and `Available.users_known` are those of the date.
        summaries
            Of ``recent_activity``, where the rollup has them.
        """
        measured = _Measured(self.wanted, available, summaries)
        joined = measured.joined(tables)
        columns, facts = self._columns(joined)
        parts, moved = with_shared_parts(joined, columns)
        steps = dict(measured.steps)
        steps |= {f"shared_{i + 1}": part for i, part in enumerate(parts)}
        last = parts[-1] if parts else joined
        steps["metrics"] = last.select("account_id", **moved)
        features = tuple(name for name in columns if name not in facts)
        return Compiled(
            table=steps["metrics"],
            feature_columns=features,
            fact_columns=facts,
            categories=tuple(m.name for m in self.metrics if m.unit == "category"),
            steps=steps,
            unavailable=self.unavailable(available),
        )

    def _columns(self, joined: ir.Table) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Every column over the joined measures, and the names of those that are facts."""
        metrics, config = {m.name: m for m in self.metrics}, self.config
        columns = {n: v for m in self.metrics for n, v in _metric_columns(m, joined, config).items()}
        columns |= {reached_column(m): _reached(m, metrics, columns, config) for m in self.metrics if has_step(m)}
        facts = {name: joined[m.column(p)] for metric in self.metrics for name, m, p in _facts_of(metric)}
        facts |= {m.name: joined[m.column(_AS_OF)] for m in (*M.HYPOTHESIS, *M.ELIGIBILITY)}
        facts |= {name: joined[m.column(p)] for name, m, p in _trend_columns()}
        facts |= {name: joined[m.column(p)] for name, (m, p) in self._row_counts.items()}
        facts = {n: v if v.type().is_string() else v.cast("float64") for n, v in facts.items()}
        return columns | facts, tuple(facts)


def printed_steps(steps: Mapping[str, ir.Table], connection: Any) -> list[tuple[str, str]]:
    """Name and SQL of each step in the engine's dialect; a step reads earlier ones by their names."""
    printed: list[tuple[str, str]] = []
    named: dict[Any, Any] = {}
    for name, step in steps.items():
        alone = step.op().replace(named).to_expr() if named else step
        printed.append((name, str(connection.compile(alone, pretty=True))))
        named[step.op()] = ibis.table(step.schema(), name=name).op()
    return printed


def unavailable_measures(metrics: Iterable[Metric], available: Available) -> dict[str, tuple[str, ...]]:
    """Per metric that loses something here: the reasons, sorted."""
    return Compiler(tuple(metrics), available.config).unavailable(available)


def _metric_columns(metric: Metric, joined: ir.Table, config: Config) -> dict[str, Any]:
    columns = {name: metric.formula(_Columns(config, period, joined)) for name, period in periods_of(metric).items()}
    if metric.compare:
        columns[f"{metric.name}_change"] = columns[metric.name] - columns[f"{metric.name}_previous"]
    if metric.unit == "category":
        return {n: v.cast("string") for n, v in columns.items()}
    return {n: v.cast("float64") for n, v in columns.items()}


def _reached(metric: Metric, metrics: Mapping[str, Metric], columns: Mapping[str, Any], config: Config) -> Any:
    """1.0 where the threshold is reached (and that of the metric it depends on), 0.0 where not, else missing."""
    return M.flag(_at_threshold(metric, metrics, columns, config))


def _at_threshold(metric: Metric, metrics: Mapping[str, Metric], columns: Mapping[str, Any], config: Config) -> Any:
    value, limit = columns[metric.name], threshold_of(metric.name, config, metric.threshold)
    reached = value <= limit if metric.direction < 0 else value >= limit
    other = metrics.get(metric.also or "")
    if other is None or other.name not in columns:
        return reached
    return reached & _at_threshold(other, metrics, columns, config)


class _Measured:
    """The spine (accounts with a contract in force) with one column per measure and period.

    Attributes
    ----------
    steps
        Filled by `joined`: one per aggregation, in the order they are computed.
    """

    def __init__(self, wanted: Wanted, available: Available, summaries: Summaries | None) -> None:
        self._wanted, self._available, self._summaries = wanted, available, summaries
        self._computable = {n: pair for n, pair in wanted.items() if available.why_never(pair[0]) is None}
        merged = {n: pair for n, pair in self._computable.items() if pair[0].merge is not None}
        self._activity = ActivityMeasures(merged) if merged else None
        self._free = {n: pair for n, pair in self._computable.items() if n not in merged}
        self.steps: dict[str, ir.Table] = {}

    def joined(self, tables: Mapping[str, ir.Table]) -> ir.Table:
        """One row per account of the spine."""
        cuts = {n: tables[n] for n in {"accounts", "contracts"} | {_rows_of(m) for m, _ in self._free.values()}}
        if self._activity is not None:
            cuts |= self._activity.sources(tables["recent_activity"], self._summaries)
        self.steps |= {f"{name}_as_of": cuts[name] for name in sorted(cuts)}
        joined = self.steps["spine"] = _spine(tables)
        for i, part in enumerate(self._parts(tables)):
            joined = joined.left_join(part, "account_id", rname=f"{{name}}_{i}")
        values = {name: self._value(joined, name) for name in self._wanted}
        self.steps["measures"] = joined.select("account_id", **values)
        return self.steps["measures"]

    def _parts(self, tables: Mapping[str, ir.Table]) -> list[ir.Table]:
        """Tables of one row per account that hold the computable measures."""
        parts: list[ir.Table] = []
        if self._activity is not None:
            steps = self._activity.steps(tables["recent_activity"], self._summaries)
            self.steps |= steps
            parts += [steps[name] for name in PASSES if name in steps]
        sources = {n: _rows_of(measure) for n, (measure, _) in self._free.items()}
        for source in sorted(set(sources.values())):
            chosen = {n: pair for n, pair in self._free.items() if sources[n] == source}
            parts.append(_aggregate(tables[source], chosen, self._available.config))
            self.steps[f"{source}_by_row" if source in self.steps else source] = parts[-1]
        return parts

    def _value(self, joined: ir.Table, name: str) -> Any:
        measure, period = self._wanted[name]
        if name not in self._computable:
            return ibis.null("string" if measure.text else "float64")
        value = joined[name]
        if measure.empty is not None:
            value = value.fill_null(measure.empty)
        reached = self._available.reaches(measure, period)
        return value if reached is None else ibis.ifelse(reached, value, ibis.null(value.type()))


def _spine(tables: Mapping[str, ir.Table]) -> ir.Table:
    contracts = tables["contracts"]
    in_force = contracts.filter(M.in_force(contracts, 0)).select("account_id").distinct()
    return tables["accounts"].select("account_id").semi_join(in_force, "account_id")


def _rows_of(measure: Measure) -> str:
    """The as-of table a measure without a merge reads: a period bounds its rows; a state may look at all days."""
    return "recent_activity" if measure.source == "activity" and not measure.state else measure.source


def _aggregate(rows: ir.Table, computable: Wanted, config: Config) -> ir.Table:
    values = {name: measure.value(rows, period, config) for name, (measure, period) in computable.items()}
    return rows.group_by("account_id").aggregate(**values)
