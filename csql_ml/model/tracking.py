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
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from csql_ml.config import Config
from csql_ml.errors import BundleError
from csql_ml.model.bundle import Champion, load, save
from csql_ml.model.registered import BUNDLE, find, register, set_challenger, set_champion, version_of_bundle
from csql_ml.model.tracking_client import close_dead_runs, experiment_of, mlflow_client, tracking_uri
from csql_ml.model.training_data import TrainingData

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from csql_ml.model.training import Trained
    from csql_ml.model.tuning import Tuning


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
    attachments: Sequence[Path] = (),
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
    attachments
        Files and folders to keep with the run (the model report), under their own names.

    Raises
    ------
    CsqlError
        The tracking server or database cannot be used.
    """
    champion = trained.champion
    with mlflow_client(config) as client:
        close_dead_runs(client, config)
        run_name = f"{champion.kind}-{champion.model_version}"
        run_id = client.create_run(experiment_of(client, config), run_name=run_name).info.run_id
        try:
            result = _log(client, run_id, trained, data, config, Path(bundle_folder), card)
            _attach(client, run_id, attachments)
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
    with mlflow_client(config, f"{uri} cannot be fetched", BundleError) as client:
        found = find(client, uri)
        source = f"{client.get_model_version_download_uri(found.name, found.version)}/{BUNDLE}"
        folder = config.models_path / "registered" / f"{found.name}-{found.version}"
        with tempfile.TemporaryDirectory() as scratch:
            _put_in_place(_fetched(uri, source, scratch, config), folder)
    return folder


def _fetched(uri: str, source: str, scratch: str, config: Config) -> str:
    from mlflow.artifacts import download_artifacts

    if source.startswith("file:") and not Path(url2pathname(urlsplit(source).path)).is_dir():
        raise BundleError(
            f"{uri} is registered, but its files are not at {source}. MLflow stores absolute paths: move the folder "
            "mlartifacts together with mlflow.db, or put it back where it was; or name a bundle folder with --model"
        )
    return str(download_artifacts(source, dst_path=scratch, tracking_uri=tracking_uri(config)))


def _put_in_place(fetched: str, folder: Path) -> None:
    """Copy beside the folder and rename, so that who scores at the same time never sees half a bundle."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        fresh = shutil.copytree(fetched, Path(beside) / "bundle")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            fresh.rename(folder)
        except OSError:  # another process has just put the same version there
            if not folder.is_dir():
                raise


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


def _attach(client: MlflowClient, run_id: str, attachments: Sequence[Path]) -> None:
    for path in attachments:
        if path.is_dir():
            client.log_artifacts(run_id, str(path), path.name)
        else:
            client.log_artifact(run_id, str(path))


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
    with mlflow_client(config, "the aliases of the registered model cannot be set") as client:
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
    run_id = client.create_run(experiment_of(client, config), run_name=f"{champion.kind}-{champion.model_version}").info
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
        **_tuned(trained.tuning),
    }


def _tuned(tuning: Tuning | None) -> dict[str, Any]:
    """What a search for tree settings cost and found, and whether it is used; nothing where none was asked for."""
    if tuning is None:
        return {}
    about = {"budget": tuning.budget, "trials": tuning.trials, "pruned": tuning.pruned, "used": tuning.pays}
    return {f"tune_{name}": value for name, value in (about | asdict(tuning.found)).items()}


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
    if trained.tuning is not None and trained.tuning.gain is not None:
        gain = trained.tuning.gain
        for suffix, value in (("", gain.value), ("_low", gain.low), ("_high", gain.high)):
            yield f"tuning/log_loss_difference{suffix}", value, 0
    yield "outcomes", seen.outcomes, 0
    yield "positives", seen.positives, 0
