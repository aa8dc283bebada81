"""What the most similar account that got there had, for accounts that are not there yet: an observation, no promise.

The nearest real account among the champion's exemplars (`csql_ml.model.peers.Exemplars`) is looked for over everything
the champion reads as a number. Told are its values of metrics that a CSM can work on with the customer and that count
one way (`Metric.actionable`), and only where it was further. Nothing says that reaching them would change anything:
the accounts were not drawn at random, and what goes together with an expansion need not bring it about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.cells import Cells
from csql_ml.explain.evidence import plain
from csql_ml.metrics.definition import Metric
from csql_ml.model.bundle import Champion

FloatArray = npt.NDArray[np.float64]

#: Differences of an account that are told at most.
MOST = 4
#: Less than so many standard deviations of the reference accounts is no difference worth telling.
LEAST_GAP = 0.25
#: One wild value must not decide who is nearest: standardised values are bounded.
FURTHEST = 3.0
CHUNK = 2_048


def comparables(
    champion: Champion, features: pd.DataFrame, metrics: Mapping[str, Metric], rows: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """The most similar exemplar of some accounts, and what it had more of.

    Parameters
    ----------
    features
        The snapshot's feature rows.
    rows
        Places of the accounts that are not qualified yet.

    Returns
    -------
    dict
        By place: ``kind`` (``expanded`` or ``above_threshold``), ``accounts`` looked through, ``as_of`` of the newest
        of them, and ``metrics``: a list of ``metric, value, theirs, unit``, largest difference first. Accounts without
        anything to tell have no entry.
    """
    exemplars, encoder = champion.reference.exemplars, champion.estimator.encoder_
    told = [m for m in metrics.values() if m.actionable and m.shown and m.direction and m.name in encoder.names]
    if exemplars is None or not told or not len(rows):
        return {}
    scale = _scale(champion)
    place = list(encoder.names)
    places = [place.index(m.name) for m in told]
    values, found = Cells(features), {}
    nearest = _nearest(champion, features.iloc[list(rows)], scale)
    about = {"kind": exemplars.kind, "accounts": exemplars.accounts, "as_of": exemplars.as_of.isoformat()}
    for row, other in zip(rows, nearest, strict=True):
        gaps = []
        for metric, column in zip(told, places, strict=True):
            theirs, value = exemplars.rows[other, column], values.at(metric.name, row)
            gap = metric.direction * (theirs - value) / scale[column] if scale[column] else 0.0
            if gap >= LEAST_GAP:  # never true of a missing value
                gaps.append((-gap, metric.name, plain(value), plain(theirs), metric.unit))
        if gaps:
            lines = [{"metric": n, "value": v, "theirs": t, "unit": u} for _, n, v, t, u in sorted(gaps)[:MOST]]
            found[row] = {**about, "metrics": lines}
    return found


def _scale(champion: Champion) -> FloatArray:
    """(columns,) standard deviation among the reference accounts; 0 for categories and what never varies."""
    sizes = np.array(champion.estimator.encoder_.category_sizes)
    deviation = _over_known(np.nanstd, champion.reference.rows)
    return np.where((sizes == 0) & np.isfinite(deviation), deviation, 0.0)


def _over_known(of: Any, rows: FloatArray) -> FloatArray:
    """A figure of every column that has a known value, else NaN."""
    known = ~np.isnan(rows).all(axis=0)
    found = np.full(rows.shape[1], np.nan)
    found[known] = of(rows[:, known], axis=0)
    return found


def _nearest(champion: Champion, features: pd.DataFrame, scale: FloatArray) -> npt.NDArray[np.intp]:
    """(n,) place of the nearest exemplar: least sum of differences; what is missing counts as typical."""
    from scipy.spatial.distance import cdist

    exemplars, encoder = champion.reference.exemplars, champion.estimator.encoder_
    assert exemplars is not None
    used = scale > 0
    middle = _over_known(np.nanmedian, champion.reference.rows)[used]

    def standardised(rows: FloatArray) -> FloatArray:
        away = np.nan_to_num((rows[:, used] - middle) / scale[used], nan=0.0)
        return np.clip(away, -FURTHEST, FURTHEST)

    others = standardised(exemplars.rows)
    parts = [
        cdist(standardised(encoder.matrix(features.iloc[start : start + CHUNK])), others, "cityblock").argmin(axis=1)
        for start in range(0, len(features), CHUNK)
    ]
    return np.concatenate(parts)
