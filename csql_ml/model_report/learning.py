"""The learning curve: what a share of the outcomes would have taught, judged on accounts held out.

Accounts are split in folds; from the accounts of the other folds, nested random shares are learned from. What is said
of the held-out rows is pooled over the folds, so that every point is judged on the same rows and has an interval of
the same account bootstrap as the verdict. Folds are no later quarters: the curve shows what *more* outcomes do, not
how good the model will be next quarter. To be cheap it takes one LightGBM model in the place of the bag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from csql_ml.company import Progress
from csql_ml.config import Config
from csql_ml.model.figures import ScoredSet, measure
from csql_ml.model.training import Trained, fitters
from csql_ml.model.training_data import TrainingData
from csql_ml.model.validation import FEWEST, Fitter, fit_on

#: Shares of the accounts learned from.
SHARES = (0.15, 0.3, 0.6, 1.0)
FOLDS = 3
#: From so many rows on one fold does: it is large enough to judge on, and fitting takes the time.
ONE_FOLD_FROM = 500
#: More rows than this teach the curve nothing that can be seen; accounts are drawn.
MOST_ROWS = 6_000
JUDGED = ("model", "baseline")
FIGURES = ("log_loss", "roc_auc")
#: Bootstrap repetitions at most.
_REPETITIONS = 100


def learning_curve(
    trained: Trained, data: TrainingData, config: Config, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Points of the curve, fewest outcomes first.

    Returns
    -------
    dict
        ``points``: a list of ``labels`` (learned from, mean over folds), ``share`` and per judged model the figures
        ``log_loss`` and ``roc_auc`` as value, low, high and error; ``judged``: rows judged on; or ``absent``.
    """
    known = data.labelled(data.now)
    if trained.verdict.figures is None:
        return {"absent": "not_judged"}
    seed = config.model.seed
    known = _drawn(known, seed)
    cheap = config.model_copy(update={"model": config.model.model_copy(update={"bags": 1})})
    shape = trained.tuning.shape if trained.tuning is not None else None
    fit = {name: fitter for name, fitter in fitters(data, cheap, shape).items() if name in JUDGED}
    splits = list(
        StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(known, known["label"], _who(known))
    )
    splits = splits[:1] if len(known) >= ONE_FOLD_FROM else splits[:2]
    judged = np.concatenate([test for _, test in splits])
    scored = ScoredSet(
        label=known["label"].to_numpy(dtype=np.float64)[judged],
        account=np.unique(_who(known)[judged], return_inverse=True)[1].astype(np.int64),
        block=np.zeros(len(judged), dtype=np.int64),
        amount=np.full(len(judged), np.nan),
        propensity={},
    )
    if not FEWEST <= scored.positives <= scored.rows - FEWEST:
        return {"absent": "too_few"}
    points = []
    for step, share in enumerate(SHARES):
        if on_progress is not None:
            on_progress("learning curve", step, len(SHARES))
        point = _point(known, splits, share, data.columns, fit, seed)
        if point is not None:
            labels, said = point
            points.append({"share": share, "labels": labels, "of": _figures(replace(scored, propensity=said), config)})
    return {"points": points, "judged": scored.rows} if len(points) > 1 else {"absent": "too_few"}


def _who(rows: pd.DataFrame) -> npt.NDArray[Any]:
    return rows["account_id"].to_numpy(dtype=str)


def _drawn(known: pd.DataFrame, seed: int) -> pd.DataFrame:
    """All rows of so many accounts as hold at most `MOST_ROWS`."""
    if len(known) <= MOST_ROWS:
        return known
    accounts, sizes = np.unique(_who(known), return_counts=True)
    order = np.random.default_rng(seed).permutation(len(accounts))
    fits = order[np.cumsum(sizes[order]) <= MOST_ROWS]
    return known[known["account_id"].isin(accounts[fits])].reset_index(drop=True)


def _point(
    known: pd.DataFrame, splits: list[Any], share: float, columns: list[str], fit: dict[str, Fitter], seed: int
) -> tuple[int, dict[str, npt.NDArray[np.float64]]] | None:
    """Mean number of outcomes learned from, and what each judged model then says; None where a fold lacks a class."""
    said: dict[str, list[Any]] = {name: [] for name in fit}
    counts = []
    for train, test in splits:
        rows = _share(known.iloc[train], share, seed)
        positives = int(rows["label"].sum())
        if min(positives, len(rows) - positives) < FEWEST:
            return None
        counts.append(len(rows))
        for name, fitter in fit.items():
            said[name].append(fit_on(rows, columns, fitter).predict_proba(known.iloc[test][columns])[:, 1])
    return round(float(np.mean(counts))), {name: np.concatenate(parts) for name, parts in said.items()}


def _share(rows: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Rows of the first accounts in a random order, so that a larger share holds the smaller ones."""
    accounts = np.unique(_who(rows))
    order = np.random.default_rng(seed).permutation(len(accounts))
    return rows[rows["account_id"].isin(accounts[order[: max(1, round(share * len(accounts)))]])]


def _figures(scored: ScoredSet, config: Config) -> dict[str, Any]:
    repetitions = min(config.model.bootstrap, _REPETITIONS)
    found = measure(scored, config.scoring.capacity_per_portfolio, repetitions, config.model.seed)
    return {name: {figure: of[figure].to_dict() for figure in FIGURES} for name, of in found.of.items()}
