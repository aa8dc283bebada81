"""MLflow on a SQLite file in a temporary folder: what is logged, registered and fetched back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
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
from csql_ml.model.figures import Estimate
from csql_ml.model.training import Trained, train
from csql_ml.model.training_data import TrainingData
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.tuning import Tuning
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


def report(home: Path) -> list[Path]:
    """A page, and a folder of figures, to be kept with the second training."""
    page, figures = home / "model_report.html", home / "figures"
    page.write_text("<p>Zürich</p>", encoding="utf-8")
    figures.mkdir(exist_ok=True)
    (figures / "lift.svg").write_text("<svg/>", encoding="utf-8")
    return [page, figures]


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Logged:
    from csql_ml.model.tracking import log_training

    home = tmp_path_factory.mktemp("models")
    small = {"bootstrap": 20, "bags": 1, "test_snapshots": 1, "min_positives": 20, "reference_size": 30}
    config = Config.model_validate({"model": small, "models_folder": str(home)})
    data = [world(accounts=200, snapshots=4, hidden=1.5), world(accounts=150, snapshots=4)]
    tuning = Tuning("3 trials", 3, 1, TreeShape(leaves=5), Estimate(-0.002, -0.005, 0.001, 0.002), 40)
    trained = [train(data[0], config), replace(train(data[1], config), tuning=tuning)]
    assert [t.verdict.outcome for t in trained] == ["promote", "keep"]
    bundles = [save(t.champion, home / t.champion.kind) for t in trained]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        results = [
            log_training(t, d, config, b, CARD, attachments=report(home)[: 2 * place])
            for place, (t, d, b) in enumerate(zip(trained, data, bundles, strict=True))
        ]
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
    attached = {"model_report.html", "figures"}
    assert artifacts == {"model_card.md", "verdict.json", "label_funnel.csv", "champion", "challenger"} | attached
    drawn = logged.client.download_artifacts(run.info.run_id, "figures/lift.svg")
    assert Path(drawn).read_text(encoding="utf-8") == "<svg/>"
    card = logged.client.download_artifacts(run.info.run_id, "model_card.md")
    assert Path(card).read_text(encoding="utf-8") == CARD
    stored = Path(logged.client.download_artifacts(run.info.run_id, "verdict.json")).read_text(encoding="utf-8")
    assert json.loads(stored) == json.loads(json.dumps(verdict.to_dict()))


def test_the_run_holds_what_a_search_for_settings_found(logged):
    run, untuned = (logged.client.get_run(logged.results[place].run_id).data for place in (1, 0))
    told = {k: run.params[f"tune_{k}"] for k in ("budget", "trials", "pruned", "used", "leaves")}
    assert told == {"budget": "3 trials", "trials": "3", "pruned": "1", "used": "False", "leaves": "5"}
    difference = [run.metrics[f"tuning/log_loss_difference{end}"] for end in ("", "_low", "_high")]
    assert difference == [-0.002, -0.005, 0.001]
    assert not any("tun" in name for name in (*untuned.params, *untuned.metrics))


def test_nothing_tells_where_or_by_whom_it_was_trained(logged, project_root):
    run = logged.client.get_run(logged.results[0].run_id)
    assert not {"mlflow.user", "mlflow.source.name", "mlflow.source.git.commit"} & set(run.data.tags)
    home = logged.config.models_path
    for path in sorted((home / "mlartifacts").rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert str(project_root) not in text, path
            assert str(home) not in text, path


def moved(logged, folder: Path) -> Config:
    """The database and its artifacts in another folder; what else lies in the models folder is not needed."""
    shutil.copytree(logged.config.models_path / "mlartifacts", folder / "mlartifacts")
    shutil.copy(logged.config.models_path / "mlflow.db", folder / "mlflow.db")
    return logged.config.model_copy(update={"models_folder": str(folder)})


def test_a_models_folder_that_was_moved_keeps_its_registry(logged, tmp_path):
    from mlflow import MlflowClient

    from csql_ml.model.tracking import bundle_from, log_training

    config = moved(logged, tmp_path)
    champion = logged.trained[1].champion
    back = bundle_from("models:/csql@champion", config)
    assert back.is_relative_to(tmp_path)
    assert load(back).model_version == champion.model_version
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    source = client.get_model_version_download_uri("csql", "1")
    assert source.startswith((tmp_path / "mlartifacts").as_uri() + "/")
    new = log_training(logged.trained[1], logged.data[1], config, save(champion, tmp_path / "again"), CARD)
    assert client.get_run(new.run_id).info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri() + "/")
    assert new.model_version == logged.results[1].model_version
    first = logged.client.get_run(logged.results[0].run_id).info.artifact_uri
    assert first.startswith((logged.config.models_path / "mlartifacts").resolve().as_uri() + "/")


def test_a_database_that_lost_its_artifacts_says_what_to_do(logged, tmp_path):
    from csql_ml.model.tracking import bundle_from

    config = moved(logged, tmp_path)
    bundle_from("models:/csql/1", config)
    shutil.rmtree(tmp_path / "mlartifacts")
    with pytest.raises(BundleError, match=r"is registered, but its files are not at .*mlartifacts together with"):
        bundle_from("models:/csql/1", config)


WATCH = """
import json, os, socket, sys, time
from importlib.abc import MetaPathFinder

seen = {"hosts": [], "told": None}

def look_up(host, *rest, **more):
    seen["hosts"].append(str(host))
    raise OSError("no network in this test")

class Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "mlflow":
            seen["told"] = os.environ.get("MLFLOW_DISABLE_TELEMETRY")

socket.getaddrinfo = look_up
sys.meta_path.insert(0, Watch())
import csql_ml.model.tracking, csql_ml.model.training
from csql_ml.config import Config
from csql_ml.model.tracking_client import experiment_of, mlflow_client

seen["imported early"] = "mlflow" in sys.modules
config = Config.model_validate({"models_folder": sys.argv[1]})
with mlflow_client(config) as client:
    client.set_terminated(client.create_run(experiment_of(client, config)).info.run_id)
    client.create_registered_model("csql")
time.sleep(0.5)
print(json.dumps(seen))
"""


def hosts_looked_up(folder: Path, project_root: Path, **environment: str) -> dict:
    """What a process that logs and registers asks of the network; MLflow is silent in a known CI, so its marks go."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(project_root), **environment}
    command = [sys.executable, "-c", WATCH, str(folder)]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_mlflow_is_imported_late_and_no_telemetry_is_attempted(tmp_path, project_root):
    seen = hosts_looked_up(tmp_path, project_root)
    assert seen == {"hosts": [], "told": "true", "imported early": False}


@pytest.mark.slow
def test_telemetry_would_be_seen(tmp_path, project_root):
    """That nothing is attempted says something only if an attempt is noticed."""
    seen = hosts_looked_up(tmp_path, project_root, MLFLOW_DISABLE_TELEMETRY="false")
    assert any("telemetry" in host for host in seen["hosts"])


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


def test_logging_writes_nothing_to_the_terminal(logged):
    """Neither when the database is made nor when MLflow first describes a model."""
    assert logged.said == ""
