"""The main job end to end on a small simulated company: it runs, it adds up, and it is the same every time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.errors import BundleError
from csql_ml.simulate import END, simulate, write_config

SCORES = [
    "account_id",
    "as_of",
    "run_id",
    "model_version",
    "propensity",
    "baseline_score",
    "percentile",
    "band",
    "rank",
    "rank_in_portfolio",
    "expected_arr",
    "status",
    "lead_type",
    "risk_flags",
    "failed_gates",
    "csm_id",
]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a simulated company; models go to a folder of their own."""
    folder = tmp_path_factory.mktemp("company")
    simulate(folder / "data", accounts=120, quarters=6, seed=3)
    return write_config(folder / "config.yaml", folder="data", models_folder="models")


@pytest.fixture(scope="module")
def trained(company: Path) -> pipeline.Training:
    return pipeline.train_champion(configuration.load(company))


@pytest.fixture(scope="module")
def run(company: Path, trained: pipeline.Training) -> pipeline.Run:
    return pipeline.score(configuration.load(company), END, company.parent / "run")


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_training_writes_a_bundle_a_card_and_a_pointer(trained: pipeline.Training) -> None:
    models = trained.bundle.parent
    assert trained.bundle.is_dir()
    assert trained.card.read_text(encoding="utf-8").startswith("#")
    pointer = json.loads((models / "champion.json").read_text(encoding="utf-8"))
    assert pointer == {"bundle": trained.bundle.name, "model_version": trained.trained.champion.model_version}
    assert trained.mlflow is not None


def test_training_twice_gives_the_same_bundle(company: Path, trained: pipeline.Training) -> None:
    before = digests(trained.bundle)
    again = pipeline.train_champion(configuration.load(company))
    assert again.bundle == trained.bundle
    assert digests(again.bundle) == before
    assert again.trained.verdict.to_dict() == trained.trained.verdict.to_dict()


def test_the_run_has_the_files_and_columns_of_the_contract(run: pipeline.Run) -> None:
    assert sorted(digests(run.out)) == [
        "accounts.jsonl",
        "explanations.parquet",
        "leads.jsonl",
        "manifest.json",
        "scores.parquet",
    ]
    scores = pd.read_parquet(run.out / "scores.parquet")
    assert list(scores.columns) == SCORES
    assert scores["account_id"].is_unique
    assert sorted(scores["rank"]) == list(range(1, len(scores) + 1))
    assert scores["propensity"].between(0, 1).all()
    explanations = pd.read_parquet(run.out / "explanations.parquet")
    assert list(explanations.columns)[:6] == ["account_id", "metric", "value", "previous_value", "points", "rank"]


def test_points_of_an_account_sum_to_its_propensity(run: pipeline.Run) -> None:
    explanations = pd.read_parquet(run.out / "explanations.parquet")
    summed = explanations.groupby("account_id")["points"].sum()
    scores = pd.read_parquet(run.out / "scores.parquet").set_index("account_id")["propensity"]
    assert (summed - scores).abs().max() < 1e-9
    for record in records(run.out / "accounts.jsonl"):
        parts = record["reference"] + sum(r["points"] for r in record["reasons"]) + record["other_points"]
        assert parts == pytest.approx(record["propensity"], abs=1e-9)


def test_leads_are_the_qualified_accounts_by_rank(run: pipeline.Run) -> None:
    scores = pd.read_parquet(run.out / "scores.parquet").sort_values("rank")
    qualified = scores.loc[scores["status"] == "qualified", "account_id"].tolist()
    leads = records(run.out / "leads.jsonl")
    assert [lead["account_id"] for lead in leads] == qualified
    for lead in leads:
        assert {"proof_of_value", "trigger_event", "expansion_hypothesis", "stakeholders", "route"} <= set(lead)
        assert lead["lead_source"] == "CSQL"
    assert (scores.loc[scores["status"] == "held_for_risk", "risk_flags"] != "").all()


def test_the_manifest_counts_and_fingerprints_every_file(run: pipeline.Run) -> None:
    manifest = json.loads((run.out / "manifest.json").read_text(encoding="utf-8"))
    found = digests(run.out)
    assert manifest["sha256"] == {name: found[name] for name in manifest["sha256"]}
    assert manifest["rows"]["scores.parquet"] == len(run.scores)
    assert sum(manifest["counts"].values()) == len(run.scores)
    assert manifest["as_of"] == END.isoformat()


def test_scoring_again_gives_the_same_bytes_in_this_and_in_another_process(company: Path, run: pipeline.Run) -> None:
    again = pipeline.score(configuration.load(company), END, company.parent / "again")
    command = [sys.executable, "-m", "csql_ml", "score", "-c", str(company), "--as-of", END.isoformat()]
    other = company.parent / "other"
    done = subprocess.run([*command, "--out", str(other), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run_id"] == run.manifest["run_id"]
    assert digests(run.out) == digests(again.out) == digests(other)


def test_news_after_the_date_do_not_change_a_run(company: Path, trained: pipeline.Training) -> None:
    early = date(2026, 7, 1)
    config = configuration.load(company)
    before = pipeline.score(config, early, company.parent / "early", str(trained.bundle)).manifest
    shorter = _without_events_since(company, early)
    after = pipeline.score(configuration.load(shorter), early, company.parent / "early2", str(trained.bundle)).manifest
    # The run id differs, because fewer rows were set aside; what the run says of accounts does not.
    assert before["quarantined_rows"] != after["quarantined_rows"]
    same = ("rows", "counts", "newest_event", "accounts_without_contract", "model_version")
    assert {k: before[k] for k in same} == {k: after[k] for k in same}
    for name in ("explanations.parquet", "accounts.jsonl"):
        assert before["sha256"][name] == after["sha256"][name]


def _without_events_since(company: Path, day: date) -> Path:
    """The same company without the event files of the months that begin on or after a day."""
    folder = company.parent / "shorter"
    (folder / "data" / "events").mkdir(parents=True)
    for path in sorted((company.parent / "data").rglob("*.parquet")):
        if path.parent.name == "events" and path.stem >= day.isoformat():
            continue
        target = folder / "data" / path.relative_to(company.parent / "data")
        target.write_bytes(path.read_bytes())
    return write_config(folder / "config.yaml", folder="data", models_folder="models")


def test_scoring_works_on_day_one_and_says_that_nothing_was_learned(company: Path, tmp_path: Path) -> None:
    config = configuration.load(
        write_config(tmp_path / "c.yaml", folder=str(company.parent / "data"), models_folder="m")
    )
    run = pipeline.score(config, END, tmp_path / "run")
    assert run.manifest["champion_kind"] == "rules"
    assert run.manifest["labels_seen"] is False
    assert set(run.scores["status"]) <= {"qualified", "not_yet", "held_for_risk", "ineligible"}
    order = run.scores.sort_values("rank")
    assert order.loc[order["status"] != "ineligible", "baseline_score"].is_monotonic_decreasing


def test_a_pointer_out_of_the_models_folder_is_refused(company: Path, tmp_path: Path) -> None:
    config = configuration.load(
        write_config(tmp_path / "c.yaml", folder=str(company.parent / "data"), models_folder="m")
    )
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "champion.json").write_text('{"bundle": "../elsewhere"}', encoding="utf-8")
    with pytest.raises(BundleError, match="not a folder beside it"):
        pipeline.score(config, END, tmp_path / "run")
    assert not (tmp_path / "run").exists()
