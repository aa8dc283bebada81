"""Metrics of one's own through the main job: features, training, card, scores, reasons, gates, terminal and pages."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rich.console import Console

from csql_ml import config as configuration
from csql_ml import pipeline, printing
from csql_ml.errors import ConfigError, OutputError
from csql_ml.reports import report
from csql_ml.reports.filenames import page_name
from csql_ml.reports.run_folder import own_metrics_of
from csql_ml.run_files import read_manifest
from csql_ml.simulate import END, simulate, write_config
from tests.small_company import ACCOUNTS, CONTRACTS, FIRST_EVENT, SETTINGS, rows, settings_for, write_tables

#: One metric in YAML, one in Python; heavy in the score, so that they are reasons.
YAML: dict[str, Any] = {
    "workflow_volume": {
        "signal": "workflows",
        "measure": "count",
        "window": [30, 90],
        "label": "workflows run",
        "direction": 1,
        "part": "success",
        "threshold": 20,
        "gate": "value_proven",
        "score": {"part": "engagement", "zero_at": 0, "full_at": 400, "weight": 20},
        "actionable": True,
    }
}
PYTHON = """
from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric, Ramp
from csql_ml.metrics.from_config import amount_of

workflows_per_seat = Metric(
    name="workflows_per_seat",
    part="success",
    direction=+1,
    unit="count",
    formula=lambda at: M.ratio(at(amount_of("workflows", "count")), at(M.SEATS)),
    label="workflows per seat",
    description="Workflow events / licensed seats.",
    sentence="{value} workflows per seat in 30 days ({workflows} on {seats} seats)",
    windows=(30,),
    facts={"workflows": amount_of("workflows", "count"), "seats": M.SEATS},
    ramp=Ramp("intent", 0.0, 20.0, weight=20.0),
)
"""
COLUMNS = ("", "_90d", "_previous", "_change", "_reached")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a simulated company with two metrics of its own."""
    folder = tmp_path_factory.mktemp("own")
    simulate(folder / "data", accounts=60, quarters=4, seed=3)
    path = write_config(folder / "config.yaml", folder="data", models_folder="models")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["signals"]["own"] = {"workflows": {"events": ["workflow_started", "workflow_completed"]}}
    content |= {"own_metrics": YAML, "metric_files": "mine.py", "activity_folder": "activity"}
    content["model"] = {"min_positives": 5, "bootstrap": 20, "bags": 1}
    content["tracking"] = {"enabled": False}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "mine.py").write_text(PYTHON, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def training(path: Path) -> pipeline.Training:
    return pipeline.train_champion(configuration.load(path))


@pytest.fixture(scope="module")
def run(path: Path, training: pipeline.Training) -> pipeline.Run:
    return pipeline.score(configuration.load(path), END, path.parent / "run")


@pytest.fixture(scope="module")
def records(run: pipeline.Run) -> list[dict[str, Any]]:
    lines = (run.out / "accounts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_champion_knows_their_columns_directions_and_score_terms(training: pipeline.Training) -> None:
    champion = training.trained.champion
    features = {f.name: f.direction for f in champion.features if f.metric in ("workflow_volume", "workflows_per_seat")}
    names = {f"workflow_volume{c}" for c in COLUMNS if c != "_previous"} | {"workflows_per_seat"}
    assert features == dict.fromkeys(names, 1)
    terms = {t.feature: (t.part, t.weight) for t in champion.terms}
    assert terms["workflow_volume"] == ("engagement", 20.0)
    assert terms["workflows_per_seat"] == ("intent", 20.0)


def test_the_model_card_calls_them_by_their_labels(training: pipeline.Training) -> None:
    card = training.card.read_text(encoding="utf-8")
    assert "| `workflow_volume_90d` | workflows run | more speaks for |" in card
    assert "| `workflows_per_seat` | workflows per seat | more speaks for |" in card


def reasons_of(records: list[dict[str, Any]], metric: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(r, reason) for r in records for reason in r["reasons"] if reason["metric"] == metric]


def test_they_are_reasons_with_their_numbers_and_their_points_are_stored(
    run: pipeline.Run, records: list[dict[str, Any]]
) -> None:
    found = reasons_of(records, "workflow_volume")
    assert found
    for _, reason in found:
        assert (reason["unit"], reason["threshold"], reason["window_days"]) == ("count", 20.0, 30)
        assert reason["source"] == "events"
        assert isinstance(reason["previous_value"], int | float)
    stored = pd.read_parquet(run.out / "explanations.parquet")
    assert {"workflow_volume", "workflows_per_seat"} <= set(stored["metric"])
    assert set(reasons_of(records, "workflows_per_seat")[0][1]["facts"]) >= {"workflows", "seats"}


def test_they_open_the_gate_they_name(records: list[dict[str, Any]]) -> None:
    opened = [g["because"] for r in records for g in r["gates"] if g["gate"] == "value_proven"]
    assert any("workflow_volume" in because for because in opened)


def said(path: Path, run: pipeline.Run, account: str) -> str:
    manifest, record = pipeline.account_record(run.out, account)
    console = Console(width=200, record=True, file=StringIO())
    for part in printing.account(record, manifest, configuration.load(path)).text:
        console.print(part)
    return console.export_text()


def test_terminal_and_page_say_their_sentences(path: Path, run: pipeline.Run, records: list[dict[str, Any]]) -> None:
    record, reason = reasons_of(records, "workflow_volume")[0]
    value, before = (f"{reason[k]:,}" for k in ("value", "previous_value"))
    sentence = f"Workflows run in 30 days: {value}; in the 30 days before: {before}"
    assert sentence in said(path, run, record["account_id"])
    out = path.parent / "site"
    report(run.out, out, language="en", config=configuration.load(path))
    assert sentence in (out / "account" / page_name(record["account_id"])).read_text(encoding="utf-8")
    other = reasons_of(records, "workflows_per_seat")[0][0]
    assert "workflows per seat in 30 days (" in said(path, run, other["account_id"])


def test_the_report_says_what_was_true_when_the_run_was_made_and_runs_no_code(
    path: Path, run: pipeline.Run, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["own_metrics"]["workflow_volume"]["label"] = "something else"
    content["metric_files"] = "raises.py"
    later = path.with_name("later.yaml")
    later.write_text(yaml.safe_dump(content), encoding="utf-8")
    path.with_name("raises.py").write_text("raise RuntimeError", encoding="utf-8")
    report(run.out, tmp_path / "site", language="en", config=configuration.load(later))
    account = reasons_of(records, "workflow_volume")[0][0]["account_id"]
    page = (tmp_path / "site" / "account" / page_name(account)).read_text(encoding="utf-8")
    assert "Workflows run in 30 days: " in page
    with pytest.raises(ConfigError, match=r"raises\.py, line 1: RuntimeError"):
        pipeline.score(configuration.load(later), END, tmp_path / "run")


def test_the_run_is_another_one_when_the_words_are(path: Path, run: pipeline.Run, tmp_path: Path) -> None:
    mine = path.with_name("mine.py")
    mine.write_text(PYTHON.replace('"workflows per seat"', '"workflows a seat"'), encoding="utf-8")
    try:
        other = pipeline.score(configuration.load(path), END, tmp_path / "other")
    finally:
        mine.write_text(PYTHON, encoding="utf-8")
    assert other.manifest["run_id"] != run.manifest["run_id"]
    assert other.manifest["own_metrics"]["workflows_per_seat"]["label"] == "workflows a seat"


@pytest.mark.parametrize(
    "face",
    [
        {"label": "x"},
        "x",
        {
            "name": "workflow_volume",
            "label": "x",
            "sentence": "{value.__class__}",
            "unit": "count",
            "direction": 1,
            "shown": True,
        },
    ],
)
def test_a_manifest_changed_by_hand_is_refused(run: pipeline.Run, tmp_path: Path, face: Any) -> None:
    manifest = {**read_manifest(run.out), "own_metrics": {"workflow_volume": face}}
    with pytest.raises(OutputError, match=r"manifest\.json: own_metrics: metric workflow_volume.*; score again"):
        own_metrics_of(manifest)


def test_csql_check_says_what_an_own_metric_loses(tmp_path: Path) -> None:
    definitions = {
        name: {"signal": signal, "measure": "users", "label": name, "direction": 1}
        for name, signal in {"clicks": "gated_clicks", "starts": "workflow_starts"}.items()
    }
    tables = {"accounts": rows(ACCOUNTS), "contracts": rows(CONTRACTS), "events": rows(FIRST_EVENT)}
    write_tables(tmp_path, tables)
    signals = {**SETTINGS["signals"], "gated_clicks": []}
    checked = pipeline.check(settings_for(tmp_path, list(tables), signals=signals, own_metrics=definitions))
    assert checked.unavailable["clicks"] == ("signals.gated_clicks is not mapped",)
    assert "starts" not in checked.unavailable
