"""`csql train --features` and `csql score --features` on the real data sets that come with scikit-learn.

    python benchmarks/real_tables.py [--sets wine diabetes ...] [--splits 3] [--write FILE]

None of them is of customers; they are real, small, and here without a download. Each is split at random into seven
tenths to train on and three tenths to score, as often as there are splits; both go through the command line as CSV.
Rivals get the same rows: a logistic regression whose penalty, and a LightGBM model whose leaves and rounds, are chosen
by log loss in folds of the training rows. Printed are means over the splits of ROC-AUC, log loss and calibration error
(ECE, ten bins of equal mass) of the scored rows, and the ROC-AUC of each split. The model is trained with its defaults,
but without refits and with few bootstrap repetitions, which make intervals and no propensity.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.page import write
from csql_ml.model.figures import log_loss, roc_auc

_MARKS = "<!-- real-tables -->", "<!-- /real-tables -->"
_TRAINED, _SCORED = "2025-01-01", "2025-07-01"
_SETTINGS = "tracking: {enabled: false}\nmodels_folder: models\nmodel: {refits: 0, bootstrap: 50}\n"
_HEAD = ("data set", "rows trained on", "columns", "positive", "judged", "ROC-AUC", "of each split", "log loss", "ECE")
Floats = npt.NDArray[np.float64]
Rows = list[list[str]]


def _breast() -> tuple[pd.DataFrame, pd.Series]:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer(as_frame=True)
    return found.data, found.target == 1


def _diabetes() -> tuple[pd.DataFrame, pd.Series]:
    from sklearn.datasets import load_diabetes

    found = load_diabetes(as_frame=True)
    return found.data, found.target > 140


def _wine() -> tuple[pd.DataFrame, pd.Series]:
    from sklearn.datasets import load_wine

    found = load_wine(as_frame=True)
    return found.data, found.target == 1


def _digits(positive: Callable[[pd.Series], pd.Series]) -> tuple[pd.DataFrame, pd.Series]:
    from sklearn.datasets import load_digits

    found = load_digits(as_frame=True)
    return found.data, positive(found.target)


SETS: dict[str, Callable[[], tuple[pd.DataFrame, pd.Series]]] = {
    "wine: the second kind": _wine,
    "diabetes: above 140": _diabetes,
    "breast cancer: benign": _breast,
    "digits: an 8": lambda: _digits(lambda digit: digit == 8),
    "digits: 5 and above": lambda: _digits(lambda digit: digit >= 5),
}


def toolkit(train: pd.DataFrame, won: Floats, score: pd.DataFrame) -> dict[str, Floats]:
    """Propensity, and the weighted score that was learned beside it, through the command line."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "config.yaml").write_text(_SETTINGS, encoding="utf-8")
        labelled = train.assign(account_id=[f"t{i:05d}" for i in range(len(train))], as_of=_TRAINED, label=won)
        labelled.to_csv(folder / "train.csv", index=False)
        open_rows = score.assign(account_id=[f"s{i:05d}" for i in range(len(score))], as_of=_SCORED)
        open_rows.to_csv(folder / "score.csv", index=False)
        _csql("train", "-c", str(folder / "config.yaml"), "--features", str(folder / "train.csv"))
        where = ["--as-of", _SCORED, "--out", str(folder / "run")]
        _csql("score", "-c", str(folder / "config.yaml"), "--features", str(folder / "score.csv"), *where)
        said = pd.read_parquet(folder / "run" / "scores.parquet").sort_values("account_id")
    return {"csql": said["propensity"].to_numpy(dtype=float), "learned score": said["baseline_score"].to_numpy() / 100}


def _csql(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "csql_ml", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def rivals(train: pd.DataFrame, won: Floats, score: pd.DataFrame) -> dict[str, Floats]:
    """What a logistic regression and a LightGBM model say, both with settings chosen in folds."""
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    grid = {"num_leaves": [4, 15, 31], "n_estimators": [50, 100, 300, 800]}
    trees = LGBMClassifier(learning_rate=0.05, verbosity=-1, n_jobs=1, random_state=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        line = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=5, scoring="neg_log_loss", max_iter=1000))
        models = {"LightGBM": GridSearchCV(trees, grid, scoring="neg_log_loss", cv=3), "logistic": line}
        return {name: model.fit(train, won).predict_proba(score)[:, 1] for name, model in models.items()}


def measured(name: str, splits: int) -> Rows:
    """A row per judged model."""
    columns, target = SETS[name]()
    won = target.to_numpy(dtype=np.float64)
    found: dict[str, list[tuple[float, float, float]]] = {}
    cut = int(0.7 * len(won))
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(won))
        train, test = columns.iloc[order[:cut]], columns.iloc[order[cut:]]
        label = won[order[cut:]]
        for judged, p in (toolkit(train, won[order[:cut]], test) | rivals(train, won[order[:cut]], test)).items():
            found.setdefault(judged, []).append(_figures(label, p))
    head = [name, f"{cut:,}", str(columns.shape[1]), f"{won.mean():.0%}"]
    return [[*head, judged, *_cells(figures)] for judged, figures in found.items()]


def _figures(label: Floats, propensity: Floats) -> tuple[float, float, float]:
    """ROC-AUC, log loss, calibration error."""
    bins = np.array_split(np.argsort(propensity, kind="stable"), 10)
    ece = sum(len(b) * abs(propensity[b].mean() - label[b].mean()) for b in bins) / len(label)
    return roc_auc(label, propensity), log_loss(label, np.clip(propensity, 1e-6, 1 - 1e-6)), float(ece)


def _cells(figures: Sequence[tuple[float, float, float]]) -> list[str]:
    auc, loss, ece = np.mean(figures, axis=0)
    return [f"{auc:.3f}", " ".join(f"{f[0]:.3f}" for f in figures), f"{loss:.3f}", f"{ece:.3f}"]


def page(rows: Rows) -> str:
    """The results as a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [_HEAD, ["---"] * len(_HEAD), *rows])


def main() -> None:
    """Run and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="beginnings of names; default: all")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="page to write the table to")
    arguments = parser.parse_args()
    rows: Rows = []
    for name in SETS:
        if arguments.sets is None or name.startswith(tuple(arguments.sets)):
            rows += measured(name, arguments.splits)
            print(page(rows[-4:]).split("\n", 2)[2], flush=True)
    if arguments.write:
        write(arguments.write, _MARKS, page(rows))


if __name__ == "__main__":
    main()
