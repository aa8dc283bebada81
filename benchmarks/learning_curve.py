"""How many outcomes the model needs: the toolkit, its parts and LightGBM's defaults by number of labels.

    python benchmarks/learning_curve.py [--labels 50 500 5000] [--seeds 20] [--jobs 2] [--write docs/benchmarks.md]

Every world and seed draws 20,000 labelled accounts, of which the first n are learned from, and fresh ones to judge on;
both are shared by all numbers of labels. Judged is against the *true* propensities of the fresh accounts: expected log
loss, expected ROC-AUC, and calibration error over ten bins of equal mass, so that no chance of drawn outcomes is in the
figures. The worlds stand in `benchmarks/learning_worlds.py`, tables and goals in `benchmarks/learning_table.py`.

Results are kept in --folder, a line per world, number of labels and seed. What is there is not run again; --fresh-start
forgets it. With --write, the table replaces the part of the page between the markers of this benchmark.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from scipy.special import expit

from benchmarks.learning_table import goals, page
from benchmarks.learning_worlds import WORLDS, World, world
from benchmarks.page import write
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.logistic_fit import fit_bounded_logistic
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.members import Member

Floats = npt.NDArray[np.float64]
#: World, number of labels, seed.
Key = tuple[str, int, int]

LABELS = (50, 100, 200, 500, 1000, 2000, 5000, 20_000)
DRAWN = 20_000
BINS = 10
_MARKS = "<!-- learning curve -->", "<!-- /learning curve -->"
_HERE = Path(__file__).resolve().parent


def contestants(
    place: World, seed: int, table: pd.DataFrame, positive: npt.NDArray[np.bool_]
) -> Iterator[tuple[str, Callable[[pd.DataFrame], Floats], float, dict[str, float]]]:
    """Name, what it predicts with, CPU seconds of the fit, weights of its members."""
    began = time.process_time()
    score = WeightedScore(place.terms).fit(table, positive)
    yield "weighted score", _chance(score), time.process_time() - began, {}
    began = time.process_time()
    toolkit = PropensityClassifier(place.features, place.terms, random_state=seed).fit(table, positive)
    yield "toolkit", _chance(toolkit), time.process_time() - began, dict(toolkit.maturity_.weights)
    members, encoder = toolkit.stack_.members, toolkit.encoder_
    for name, part in (("sub-scores", "sub_scores"), ("ridge", "ridge"), ("small LightGBM bag", "trees")):
        yield name, partial(_chance_of_part, getattr(members, part), encoder), float("nan"), {}
    yield "weighted score, Platt", _platt(score, table, positive), float("nan"), {}
    began = time.process_time()
    defaults = lgb.LGBMClassifier(verbosity=-1, num_threads=1, random_state=seed).fit(table, positive)
    yield "LightGBM, defaults", _chance(defaults), time.process_time() - began, {}


def _chance(model: Any) -> Callable[[pd.DataFrame], Floats]:
    return lambda table: np.asarray(model.predict_proba(table)[:, 1], dtype=np.float64)


def _chance_of_part(member: Member, encoder: FeatureEncoder, table: pd.DataFrame) -> Floats:
    return np.asarray(expit(member.margin(encoder.matrix(table))), dtype=np.float64)


def _platt(score: WeightedScore, table: pd.DataFrame, positive: npt.NDArray[np.bool_]) -> Callable[[Any], Floats]:
    """Plain Platt scaling of the same score: what calibrating the rules means elsewhere."""
    points = score.csql_score(table)
    middle, spread = float(points.mean()), float(points.std())
    fit = fit_bounded_logistic(
        ((points - middle) / spread)[:, None], _smoothed(positive), np.ones(len(points)), lower=np.zeros(1)
    )
    slope = float(fit.coefficients[0]) / spread
    return lambda x: np.asarray(expit(fit.intercept + slope * (score.csql_score(x) - middle)), dtype=np.float64)


def _smoothed(positive: npt.NDArray[np.bool_]) -> Floats:
    """Targets of Platt (1999)."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def judge(said: Floats, truth: Floats) -> dict[str, float]:
    """Expected log loss, expected ROC-AUC and calibration error of what was said, under the true propensities."""
    safe = np.clip(said, 1e-12, 1 - 1e-12)
    loss = -np.mean(truth * np.log(safe) + (1 - truth) * np.log1p(-safe))
    order = np.argsort(said, kind="stable")
    gaps = [abs(float((said[b] - truth[b]).sum())) for b in np.array_split(order, BINS)]
    return {"loss": float(loss), "auc": _auc(said, truth), "ece": sum(gaps) / len(said)}


