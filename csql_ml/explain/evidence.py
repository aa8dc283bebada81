"""From points to reasons: the facts a CSM may say, as codes and typed numbers.

A reason is a metric whose points are large and whose fact points the same way: a metric that speaks for an expansion
by its definition is evidence *for* only where its value is above that of the typical reference account, and *against*
only where it is below. A metric without a direction is never a reason; one without a value is named as missing where
that costs the account points, and never praised where it does not. Where there are bootstrap refits of the model, a
reason must stand in most of them. What is left over goes into "everything else", so that the parts add up. Text is made
of this elsewhere, per language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.cells import Cells
from csql_ml.metrics.agreement import sides
from csql_ml.metrics.compiler import reads_of
from csql_ml.metrics.definition import Metric
from csql_ml.metrics.row_counts import Read, count_column

if TYPE_CHECKING:
    from csql_ml.config import Config

Floats = npt.NDArray[np.float64]

#: How many reasons a page shows at most, and how many missing values it names.
MOST_FOR, MOST_AGAINST, MOST_MISSING = 4, 2, 2
#: Less than half of a tenth of a percentage point would show as 0.0.
LEAST_POINTS = 0.0005
#: Tables that CSMs fill themselves: what rests on them is never a reason, however a metric is declared.
SET_BY_CSMS = frozenset({"csqls", "coverage"})


class Peers(Protocol):
    """Whoever knows how the values of other accounts spread."""

    def standing(self, segment: Any, metric: str, value: Any) -> dict[str, Any] | None:
        """Where a value stands among the accounts of a segment; None where that cannot be said."""


@dataclass(frozen=True)
class Evidence:
    """Everything the reasons of one snapshot are made of.

    Attributes
    ----------
    metrics
        Definitions by name.
    columns
        Metric names of the columns of ``points``.
    points
        Points per account and metric, in probability; shape (n, m).
    features, facts
        The snapshot's frames; rows as in ``points``.
    typical
        Median of each metric's headline value among the reference accounts.
    thresholds
        Threshold per metric, None where there is none.
    sources
        What is read for each metric, as `source_of` gives it.
    as_of
        The snapshot's day; None leaves dates out.
    peers
        Whom values are compared with; None: nobody.
    shares
        (n, m) share of the model's refits in which a metric is among the strongest reasons of its side; None where
        there are no refits.
    least_share
        The share from which a reason is printed.
    """

    metrics: Mapping[str, Metric]
    columns: Sequence[str]
    points: Floats
    features: pd.DataFrame
    facts: pd.DataFrame
    typical: Mapping[str, float]
    thresholds: Mapping[str, float | None]
    sources: Mapping[str, Sequence[Read]]
    as_of: date | None = None
    peers: Peers | None = None
    shares: Floats | None = None
    least_share: float = 0.0

    def reasons(self, row: int) -> tuple[list[dict[str, Any]], float]:
        """Reasons of one account, strongest first within each side, and the points of everything else."""
        reasons, other, _ = self.told(row)
        return reasons, other

    def told(self, row: int) -> tuple[list[dict[str, Any]], float, int]:
        """As `reasons`, and how many facts are left out because they do not stand in most refits of the model."""
        chosen, unsteady = self._chosen(row)
        told = sum(float(self.points[row, i]) for i, _ in chosen)
        rest = float(self.points[row].sum() - told)
        return [self._reason(row, i, side) for i, side in chosen], rest, unsteady

    def _chosen(self, row: int) -> tuple[list[tuple[int, str]], int]:
        """Columns and sides of the reasons, and the number of facts that are left out as unsteady."""
        candidates = list(self._candidates(row))
        steady = [(i, side) for i, side in candidates if side == "missing" or self._steady(row, i)]
        chosen = _within_limits(steady)
        unsteady = len(set(_within_limits(candidates)) - set(chosen))
        return sorted(chosen, key=lambda pair: _SIDES.index(pair[1])), unsteady

    def _candidates(self, row: int) -> Iterator[tuple[int, str]]:
        """Columns and sides of all facts that say what their points say, strongest first."""
        points, agree = self.points[row].tolist(), self.agreement[row].tolist()
        gaps: set[str | None] = set()
        for i in sorted(range(len(self.columns)), key=lambda i: (-abs(points[i]), self.columns[i])):
            if abs(points[i]) < LEAST_POINTS:
                return
            side = self._side(row, i, points[i], agree[i])
            if side == "missing":
                source = self._source(self.columns[i]) or self.columns[i]
                side = None if source in gaps else side  # one gap in the data is one line, whatever rests on it
                gaps.add(source)
            if side is not None:
                yield i, side

    def _side(self, row: int, column: int, points: float, agree: int) -> str | None:
        """The side on which a fact is a reason; None where it does not say what its points say."""
        if agree * points > 0:
            return "for" if points > 0 else "against"
        if points < 0 and self._directions[column] and self._is_missing(row, column):
            return "missing"
        return None

    def _is_missing(self, row: int, column: int) -> bool:
        name = self.columns[column]
        return name in self.feature and bool(pd.isna(self.feature.at(name, row)))

    def _steady(self, row: int, column: int) -> bool:
        return self.shares is None or bool(self.shares[row, column] >= self.least_share - 1e-9)

    @cached_property
    def agreement(self) -> npt.NDArray[np.int8]:
        """(n, m) side on which each fact may be a reason."""
        return agreement(self.metrics, self.columns, self.features, self.typical, self.sources)

    @cached_property
    def _directions(self) -> list[int]:
        return [int(d) for d in directions(self.metrics, self.columns, self.sources)]

    @cached_property
    def feature(self) -> Cells:
        """Values of `features`."""
        return Cells(self.features)

    @cached_property
    def fact(self) -> Cells:
        """Values of `facts`."""
        return Cells(self.facts)

    @cached_property
    def _fact_names(self) -> dict[str, list[str]]:
        """Names of the facts of each metric, without its own name before them."""
        names: dict[str, list[str]] = {}
        for column in self.facts.columns:
            metric, dot, fact = str(column).partition(".")
            if dot:
                names.setdefault(metric, []).append(fact)
        return names

    def _reason(self, row: int, column: int, side: str) -> dict[str, Any]:
        metric = self.metrics[self.columns[column]]
        return {
            "metric": metric.name,
            "points": float(self.points[row, column]),
            "value": plain(self.feature.at(metric.name, row)),
            "previous_value": self.previous(metric.name, row),
            "unit": metric.unit,
            "threshold": self.thresholds.get(metric.name),
            "typical": plain(self.typical.get(metric.name)),
            "window_days": metric.windows[0] if metric.windows else None,
            "facts": self.facts_of(metric, row),
            "source": self._source(metric.name),
            "side": side,
            **self._dates(metric),
            "peers": self._peers(metric, row),
            "where": self._where(metric, row),
            "stability": None if self.shares is None or side == "missing" else float(self.shares[row, column]),
        }

    def _source(self, name: str) -> str | None:
        return ", ".join(table for table, _ in self.sources.get(name, ())) or None

    def _day(self, ago: int) -> str | None:
        return None if self.as_of is None else (self.as_of - timedelta(days=ago)).isoformat()

    def _dates(self, metric: Metric) -> dict[str, str | None]:
        """First and last day of the metric's own window; a state has no first day."""
        return {"from": self._day(metric.windows[0]) if metric.windows else None, "to": self._day(1)}

    def _peers(self, metric: Metric, row: int) -> dict[str, Any] | None:
        if self.peers is None or _SEGMENT not in self.feature or metric.unit in ("flag", "category"):
            return None
        value = plain(self.feature.at(metric.name, row))
        return self.peers.standing(self.feature.at(_SEGMENT, row), metric.name, value)

    def _where(self, metric: Metric, row: int) -> list[dict[str, Any]]:
        """Tables, days and rows that the value was computed from."""
        found = []
        for table, days in self.sources.get(metric.name, ()):
            column = count_column((table, days))
            count = plain(self.fact.at(column, row)) if column in self.fact else None
            first = None if days is None else self._day(days)
            found.append({"table": table, "from": first, "to": self._day(1), "rows": count})
        return found

    def previous(self, name: str, row: int) -> Any:
        """The metric's value in the period before, where it is compared."""
        column = f"{name}_previous"
        return plain(self.feature.at(column, row)) if column in self.feature else None

    def facts_of(self, metric: Metric, row: int) -> dict[str, Any]:
        """Numbers that the metric's sentence quotes."""
        names = self._fact_names.get(metric.name, [])
        return {name: plain(self.fact.at(f"{metric.name}.{name}", row)) for name in names}


