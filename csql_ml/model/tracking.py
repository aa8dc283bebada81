"""MLflow: every training is logged and registered, and a registered model comes back as a bundle.

What a training leaves behind is one run (parameters, figures per judged model and per fold, the fingerprint of the
data, bundle, card and verdict) and one registered version per bundle: the champion's gets the alias ``champion``, that
of a model which was not promoted the alias ``challenger``. A bundle is registered once; training the same again points
at the version there is. Rolling back is setting the alias ``champion`` to an earlier version; the tag
``previous_champion`` of each version names the one it replaced when it came into force.

The client is used directly instead of MLflow's fluent functions: no global state, and no tags with the user's name,
script path or git commit.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.config import Config
from csql_ml.errors import BundleError, CsqlError
from csql_ml.model.bundle import Champion, load, save
from csql_ml.model.registered import BUNDLE, find, register, set_challenger, set_champion, version_of_bundle
from csql_ml.model.training_data import TrainingData

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from csql_ml.model.training import Trained


_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class TrackingResult:
    """Where a training was logged: the run, and the registered versions of the champion and the challenger."""

    run_id: str
    model_version: str
    challenger_version: str | None = None


def log_training(
    trained: Trained,
    data: TrainingData,
    config: Config,
    bundle_folder: str | Path,
    card: str,
    *,
    in_force: bool = True,
) -> TrackingResult:
    """Log a training to MLflow and register its bundles.

    Parameters
    ----------
    bundle_folder
        The champion's saved bundle.
    card
        The model card, Markdown.
    in_force
        Point the aliases at them, too; else `point_aliases` does, once everything else is in its place.

    Raises
    ------
    CsqlError
        The tracking server or database cannot be used.
    """
    champion = trained.champion
    with _client(config) as client:
        run_name = f"{champion.kind}-{champion.model_version}"
        run_id = client.create_run(_experiment(client, config), run_name=run_name).info.run_id
        try:
            result = _log(client, run_id, trained, data, config, Path(bundle_folder), card)
            if in_force:
                _point(client, config.tracking.registered_model, result.model_version, result.challenger_version)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    return result


def bundle_from(uri: str, config: Config) -> Path:
    """Fetch the bundle of a registered model.

    Parameters
    ----------
    uri
        ``models:/<name>@<alias>`` or ``models:/<name>/<version>``.

    Returns
    -------
    Path
        A bundle folder below the models folder; fetched anew each time.

    Raises
    ------
    BundleError
        The address is malformed, or nothing is registered there.
    """
    with _client(config, f"{uri} cannot be fetched", BundleError) as client:
        from mlflow.artifacts import download_artifacts

        found = find(client, uri)
        source = client.get_model_version_download_uri(found.name, found.version)
        folder = config.models_path / "registered" / f"{found.name}-{found.version}"
        with tempfile.TemporaryDirectory() as scratch:
            fetched = download_artifacts(f"{source}/{BUNDLE}", dst_path=scratch, tracking_uri=_uri(config))
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(fetched, folder)
    return folder


def _log(
    client: MlflowClient, run_id: str, trained: Trained, data: TrainingData, config: Config, bundle: Path, card: str
) -> TrackingResult:
    _log_numbers(client, run_id, trained, data, config)
    client.log_text(run_id, card, "model_card.md")
    client.log_text(run_id, json.dumps(trained.verdict.to_dict(), indent=2, ensure_ascii=False), "verdict.json")
    client.log_text(run_id, trained.label_funnel.to_csv(index=False), "label_funnel.csv")
    name = config.tracking.registered_model
    challenger = None
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        champion = _registered(client, run_id, trained.champion, bundle, name, scratch / "champion")
        if trained.challenger is not None:
            saved = save(trained.challenger, scratch / "bundle_of_challenger")
            challenger = _registered(client, run_id, trained.challenger, saved, name, scratch / "challenger")
    return TrackingResult(run_id, champion, challenger)


def _registered(client: MlflowClient, run_id: str, champion: Champion, bundle: Path, name: str, scratch: Path) -> str:
    """The version of a bundle, registered now where it was not before."""
    there = version_of_bundle(client, name, champion.model_version)
    return there or register(client, run_id, champion, bundle, name, scratch)


def _point(client: MlflowClient, name: str, champion: str, challenger: str | None) -> None:
    set_champion(client, name, champion)
    set_challenger(client, name, challenger)


def point_aliases(config: Config, champion: Path, challenger: Path | None) -> None:
    """Point the aliases at the versions of two bundles; doing it again changes nothing.

    Parameters
    ----------
    champion, challenger
        Bundle folders. What was never registered, because tracking was off then, is registered in a run of its own.

    Raises
    ------
    CsqlError
        The tracking server or database cannot be used.
    BundleError
        A bundle is damaged.
    """
    name = config.tracking.registered_model
    with _client(config, "the aliases of the registered model cannot be set") as client:
        _point(
            client,
            name,
            _version(client, config, champion),
            None if challenger is None else _version(client, config, challenger),
        )


def _version(client: MlflowClient, config: Config, bundle: Path) -> str:
    champion, name = load(bundle), config.tracking.registered_model
    there = version_of_bundle(client, name, champion.model_version)
    if there is not None:
        return there
    run_id = client.create_run(_experiment(client, config), run_name=f"{champion.kind}-{champion.model_version}").info
    with tempfile.TemporaryDirectory() as folder:
        version = register(client, run_id.run_id, champion, bundle, name, Path(folder) / "champion")
    client.set_terminated(run_id.run_id, "FINISHED")
    return version


def _log_numbers(client: MlflowClient, run_id: str, trained: Trained, data: TrainingData, config: Config) -> None:
    """Parameters, figures per judged model and fold, and the fingerprint of the data."""
    from mlflow.entities import Dataset, DatasetInput, Metric, Param

    fingerprint = data.fingerprint()
    started = client.get_run(run_id).info.start_time
    parameters = {k: str(v)[:500] for k, v in _parameters(trained, data, config, fingerprint).items()}
    client.log_batch(run_id, params=[Param(k, v) for k, v in parameters.items()])
    metrics = [Metric(name, value, started, step) for name, value, step in _metrics(trained)]
    for first in range(0, len(metrics), 1000):  # the most a server takes at once
        client.log_batch(run_id, metrics=metrics[first : first + 1000])
    dataset = Dataset("snapshots", fingerprint[:36], "csql_ml", json.dumps({"now": data.now.isoformat()}))
    client.log_inputs(run_id, [DatasetInput(dataset)])


def _parameters(trained: Trained, data: TrainingData, config: Config, fingerprint: str) -> dict[str, Any]:
    model = config.model
    return {
        "champion": trained.champion.kind,
        "outcome": trained.verdict.outcome,
        "reason": trained.verdict.reason or "",
        "validated_in_time": trained.verdict.in_time,
        "trained_as_of": data.now.isoformat(),
        "snapshots": " ".join(d.isoformat() for d in data.snapshots),
        "rows": len(data.frame),
        "features": len(data.features),
        "dataset_fingerprint": fingerprint,
        "threshold": trained.champion.threshold,
        "label_stage": config.labels.stage,
        "horizon_quarters": config.labels.horizon_quarters,
        "capacity_per_portfolio": config.scoring.capacity_per_portfolio,
        **{name: getattr(model, name) for name in ("seed", "bags", "shrinkage", "bootstrap", "min_positives")},
    }


def _metrics(trained: Trained) -> Iterator[tuple[str, float, int]]:
    """Name, value and step (the fold's number) of every figure that exists."""
    for row in trained.verdict.table():
        stem = f"{row['judged']}/{row['figure']}"
        for suffix in ("value", "low", "high", "difference_value", "difference_low", "difference_high"):
            if row[suffix] is not None:
                yield (stem if suffix == "value" else f"{stem}_{suffix}"), row[suffix], 0
    for step, fold in enumerate(trained.verdict.folds):
        for kind, values in (("log_loss", fold.log_loss), ("roc_auc", fold.roc_auc)):
            for judged, value in values.items():
                if isfinite(value):
                    yield f"{judged}/fold_{kind}", value, step
    seen = trained.verdict.evidence
    yield "outcomes", seen.outcomes, 0
    yield "positives", seen.positives, 0


def _experiment(client: MlflowClient, config: Config) -> str:
    """Id of the configured experiment; made with its artifacts beside the default database if it is new."""
    found = client.get_experiment_by_name(config.tracking.experiment)
    if found is not None:
        return str(found.experiment_id)
    beside = None if config.tracking.uri else (config.models_path / "mlartifacts").resolve().as_uri()
    return str(client.create_experiment(config.tracking.experiment, artifact_location=beside))


def _uri(config: Config) -> str:
    """The configured server, or a SQLite file in the models folder."""
    return config.tracking.uri or f"sqlite:///{(config.models_path / 'mlflow.db').resolve().as_posix()}"


@contextmanager
def _client(
    config: Config, failed: str = "the training cannot be logged", error_class: type[CsqlError] = CsqlError
) -> Iterator[MlflowClient]:
    """A quiet client: no telemetry, no progress bars, no notes about creating or migrating the database."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow(\.|$)")  # about its own type hints
        warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, in a notebook without widgets
        import_module("mlflow.pyfunc")
        # Only now: importing MLflow sets the levels of its loggers.
        with _only_errors("mlflow", "alembic"):
            yield from _connected(config, failed, error_class)


def _connected(config: Config, failed: str, error_class: type[CsqlError]) -> Iterator[MlflowClient]:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    config.models_path.mkdir(parents=True, exist_ok=True)
    try:
        yield MlflowClient(tracking_uri=_uri(config), registry_uri=_uri(config))
    except MlflowException as error:
        where = config.tracking.uri or config.models_path / "mlflow.db"
        reason = str(error).strip().splitlines()[0]
        raise error_class(
            f"{failed}: MLflow at {where} says: {reason}; check tracking.uri, or set tracking.enabled: false"
        ) from error


@contextmanager
def _only_errors(*names: str) -> Iterator[None]:
    """Only errors of these loggers are written."""
    before: Mapping[str, int] = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
