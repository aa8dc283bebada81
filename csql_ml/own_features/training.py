"""`csql train --features`: labels, validation and verdict from a feature table alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from csql_ml.company import Progress
from csql_ml.config import Config
from csql_ml.errors import FeatureError, NotMatureError
from csql_ml.labels import COLUMNS as LABEL_COLUMNS
from csql_ml.model.assembly import newest_rows, threshold_for
from csql_ml.model.checked_training import checked_training
from csql_ml.model.guards.suspicion import dates_ahead
from csql_ml.model.saving import Training, champion_in_force, refused, save_champion
from csql_ml.model.training import Trained
from csql_ml.model.training_data import TrainingData
from csql_ml.model.tuning import Budget
from csql_ml.model_report import model_report
from csql_ml.own_features.table import OwnTable, open_table
from csql_ml.quarters import horizon_end

#: Nothing says which part of the score's formula a column of one's own belongs to: all terms stand in one part.
_WEIGHTS = {"engagement": 1.0, "fit": 0.0, "intent": 0.0}
#: The kind an expansion counts as where the table does not say: its ARR share is learned from the amounts.
ASSUMED_TYPE = "upsell"
#: From this share of dates on or after the as-of date a column is under suspicion.
AHEAD = 0.001


def train_champion(
    config: Config,
    path: Path,
    now: date | None = None,
    on_progress: Progress | None = None,
    *,
    strict: bool = False,
    budget: Budget | None = None,
) -> Training:
    """Train, judge and save a champion from a feature table; the weighted score it must beat is learned from it too.

    Parameters
    ----------
    path
        Parquet or CSV file.
    now
        The day to stand on: only outcomes complete on that day are learned from. Default: `default_now`.
    strict
        Leave columns out that may know the outcome (`csql_ml.model.guards`).
    budget
        Of a search for other tree settings (`csql_ml.model.tuning`); None: the fixed recipe.

    Raises
    ------
    FeatureError
        The table cannot be used, or its labels are of one class.
    NotMatureError
        No outcome is complete on that day yet.
    """
    table = open_table(path, config)
    if on_progress is not None:
        for note in table.notes:
            on_progress(note, 0, 1)
    today = now or default_now(table, config)
    data = training_data(table, config, today)
    noted = [dates_ahead(n, share, AHEAD) for n, share in table.ahead.items() if share >= AHEAD]
    del table  # its values stand in the data now; with thousands of columns they are most of the memory
    previous, gone = champion_in_force(config), refused(config)
    trained, data = checked_training(
        data, config, on_progress, previous, gone, strict=strict, noted=noted, budget=budget
    )
    trained = trained if trained.kept else _workable(trained, data, config)
    return save_champion(trained, data, config, today, on_progress, model_report)


def _workable(trained: Trained, data: TrainingData, config: Config) -> Trained:
    """Lower the threshold where there is nothing but categories.

    A model's threshold lets through as many accounts as the rules would. Rules made of numbers have no terms there and
    would let nobody through; then the capacity decides, or the best category where it is larger.
    """
    champion = trained.champion
    if champion.terms or champion.kind == "rules":
        return trained
    newest = newest_rows(data, 1)
    propensity = champion.propensity(newest)
    capacity = int(newest.groupby("portfolio").size().clip(upper=config.scoring.capacity_per_portfolio).sum())
    passing = max(capacity, int((propensity == propensity.max()).sum()))
    return replace(trained, champion=replace(champion, threshold=threshold_for(propensity, passing)))


def default_now(table: OwnTable, config: Config) -> date:
    """The first day on which every label of the table is complete, and not before its newest as-of date."""
    ends = [_end(d, config) for d in _labelled_dates(table)]
    return max([*ends, table.dates[-1]])


def training_data(table: OwnTable, config: Config, now: date) -> TrainingData:
    """Rows and labels as known on a day.

    A label is known from the end of its row's horizon on, whatever day it was written down: that is the embargo of
    validation in time.
    """
    _refuse_hopeless(table, config, now)
    kept = table.rows["as_of"].map(lambda day: day <= now).to_numpy(dtype=bool)
    keys = table.rows[["account_id", "as_of", "portfolio", "arr"]]
    features = table.learnable
    frame = pd.concat([keys, table.frame(features)], axis=1)
    frame = frame if kept.all() else frame[kept]
    rows, ends = table.rows[kept], {d: _end(d, config) for d in table.dates}
    return TrainingData(
        frame=frame,
        labels_known=lambda day: _labels(rows, rows["as_of"].map(lambda d: ends[d] <= day)),
        now=now,
        features=features,
        terms=(),
        weights=_WEIGHTS,
    )


def _labels(rows: pd.DataFrame, complete: pd.Series) -> pd.DataFrame:
    """Labels of all rows; a row that is not labelled or not complete is open."""
    label = rows["label"].where(complete.astype(bool))
    positive = label == 1
    labels = rows[["account_id", "as_of"]].assign(
        state=np.select([positive, label == 0], ["positive", "negative"], default="open"),
        reason=None,
        label=label,
        amount=rows["amount"].where(positive),
        lead_type=pd.Series(ASSUMED_TYPE, index=rows.index, dtype="object").where(positive, None),
    )
    return labels.reindex(columns=list(LABEL_COLUMNS))


def _refuse_hopeless(table: OwnTable, config: Config, now: date) -> None:
    label = table.rows["label"]
    if not label.notna().any():
        raise table.no_labels()
    complete = label[table.rows["as_of"].map(lambda day: _end(day, config) <= now).astype(bool)].dropna()
    if complete.empty:
        first = min(_end(day, config) for day in _labelled_dates(table))
        raise NotMatureError(
            f"no label of {table.path} is complete on {now.isoformat()}: the first are from {first.isoformat()} on, "
            f"the end of their horizon (labels.horizon_quarters: {config.labels.horizon_quarters}); train then"
        )
    if complete.nunique() == 1:
        raise FeatureError(
            f"all {len(complete)} complete labels of {table.path} are {int(complete.iloc[0])}; expected both 1 "
            "(expansion) and 0 (none; empty means still open)"
        )


def _labelled_dates(table: OwnTable) -> list[date]:
    return sorted(set(table.rows.loc[table.rows["label"].notna(), "as_of"]))


def _end(as_of: date, config: Config) -> date:
    return horizon_end(as_of, config.labels.horizon_quarters, config.company.fiscal_year_start_month)
