"""The whole main job on a third party's data set, where the folder with it stands beside the project.

Its labels are close to noise, so the right ending is an honest one: no usable signal, the rules stay.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.reports import report

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "ravenstack"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the data set is not in ../shared/data/ravenstack"),
]


def test_check_train_score_and_report_end_with_an_honest_verdict(tmp_path: Path) -> None:
    text = (ROOT / "configs" / "ravenstack.yaml").read_text(encoding="utf-8")
    path = tmp_path / "ravenstack.yaml"
    folder = "  folder: ../../shared/data/ravenstack"
    assert folder in text
    models = "models_folder: ../models/ravenstack"
    assert models in text
    path.write_text(
        text.replace(folder, f"  folder: {DATA}").replace(models, "models_folder: models"), encoding="utf-8"
    )
    config = configuration.load(path)

    checked = pipeline.check(config, tmp_path / "bad")
    dirt = {(t["table"], p["kind"]) for t in checked.tables for p in t["problems"]}
    assert checked.broken is None
    assert {("events", "conflicting_duplicate"), ("events", "before_first_contract")} <= dirt
    assert (tmp_path / "bad" / "events.parquet").is_file()

    training = pipeline.train_champion(config)
    verdict = training.trained.verdict
    assert (verdict.outcome, verdict.reason) == ("keep", "no_usable_signal")
    assert training.trained.champion.kind == "rules"
    assert "no usable signal" in verdict.paragraph()

    run = pipeline.score(config, date(2025, 1, 1), tmp_path / "run")
    assert run.manifest["champion_kind"] == "rules"
    assert run.manifest["rows"]["scores.parquet"] == len(run.scores) > 300
    pages = report(run.out, tmp_path / "site", language="en", config=config)
    assert pages.accounts == len(run.scores)
    first = json.loads((run.out / "accounts.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert {g["gate"]: g["state"] for g in first["gates"]}["buyer_identified"] == "not_checked"
