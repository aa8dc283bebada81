"""The configuration that reads a simulated company."""

from __future__ import annotations

from pathlib import Path

import pytest

from csql_ml.company import open_inputs
from csql_ml.config import load
from csql_ml.contract.tables import TABLES
from csql_ml.errors import OutputError
from csql_ml.simulate import catalogue, company, write_config
from csql_ml.simulate.demo_config import config_text, is_untouched
from tests.simulate.company_on_disk import Simulated


def test_configs_demo_yaml_is_the_text_the_simulator_writes(project_root: Path) -> None:
    written = (project_root / "configs" / "demo.yaml").read_text(encoding="utf-8")
    assert written == config_text("../demo/data", "../models", "../demo/activity")


def test_it_maps_every_table_and_every_name_the_simulator_uses(project_root: Path) -> None:
    config = load(project_root / "configs" / "demo.yaml")
    assert set(config.data.tables) == set(TABLES)
    assert config.data_folder.resolve() == (project_root / "demo" / "data").resolve()
    assert config.signals.core_features == catalogue.CORE_FEATURES
    assert config.signals.advanced_features == catalogue.ADVANCED_FEATURES
    assert config.catalogue.plans == catalogue.PLANS
    assert tuple(m.name for m in config.catalogue.modules) == catalogue.MODULES
    assert tuple(f for m in config.catalogue.modules for f in m.features) == catalogue.GATED_FEATURES
    mapped = {"feature_used", "login"}  # carry no signal by their name
    for names in ("gated_clicks", "upgrade_attempts", "workflow_starts", "workflow_completions"):
        mapped |= set(getattr(config.signals, names))
    assert mapped == set(catalogue.EVENT_NAMES)
    assert set(config.ideal_customer.segments) == set(company.SEGMENTS)
    assert set(config.ideal_customer.industries) == set(company.INDUSTRIES)
    assert (config.company.time_zone, config.company.currency) == ("Europe/Berlin", "EUR")


def test_the_contract_finds_nothing_wrong_but_events_delivered_twice(company: Simulated) -> None:
    path = write_config(company.folder.parent / "check.yaml", folder=company.folder.name, models_folder="models")
    with open_inputs(load(path)) as inputs:
        kept = {n: inputs.con.to_pandas(t.count()) for n, t in inputs.tables.items()}
    assert kept.pop("events") == company.sql("select count(distinct event_id) as n from events")["n"][0]
    assert kept == {name: company.summary.rows[name] for name in kept}
    assert set(kept) == set(TABLES) - {"events"}


@pytest.mark.parametrize("folder", [".", "data", "../a b/ü", "C:\\x", "it's: #1"])
def test_any_folder_is_written_so_that_it_reads_back(tmp_path: Path, folder: str) -> None:
    path = write_config(tmp_path / "config.yaml", folder=folder, models_folder=folder, activity_folder=folder)
    config = load(path)
    assert {str(f) for f in (config.data.folder, config.models_folder, config.activity_folder)} == {str(Path(folder))}
    assert is_untouched(path)
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]


def test_a_changed_config_is_not_untouched(tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.yaml", folder=".", models_folder="models")
    path.write_text(path.read_text(encoding="utf-8").replace("currency: EUR", "currency: CHF"), encoding="utf-8")
    assert not is_untouched(path)
    assert not is_untouched(tmp_path / "absent.yaml")


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        write_config(tmp_path / "file" / "config.yaml", folder=".", models_folder="models")
