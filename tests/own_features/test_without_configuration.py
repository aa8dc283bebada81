"""A feature table needs nothing beside it: no other table, no configuration, no date."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from csql_ml.cli import main
from csql_ml.run_files import read_manifest
from tests.own_features.world import NEWEST, Trained, world

TABLE = "features.csv"
Capture = pytest.CaptureFixture[str]


def csql(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


@pytest.fixture
def empty(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table and the models of a training, and nothing else; commands run there."""
    shutil.copytree(trained.config.models_path, tmp_path / "models")
    shutil.copy(trained.table, tmp_path / TABLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_is_scored_explained_and_reported(empty: Path, capsys: Capture) -> None:
    assert csql(capsys, "score", "--features", TABLE, "--out", "run", "--json")[0] == 0
    manifest = read_manifest(empty / "run")
    assert manifest["as_of"] == NEWEST.isoformat()
    account = pd.read_parquet(empty / "run" / "scores.parquet")["account_id"][0]
    code, said, _ = csql(capsys, "explain", "--run", "run", "--account", account)
    assert code == 0
    assert "the feature table" in said
    assert csql(capsys, "report", "--run", "run", "--out", "site", "--lang", "de")[0] == 0
    (page,) = (empty / "site").rglob(f"*{account}*.html")
    assert "die Merkmalstabelle" in page.read_text("utf-8")
    assert {p.name for p in empty.iterdir() if p.suffix != ".lock"} == {"models", "run", "site", TABLE}


@pytest.mark.parametrize(
    ("arguments", "lacking"),
    [
        (("train",), "--config"),
        (("score", "--as-of", "2026-04-01", "--out", "run"), "--config"),
        (("explain", "--run", "of-tables", "--account", "a"), "--config"),
        (("report", "--run", "of-tables", "--out", "site"), "--config"),
        (("score", "-c", "any.yaml", "--out", "run"), "--as-of"),
    ],
)
def test_what_is_no_feature_table_needs_more(
    arguments: tuple[str, ...], lacking: str, empty: Path, capsys: Capture
) -> None:
    csql(capsys, "score", "--features", TABLE, "--out", "of-tables", "--json")
    manifest = json.loads((empty / "of-tables" / "manifest.json").read_text())
    del manifest["own_features"]
    (empty / "of-tables" / "manifest.json").write_text(json.dumps(manifest))
    (empty / "any.yaml").write_text("models_folder: models\n")
    code, out, err = csql(capsys, *arguments)
    assert (code, out) == (2, "")
    assert f"missing option {lacking}" in err
    assert not (empty / "site").exists()
    assert not (empty / "run").exists()


@pytest.mark.slow
def test_training_with_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    world(dates=[NEWEST]).to_csv("table.csv", index=False)
    code, out, _ = csql(capsys, "train", "--features", "table.csv", "--json")
    assert code == 0
    assert (tmp_path / json.loads(out)["bundle"]).is_dir()
    assert {p.name for p in tmp_path.iterdir()} == {"models", "table.csv"}
