"""Training on a feature table of one's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from csql_ml import own_features
from csql_ml.own_features.table import open_table
from csql_ml.own_features.training import default_now, training_data
from csql_ml.quarters import horizon_end
from tests.own_features.world import DATES, NEWEST, Trained, settings, world


def test_a_model_that_sees_more_than_a_score_is_promoted(trained: Trained):
    result = trained.training.trained
    assert result.verdict.in_time
    assert result.verdict.promoted
    figures = result.verdict.figures
    assert figures is not None
    assert figures.of["model"]["roc_auc"].value > figures.of["baseline"]["roc_auc"].value + 0.05
    assert result.champion.kind == "stack"
    assert "nothing" not in [f.name for f in result.champion.features]
    assert any("nothing" in step for step in trained.said), "a column that is dropped is named"
    assert "state" in {f.metric for f in result.champion.features}


def test_noise_keeps_the_learned_score(tmp_path: Path):
    frame = world(dates=DATES[:3])
    rng = np.random.default_rng(0)
    labels = pd.Series(rng.random(len(frame)) < 0.3).astype(float).where(frame["label"].notna())
    path = tmp_path / "features.parquet"
    frame.assign(label=labels).to_parquet(path)
    result = own_features.train_champion(settings(tmp_path), path).trained
    assert not result.verdict.promoted
    assert result.champion.kind == "rules"
    assert result.champion.terms
    assert result.challenger is not None


def test_one_snapshot_is_validated_by_accounts_and_says_so(tmp_path: Path):
    path = tmp_path / "features.csv"
    world(200, dates=DATES[:1]).to_csv(path, index=False)
    verdict = own_features.train_champion(settings(tmp_path), path).trained.verdict
    assert verdict.figures is not None
    assert not verdict.in_time
    assert "not validated in time" in verdict.paragraph()


def test_a_table_of_categories_alone_still_qualifies_accounts(tmp_path: Path):
    path = tmp_path / "features.csv"
    frame = world(dates=DATES[:3])
    label = (frame["plan"] == "プロ").astype(float).where(np.arange(len(frame)) % 7 > 0, 0.0)
    frame.assign(label=label.where(frame["label"].notna()))[["account_id", "as_of", "label", "plan"]].to_csv(
        path, index=False
    )
    config = settings(tmp_path)
    assert own_features.train_champion(config, path).trained.champion.kind == "stack"
    scores = own_features.score(config, path, DATES[2], tmp_path / "run").scores
    plan = frame[frame["as_of"] == DATES[2]].set_index("account_id")["plan"]
    qualified = scores.set_index("account_id")["status"] == "qualified"
    assert qualified.any()
    assert set(plan[qualified[qualified].index]) == {"プロ"}


@pytest.mark.parametrize(("quarters", "first_month"), [(0, 1), (1, 1), (1, 2), (3, 1)])
def test_labels_are_known_from_the_end_of_their_horizon_on(tmp_path: Path, quarters: int, first_month: int):
    path = tmp_path / "features.csv"
    world(20).to_csv(path, index=False)
    config = settings(tmp_path, labels={"horizon_quarters": quarters}, company={"fiscal_year_start_month": first_month})
    table = open_table(path, config)
    data = training_data(table, config, default_now(table, config))
    for as_of in DATES[:-1]:
        end = horizon_end(as_of, quarters, first_month)
        for day, complete in ((end, True), (date.fromordinal(end.toordinal() - 1), False)):
            labels = data.labels_known(day)
            found = labels[labels["as_of"] == as_of]
            assert found["label"].notna().all() if complete else (found["state"] == "open").all()
    labels = data.labels_known(date(2100, 1, 1))
    assert (labels.loc[labels["as_of"] == NEWEST, "state"] == "open").all()


def test_now_is_the_day_when_all_labels_are_complete(tmp_path: Path):
    path = tmp_path / "features.csv"
    frame = world(10, dates=DATES[:3])
    frame.to_csv(path, index=False)
    assert default_now(open_table(path, settings(tmp_path)), settings(tmp_path)) == date(2025, 10, 1)
    frame.assign(label=np.nan).to_csv(path, index=False)
    assert default_now(open_table(path, settings(tmp_path)), settings(tmp_path)) == DATES[2]


def test_rows_after_now_are_not_seen(tmp_path: Path):
    path = tmp_path / "features.csv"
    world(30).to_csv(path, index=False)
    data = training_data(open_table(path, settings(tmp_path)), settings(tmp_path), date(2025, 7, 1))
    assert data.snapshots == tuple(DATES[:3])


def test_order_and_format_of_the_file_do_not_matter(trained: Trained, tmp_path: Path):
    shuffled = world().sample(frac=1.0, random_state=3)[::-1].assign(as_of=lambda f: pd.to_datetime(f["as_of"]))
    path = tmp_path / "features.parquet"
    shuffled.to_parquet(path)
    again = own_features.train_champion(trained.config.model_copy(update={"models_folder": tmp_path}), path)
    assert again.trained.champion.model_version == trained.training.trained.champion.model_version
