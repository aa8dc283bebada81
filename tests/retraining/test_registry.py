"""Files and MLflow's aliases go together: promotion, crash, rollback. One story, one database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from csql_ml.config import Config
from csql_ml.model import promotions
from csql_ml.model.bundle import load
from csql_ml.model.saving import champion_in_force, refused, save_champion
from csql_ml.model.training import train
from csql_ml.retraining.retrain import rollback
from tests.model.training_world import world

SMALL = {"bootstrap": 20, "bags": 1, "test_snapshots": 1, "min_positives": 20, "reference_size": 30}


class CrashError(Exception):
    """The process ends here."""


class Story:
    """A models folder and what MLflow says of it."""

    def __init__(self, config: Config) -> None:
        from mlflow import MlflowClient

        self.config, self.folder = config, config.models_path
        self.client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")

    def versions(self) -> dict[str, str]:
        """Version -> version of the bundle."""
        found = self.client.search_model_versions("name = 'csql'")
        return {str(v.version): v.tags["csql.model_version"] for v in found}

    def aliases(self) -> dict[str, str]:
        """Alias -> version of the bundle."""
        named = self.client.get_registered_model("csql").aliases
        return {alias: self.versions()[str(version)] for alias, version in named.items()}

    def in_force(self) -> str:
        return load(self.folder / promotions.in_force(self.folder)).model_version

    def training(self, data):
        previous = champion_in_force(self.config)
        trained = train(data, self.config, None, previous, refused(self.config))
        return save_champion(trained, data, self.config, data.now)


def test_files_and_aliases_agree_after_every_step(tmp_path, monkeypatch):
    from csql_ml.model import tracking

    story = Story(Config.model_validate({"model": SMALL, "models_folder": str(tmp_path / "models")}))
    company = world(accounts=200, snapshots=6, hidden=1.5)
    first_day, second_day = date(2024, 1, 1), date(2024, 7, 1)
    plain = world(accounts=150, snapshots=4)

    # The rules, and a challenger that proved nothing.
    rules = story.training(replace(plain, now=date(2024, 1, 1)))
    assert rules.trained.champion.kind == "rules"
    assert story.aliases()["champion"] == story.in_force() == rules.trained.champion.model_version
    assert story.aliases()["challenger"] == rules.trained.challenger.model_version

    # A model is promoted, but the process dies between MLflow and champion.json.
    early = replace(company, frame=company.frame[company.frame["as_of"] < first_day], now=first_day)
    with monkeypatch.context() as patch:
        patch.setattr(promotions, "_point_at", lambda *_: (_ for _ in ()).throw(CrashError))
        with pytest.raises(CrashError):
            story.training(early)
    assert story.in_force() == rules.trained.champion.model_version, "what scores is still whole"
    model = champion_in_force(story.config)  # any next command
    assert model.kind == "stack"
    assert story.aliases() == {"champion": story.in_force()} == {"champion": model.model_version}

    # The same again registers nothing again.
    before = story.versions()
    again = story.training(early)
    assert again.trained.kept
    assert story.versions() == before

    # A quarter later the champion is kept; its card is not written over, the challenger has its own.
    card = (story.folder / f"stack-{model.model_version}.md").read_bytes()
    later = replace(company, frame=company.frame[company.frame["as_of"] < second_day], now=second_day)
    kept = story.training(later)
    assert kept.trained.kept
    assert (story.folder / f"stack-{model.model_version}.md").read_bytes() == card
    assert kept.card.name == f"stack-{kept.trained.challenger.model_version}.md"
    assert "The champion stays" in kept.card.read_text(encoding="utf-8")
    assert story.aliases() == {
        "champion": model.model_version,
        "challenger": kept.trained.challenger.model_version,
    }

    # Rolled back; the process dies before MLflow has heard of it.
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "point_aliases", lambda *_: (_ for _ in ()).throw(CrashError))
        with pytest.raises(CrashError):
            rollback(story.config)
    assert story.in_force() == model.model_version
    promotions.finish(story.config)
    assert story.in_force() == rules.trained.champion.model_version
    assert story.aliases() == {"champion": story.in_force(), "challenger": model.model_version}
    found = {v: k for k, v in story.versions().items()}
    tags = story.client.get_model_version("csql", found[model.model_version]).tags
    assert tags["previous_champion"] == found[rules.trained.champion.model_version]
    assert model.model_version in refused(story.config)


def test_a_bundle_from_before_tracking_is_registered_when_it_comes_back(tmp_path):
    off = Config.model_validate({"model": SMALL, "models_folder": str(tmp_path), "tracking": {"enabled": False}})
    first = save_champion(train(world(accounts=150, snapshots=4), off), data := world(150, 4), off, data.now)
    second_data = world(accounts=151, snapshots=4)
    on = off.model_copy(update={"tracking": Config().tracking})
    second = save_champion(train(second_data, on), second_data, on, second_data.now)
    assert first.mlflow is None
    assert second.mlflow is not None
    rollback(on)
    story = Story(on)
    assert story.aliases()["champion"] == story.in_force() == first.trained.champion.model_version
