"""kill -9 while a training saves bundles, card, MLflow and what is in force: old or new, never broken."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from csql_ml.model import bundle as bundles
from csql_ml.model import promotions
from csql_ml.simulate import simulate, write_config
from tests.faults.scene import Scene, killed_at_every_step, tree
from tests.faults.system_calls import SUPPORTED, Jobs, Plan
from tests.tally import Tally

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not SUPPORTED, reason="Linux hands system calls over")]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    simulate(folder / "data", accounts=60, quarters=6, seed=3)
    return write_config(folder / "config.yaml", folder="data", models_folder="models")


def in_mlflow(models: Path) -> dict[str, Any]:
    """The versions of each bundle, and those that have an alias."""
    with closing(sqlite3.connect(models / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        versions = dict(
            connection.execute(
                "SELECT version, value FROM model_version_tags WHERE key = 'csql.model_version'"
            ).fetchall()
        )
        aliases = dict(connection.execute("SELECT alias, version FROM registered_model_aliases").fetchall())
        broken = connection.execute("SELECT count(*) FROM model_versions WHERE status <> 'READY'").fetchone()
        running = connection.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()
    assert broken == (0,)
    assert running == (0,), "the run of a training that was killed says so after the next one"
    return {"bundles": sorted(versions.values()), "aliases": {a: versions[int(v)] for a, v in aliases.items()}}


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_while_a_training_is_saved(jobs: Jobs, config: Path, tally: Tally, every: int) -> None:
    tally.of("fault", "`csql train` killed while it saves: bundles, card, MLflow, champion")
    models, seen = config.parent / "models", set()
    earlier = jobs.run("command", arguments=["train", "-c", str(config), "--as-of", "2026-04-01"])
    assert earlier.code == 0, earlier.said
    before = promotions.in_force(models)
    jobs.prepare("prepare_save_training", config=str(config))
    scene = Scene(models)

    def intact() -> None:
        name = promotions.in_force(models)
        assert name is not None
        bundles.load(models / name)
        seen.add(name)

    def done() -> Any:
        intact()
        mlflow = in_mlflow(models)
        assert len(set(mlflow["bundles"])) == len(mlflow["bundles"]), "a bundle is registered once"
        champion = json.loads((models / "champion.json").read_text(encoding="utf-8"))["model_version"]
        assert mlflow["aliases"]["champion"] == champion
        files = tree(models, but=(".db", ".lock"))
        return mlflow, {name: sha for name, sha in files.items() if not name.startswith("mlartifacts")}

    run = lambda plan: jobs.run("save_training", plan)  # noqa: E731
    assert killed_at_every_step(scene, run, intact, done, tally, every) > 100
    assert before in seen
    assert len(seen) == 2


def test_killed_while_the_registry_is_made(jobs: Jobs, config: Path, tally: Tally, tmp_path: Path) -> None:
    """The very first training, which makes MLflow's database: it is there with all its tables or not at all."""
    tally.of("fault", "the first `csql train` killed while MLflow's database is made and first filled")
    text = config.read_text(encoding="utf-8").replace("models_folder: models", f"models_folder: {tmp_path}/new/models")
    fresh = config.with_name("fresh.yaml")
    fresh.write_text(text, encoding="utf-8")
    (tmp_path / "new").mkdir()
    jobs.prepare("prepare_save_training", config=str(fresh))
    models, scene = tmp_path / "new/models", Scene(tmp_path / "new")
    undisturbed = jobs.run("save_training", Plan(watched=[str(tmp_path / "new")]))
    assert undisturbed.code == 0, undisturbed.said
    made = [n for n, step in enumerate(undisturbed.steps, 1) if "mlflow.db" in step]
    appears = next(n for n in made if undisturbed.steps[n - 1].startswith("rename"))
    for step in (made[0], made[2], (made[0] + appears) // 2, appears, appears + 1, appears + 20, made[-1]):
        tally.begin()
        scene.restore()
        end = jobs.run("save_training", Plan(watched=[str(tmp_path / "new")], kill_at=step))
        assert end.killed, end
        name = promotions.in_force(models) if models.is_dir() else None
        assert name is None or step == made[-1]
        again = jobs.run("save_training")
        assert again.code == 0, f"after step {step}, {end.steps[-1]}: {again.said}"
        champion = json.loads((models / "champion.json").read_text(encoding="utf-8"))["model_version"]
        assert in_mlflow(models)["aliases"]["champion"] == champion
        assert not list(models.glob(".*.part"))
        tally.survived()
