"""Versions in MLflow's model registry: a bundle goes in as a pyfunc made from code, and comes out by address.

The pyfunc (`csql_ml.model.served_bundle`) only wraps the code-free bundle, so it loads with
``MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false``; where it is served, csql_ml must be installed.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.errors import BundleError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from csql_ml.model.bundle import Champion

#: Where the bundle lies within a registered model.
BUNDLE = "artifacts/bundle"
_REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")


def register(client: MlflowClient, run_id: str, champion: Champion, bundle: Path, name: str, scratch: Path) -> str:
    """Add a bundle to a run as a pyfunc and register it.

    Parameters
    ----------
    name
        The registered model.
    scratch
        An absent folder to build in; its name is the model's folder in the run.

    Returns
    -------
    str
        The version.
    """
    _build(champion, bundle, scratch)
    client.log_artifacts(run_id, str(scratch), scratch.name)
    _make_registered_model(client, name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{scratch.name}"
    tags = {"kind": champion.kind, "csql.model_version": champion.model_version}
    return str(client.create_model_version(name, source, run_id, tags=tags).version)


def version_of_bundle(client: MlflowClient, name: str, model_version: str) -> str | None:
    """The newest registered version of a bundle; None where it was never registered."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.search_model_versions(f"name = '{name}'", max_results=10_000)
    except MlflowException:  # some servers say so where there is no such model yet
        return None
    numbers = [int(v.version) for v in found if v.tags.get("csql.model_version") == model_version]
    return str(max(numbers)) if numbers else None


def set_champion(client: MlflowClient, name: str, new: str) -> None:
    """Point the alias ``champion`` at a version, which remembers the one it replaced when it came first."""
    previous = client.get_registered_model(name).aliases.get("champion")
    remembered = client.get_model_version(name, new).tags
    if previous is not None and str(previous) != new and "previous_champion" not in remembered:
        client.set_model_version_tag(name, new, "previous_champion", str(previous))
    client.set_registered_model_alias(name, "champion", new)


def set_challenger(client: MlflowClient, name: str, new: str | None) -> None:
    """Point the alias ``challenger`` at a version, or remove it where there is none."""
    if new is not None:
        client.set_registered_model_alias(name, "challenger", new)
    elif "challenger" in client.get_registered_model(name).aliases:
        client.delete_registered_model_alias(name, "challenger")


def find(client: MlflowClient, uri: str) -> Any:
    """The registered version that ``models:/<name>@<alias>`` or ``models:/<name>/<version>`` names.

    Raises
    ------
    BundleError
        The address is neither.
    """
    name, at, which = uri.removeprefix("models:/").rpartition("@")
    if not at:
        name, _, which = uri.removeprefix("models:/").rpartition("/")
    if not uri.startswith("models:/") or not name or not which or "/" in name:
        raise BundleError(
            f"{uri} is not the address of a registered model; expected models:/<name>@champion or "
            "models:/<name>/<version>"
        )
    return client.get_model_version_by_alias(name, which) if at else client.get_model_version(name, which)


def _build(champion: Champion, bundle: Path, folder: Path) -> None:
    """Write the pyfunc's folder."""
    from mlflow.pyfunc import save_model

    copied = folder.with_name(f"{folder.name}_parts") / Path(BUNDLE).name
    shutil.copytree(bundle, copied)
    # No input example: it would put a customer's values into the registry.
    save_model(
        path=str(folder),
        python_model=str(Path(__file__).with_name("served_bundle.py")),
        artifacts={"bundle": str(copied)},
        signature=_signature(champion),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
    )
    _forget_this_machine(folder)


def _forget_this_machine(folder: Path) -> None:
    """Replace the absolute paths in MLflow's description of the model by what they are within its folder."""
    from mlflow.models import Model

    path = folder / "MLmodel"
    described = Model.load(str(path))
    flavor = described.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    flavor["artifacts"]["bundle"]["uri"] = BUNDLE
    described.save(str(path))


def _signature(champion: Champion) -> Any:
    """Numbers as double and categories as string: MLflow converts neither integers nor booleans to either."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    categorical = {f.name for f in champion.features if f.categorical}
    names = dict.fromkeys([f.name for f in champion.features] + [t.feature for t in champion.terms])
    inputs = [ColSpec(DataType.string if n in categorical else DataType.double, n) for n in names]
    outputs = [ColSpec(DataType.double, n) for n in ("propensity", "baseline_score")]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _make_registered_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="P(expansion within the horizon) per account, by csql_ml")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
