"""A champion trained once on the table of `world`."""

from __future__ import annotations

import pytest

from csql_ml import own_features
from csql_ml.config import load
from tests.own_features.world import CONFIG, Trained, world


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("own")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    config, table, said = load(folder / "config.yaml"), folder / "features.csv", []
    world().to_csv(table, index=False)
    training = own_features.train_champion(config, table, None, lambda step, done, of: said.append(step))
    return Trained(folder, config, table, training, said)
