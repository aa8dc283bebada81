"""How close the model comes to the true propensity on later quarters than it was trained on.

    python benchmarks/truth.py [--accounts 2000] [--quarters 8] [--seed 7 ...] [--write docs/benchmarks.md]

Simulates a company, trains with rolling origin on its tables alone, and compares ROC-AUC on the judged rows: the true
propensity of truth.parquet (which training never reads), the model, a plain logistic regression and the rules. With
--write, the table replaces the part of the page between the markers of this benchmark.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.page import write
from csql_ml import config as configuration
from csql_ml.company import open_company
from csql_ml.model.training import fitters
from csql_ml.model.validation import validate
from csql_ml.pipeline import training_data
from csql_ml.simulate import simulate, write_config

_FIGURES = ("truth", "model", "logistic", "rules", "gap")
_HEAD = ("accounts", "quarters", "seed", "judged rows", "positive", *_FIGURES, "seconds")
_MARKS = "<!-- truth -->", "<!-- /truth -->"


def compare(folder: Path, accounts: int, quarters: int, seed: int) -> dict[str, float]:
    """One company: ROC-AUC of truth and judged models on the rows of the newest mature snapshots."""
    simulate(folder / "data", accounts=accounts, quarters=quarters, seed=seed)
    path = write_config(folder / "config.yaml", folder="data", models_folder="models")
    config = configuration.load(path)
    started = time.perf_counter()
    with open_company(config) as company:
        data = training_data(company, company.today)
    scored = validate(data, config, fitters(data, config)).scored
    seconds = time.perf_counter() - started
    truth = pd.read_parquet(folder / "data" / "truth.parquet")
    truth["as_of"] = pd.to_datetime(truth["as_of"]).dt.date
    rows = scored.merge(truth, on=["account_id", "as_of"], how="inner", validate="many_to_one")
    if len(rows) != len(scored):
        raise SystemExit(f"{len(scored) - len(rows)} judged rows have no truth")
    auc = {name: roc_auc_score(rows["label"], rows[f"p_{name}"]) for name in ("model", "logistic", "baseline")}
    best = roc_auc_score(rows["label"], rows["propensity"])
    counts = {"rows": len(rows), "positive": int(rows["label"].sum())}
    return {**counts, "truth": best, **auc, "gap": best - auc["model"], "seconds": seconds}


def lines(accounts: list[int], quarters: int, seeds: list[int]) -> Iterator[str]:
    """The table, row by row as Markdown."""
    yield "| " + " | ".join(_HEAD) + " |"
    yield "|" + "---:|" * len(_HEAD)
    for size in accounts:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                row = compare(Path(folder), size, quarters, seed)
            figures = [f"{row[k]:.3f}" for k in ("truth", "model", "logistic", "baseline", "gap")]
            counts = [size, quarters, seed, row["rows"], row["positive"]]
            yield "| " + " | ".join([*map(str, counts), *figures, f"{row['seconds']:.0f}"]) + " |"


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=[2000])
    parser.add_argument("--quarters", type=int, default=8)
    parser.add_argument("--seed", type=int, nargs="+", default=[7])
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    table = []
    for line in lines(given.accounts, given.quarters, given.seed):
        print(line, flush=True)
        table.append(line)
    if given.write is not None:
        write(given.write, _MARKS, "\n".join(table))


if __name__ == "__main__":
    main()
