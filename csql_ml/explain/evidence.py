"""From points to reasons: the facts a CSM may say, as codes and typed numbers.

A reason is a metric whose points are large and whose fact points the same way: a metric that speaks for an expansion
by its definition is evidence *for* only where its value is above that of the typical reference account, and *against*
only where it is below. A metric without a direction, or without a value, is never a reason. What is left over goes
into "everything else", so that the parts add up. Text is made of this elsewhere, per language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.cells import Cells
from csql_ml.metrics.compiler import measures_of
from csql_ml.metrics.definition import Metric

if TYPE_CHECKING:
    from csql_ml.config import Config

Floats = npt.NDArray[np.float64]

#: How many reasons a page shows at most.
MOST_FOR, MOST_AGAINST = 4, 2
#: Less than half of a tenth of a percentage point would show as 0.0.
LEAST_POINTS = 0.0005


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
        Input tables per metric, as `source_of` names them.
    """

    metrics: Mapping[str, Metric]
    columns: Sequence[str]
    points: Floats
    features: pd.DataFrame
    facts: pd.DataFrame
    typical: Mapping[str, float]
    thresholds: Mapping[str, float | None]
    sources: Mapping[str, str]

    def reasons(self, row: int) -> tuple[list[dict[str, Any]], float]:
        """Reasons of one account, strongest first within each side, and the points of everything else."""
        points = self.points[row].tolist()
        order = sorted(range(len(self.columns)), key=lambda i: (-abs(points[i]), self.columns[i]))
        chosen, left = [], {"for": MOST_FOR, "against": MOST_AGAINST}
        for i in order:
            side = "for" if points[i] > 0 else "against"
            if abs(points[i]) < LEAST_POINTS or not left[side] or not self._agrees(row, i):
                continue
            left[side] -= 1
            chosen.append((i, side))
        chosen.sort(key=lambda pair: pair[1] == "against")
        told = sum(points[i] for i, _ in chosen)
        return [self._reason(row, i, side) for i, side in chosen], float(self.points[row].sum() - told)

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

    def _agrees(self, row: int, column: int) -> bool:
        """Whether the fact points the way the points do."""
        metric = self.metrics.get(self.columns[column])
        if metric is None or not metric.shown or metric.direction == 0:
            return False
        value = self.feature.at(metric.name, row)
        typical = self.typical.get(metric.name, np.nan)
        if pd.isna(value) or pd.isna(typical):
            return False
        return bool((value - typical) * metric.direction * self.points[row, column] > 0)

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
            "source": self.sources.get(metric.name),
            "side": side,
        }

    def previous(self, name: str, row: int) -> Any:
        """The metric's value in the period before, where it is compared."""
        column = f"{name}_previous"
        return plain(self.feature.at(column, row)) if column in self.feature else None

    def facts_of(self, metric: Metric, row: int) -> dict[str, Any]:
        """Numbers that the metric's sentence quotes."""
        names = self._fact_names.get(metric.name, [])
        return {name: plain(self.fact.at(f"{metric.name}.{name}", row)) for name in names}


def source_of(metric: Metric, config: Config) -> str:
    """The input tables that a metric is computed from."""
    tables = {"events" if m.source == "activity" else m.source for m, _ in measures_of(metric, config)}
    return ", ".join(sorted(tables))


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
