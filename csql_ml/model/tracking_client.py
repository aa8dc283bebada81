"""The MLflow client: quiet, without telemetry, and at home wherever the models folder has been moved."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from csql_ml.config import Config
from csql_ml.errors import CsqlError, OutputError
from csql_ml.in_place import fresh_file, only_writer, sync_file, sync_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Set before MLflow is imported, unless the user has set them.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # A server that is not there is reported after seconds; MLflow's own 7 attempts take four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
#: Where MLflow's database holds absolute paths of artifacts.
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def tracking_uri(config: Config) -> str:
    """The configured server, or a SQLite file in the models folder."""
    return config.tracking.uri or f"sqlite:///{_database(config).resolve().as_posix()}"


def experiment_of(client: MlflowClient, config: Config) -> str:
    """Id of the configured experiment; made with its artifacts beside the default database if it is new."""
    found = client.get_experiment_by_name(config.tracking.experiment)
    if found is not None:
        return str(found.experiment_id)
    beside = None if config.tracking.uri else _artifacts(config).as_uri()
    return str(client.create_experiment(config.tracking.experiment, artifact_location=beside))


def close_dead_runs(client: MlflowClient, config: Config) -> None:
    """Mark as killed the runs of the default database that a process left behind when it was killed.

    A training that is still at work elsewhere marks its own run as finished when it ends. Runs on a server are left
    alone: they may be another team's.
    """
    if config.tracking.uri:
        return
    experiments = [experiment_of(client, config)]
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000):
        client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def mlflow_client(
    config: Config, failed: str = "the training cannot be logged", error_class: type[CsqlError] = CsqlError
) -> Iterator[MlflowClient]:
    """A client that writes nothing to the terminal and tells nobody that it is used.

    Parameters
    ----------
    failed
        Beginning of the error's message.

    Raises
    ------
    CsqlError
        Or the ``error_class``: MLflow cannot do what was asked of it.
    """
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
    if not config.tracking.uri:
        _make_database(_database(config))
    _follow_the_folder(config)
    try:
        yield MlflowClient(tracking_uri=tracking_uri(config), registry_uri=tracking_uri(config))
    except MlflowException as error:
        where = config.tracking.uri or _database(config)
        reason = str(error).strip().splitlines()[0]
        raise error_class(
            f"{failed}: MLflow at {where} says: {reason}; check tracking.uri, or set tracking.enabled: false"
        ) from error


def _make_database(place: Path) -> None:
    """Make the default database where there is none, at one stroke.

    MLflow makes its tables in many steps, and never again opens a database in which it was interrupted between two.

    Raises
    ------
    OutputError
        It cannot be written, or another process is making it.
    """
    if place.exists():
        return
    try:
        with only_writer(place), tempfile.TemporaryDirectory() as scratch:
            if place.exists():  # made by another process since
                return
            made, fresh = Path(scratch) / place.name, fresh_file(place)
            try:
                _make_tables(made)
                shutil.copyfile(made, fresh)
                fresh.chmod(0o644)
                sync_file(fresh)
                fresh.rename(place)
                sync_folder(place.parent)
            finally:
                fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{place} cannot be written: {error.strerror or error}") from error


def _make_tables(path: Path) -> None:
    """What MLflow does itself when it first opens a database; it holds on to none that is opened here."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{path.as_posix()}")
    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()


def _database(config: Config) -> Path:
    return config.models_path / "mlflow.db"


def _artifacts(config: Config) -> Path:
    return (config.models_path / "mlartifacts").resolve()


def _follow_the_folder(config: Config) -> None:
    """Where the models folder was moved or copied, make the default database point at the artifacts beside it.

    MLflow stores absolute paths and has no way to change them. Nothing is touched unless the artifacts are there.
    """
    if config.tracking.uri or not _database(config).is_file() or not _artifacts(config).is_dir():
        return
    here = _artifacts(config).as_uri()
    try:
        with closing(sqlite3.connect(_database(config))) as database, database:
            query = "SELECT artifact_location FROM experiments WHERE name = ?"
            stored = database.execute(query, [config.tracking.experiment]).fetchone()
            if stored is not None and stored[0] != here:
                _replace_beginnings(database, stored[0], here)
    except sqlite3.DatabaseError:
        return  # locked, damaged or of another version: MLflow, which comes next, says what is wrong


def _replace_beginnings(database: sqlite3.Connection, before: str, now: str) -> None:
    for table, column in _PATHS:
        change = f"UPDATE {table} SET {column} = :now || substr({column}, length(:before) + 1)"
        whole = f"{column} = :before OR substr({column}, 1, length(:before) + 1) = :before || '/'"
        database.execute(f"{change} WHERE {whole}", {"before": before, "now": now})


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
