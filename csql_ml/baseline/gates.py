"""The four hard qualification gates, read off the metrics that name a gate.

A gate is ``passed`` when one of its metrics is at its threshold, ``failed`` when some could be measured and none is,
and ``not_checked`` when none could be measured because its source is absent: a missing source is never a zero. A
metric that needs another one beside it (`Metric.also`) is unmeasured too while only that other one is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from csql_ml.cells import Cells
from csql_ml.metrics.definition import Metric
from csql_ml.metrics.settings import threshold_of
from csql_ml.quarters import horizon_end

if TYPE_CHECKING:
    from csql_ml.config import Config

PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not_checked"


@dataclass(frozen=True)
class GateResults:
    """States and openers of every required gate.

    Attributes
    ----------
    states
        One column per gate: ``passed``, ``failed`` or ``not_checked``.
    reached
        One boolean column per gate metric: whether its threshold is reached.
    openers
        Metric names per gate.
    """

    states: pd.DataFrame
    reached: pd.DataFrame
    openers: Mapping[str, tuple[str, ...]]

    def because(self, row: int, gate: str) -> list[str]:
        """The metrics that opened a gate for one account."""
        return [name for name in self.openers[gate] if self._reached.at(name, row)]

    def failed(self, row: int) -> list[str]:
        """The gates one account has failed."""
        return [gate for gate in self.states.columns if self.state(row, gate) == FAILED]

    def state(self, row: int, gate: str) -> str:
        """The state of a gate of one account."""
        return str(self._states.at(gate, row))

    @cached_property
    def _states(self) -> Cells:
        return Cells(self.states)

    @cached_property
    def _reached(self) -> Cells:
        return Cells(self.reached)


def threshold(metric: Metric, config: Config, as_of: date) -> float | None:
    """Threshold of a metric as of a date; a renewal must fall within this quarter or the next."""
    if metric.name == "days_to_renewal" and getattr(config.metrics.get(metric.name), "threshold", None) is None:
        end = horizon_end(as_of, config.labels.horizon_quarters, config.company.fiscal_year_start_month)
        return float((end - as_of).days)
    if metric.threshold is None and getattr(config.metrics.get(metric.name), "threshold", None) is None:
        return None
    return threshold_of(metric.name, config, metric.threshold)


def at_threshold(
    metric: Metric, metrics: Mapping[str, Metric], features: pd.DataFrame, config: Config, as_of: date
) -> pd.Series:
    """Whether each account has reached a metric's threshold (and that of the metric it depends on)."""
    limit = threshold(metric, config, as_of)
    values = features[metric.name].astype("float64")
    if limit is None:
        return pd.Series(False, index=features.index)
    reached = (values <= limit) if metric.direction < 0 else (values >= limit)
    if metric.also is not None and metric.also in metrics:
        reached &= at_threshold(metrics[metric.also], metrics, features, config, as_of)
    return reached


def _measured(
    metric: Metric, metrics: Mapping[str, Metric], features: pd.DataFrame, config: Config, as_of: date
) -> pd.Series:
    """Whether enough is known of each account to say that a metric is, or is not, at its threshold."""
    known = features[metric.name].notna()
    if metric.also not in metrics:
        return known
    alone = at_threshold(replace(metric, also=None), metrics, features, config, as_of)
    return known & (~alone | features[metric.also].notna())


def check(metrics: Sequence[Metric], features: pd.DataFrame, config: Config, as_of: date) -> GateResults:
    """Check the required gates of every account.

    Parameters
    ----------
    features
        A snapshot's features, one row per account.
    """
    by_name = {m.name: m for m in metrics}
    gates = config.gates.required
    openers: dict[str, tuple[str, ...]] = {gate: tuple(m.name for m in metrics if m.gate == gate) for gate in gates}
    names = [n for gate in gates for n in openers[gate]]
    reached, measured = (
        pd.DataFrame({n: rule(by_name[n], by_name, features, config, as_of) for n in names}, index=features.index)
        for rule in (at_threshold, _measured)
    )
    states = {}
    for gate in gates:
        columns = list(openers[gate])
        opened, known = (frame[columns].any(axis=1).to_numpy() for frame in (reached, measured))
        states[gate] = np.select([opened, known], [PASSED, FAILED], default=NOT_CHECKED)
    return GateResults(pd.DataFrame(states, index=features.index), reached, openers)
