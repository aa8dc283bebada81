"""Predicting and explaining the bag of trees: rows per CPU second beside LightGBM, shap, woodelf and fasttreeshap.

    python benchmarks/tree_speed.py [--rows 300000] [--rounds 3] [--write docs/benchmarks.md]

The bag of `csql_ml.model.trees` is trained on simulated labels, four times: numbers without gaps, numbers with gaps,
with gaps and a categorical column that has unseen codes, and once more so with the largest trees that
`csql_ml.model.freer_trees` chooses from. Every contender explains rows of 45 metrics in a process
of its own with one thread; the rounds go over all contenders in turn, and each counts with its median. Values of the
first 2,000 rows are compared with LightGBM's ``pred_contrib``. Explainers that are slow get fewer rows: it is rows per
CPU second that are compared.

shap and woodelf, and fasttreeshap (which needs NumPy 1), get environments of their own, made in --work from the hashed
requirements beside this file. With --write, the table replaces the part of the page between its markers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.environments import environment
from benchmarks.page import write
from csql_ml.labelled_rows import labelled_rows
from csql_ml.model.freer_trees import FREER
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.trees import TreeBag, TreeSettings

MARKS = "<!-- tree-speed -->", "<!-- /tree-speed -->"
HERE = Path(__file__).resolve().parent
METRICS, LABELS, BAGS, CATEGORY = 45, 5_000, 4, 5
#: Different rows in a file; more are explained by going over them again.
DIFFERENT = 100_000
WORLDS = {"whole": "no gaps", "gaps": "gaps", "categories": "gaps, categories", "larger": "the same, larger trees"}
CODED = ("categories", "larger")


@dataclass(frozen=True)
class Contender:
    """Who explains, in which environment (a file of requirements), and what share of the rows it gets."""

    name: str
    label: str
    requirements: str = ""
    share: float = 1.0


CONTENDERS = (
    Contender("predict", "LightGBM, `predict` alone"),
    Contender("toolkit", "csql_ml, predict and explain"),
    Contender("pred_contrib", "LightGBM, `pred_contrib`", share=0.03),
    Contender("shap", "shap, TreeExplainer (hands over to `pred_contrib`)", "requirements-explainers.txt", 0.03),
    Contender("woodelf", "woodelf", "requirements-explainers.txt", 0.3),
    Contender("fasttreeshap v1", "fasttreeshap, v1", "requirements-fasttreeshap.txt", 0.03),
    Contender("fasttreeshap v2", "fasttreeshap, v2", "requirements-fasttreeshap.txt", 0.03),
)


def world(name: str, rows: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(rows, metrics) values and (rows,) labels."""
    rng = np.random.default_rng(seed)
    matrix = rng.gamma(2.0, 1.0, (rows, METRICS)).round(2)
    signal = matrix[:, 0] - matrix[:, 3] + 0.2 * matrix[:, 1] * matrix[:, 2]
    if name in CODED:
        matrix[:, CATEGORY] = rng.integers(0, 8, rows)
        signal += matrix[:, CATEGORY] == 2
    won = rng.random(rows) < 1 / (1 + np.exp(signal.mean() - signal))
    if name != "whole":
        matrix[rng.random(matrix.shape) < 0.1] = np.nan
    if name in CODED and seed:  # rows to explain have codes that training did not see
        matrix[rng.random(rows) < 0.1, CATEGORY] = 11.0
    return matrix, won.astype(int)