#: Reasons are told in this order, and at most so many.
_LIMITS = {"for": MOST_FOR, "against": MOST_AGAINST, "missing": MOST_MISSING}
_SIDES = tuple(_LIMITS)
_SEGMENT = "segment"


def _within_limits(candidates: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The first ones of each side, as many as are shown."""
    left = dict(_LIMITS)
    chosen = []
    for pair in candidates:
        if left[pair[1]]:
            left[pair[1]] -= 1
            chosen.append(pair)
    return chosen


def directions(
    metrics: Mapping[str, Metric], columns: Sequence[str], sources: Mapping[str, Sequence[Read]]
) -> npt.NDArray[np.int_]:
    """(m,) direction of each metric that may be a reason; 0 for those that never are.

    Never: what a report must not show, what has no direction, what no metric stands for, and what rests on tables that
    CSMs fill themselves.
    """

    def direction(name: str) -> int:
        metric = metrics.get(name)
        if metric is None or not metric.shown or SET_BY_CSMS & {table for table, _ in sources.get(name, ())}:
            return 0
        return metric.direction

    return np.array([direction(name) for name in columns], dtype=int)


def agreement(
    metrics: Mapping[str, Metric],
    columns: Sequence[str],
    features: pd.DataFrame,
    typical: Mapping[str, float],
    sources: Mapping[str, Sequence[Read]],
) -> npt.NDArray[np.int8]:
    """(n, m) side on which each fact may be a reason: see `csql_ml.metrics.agreement.sides`."""
    signs = directions(metrics, columns, sources)
    values = np.full((len(features), len(columns)), np.nan)
    for i, name in enumerate(columns):
        if signs[i] and name in features.columns:
            values[:, i] = features[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return sides(values, np.array([typical.get(name, np.nan) for name in columns], dtype=float), signs)


def source_of(metric: Metric, config: Config) -> tuple[Read, ...]:
    """The input tables that a metric's value is computed from, and how many days of each (None: all that is known)."""
    return reads_of(metric, config)


def plain(value: Any) -> Any:
    """A value as JSON has it: missing and not finite become None, whole numbers stay whole."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    if not np.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
