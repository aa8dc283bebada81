"""Curves of the judged rows: cumulative gains, ROC and precision-recall per snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from csql_ml.model.figures import Figures, average_precision, roc_auc
from csql_ml.model.validation import Validation

Floats = npt.NDArray[np.float64]

#: Points of a curve that are kept; the ends always are.
MOST_POINTS = 48
#: Snapshots with curves of their own, the newest ones.
MOST_SNAPSHOTS = 6


def gains(figures: Figures | None) -> dict[str, list[list[float]]]:
    """Judged model -> (share of accounts worked, share of expansions among them), tenth by tenth, from (0, 0)."""
    if figures is None:
        return {}
    found = {}
    for name, rows in figures.lift.items():
        accounts = np.cumsum([0, *(r["rows"] for r in rows)])
        caught = np.cumsum([0, *(r["positives"] for r in rows)])
        shares = zip(accounts / accounts[-1], caught / max(caught[-1], 1), strict=True)
        found[name] = [[float(x), float(y)] for x, y in shares]
    return found


def curves(validation: Validation | None) -> list[dict[str, Any]]:
    """Per judged snapshot, oldest first: rows, positives, and per judged model its curves and their areas."""
    if validation is None:
        return []
    rows = validation.scored
    found = []
    for day in sorted(rows["period"].unique())[-MOST_SNAPSHOTS:]:
        part = rows[rows["period"] == day]
        label = part["label"].to_numpy(dtype=np.float64)
        once = part[part["repetition"] == 0]
        if 0 < label.sum() < len(label):
            of = {n: _of(label, part[f"p_{n}"].to_numpy(dtype=np.float64)) for n in validation.judged}
            counts = {"rows": len(once), "positives": int(once["label"].sum())}
            found.append({"day": day.isoformat(), **counts, "of": of})
    return found


def _of(label: Floats, propensity: Floats) -> dict[str, Any]:
    caught, false, precision = _steps(label, propensity)
    roc = np.stack([np.r_[0.0, false], np.r_[0.0, caught]], axis=1)
    return {
        "roc_auc": roc_auc(label, propensity),
        "average_precision": average_precision(label, propensity),
        "roc": _thinned(roc),
        "pr": _thinned(np.stack([np.r_[0.0, caught], np.r_[precision[0], precision]], axis=1)),
    }


def _steps(label: Floats, propensity: Floats) -> tuple[Floats, Floats, Floats]:
    """Recall, false positive rate and precision after each distinct propensity, highest first."""
    order = np.argsort(-propensity, kind="stable")
    ordered, ends = label[order], np.flatnonzero(np.diff(propensity[order], append=-np.inf))
    won, seen = np.cumsum(ordered)[ends], ends + 1.0
    return won / label.sum(), (seen - won) / (len(label) - label.sum()), won / seen


def _thinned(points: Floats) -> list[list[float]]:
    if len(points) > MOST_POINTS:
        points = points[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))]
    return [[round(float(x), 4), round(float(y), 4)] for x, y in points]