def _auc(said: Floats, truth: Floats) -> float:
    """Chance that a positive outcome stands above a negative one; ties count half."""
    _, place = np.unique(said, return_inverse=True)
    positive, negative = np.bincount(place, truth), np.bincount(place, 1 - truth)
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (positive.sum() * negative.sum()))


def measure(name: str, seed: int, labels: Sequence[int], fresh: int) -> Iterator[dict[str, Any]]:
    """A record per number of labels, each with the figures of all contestants and of the truth itself."""
    place = world(name)
    rng = np.random.default_rng([seed, ord(name), 2027])  # not the draws on which the constants were chosen
    table, propensity = place.accounts(DRAWN, rng)
    positive = rng.random(DRAWN) < propensity
    test, truth = place.accounts(fresh, rng)
    for n in labels:
        record: dict[str, Any] = {"world": name, "labels": n, "seed": seed, "fresh": fresh}
        record["models"] = {"truth": judge(truth, truth)}
        if len(np.unique(positive[:n])) < 2:
            yield record  # nobody can learn from outcomes of one kind
            continue
        for model, predict, cpu, weights in contestants(place, seed, table.iloc[:n], positive[:n]):
            record["models"][model] = {**judge(predict(test), truth), "cpu": cpu}
            if weights:
                record["weights"] = weights
        yield record


def _task(name: str, seed: int, labels: Sequence[int], fresh: int) -> list[dict[str, Any]]:
    return list(measure(name, seed, labels, fresh))


def kept(file: Path, fresh: int) -> dict[Key, dict[str, Any]]:
    """Records of earlier runs with as many fresh accounts."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    records = [json.loads(line) for line in lines]
    return {(r["world"], r["labels"], r["seed"]): r for r in records if r["fresh"] == fresh}


def run(chosen: argparse.Namespace, file: Path) -> dict[Key, dict[str, Any]]:
    """All chosen records, new ones appended to the file as they come."""
    file.parent.mkdir(parents=True, exist_ok=True)
    wanted = {(w, n, s) for w in chosen.worlds for n in chosen.labels for s in range(chosen.seeds)}
    done = {key: record for key, record in kept(file, chosen.fresh).items() if key in wanted}
    missing = sorted(wanted - done.keys(), key=lambda key: (key[2], key[0], key[1]))
    tasks: dict[tuple[str, int], list[int]] = {}
    for name, n, seed in missing:
        tasks.setdefault((name, seed), []).append(n)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        ProcessPoolExecutor(chosen.jobs, mp_context=get_context("spawn")) as pool,
        Progress(*columns, TimeRemainingColumn()) as bar,
        file.open("a", encoding="utf-8") as out,
    ):
        step = bar.add_task("learning curve", total=len(wanted), completed=len(done))
        waiting = [pool.submit(_task, name, seed, labels, chosen.fresh) for (name, seed), labels in tasks.items()]
        for finished in as_completed(waiting):
            for record in finished.result():
                done[record["world"], record["labels"], record["seed"]] = record
                out.write(json.dumps(record) + "\n")
                bar.advance(step)
            out.flush()
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, print tables and goals; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=WORLDS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fresh", type=int, default=20_000, help="fresh accounts to judge on")
    parser.add_argument("--jobs", type=int, default=2, help="processes; each uses one thread")
    parser.add_argument("--folder", type=Path, default=_HERE.parent / "build" / "benchmarks")
    parser.add_argument("--fresh-start", action="store_true", help="forget earlier results")
    parser.add_argument("--no-run", action="store_true", help="tables and goals of what is there")
    parser.add_argument("--write", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    file = chosen.folder / "learning_curve.jsonl"
    if chosen.fresh_start:
        file.unlink(missing_ok=True)
    records = list((kept(file, chosen.fresh) if chosen.no_run else run(chosen, file)).values())
    if not records:
        raise SystemExit(f"{file} has no results with {chosen.fresh:,} fresh accounts; run without --no-run first")
    text = page(records)
    print(text)
    if chosen.write is not None:
        write(chosen.write, _MARKS, text)
    return 0 if all(met for _, met, _ in goals(records)) else 1


if __name__ == "__main__":
    sys.exit(main())
