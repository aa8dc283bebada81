"""MLflow on a SQLite file in a temporary folder: what is logged, registered and fetched back."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from csql_ml.config import Config
from csql_ml.errors import BundleError, CsqlError
from csql_ml.model.bundle import load, save
from csql_ml.model.training import Trained, train
from csql_ml.model.training_data import TrainingData
from tests.model.training_world import world

# One worker imports MLflow and makes the database, once.
CARD = "# Model card\n\nZürich\n"


@dataclass
class Logged:
    """A training with a promoted model, and one after it in which the rules stayed."""

    config: Config
    trained: list[Trained]
    data: list[TrainingData]
    results: list
    client: object
    said: str


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Logged:
    from csql_ml.model.tracking import log_training

    home = tmp_path_factory.mktemp("models")
    small = {"bootstrap": 20, "bags": 1, "test_snapshots": 1, "min_positives": 20, "reference_size": 30}
    config = Config.model_validate({"model": small, "models_folder": str(home)})
    data = [world(accounts=200, snapshots=4, hidden=1.5), world(accounts=150, snapshots=4)]
    trained = [train(d, config) for d in data]
    assert [t.verdict.outcome for t in trained] == ["promote", "keep"]
    bundles = [save(t.champion, home / t.champion.kind) for t in trained]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        results = [log_training(t, d, config, b, CARD) for t, d, b in zip(trained, data, bundles, strict=True)]
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    return Logged(config, trained, data, results, client, said.getvalue())


def aliases(logged) -> dict[str, str]:
    return {alias: str(version) for alias, version in logged.client.get_registered_model("csql").aliases.items()}


def test_the_promoted_version_was_the_champion_and_remembers_nothing_before_it(logged):
    promoted = logged.results[0]
    assert (promoted.model_version, promoted.challenger_version) == ("1", None)
    tags = logged.client.get_model_version("csql", "1").tags
    assert tags["kind"] == "stack"
    assert "previous_champion" not in tags


def test_aliases_follow_the_newest_training(logged):
    kept = logged.results[1]
    assert aliases(logged) == {"champion": kept.model_version, "challenger": kept.challenger_version}
    champion = logged.client.get_model_version("csql", kept.model_version)
    assert champion.tags["kind"] == "rules"
    assert champion.tags["previous_champion"] == "1"
    assert logged.client.get_model_version("csql", kept.challenger_version).tags["kind"] == "stack"


def test_a_registered_model_comes_back_as_the_same_bundle(logged):
    from csql_ml.model.tracking import bundle_from

    promoted, kept = logged.trained
    for uri, champion in (
        ("models:/csql/1", promoted.champion),
        ("models:/csql@champion", kept.champion),
        ("models:/csql@challenger", kept.challenger),
    ):
        folder = bundle_from(uri, logged.config)
        assert folder.is_relative_to(logged.config.models_path)
        assert load(folder).model_version == champion.model_version


def test_rolling_back_is_setting_an_alias(logged):
    from csql_ml.model.tracking import bundle_from

    now = logged.results[1].model_version
    before = logged.client.get_model_version("csql", now).tags["previous_champion"]
    logged.client.set_registered_model_alias("csql", "champion", before)
    try:
        back = load(bundle_from("models:/csql@champion", logged.config))
    finally:
        logged.client.set_registered_model_alias("csql", "champion", now)
    assert back.model_version == logged.trained[0].champion.model_version


def test_the_pyfunc_loads_without_pickle_and_says_the_same(logged, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    source = logged.client.get_model_version_download_uri("csql", "1")
    served = mlflow.pyfunc.load_model(source)
    data, champion = logged.data[0], logged.trained[0].champion
    rows = data.frame[data.columns].head(20).copy()
    rows.loc[3, "hidden"] = np.nan
    said = served.predict(rows)
    assert np.array_equal(said["propensity"], champion.propensity(rows))
    assert np.array_equal(said["baseline_score"], champion.baseline_score(rows))
    types = {column.name: column.type.name for column in served.metadata.signature.inputs}
    assert types == {c: "string" if c == "segment" else "double" for c in data.columns}


def test_the_run_holds_parameters_figures_and_artifacts(logged):
    run = logged.client.get_run(logged.results[1].run_id)
    verdict = logged.trained[1].verdict
    assert run.info.status == "FINISHED"
    assert run.data.params["reason"] == verdict.reason
    assert run.data.params["dataset_fingerprint"] == logged.data[1].fingerprint()
    assert run.inputs.dataset_inputs[0].dataset.digest == logged.data[1].fingerprint()[:36]
    for judged in ("model", "logistic", "baseline"):
        expected = verdict.figures.of[judged]["log_loss"]
        assert run.data.metrics[f"{judged}/log_loss"] == expected.value
        assert run.data.metrics[f"{judged}/log_loss_low"] == expected.low
        folds = logged.client.get_metric_history(run.info.run_id, f"{judged}/fold_log_loss")
        assert [m.value for m in folds] == [f.log_loss[judged] for f in verdict.folds]
    artifacts = {a.path for a in logged.client.list_artifacts(run.info.run_id)}
    assert artifacts == {"model_card.md", "verdict.json", "label_funnel.csv", "champion", "challenger"}
    card = logged.client.download_artifacts(run.info.run_id, "model_card.md")
    assert Path(card).read_text(encoding="utf-8") == CARD
    stored = Path(logged.client.download_artifacts(run.info.run_id, "verdict.json")).read_text(encoding="utf-8")
    assert json.loads(stored) == json.loads(json.dumps(verdict.to_dict()))


def test_nothing_tells_where_or_by_whom_it_was_trained(logged, project_root):
    run = logged.client.get_run(logged.results[0].run_id)
    assert not {"mlflow.user", "mlflow.source.name", "mlflow.source.git.commit"} & set(run.data.tags)
    home = logged.config.models_path
    for path in sorted((home / "mlartifacts").rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert str(project_root) not in text, path
            assert str(home) not in text, path


@pytest.mark.parametrize("uri", ["models:/csql", "csql@champion", "runs:/abc/model", "models:/a/b@champion"])
def test_another_kind_of_address_is_refused(logged, uri):
    from csql_ml.model.tracking import bundle_from

    with pytest.raises(BundleError, match=r"expected models:/<name>@champion or models:/<name>/<version>"):
        bundle_from(uri, logged.config)


@pytest.mark.parametrize(("uri", "missing"), [("models:/csql@nobody", "nobody"), ("models:/csql/99", "99")])
def test_what_is_not_registered_is_named(logged, uri, missing):
    from csql_ml.model.tracking import bundle_from

    with pytest.raises(BundleError, match=missing):
        bundle_from(uri, logged.config)


def test_a_failed_logging_ends_its_run_as_failed(logged, tmp_path):
    from csql_ml.model.tracking import log_training

    another = replace(logged.trained[0], champion=replace(logged.trained[0].champion, threshold=0.987))
    with pytest.raises(FileNotFoundError):
        log_training(another, logged.data[0], logged.config, tmp_path / "no bundle", CARD)
    with sqlite3.connect(logged.config.models_path / "mlflow.db") as database:
        states = [s for (s,) in database.execute("SELECT status FROM runs ORDER BY start_time")]
    assert states == ["FINISHED", "FINISHED", "FAILED"]
    assert aliases(logged)["champion"] == logged.results[1].model_version


def test_an_unusable_tracking_address_is_one_clear_error(logged, tmp_path):
    from csql_ml.model.tracking import log_training

    config = logged.config.model_copy(
        update={"tracking": logged.config.tracking.model_copy(update={"uri": "nonsense://x"})}
    )
    with pytest.raises(CsqlError, match=r"cannot be logged: MLflow at nonsense://x says: .*check tracking\.uri"):
        log_training(logged.trained[0], logged.data[0], config, tmp_path, CARD)


def test_importing_it_does_not_import_mlflow():
    code = "import sys, csql_ml.model.tracking, csql_ml.model.training; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_logging_writes_nothing_to_the_terminal(logged):
    """Neither when the database is made nor when MLflow first describes a model."""
    assert logged.said == ""
