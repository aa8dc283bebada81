"""Scoring a feature table of one's own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from csql_ml import own_features, pipeline, printing
from csql_ml.own_features.table import open_table
from csql_ml.reports import report
from csql_ml.run_files import RUN_FILES
from csql_ml.scoring import SCORE_COLUMNS
from tests.own_features.world import CONFIG, DATES, NEWEST, Trained, settings, world


@pytest.fixture(scope="module")
def run(trained: Trained) -> pipeline.Run:
    return own_features.score(trained.config, trained.table, NEWEST, trained.folder / "run")


def test_a_run_has_the_files_and_columns_of_any_other(run: pipeline.Run):
    assert {p.name for p in run.out.iterdir()} == set(RUN_FILES)
    scores = pd.read_parquet(run.out / "scores.parquet")
    assert tuple(scores.columns) == SCORE_COLUMNS
    assert list(scores["account_id"]) == sorted(scores["account_id"])
    assert set(scores["status"]) == {"qualified", "not_yet"}
    assert scores["lead_type"].isna().all()
    assert scores["expected_arr"].isna().all()
    assert (scores["failed_gates"] == "").all()
    assert (scores["risk_flags"] == "").all()
    assert set(scores["csm_id"]) == {"csm0", "csm1", "csm2", "csm3"}
    assert sorted(scores.loc[scores["csm_id"] == "csm1", "rank_in_portfolio"]) == list(range(1, 41))
    assert len(run.leads) == (scores["status"] == "qualified").sum() > 0
    assert run.manifest["own_features"] is True


def test_points_add_up(run: pipeline.Run):
    explanations = pd.read_parquet(run.out / "explanations.parquet")
    sums = explanations.groupby("account_id")["points"].sum()
    propensity = run.scores.set_index("account_id")["propensity"]
    assert np.abs(sums - propensity).max() < 1e-9
    assert {"usage", "plan", "trial", "noise", "state", "reference"} == set(explanations["metric"])
    assert explanations.loc[explanations["metric"] == "state", "value_text"].isin(["CA", "NY"]).all()


def test_accounts_can_be_explained_and_reported(run: pipeline.Run, trained: Trained, tmp_path: Path):
    account = run.leads[0]["account_id"]
    manifest, record = pipeline.account_record(run.out, account)
    assert record["gates"] == []
    assert record["hypothesis"] is None
    told = record["reference"] + sum(r["points"] for r in record["reasons"]) + record["other_points"]
    assert told == pytest.approx(record["propensity"], abs=1e-9)
    assert printing.account(record, manifest, trained.config).text
    assert json.loads((run.out / "leads.jsonl").read_text(encoding="utf-8").splitlines()[0])["account_id"] == account
    summary = report(run.out, tmp_path / "site", language="en", config=trained.config)
    assert summary.accounts == len(run.scores)


def test_ids_keep_their_leading_zeros(run: pipeline.Run):
    assert run.scores["account_id"].iloc[7] == "00007"


def test_another_process_writes_the_same_bytes(run: pipeline.Run, trained: Trained, tmp_path: Path):
    """Through the command line, from training on."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    common = ["--config", str(tmp_path / "config.yaml"), "--features", str(trained.table), "--json"]
    commands = (["train", *common], ["score", *common, "--as-of", NEWEST.isoformat(), "--out", str(tmp_path / "run")])
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "csql_ml", *command],
            check=True,
            capture_output=True,
            cwd=Path(__file__).parents[2],
        )
    assert digests(tmp_path / "run") == digests(run.out)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_expected_arr_is_the_open_amount_else_the_share_of_arr(trained: Trained, tmp_path: Path):
    frame = world()
    won = frame["label"] == 1
    arr = pd.Series(np.where(frame.index % 2 == 0, 20_000.0, 40_000.0))
    amount = (0.3 * arr).where(won)
    newest = frame.index[frame["as_of"] == NEWEST]
    amount[newest[0]] = 999.0
    path = tmp_path / "features.csv"
    frame.assign(amount=amount, arr=arr).to_csv(path, index=False)
    config = settings(tmp_path)
    champion = own_features.train_champion(config, path).trained.champion
    assert champion.arr_share["upsell"] == pytest.approx(0.3), "the company's own wins say better than the default"
    scores = own_features.score(config, path, NEWEST, tmp_path / "run").scores
    per_win = (scores["expected_arr"] / scores["propensity"]).round(6).tolist()
    assert per_win[:3] == [999.0, 12_000.0, 6_000.0]


def test_group_columns_are_portfolios_and_not_features(tmp_path: Path):
    path = tmp_path / "features.csv"
    world(12).rename(columns={"csm_id": "team"}).to_csv(path, index=False)
    table = open_table(path, settings(tmp_path, model={"group": ["team", "plan"]}))
    assert set(table.rows["portfolio"]) == {"csm0", "csm1", "csm2", "csm3"}
    assert table.names == ("usage", "trial", "noise", "state")
    assert table.yes_or_no == {"trial"}


def test_a_score_reads_only_its_own_date(trained: Trained, tmp_path: Path):
    frame, day = world(), DATES[1]
    frame.loc[frame["as_of"] != day, "usage"] += 1.0
    path = tmp_path / "features.csv"
    frame.to_csv(path, index=False)
    before = own_features.score(trained.config, trained.table, day, tmp_path / "before")
    after = own_features.score(trained.config, path, day, tmp_path / "after")
    assert len(after.scores) == 160
    assert digests(after.out) == digests(before.out)


@pytest.mark.parametrize("plan", ["7", "Yes"])
def test_scoring_reads_columns_as_the_model_learned_them(trained: Trained, tmp_path: Path, plan: str):
    """A category whose newest values happen to look like numbers stays a category; an empty number stays missing."""
    frame = world(dates=[NEWEST]).assign(plan=plan, usage=np.nan)
    path = tmp_path / "features.csv"
    frame.to_csv(path, index=False)
    scores = own_features.score(trained.config, path, NEWEST, tmp_path / "run").scores
    assert np.isfinite(scores["propensity"]).all()
    explanations = pd.read_parquet(tmp_path / "run" / "explanations.parquet")
    assert set(explanations.loc[explanations["metric"] == "plan", "value_text"]) == {plan}
