"""How often guards suspect clean columns, and whether they find planted leaks.

    python benchmarks/guards.py [--seeds 100] [--rows 60 300 2000] [--accounts 1500] [--write FILE]

Tables: 30 columns of a simulated world (a third of them carry the outcome, some are texts, some have gaps that are
chance), fresh for every seed. Toolkit: all metrics of simulated companies as of several dates, with the labels of the
toolkit itself. Clean ones must raise no suspicion. Then one column is planted into each table: the outcome, right in 95
of 100 rows; gaps in a fifth of the rows without an expansion and half of those with one. It counts as found only if the
guard of its kind names it. With --write, the table replaces the part of the
page between the markers of this benchmark.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from benchmarks.page import write
from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.company import open_company
from csql_ml.metrics.definition import Feature
from csql_ml.model.guards import guard
from csql_ml.model.training_data import TrainingData
from csql_ml.outcomes.figures import rate
from csql_ml.simulate import simulate, write_config

_MARKS = "<!-- guards -->", "<!-- /guards -->"
_HEAD = ("data", "planted", "outcomes", "trials", "suspected", "95 % interval", "goal")
_DAY, _NOW = date(2025, 1, 1), date(2026, 1, 1)
Plant = Callable[[pd.Series, np.random.Generator], pd.Series]


def world(rows: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """A clean table and its outcomes, a third of them positive."""
    rng = np.random.default_rng([seed, rows])
    frame = pd.DataFrame(rng.normal(size=(rows, 26)), columns=[f"n{i}" for i in range(26)])
    for i in range(4):
        frame[f"t{i}"] = rng.choice(["a", "b", "c", "d"], rows)
    margin = -0.9 + 0.7 * frame["n0"] + 0.5 * frame["n1"] - 0.5 * frame["n2"] + 0.8 * (frame["t0"] == "a")
    margin += sum(0.15 * frame[f"n{i}"] for i in range(3, 9))
    won = pd.Series(rng.random(rows) < 1 / (1 + np.exp(-margin)))
    for i in range(0, 26, 3):
        frame[f"n{i}"] = frame[f"n{i}"].mask(rng.random(rows) < 0.2)
    return frame, won


def training_data(frame: pd.DataFrame, won: pd.Series) -> TrainingData:
    """The table as a training would get it."""
    accounts = [f"a{i}" for i in range(len(frame))]
    keys = pd.DataFrame({"account_id": accounts, "as_of": _DAY, "portfolio": "", "arr": np.nan})
    labels = keys[["account_id", "as_of"]].assign(
        state=np.where(won, "positive", "negative"), reason=None, label=won.astype(float), amount=np.nan, lead_type=None
    )
    features = tuple(Feature(c, c, categorical=frame[c].dtype.kind not in "fib") for c in frame)
    table = pd.concat([keys, frame], axis=1)
    return TrainingData(table, lambda day: labels, _NOW, features, (), {"engagement": 1.0, "fit": 0.0, "intent": 0.0})


def _copied(won: pd.Series, rng: np.random.Generator) -> pd.Series:
    right = rng.random(len(won)) < 0.95
    return pd.Series(np.where(right, won, ~won) + rng.normal(0, 0.1, len(won)))


def _gaps(won: pd.Series, rng: np.random.Generator) -> pd.Series:
    return pd.Series(rng.normal(size=len(won))).mask(rng.random(len(won)) < np.where(won, 0.5, 0.2))


PLANTS: dict[str, tuple[str, Plant]] = {
    "the outcome, 95 % right": ("predicts_too_well", _copied),
    "gaps that know the outcome": ("missing_by_label", _gaps),
}


def trials(rows: int, seeds: int) -> Iterator[list[str]]:
    """One row for the clean tables, one per planted column."""
    clean = [bool(guard(training_data(*world(rows, seed))).suspects) for seed in range(seeds)]
    yield _row("tables", "nothing", rows, clean, "at most 5 %")
    for name, (kind, plant) in PLANTS.items():
        found = []
        for seed in range(seeds):
            frame, won = world(rows, seed)
            planted = frame.assign(planted=plant(won, np.random.default_rng([seed, rows, 1])).to_numpy())
            suspects = guard(training_data(planted, won)).suspects
            found.append(any(s.feature == "planted" and s.kind == kind for s in suspects))
        yield _row("tables", name, rows, found, "high")


def toolkit(accounts: int, seeds: int) -> list[str]:
    """False alarms among the toolkit's own metrics; a trial is a company."""
    alarms, outcomes = [], 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            simulate(folder / "data", accounts=accounts, events=accounts * 500, quarters=6, seed=100 + seed)
            config = configuration.load(write_config(folder / "config.yaml", folder="data", models_folder="models"))
            with open_company(config) as company:
                data = pipeline.training_data(company, company.today)
        outcomes += len(data.labelled(data.now))
        suspects = guard(data).suspects
        alarms.append(bool(suspects))
        for suspect in suspects:
            print(suspect.sentence, flush=True)
    return _row("simulated companies", "nothing", outcomes // max(seeds, 1), alarms, "at most 5 %")


def _row(data: str, planted: str, outcomes: int, hits: Sequence[bool], goal: str) -> list[str]:
    share = rate(sum(hits), 0, len(hits), 0.95)
    cells = [f"{sum(hits) / len(hits):.1%}", f"{share.low or 0.0:.1%} to {share.high or 0.0:.1%}"]
    return [data, planted, f"{outcomes:,}", f"{len(hits):,}", *cells, goal]


def page(rows: Sequence[Sequence[str]]) -> str:
    """The results as a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [_HEAD, ["---"] * len(_HEAD), *rows])


def main() -> None:
    """Run and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rows", type=int, nargs="+", default=[60, 300, 2000])
    parser.add_argument("--companies", type=int, default=5)
    parser.add_argument("--accounts", type=int, default=1500)
    parser.add_argument("--write", type=Path, metavar="FILE", help="page to write the table to")
    arguments = parser.parse_args()
    rows = [row for size in arguments.rows for row in trials(size, arguments.seeds)]
    print(page(rows), flush=True)
    if arguments.companies:
        rows.append(toolkit(arguments.accounts, arguments.companies))
        print(page(rows[-1:]), flush=True)
    if arguments.write:
        write(arguments.write, _MARKS, page(rows))


if __name__ == "__main__":
    main()
