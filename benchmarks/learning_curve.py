"""How many outcomes the model needs: log loss and ROC-AUC against the calibrated weighted score, by number of labels.

    python benchmarks/learning_curve.py --labels 100 500 2000 --seeds 3

Three simulated worlds with 45 metrics that break the recipe's assumptions in different ways:

A  the score is nearly right: its weights are off by a factor of about 1.5 either way
B  its weights are wrong: the true ones are unrelated to them, and metrics outside the score matter
C  interactions: two signals count only together, thresholds are sharp, one signal reverses beyond a point

Each line is the mean over worlds and seeds on fresh accounts; log loss is the difference from the weighted score with
Platt scaling, times 10,000: below zero is better than the rules.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.metrics.definition import Feature, ScorePart, ScoreTerm
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.plain_logistic import logistic_comparison

FloatArray = npt.NDArray[np.float64]

SCORED, METRICS, FACTORS = 18, 45, 4
PARTS: tuple[ScorePart, ...] = ("engagement", "fit", "intent")
BASE_RATE = 0.3


@dataclass(frozen=True)
class World:
    """A company whose true propensities are known."""

    name: str
    features: tuple[Feature, ...]
    terms: tuple[ScoreTerm, ...]
    loadings: FloatArray
    true_weights: FloatArray

    def accounts(self, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, FloatArray]:
        """Feature table of ``n`` accounts and their true propensities."""
        health = rng.normal(size=(n, FACTORS))
        plain = health @ self.loadings + rng.normal(size=(n, METRICS)) * 0.8
        margin = TRUTHS[self.name](plain, self.true_weights)
        margin = 1.5 * (margin - margin.mean()) / margin.std()
        propensity = expit(margin + logit(BASE_RATE) * 1.25)
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


TRUTHS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "A": _nearly_right,
    "B": _nearly_right,
    "C": _interactions,
}


def world(name: str) -> World:
    """World A, B or C."""
    rng = np.random.default_rng([ord(name), 2026])
    features = tuple(
        Feature(f"metric_{i:02d}", f"metric_{i:02d}", int(i < SCORED or i % 4 == 0), skewed=i % 3 == 0)
        for i in range(METRICS)
    )
    loadings = np.abs(rng.normal(size=(FACTORS, METRICS))) * 0.45 * (rng.random((FACTORS, METRICS)) < 0.6)
    score_weights = rng.integers(1, 4, SCORED).astype(float)
    terms = tuple(
        ScoreTerm(f.name, PARTS[i % 3], *_ramp(f), float(score_weights[i])) for i, f in enumerate(features[:SCORED])
    )
    true = np.zeros(METRICS)
    true[:SCORED] = score_weights * np.exp(rng.normal(size=SCORED) * 0.4)
    if name == "B":
        true[:SCORED] = rng.gamma(0.5, 2.0, SCORED)
        true[SCORED::4] = rng.gamma(0.5, 2.0, len(true[SCORED::4]))
    return World(name, features, terms, loadings, true)


def _ramp(feature: Feature) -> tuple[float, float]:
    return (0.0, 20.0) if feature.skewed else (-1.0, 1.5)


def contestants(place: World, seed: int) -> dict[str, Callable[[pd.DataFrame, npt.NDArray[np.bool_]], object]]:
    """What is compared; each returns something with ``predict_proba``."""
    return {
        "weighted score": lambda x, y: WeightedScore(place.terms).fit(x, y),
        "stack": lambda x, y: PropensityClassifier(place.features, place.terms, random_state=seed).fit(x, y),
        "logistic": lambda x, y: logistic_comparison(place.features, seed).fit(x, y),
        "LightGBM defaults": lambda x, y: lgb.LGBMClassifier(verbosity=-1, num_threads=1, random_state=seed).fit(x, y),
    }


def measure(place: World, labels: int, seed: int, fresh: int) -> list[dict[str, object]]:
    """One row per contestant: log loss, AUC and CPU seconds of the fit."""
    rng = np.random.default_rng([seed, labels])
    table, propensity = place.accounts(labels, rng)
    positive = rng.random(labels) < propensity
    test, truth = place.accounts(fresh, rng)
    outcome = rng.random(fresh) < truth
    rows: list[dict[str, object]] = []
    for name, fit in contestants(place, seed).items():
        before = time.process_time()
        model = fit(table, positive)
        cpu = time.process_time() - before
        chance = model.predict_proba(test)[:, 1]  # type: ignore[attr-defined]
        # The expected log loss under the true propensities has less noise than one over drawn outcomes.
        loss = float(-np.mean(truth * np.log(chance) + (1 - truth) * np.log1p(-chance)))
        rows.append({"model": name, "loss": loss, "auc": roc_auc_score(outcome, chance), "cpu": cpu})
    return [{"world": place.name, "labels": labels, "seed": seed, **row} for row in rows]


def table(results: pd.DataFrame) -> pd.DataFrame:
    """Mean per model and number of labels, log loss relative to the weighted score."""
    keys = ["world", "labels", "seed"]
    rules = results[results["model"] == "weighted score"].set_index(keys)["loss"]
    against = results.join(rules.rename("rules"), on=keys)
    against["log loss x 10,000"] = (against["loss"] - against["rules"]) * 1e4
    against["worse %"] = 100.0 * (against["loss"] - against["rules"] > 0.002)
    figures = ["log loss x 10,000", "worse %", "auc", "cpu"]
    return against.groupby(["model", "labels"])[figures].mean().round(3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 200, 500, 1000, 2000])
    parser.add_argument("--worlds", nargs="+", default=["A", "B", "C"], choices=["A", "B", "C"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh", type=int, default=20_000)
    chosen = parser.parse_args(arguments)
    results: list[dict[str, object]] = []
    for name in chosen.worlds:
        place = world(name)
        for labels in chosen.labels:
            for seed in range(chosen.seeds):
                results += measure(place, labels, seed, chosen.fresh)
            print(f"world {name}, {labels} labels done", file=sys.stderr)
    print(table(pd.DataFrame(results)).to_string())


if __name__ == "__main__":
    main()
