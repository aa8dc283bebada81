"""Validation in time: trained on what was known then, judged on what came later.

Rolling origin. For each of the newest snapshots with complete outcomes, every judged model is trained as it would have
been on that snapshot's day: only earlier snapshots, only labels complete on that day. A label that was still open then
is not there, which is the embargo of the label horizon. The snapshot's rows are then scored and judged with the labels
known now. A snapshot with nothing to train on before it is left out and named.

Where no snapshot can be judged that way (one snapshot only, or outcomes that became known too late), repeated
stratified folds grouped by account take the place, and the result says that it was not validated in time.

Of very many rows, the judged models learn from a draw of the accounts (`csql_ml.model.account_folds.ENOUGH_TAUGHT`);
the model that is kept learns from all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from csql_ml.config import Config
from csql_ml.model.account_folds import account_folds, taught
from csql_ml.model.figures import ScoredSet, log_loss, roc_auc
from csql_ml.model.training_data import TrainingData

#: ``fitter(X, y, accounts, weight)`` returns a fitted estimator with ``predict_proba``; ``weight`` is (n,) or None.
Fitter = Callable[[pd.DataFrame, npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.float64] | None], Any]
#: ``on_progress(step, done, of)``
Progress = Callable[[str, int, int], None]

#: Positives, and negatives, that a training or a test set must have at the very least.
FEWEST = 5
#: Column of labelled rows that weighs them in training, where the labels know about selection.
WEIGHT = "sample_weight"
SPLITS = 5
#: Up to so many labelled rows folds are repeated so often; more rows are as steady without.
REPEATS = ((2_000, 3),)
#: ... where the table has at most so many cells; no more folds are judged once so
#: many rows are: their intervals are narrow by then.
REPEATED_CELLS, ENOUGH_JUDGED = 5_000_000, 50_000


@dataclass(frozen=True)
class Fold:
    """One training and test pair; ``name`` is the test snapshot's date or the number of the repetition and fold."""

    name: str
    train_rows: int
    train_positives: int
    test_rows: int
    test_positives: int
    log_loss: Mapping[str, float] = field(repr=False)
    roc_auc: Mapping[str, float] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Validation:
    """Out-of-sample propensities of every judged model.

    Parameters
    ----------
    scored
        One row per judged row (and repetition): account_id, as_of, period, portfolio, label, amount, repetition,
        ``seen`` (the account was in training) and a column ``p_<judged>`` per model.
    left_out
        Snapshots that could not be judged, as readable sentences.
    in_time
        False where folds took the place of later snapshots.
    """

    scored: pd.DataFrame = field(repr=False)
    judged: tuple[str, ...]
    folds: tuple[Fold, ...]
    left_out: tuple[str, ...]
    in_time: bool

    @property
    def outcomes(self) -> pd.DataFrame:
        """Every judged row once, however often it was scored."""
        return self.scored[self.scored["repetition"] == 0]

    def scored_set(self) -> ScoredSet:
        """The rows as `csql_ml.model.figures` takes them."""
        rows = self.scored
        blocks = rows.groupby(["repetition", "period", "portfolio"], sort=True).ngroup()
        return ScoredSet(
            label=rows["label"].to_numpy(dtype=np.float64),
            account=np.unique(rows["account_id"].to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64),
            block=np.asarray(blocks, dtype=np.int64),
            amount=rows["amount"].to_numpy(dtype=np.float64),
            propensity={name: rows[f"p_{name}"].to_numpy(dtype=np.float64) for name in self.judged},
        )

    def unseen_auc(self) -> dict[str, float]:
        """ROC-AUC on accounts that were not in training; empty where there are too few to say."""
        rows = self.scored[~self.scored["seen"]]
        if not self.in_time or not _both_classes(rows["label"]):
            return {}
        label = rows["label"].to_numpy(dtype=np.float64)
        return {name: roc_auc(label, rows[f"p_{name}"].to_numpy(dtype=np.float64)) for name in self.judged}


def validate(
    data: TrainingData, config: Config, fitters: Mapping[str, Fitter], on_progress: Progress | None = None
) -> Validation:
    """Judge every model of ``fitters`` out of sample.

    Parameters
    ----------
    fitters
        Judged model -> how it is trained.
    on_progress
        Called before each training with the step's name, how many are done and how many there are.
    """
    known = data.labelled(data.now)
    in_time, left_out = _in_time(data, known, config.model.test_snapshots)
    splits: Sequence[_Split | _Parting] = in_time or list(_by_account(known, config.model.seed))
    parts, folds = [], []
    steps = len(splits) * len(fitters)
    for number, split in enumerate(_taken(s, config.model.seed) for s in splits):
        scored = _test_rows(split)
        for step, (name, fit) in enumerate(fitters.items(), start=number * len(fitters)):
            if on_progress is not None:
                on_progress(f"{name} {split.name}", step, steps)
            scored[f"p_{name}"] = _propensities(split, data.columns, fit)
        parts.append(scored)
        folds.append(_fold(split, scored, tuple(fitters)))
    scored = pd.concat(parts, ignore_index=True) if parts else _nothing(fitters)
    order = ["repetition", "as_of", "account_id"]
    scored = scored.sort_values(order, kind="stable", ignore_index=True)
    return Validation(scored, tuple(fitters), tuple(folds), tuple(left_out), bool(in_time))


@dataclass(frozen=True, eq=False)
class _Split:
    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    repetition: int = 0


