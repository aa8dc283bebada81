"""MLflow's own processes: a tracking server on SQLite, and a registered model that answers over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csql_ml.config import Config
from csql_ml.errors import CsqlError
from csql_ml.model.bundle import load, save
from csql_ml.model.training import Trained, train
from csql_ml.model.training_data import TrainingData
from tests.model.training_world import world

pytestmark = pytest.mark.slow
PATIENCE = 180.0


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def answered(url: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextmanager
def mlflow_process(arguments: list[str], alive: str, home: Path, **environment: str) -> Iterator[None]:
    """A process of MLflow's command line, once it answers; its environment must be on PATH (`--env-manager local`)."""
    root = Path(__file__).resolve().parents[2]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    own = {**os.environ, **quiet, "PATH": path, "PYTHONPATH": str(root), **environment}
    log = home / f"{arguments[0]}.log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "mlflow", *arguments]
        child = subprocess.Popen(command, env=own, cwd=home, stdout=out, stderr=out, start_new_session=True)
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(alive):
            assert child.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, f"no answer in time: {log.read_text()[-2000:]}"
            time.sleep(0.5)
        yield
    finally:
        os.killpg(child.pid, 15)  # with its workers
        child.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return answered(url)[0] == 200
    except OSError:
        return False


@dataclass
class Server:
    """A tracking server with a promoted model and, after it, a training in which the rules stayed."""

    config: Config
    home: Path
    data: TrainingData
    trained: list[Trained]
    versions: list[tuple[str, str | None]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from csql_ml.model.tracking import log_training

    home = tmp_path_factory.mktemp("server")
    address = f"http://127.0.0.1:{free_port()}"
    small = {"bootstrap": 20, "bags": 1, "test_snapshots": 1, "min_positives": 20, "reference_size": 30, "refits": 0}
    config = Config.model_validate(
        {"model": small, "models_folder": str(home / "models"), "tracking": {"uri": address}}
    )
    data = [world(accounts=200, snapshots=4, hidden=1.5), world(accounts=150, snapshots=4)]
    trained = [train(d, config) for d in data]
    store = ["--backend-store-uri", f"sqlite:///{home / 'server.db'}", "--artifacts-destination", str(home / "kept")]
    where = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--workers", "1"]
    with mlflow_process(["server", *store, *where], f"{address}/health", home):
        results = [
            log_training(t, d, config, save(t.champion, home / t.champion.kind), "# Card\n")
            for t, d in zip(trained, data, strict=True)
        ]
        versions = [(r.model_version, r.challenger_version) for r in results]
        yield Server(config, home, data[0], trained, versions)


def test_a_real_server_keeps_champion_and_challenger(server: Server) -> None:
    from csql_ml.model.tracking import bundle_from

    promoted, kept = server.trained
    assert kept.challenger is not None
    assert server.versions[0] == ("1", None)
    for alias, champion in (("@champion", kept.champion), ("@challenger", kept.challenger), ("/1", promoted.champion)):
        folder = bundle_from(f"models:/csql{alias}", server.config)
        assert load(folder).model_version == champion.model_version
    assert not (server.home / "models" / "mlflow.db").exists()


def test_rolling_back_on_a_real_server(server: Server) -> None:
    from csql_ml.model.tracking import bundle_from, point_aliases

    saved = {t.champion.kind: save(t.champion, server.home / t.champion.kind) for t in server.trained}
    point_aliases(server.config, saved["stack"], None)
    try:
        back = load(bundle_from("models:/csql@champion", server.config))
        assert back.model_version == server.trained[0].champion.model_version
    finally:
        point_aliases(server.config, saved["rules"], saved["stack"])
    again = load(bundle_from("models:/csql@champion", server.config))
    assert again.model_version == server.trained[1].champion.model_version


def test_a_registered_model_answers_over_http_without_pickle(server: Server) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    where = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--workers", "1"]
    told = {"MLFLOW_TRACKING_URI": str(server.config.tracking.uri), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    champion, columns = server.trained[0].champion, server.data.columns
    rows = server.data.frame[columns].head(5).copy()
    rows.loc[1, "hidden"] = np.nan
    rows.loc[2, "segment"] = "never seen"
    rows.loc[3, "saturation"] = 1.0
    values = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
    values[3][columns.index("saturation")] = 1  # JSON has one kind of number
    table = {"dataframe_split": {"columns": columns, "data": values}}
    arguments = ["models", "serve", "--model-uri", "models:/csql/1", "--env-manager", "local", *where]
    with mlflow_process(arguments, f"{address}/ping", server.home, **told):
        status, said = answered(f"{address}/invocations", table)
        assert status == 200, said
        found = json.loads(said)["predictions"]
        np.testing.assert_array_equal([row["propensity"] for row in found], champion.propensity(rows))
        np.testing.assert_array_equal([row["baseline_score"] for row in found], champion.baseline_score(rows))
        table["dataframe_split"] = {"columns": columns[1:], "data": [row[1:] for row in values]}
        status, said = answered(f"{address}/invocations", table)
        assert status == 400
        assert columns[0] in said


def test_a_server_that_is_not_there_is_one_clear_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from csql_ml.model.tracking import bundle_from

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    nobody = server.config.tracking.model_copy(update={"uri": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(CsqlError, match=r"cannot be fetched: MLflow at http://127.* says: .*check tracking\.uri"):
        bundle_from("models:/csql@champion", server.config.model_copy(update={"tracking": nobody}))


def test_a_bundle_is_registered_once_however_often_it_is_logged(server: Server) -> None:
    from csql_ml.model.tracking import log_training

    trained, versions = server.trained[1], server.versions[1]
    bundle = save(trained.champion, server.home / trained.champion.kind)
    again = log_training(replace(trained), server.data, server.config, bundle, "# Card\n")
    assert (again.model_version, again.challenger_version) == versions
