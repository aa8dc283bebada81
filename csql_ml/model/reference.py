"""Contributions per metric, and the frozen set of accounts that explanations compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.errors import TrainingError
from csql_ml.metrics.definition import Feature
from csql_ml.model.distributions import Distributions
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.peers import Exemplars, Peers

FloatArray = npt.NDArray[np.float64]
Estimator = WeightedScore | PropensityClassifier

#: Rows handled at a time, so that memory does not grow with the number of accounts.
CHUNK = 8_192


@dataclass(frozen=True, eq=False)
class Contributions:
    """Log-odds per metric.

    Attributes
    ----------
    metrics
        Names of the metrics, in the order of the columns of ``phi``.
    phi
        (n, metrics) log-odds that each metric adds.
    margin
        (n,) log-odds of the account; ``phi`` sums to it up to a constant of the model.
    """

    metrics: tuple[str, ...]
    phi: FloatArray
    margin: FloatArray


@dataclass(frozen=True, eq=False)
class ReferenceSet:
    """Accounts that explanations compare with, frozen at training.

    Attributes
    ----------
    phi
        (R, metrics) their log-odds per metric.
    margin
        (R,) their log-odds.
    rows
        (R, columns) their feature values as the model reads them: missing as NaN, categories as codes.
    distributions
        How the values of all accounts of the newest snapshot spread, for `csql monitor`; None in older bundles.
    peers
        Quartiles per segment, for comparisons in evidence; None in older bundles or without segments.
    exemplars
        Accounts that expanded, for what others lack; None in older bundles or where there are none.
    """

    phi: FloatArray
    margin: FloatArray
    rows: FloatArray
    distributions: Distributions | None = None
    peers: Peers | None = None
    exemplars: Exemplars | None = None


def in_chunks(frame: pd.DataFrame, compute: Callable[[pd.DataFrame], FloatArray]) -> FloatArray:
    """(n,) values of all rows, computed for some at a time; once where there are none, so that columns are checked."""
    return np.concatenate([compute(frame.iloc[s : s + CHUNK]) for s in range(0, max(len(frame), 1), CHUNK)])


def metrics_of(estimator: Estimator, features: Sequence[Feature]) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """Metric names in order of first appearance, and the place among them of each contribution column.

    A column that only the weighted score reads is its own metric unless the features say otherwise.
    """
    metric_of = {f.name: f.metric for f in features}
    owners = [metric_of.get(name, name) for name in estimator.contribution_names_]
    metrics = tuple(dict.fromkeys(owners))
    return metrics, np.array([metrics.index(o) for o in owners], dtype=np.intp)


def contributions_of(estimator: Estimator, features: Sequence[Feature], frame: pd.DataFrame) -> Contributions:
    """Contributions of an estimator, added up from feature columns to metrics."""
    metrics, place = metrics_of(estimator, features)
    phi = np.zeros((len(frame), len(metrics)))
    margin = np.empty(len(frame))
    for start in range(0, len(frame), CHUNK):
        rows = slice(start, start + CHUNK)
        chunk = frame.iloc[rows]
        margin[rows], by_column = estimator.margin_and_contributions(chunk)
        for column, metric in enumerate(place):
            phi[rows, metric] += by_column[:, column]
    return Contributions(metrics, phi, margin)


def reference_set(
    estimator: Estimator,
    features: Sequence[Feature],
    frame: pd.DataFrame,
    size: int = 300,
    random_state: int = 7,
) -> ReferenceSet:
    """Draw the accounts that explanations compare with.

    Parameters
    ----------
    frame
        Feature rows to draw from without replacement, usually the newest snapshot of training; in a fixed order.
    size
        At most this many rows.

    Raises
    ------
    TrainingError
        The frame has no rows.
    """
    if frame.empty:
        raise TrainingError("no accounts to draw the reference set from; give the feature rows of a snapshot")
    rng = np.random.default_rng(random_state)
    drawn = np.sort(rng.choice(len(frame), size=min(size, len(frame)), replace=False))
    chosen = frame.iloc[drawn]
    found = contributions_of(estimator, features, chosen)
    return ReferenceSet(found.phi, found.margin, estimator.encoder_.matrix(chosen))
