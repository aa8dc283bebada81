"""What a model rests on: points of every metric among the reference accounts, and how they depend on its values.

Points are those that account pages show (`csql_ml.explain.contributions`), of each reference account against all of
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from csql_ml.explain.contributions import points_from
from csql_ml.metrics.definition import Feature
from csql_ml.model.champion import Champion

Floats = npt.NDArray[np.float64]

#: Metrics that are drawn, and those of them with a dependence plot.
MOST, PLOTTED = 12, 6
#: Up to so many distinct values have a row of their own in the table of a dependence plot; more are put in parts.
DISTINCT, PARTS = 6, 5
#: Points have so many decimals: a thousandth of a percentage point.
_DIGITS = 5


def reasons(told: Champion) -> dict[str, Any]:
    """Metrics by their mean absolute points, largest first.

    Returns
    -------
    dict
        ``accounts``: reference accounts; ``metrics``: all of them with ``metric``, ``size`` (mean absolute points),
        ``share`` (of all sizes), ``low`` and ``high`` (5 % and 95 % of the points); ``swarm``: of the first `MOST` the
        points and the level of the value (0 to 1, None where missing or a category); ``dependence``: of the first
        `PLOTTED` see `_dependence`.
    """
    reference = told.reference
    found = points_from(reference.phi, reference.margin, reference.phi, reference.margin, told.metrics)
    size = np.abs(found.points).mean(axis=0)
    total = float(size.sum())
    order = sorted(range(len(size)), key=lambda i: (-size[i], told.metrics[i]))
    if total == 0:
        return {"absent": "nothing", "accounts": len(reference.phi), "metrics": []}
    metrics = [
        {
            "metric": told.metrics[i],
            "size": float(size[i]),
            "share": float(size[i]) / total,
            "low": float(np.quantile(found.points[:, i], 0.05)),
            "high": float(np.quantile(found.points[:, i], 0.95)),
        }
        for i in order
    ]
    drawn = [i for i in order[:MOST] if size[i] > 0]
    return {
        "accounts": len(reference.phi),
        "metrics": metrics,
        "swarm": [_swarm(told, i, found.points[:, i]) for i in drawn],
        "dependence": [_dependence(told, i, found.points[:, i]) for i in drawn[:PLOTTED]],
    }


def _column(told: Champion, metric: str) -> tuple[Feature, Floats]:
    """The column that stands for a metric (its own, else the first of its parts) and its reference values."""
    features = [f for f in told.features if f.metric == metric] or [Feature(metric, metric)]
    feature = next((f for f in features if f.name == metric), features[0])
    return feature, told.reference.rows[:, told.estimator.encoder_.names.index(feature.name)]


def _swarm(told: Champion, place: int, points: Floats) -> dict[str, Any]:
    feature, values = _column(told, told.metrics[place])
    levels: list[float | None] = [None] * len(values)
    known = ~np.isnan(values)
    if not feature.categorical and known.any():
        distinct, ranks = np.unique(values[known], return_inverse=True)
        for at, rank in zip(np.flatnonzero(known), ranks, strict=True):
            levels[at] = float(rank) / max(len(distinct) - 1, 1)
    return {"metric": told.metrics[place], "points": _rounded(points), "levels": levels}


def _dependence(told: Champion, place: int, points: Floats) -> dict[str, Any]:
    """Points against values: ``values`` (of a category its word), ``points``, ``direction``, ``parts`` of the table.

    A part has ``from``, ``to`` (or ``word``), ``accounts`` and ``mean``, the mean points; ``missing`` the same of the
    accounts without a value.
    """
    feature, values = _column(told, told.metrics[place])
    known = ~np.isnan(values)
    words = told.estimator.encoder_.vocabularies.get(feature.name)
    missing = {"accounts": int((~known).sum()), "mean": float(points[~known].mean())} if not known.all() else None
    found: dict[str, Any] = {
        "metric": told.metrics[place],
        "feature": feature.name,
        "direction": 0 if feature.categorical else feature.direction,
        "categorical": words is not None,
        "missing": missing,
        "points": _rounded(points[known]),
    }
    if words is not None:
        codes = values[known].astype(int)
        parts = [_part(points[known], codes == code) | {"word": words[code]} for code in np.unique(codes)]
        parts.sort(key=lambda p: (-p["accounts"], p["word"]))
        return found | {"values": [words[code] for code in codes], "parts": parts}
    return found | {"values": [float(v) for v in values[known]], "parts": _parts(values[known], points[known])}


def _parts(values: Floats, points: Floats) -> list[dict[str, Any]]:
    if not len(values):
        return []
    distinct = np.unique(values)
    edges = distinct
    if len(distinct) > DISTINCT:
        edges = np.unique(np.quantile(values, np.arange(1, PARTS + 1) / PARTS, method="inverted_cdf"))
    at = np.searchsorted(edges, values)
    return [
        _part(points, at == i) | {"from": float(values[at == i].min()), "to": float(values[at == i].max())}
        for i in np.unique(at)
    ]


def _part(points: Floats, inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {"accounts": int(inside.sum()), "mean": float(points[inside].mean())}


def _rounded(points: Floats) -> list[float]:
    return [round(float(p), _DIGITS) for p in points]