@dataclass(frozen=True, eq=False)
class _Parting:
    """A split as places in a table: with thousands of columns there is room for the rows of one split at a time."""

    name: str
    rows: pd.DataFrame
    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    repetition: int


def _taken(split: _Split | _Parting, seed: int) -> _Split:
    """A split's rows; of very many to train on, those of drawn accounts."""
    if isinstance(split, _Parting):
        train = taught(split.train, split.rows["account_id"].to_numpy(), seed)
        return _Split(split.name, split.rows.iloc[train], split.rows.iloc[split.test], split.repetition)
    places = taught(np.arange(len(split.train)), split.train["account_id"].to_numpy(), seed)
    return split if len(places) == len(split.train) else replace(split, train=split.train.iloc[places])


def _in_time(data: TrainingData, known: pd.DataFrame, newest: int) -> tuple[list[_Split], list[str]]:
    """A split per mature snapshot of the newest ones, and sentences for those that cannot be judged."""
    splits: list[_Split] = []
    left_out: list[str] = []
    for day in sorted(known["period"].unique())[-newest:]:
        earlier = _known_before(data, day)
        test = known[known["period"] == day]
        if _both_classes(earlier["label"]):
            splits.append(_Split(day.isoformat(), earlier, test))
        else:
            left_out.append(
                f"{day}: {len(earlier)} outcomes ({int(earlier['label'].sum())} positive) were complete on that day; "
                f"at least {FEWEST} positive and {FEWEST} negative ones are needed to train"
            )
    return splits, left_out


def _known_before(data: TrainingData, day: date) -> pd.DataFrame:
    """Rows of snapshots before ``day`` with the labels complete on ``day``."""
    rows = data.labelled(day)
    return rows[rows["as_of"] < day]


def _by_account(known: pd.DataFrame, seed: int) -> Iterator[_Parting]:
    """Repeated stratified folds; all rows of an account stay together."""
    if not _both_classes(known["label"]):
        return
    repeats = next((n for rows, n in REPEATS if len(known) <= rows), 1)
    label, judged = known["label"], 0
    positive = label.to_numpy(dtype=np.float64) == 1
    repeats = repeats if known.size <= REPEATED_CELLS else 1
    for repetition in range(repeats):
        folds = account_folds(positive, known["account_id"].to_numpy(), SPLITS, seed + repetition)
        for number, (train, test) in enumerate(folds):
            if label.iloc[train].nunique() == 2 and len(test):
                yield _Parting(f"{repetition + 1}.{number + 1}", known, train, test, repetition)
                judged += len(test)
            if number and judged >= ENOUGH_JUDGED:
                return


def _test_rows(split: _Split) -> pd.DataFrame:
    keep = ["account_id", "as_of", "period", "portfolio", "label", "amount"]
    seen = split.test["account_id"].isin(split.train["account_id"])
    return split.test[keep].assign(repetition=split.repetition, seen=seen)


def fit_on(rows: pd.DataFrame, columns: list[str], fit: Fitter) -> Any:
    """An estimator fitted on labelled rows; a column ``sample_weight`` weighs them."""
    label, accounts = rows["label"].to_numpy(dtype=np.float64), rows["account_id"].to_numpy()
    # One thread: sums that are split over threads are slow, and may differ in the last bit from machine to machine.
    with threadpool_limits(limits=1, user_api="blas"):
        return fit(columns_of(rows, columns), label, accounts, weight_of(rows))


def columns_of(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns; without a copy where they lie side by side, which counts where they are thousands."""
    if not rows.columns.is_unique:
        return rows[columns]
    places = rows.columns.get_indexer(pd.Index(columns))
    beside = len(places) and places[0] >= 0 and (np.diff(places) == 1).all()
    return rows.iloc[:, places[0] : places[-1] + 1] if beside else rows[columns]


def weight_of(rows: pd.DataFrame) -> npt.NDArray[np.float64] | None:
    """(n,) the column ``sample_weight``; None where there is none: all rows weigh the same."""
    return rows[WEIGHT].to_numpy(dtype=np.float64) if WEIGHT in rows else None


def _propensities(split: _Split, columns: list[str], fit: Fitter) -> npt.NDArray[np.float64]:
    """What a model trained on the split's training rows says about its test rows."""
    estimator = fit_on(split.train, columns, fit)
    return np.asarray(estimator.predict_proba(columns_of(split.test, columns))[:, 1], dtype=np.float64)


def _fold(split: _Split, scored: pd.DataFrame, judged: tuple[str, ...]) -> Fold:
    label = scored["label"].to_numpy(dtype=np.float64)
    said = {name: scored[f"p_{name}"].to_numpy(dtype=np.float64) for name in judged}
    return Fold(
        name=split.name,
        train_rows=len(split.train),
        train_positives=int(split.train["label"].sum()),
        test_rows=len(split.test),
        test_positives=int(label.sum()),
        log_loss={name: log_loss(label, p) for name, p in said.items()},
        roc_auc={name: roc_auc(label, p) for name, p in said.items()},
    )


def _both_classes(label: pd.Series) -> bool:
    positives = int((label == 1).sum())
    return positives >= FEWEST and int((label == 0).sum()) >= FEWEST


def _nothing(fitters: Mapping[str, Fitter]) -> pd.DataFrame:
    columns = ["account_id", "as_of", "period", "portfolio", "label", "amount", "repetition", "seen"]
    said = {f"p_{name}": pd.Series(dtype="float64") for name in fitters}
    return pd.DataFrame({c: pd.Series(dtype=object) for c in columns} | said)