def make_world(folder: Path, name: str) -> list[Path]:
    """Train the bag and write models and rows; returns the models' files."""
    matrix, won = world(name, LABELS, 0)
    directions = tuple((1, 1, 0)[i % 3] if i != CATEGORY else 0 for i in range(METRICS))
    categorical = (CATEGORY,) if name in CODED else ()
    shape = FREER[-1] if name == "larger" else TreeShape()
    settings = TreeSettings(directions, categorical, BAGS, seed=7, n_threads=1, shape=shape)
    bag = TreeBag.fit(labelled_rows(matrix, won, None, None), settings)
    np.save(folder / f"{name}.npy", world(name, DIFFERENT, 1)[0])
    files = [folder / f"{name}-{i}.txt" for i in range(len(bag.texts))]
    for file, text in zip(files, bag.texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return files


def explain(work: Path, contender: Contender, name: str, models: list[Path], rows: int) -> dict[str, Any]:
    """One contender on one world: rows, CPU seconds and peak memory; or why it does not run."""
    own = contender.requirements
    python = environment(work / Path(own).stem, HERE / own) if own else Path(sys.executable)
    out = work / f"{name}-{contender.name}.npy"
    out.unlink(missing_ok=True)
    script = [str(python), str(HERE / "contenders" / "explain_trees.py"), contender.name, ",".join(map(str, models))]
    count = max(1, round(rows * contender.share))
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [*script, str(work / f"{name}.npy"), str(count), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    about = {"contender": contender.name, "world": name}
    if done.returncode:
        return {**about, "stopped": done.stderr.strip().splitlines()[-1]}
    return {**about, **json.loads(done.stdout.splitlines()[-1])}


def contest(work: Path, rows: int, rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """All measurements, in rounds over all contenders."""
    models = {name: make_world(work, name) for name in names}
    found: list[dict[str, Any]] = []
    for turn in range(rounds):
        for name in names:
            for contender in CONTENDERS:
                out = [f for f in found if f["contender"] == contender.name and f["world"] == name and "stopped" in f]
                found += [explain(work, contender, name, models[name], rows)] if not out else []
                print(f"[round {turn + 1}/{rounds}] {json.dumps(found[-1])}", flush=True)
    return found


def rate(found: list[dict[str, Any]], contender: str, name: str) -> float | None:
    """Rows per CPU second, the median of the rounds; None where it does not run."""
    its = [f for f in found if (f["contender"], f["world"]) == (contender, name)]
    rates = [f["rows"] / f["cpu"] for f in its if "stopped" not in f]
    return statistics.median(rates) if rates else None


def difference(work: Path, contender: str, name: str) -> float | None:
    """The largest difference from LightGBM's ``pred_contrib``, in log-odds; None where there is nothing to compare."""
    theirs, reference = work / f"{name}-{contender}.npy", work / f"{name}-pred_contrib.npy"
    return float(np.abs(np.load(theirs) - np.load(reference)).max()) if theirs.is_file() else None


def table(work: Path, found: list[dict[str, Any]], names: list[str]) -> Iterator[str]:
    """The page's table as Markdown."""
    heads = [f"{WORLDS[n]}: rows per CPU s | times `predict` | largest difference" for n in names]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * (3 * len(names))
    for contender in CONTENDERS:
        yield f"| {contender.label} | " + " | ".join(_cells(work, found, contender.name, n) for n in names) + " |"


def _cells(work: Path, found: list[dict[str, Any]], contender: str, name: str) -> str:
    its, base = rate(found, contender, name), rate(found, "predict", name)
    if its is None or base is None:
        return "does not run | |"
    away = difference(work, contender, name)
    return f"{its:,.0f} | {base / its:.2f} | {'' if away is None else f'{away:.0e}'}"


def notes(work: Path, found: list[dict[str, Any]], models: int) -> Iterator[str]:
    """Versions, the size of the bag, and why some do not run."""
    trees = sum(text.read_text(encoding="utf-8").count("\nTree=") for text in sorted(work.glob("whole-?.txt")))
    versions = sorted({f["version"] for f in found if "version" in f})
    yield f"{trees} trees in {models} models; {', '.join(versions)}; Python {sys.version.split()[0]}, one thread."
    said = {(f["contender"], f["world"]): f["stopped"] for f in found if "stopped" in f}
    for (contender, name), why in said.items():
        yield f"{contender} does not run on {WORLDS[name]}: `{why}`."


def memory(work: Path, models: list[Path], *counts: int) -> str:
    """Peak memory of the toolkit's process by rows explained, in blocks of 50,000."""
    peaks = [explain(work, CONTENDERS[1], "gaps", models, count)["peak"] for count in counts]
    said = ", ".join(f"{peak:,.0f} MB for {count:,} rows" for peak, count in zip(peaks, counts, strict=True))
    return f"Most memory of the toolkit's process, interpreter and libraries among it: {said}."


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "benchmarks" / "trees")
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    work, names = given.work.resolve(), list(WORLDS)
    found = contest(work, given.rows, given.rounds, names)
    text = "\n".join([*table(work, found, names), "", *notes(work, found, BAGS)])
    text += "\n" + memory(work, sorted(work.glob("gaps-?.txt")), DIFFERENT, 10 * DIFFERENT)
    print(text)
    if given.write is not None:
        write(given.write, MARKS, text)


if __name__ == "__main__":
    main()
