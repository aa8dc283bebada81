"""Time and memory of ``csql train --features`` and ``csql score --features`` on large tables of one's own.

    python benchmarks/own_features.py [--tables wide long ...] [--folder DIR] [--keep FILE] [--write FILE]

Each table is simulated: some columns carry the outcome, the others are noise, some are texts, some have gaps. It is
written as Parquet, and both commands run in processes of their own: CPU seconds (user + system), wall seconds and peak
memory are those of the process tree. ROC-AUC and calibration error (ECE, ten bins of equal mass) of the scored rows are
held against the true outcomes, which the table that is scored does not have; beside them what the true probabilities
reach. With --keep, rows are kept as they come, and a table that is there already is not measured again. With --write,
the table replaces the part of the page between the markers of this benchmark.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.measured_process import Limits, Measured, run
from benchmarks.page import write
from csql_ml.model.figures import roc_auc

_MARKS = "<!-- own-features -->", "<!-- /own-features -->"
_HEAD = (
    "table",
    "rows",
    "features",
    "base rate",
    "step",
    "CPU s",
    "wall s",
    "peak memory, MB",
    "ROC-AUC",
    "of the truth",
    "ECE",
)
_TRAINED, _SCORED = "2025-01-01", "2025-07-01"
_SETTINGS = "tracking: {enabled: false}\nmodels_folder: models\n"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """What is simulated: half of the rows are labelled and trained on, half are scored."""

    rows: int
    features: int
    texts: int
    rate: float


TABLES = {
    "small": Table(4_000, 20, 4, 0.2),
    "wide": Table(40_000, 5_000, 0, 0.2),
    "long": Table(2_000_000, 45, 5, 0.1),
    "rare": Table(100_000, 45, 5, 0.01),
    "even": Table(20_000, 45, 5, 0.5),
}


def simulated(table: Table, seed: int = 11) -> tuple[pd.DataFrame, Floats, npt.NDArray[np.bool_]]:
    """The table without labels, the true probabilities, and the outcomes."""
    rng = np.random.default_rng(seed)
    numbers = table.features - table.texts
    values = rng.standard_normal((table.rows, numbers), dtype=np.float32)
    margin = 0.8 * values[:, 0] + 0.5 * values[:, 1] + 0.6 * values[:, 2] * (values[:, 3] > 0) - 0.4 * values[:, 4]
    columns: dict[str, object] = {f"n{i}": values[:, i] for i in range(numbers)}
    for i in range(table.texts):
        words = rng.integers(0, 6, table.rows)
        columns[f"t{i}"] = pd.Categorical.from_codes(words, [f"word {k}" for k in range(6)])
        margin = margin + (0.3 if i == 0 else 0.0) * (words == 2)
    margin = margin.astype(np.float64)
    low, high = -20.0, 20.0
    for _ in range(60):  # the intercept that gives the base rate
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-margin - middle))).mean() < table.rate else (low, middle)
    truth = 1 / (1 + np.exp(-margin - low))
    frame = pd.DataFrame(columns)
    for name in [f"n{i}" for i in range(1, min(numbers, 20), 4)]:
        frame[name] = frame[name].mask(rng.random(table.rows) < 0.1)
    frame.insert(0, "account_id", [f"a{i:07d}" for i in range(table.rows)])
    return frame, truth, rng.random(table.rows) < truth


def measured(name: str, table: Table, folder: Path, limits: Limits) -> list[list[str]]:
    """One row per step."""
    frame, truth, won = simulated(table)
    half = table.rows // 2
    (folder / "config.yaml").write_text(_SETTINGS, encoding="utf-8")
    labelled = frame.iloc[:half].assign(as_of=_TRAINED, label=won[:half].astype(float))
    labelled.to_parquet(folder / "train.parquet", index=False)
    frame.iloc[half:].assign(as_of=_SCORED).to_parquet(folder / "score.parquet", index=False)
    del frame, labelled
    common = ["-c", str(folder / "config.yaml"), "--json", "--features"]
    base = [sys.executable, "-m", "csql_ml"]
    trained = run([*base, "train", *common, str(folder / "train.parquet")], limits)
    scored = run(
        [*base, "score", *common, str(folder / "score.parquet"), "--as-of", _SCORED, "--out", str(folder / "run")],
        limits,
    )
    head = [name, f"{half:,}", f"{table.features:,}", f"{table.rate:.0%}"]
    return [
        [*head, "train", *_cells(trained), "", "", ""],
        [*head, "score", *_cells(scored), *_quality(folder / "run", won[half:], truth[half:])],
    ]


def _cells(step: Measured) -> list[str]:
    if step.stopped:
        return [step.stopped, "", ""]
    return [f"{step.cpu:,.0f}", f"{step.seconds:,.0f}", f"{step.peak:,.0f}"]


def _quality(run_folder: Path, won: npt.NDArray[np.bool_], truth: Floats) -> list[str]:
    if not (run_folder / "scores.parquet").is_file():
        return ["", "", ""]
    said = pd.read_parquet(run_folder / "scores.parquet", columns=["account_id", "propensity"])
    propensity = said.sort_values("account_id")["propensity"].to_numpy(dtype=np.float64)
    label = won.astype(np.float64)
    bins = np.array_split(np.argsort(propensity, kind="stable"), 10)
    ece = sum(len(b) * abs(propensity[b].mean() - label[b].mean()) for b in bins) / len(label)
    return [f"{roc_auc(label, propensity):.4f}", f"{roc_auc(label, truth):.4f}", f"{ece:.4f}"]


def page(rows: Sequence[Sequence[str]]) -> str:
    """The results as a Markdown table."""
    lines = [_HEAD, ["---"] * len(_HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--folder", type=Path, help="where tables are kept; default: a temporary folder")
    parser.add_argument("--memory", type=float, default=14_000.0, help="MB at which a step is ended")
    parser.add_argument("--write", type=Path, metavar="FILE", help="page to write the table to")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="file of the rows measured so far")
    arguments = parser.parse_args()
    there = _kept(arguments.keep)
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.tables:
        if name not in there:
            with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
                there[name] = measured(name, TABLES[name], Path(place), Limits(cpu=7200.0, memory=arguments.memory))
            if arguments.keep:
                arguments.keep.write_text(json.dumps(there), encoding="utf-8")
        print(*page(there[name]).splitlines()[2:], sep="\n", flush=True)
    if arguments.write:
        write(arguments.write, _MARKS, page([row for name in arguments.tables for row in there[name]]))


def _kept(file: Path | None) -> dict[str, list[list[str]]]:
    """Rows measured before, by table."""
    if file is None or not file.is_file():
        return {}
    rows: dict[str, list[list[str]]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


if __name__ == "__main__":
    main()
