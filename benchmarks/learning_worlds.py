"""Simulated worlds with known propensities, each of which breaks the model's assumptions in its own way.

All have 45 correlated metrics, 18 of them in the weighted score, a third skewed, every fifth with holes.

A  the score is nearly right: its weights are off by a factor of about 1.5 either way; 30 % expand
B  its weights are wrong: the true ones are unrelated to them, and metrics outside the score matter; 30 % expand
C  interactions: two signals count only together, thresholds are sharp, one signal reverses beyond a point; 30 % expand
D  few expand (6 %), and the metrics say less than half as much: the score is nearly right but hardly worth anything
E  the score is mere noise: what counts are metrics outside of it, and nothing links the two; 15 % expand

The constants of the stack were chosen on other draws from A to D; E was not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from csql_ml.metrics.definition import Feature, ScorePart, ScoreTerm

FloatArray = npt.NDArray[np.float64]

SCORED, METRICS, FACTORS = 18, 45, 4
PARTS: tuple[ScorePart, ...] = ("engagement", "fit", "intent")


@dataclass(frozen=True)
class World:
    """A company whose true propensities are known.

    Parameters
    ----------
    centre, spread
        Mean and standard deviation of the true log-odds over accounts.
    """

    name: str
    features: tuple[Feature, ...]
    terms: tuple[ScoreTerm, ...]
    loadings: FloatArray
    true_weights: FloatArray
    centre: float
    spread: float

    def accounts(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FloatArray]:
        """Feature table of ``n`` accounts and their true propensities."""
        health = rng.normal(size=(n, FACTORS))
        plain = health @ self.loadings + rng.normal(size=(n, METRICS)) * 0.8
        margin = _TRUTHS[self.name](plain, self.true_weights)
        propensity = expit(self.centre + self.spread * (margin - margin.mean()) / margin.std())
        shown = plain.copy()
        for place, feature in enumerate(self.features):
            if feature.skewed:
                shown[:, place] = np.round(np.expm1(np.clip(plain[:, place] + 1.5, 0, 8)))
        shown[rng.random(shown.shape) < np.where(np.arange(METRICS) % 5 == 0, 0.15, 0.0)] = np.nan
        return pd.DataFrame(shown, columns=[f.name for f in self.features]), propensity


def _nearly_right(values: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(np.clip(values + 1, 0, 2.5) @ weights)


def _interactions(values: FloatArray, weights: FloatArray) -> FloatArray:
    together = (values[:, 0] > 0.3) * (values[:, 7] > 0.3) * 1.5 + (values[:, 13] > 0.8) * (values[:, 30] > 0) * 1.2
    hump = -0.5 * np.maximum(values[:, 20] - 0.5, 0) ** 2
    return np.asarray(0.5 * _nearly_right(values, weights) / weights.sum() * SCORED / 4 + together + hump)


_TRUTHS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "A": _nearly_right,
    "B": _nearly_right,
    "C": _interactions,
    "D": _nearly_right,
    "E": _nearly_right,
}
WORLDS = tuple(_TRUTHS)
#: Mean and spread of the true log-odds where they are not as in the first three worlds.
_LEVELS = {"D": (-3.0, 0.7), "E": (-2.1, 1.2)}


def world(name: str) -> World:
    """One of `WORLDS`; the same one every time."""
    rng = np.random.default_rng([ord(name), 2026])
    features = tuple(
        Feature(f"metric_{i:02d}", f"metric_{i:02d}", int(i < SCORED or i % 4 == 0), skewed=i % 3 == 0)
        for i in range(METRICS)
    )
    loadings: FloatArray = np.abs(rng.normal(size=(FACTORS, METRICS))) * 0.45 * (rng.random((FACTORS, METRICS)) < 0.6)
    score_weights = rng.integers(1, 4, SCORED).astype(float)
    terms = tuple(
        ScoreTerm(f.name, PARTS[i % 3], *_ramp(f), float(score_weights[i])) for i, f in enumerate(features[:SCORED])
    )
    true = np.zeros(METRICS)
    true[:SCORED] = score_weights * np.exp(rng.normal(size=SCORED) * 0.4)
    if name == "B":
        true[:SCORED] = rng.gamma(0.5, 2.0, SCORED)
        true[SCORED::4] = rng.gamma(0.5, 2.0, len(true[SCORED::4]))
    if name == "E":
        true = np.where(np.arange(METRICS) < SCORED, 0.0, rng.gamma(0.5, 2.0, METRICS))
        loadings[2:, :SCORED] = loadings[:2, SCORED:] = 0.0
    centre, spread = _LEVELS.get(name, (1.25 * float(logit(0.3)), 1.5))
    return World(name, features, terms, loadings, true, centre, spread)


def _ramp(feature: Feature) -> tuple[float, float]:
    return (0.0, 20.0) if feature.skewed else (-1.0, 1.5)
