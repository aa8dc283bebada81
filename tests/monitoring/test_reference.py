"""What a run is held against: the champion's own distributions, or the reason why there are none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from csql_ml.config import Config
from csql_ml.errors import BundleError
from csql_ml.model.bundle import Champion, load, save
from csql_ml.model.bundle_state import DISTRIBUTIONS, checksums, to_json, version_of
from csql_ml.model.distributions import Distributions, distribution
from csql_ml.monitoring.monitor import Monitored, monitor
from tests.monitoring.small_runs import write_run
from tests.snapshot_tables import champion as champion_of_rules

DAY = date(2026, 4, 1)
VALUES = np.random.default_rng(2).random(300)


def champion(*, with_distributions: bool) -> Champion:
    made = champion_of_rules()
    scores = {"propensity": distribution(np.full(300, 0.1)), "baseline_score": distribution(np.full(300, 10.0))}
    kept = Distributions(300, DAY, {"seats": distribution(VALUES)}, scores)
    return replace(made, reference=replace(made.reference, distributions=kept if with_distributions else None))


def held(tmp_path: Path, bundle: Champion, named: bool) -> Monitored:
    save(bundle, tmp_path / "models" / f"{bundle.kind}-{bundle.model_version}")
    about = {"model_version": bundle.model_version, "champion_kind": bundle.kind, "own_features": True}
    run = write_run(tmp_path / "run", date(2026, 7, 1), {"seats": VALUES + 0.4}, propensity=np.full(300, 0.1), **about)
    config = Config(home=tmp_path, models_folder="models")
    name = tmp_path / "models" / f"{bundle.kind}-{bundle.model_version}"
    return monitor(config, run, reference=name if named else None)


@pytest.mark.parametrize("named", [True, False])
def test_the_champions_training_is_the_reference(tmp_path: Path, named: bool) -> None:
    found = held(tmp_path, champion(with_distributions=True), named)
    assert found.reference is not None
    assert (found.reference.origin, found.reference.distributions.as_of) == ("bundle" if named else "champion", DAY)
    assert [f.subject for f in found.alarms] == ["seats"]


@pytest.mark.parametrize("named", [True, False])
def test_a_bundle_of_an_earlier_version_is_read_and_says_that_it_lacks_them(tmp_path: Path, named: bool) -> None:
    found = held(tmp_path, champion(with_distributions=False), named)
    assert (found.reference, found.drift, found.alarms) == (None, (), ())
    assert "reference_old_bundle" in {f.code for f in found.findings}


def test_distributions_are_part_of_the_version_and_come_back_the_same(tmp_path: Path) -> None:
    with_them, without = champion(with_distributions=True), champion(with_distributions=False)
    assert with_them.model_version != without.model_version
    again = load(save(with_them, tmp_path / "bundle"))
    assert again.model_version == with_them.model_version
    assert again.files == with_them.files
    assert DISTRIBUTIONS not in without.files


def test_damaged_distributions_are_named(tmp_path: Path) -> None:
    folder = save(champion(with_distributions=True), tmp_path / "bundle")
    plain = json.loads((folder / DISTRIBUTIONS).read_bytes())
    plain["metrics"]["seats"]["counts"] = [1]
    (folder / DISTRIBUTIONS).write_bytes(to_json(plain))
    with pytest.raises(BundleError, match="damaged"):
        load(folder)
    sums = checksums({p.name: p.read_bytes() for p in folder.iterdir() if p.name != "CHECKSUMS.json"})
    stated = {"format": 1, "model_version": version_of(sums), "files": sums}
    (folder / "CHECKSUMS.json").write_bytes(to_json(stated))
    with pytest.raises(BundleError, match="one bin more than limits"):
        load(folder)
