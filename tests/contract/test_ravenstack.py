"""A data set that nobody here wrote, dirty on purpose: what check says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from csql_ml.config import Config, load
from csql_ml.contract.report import Inputs
from csql_ml.contract.validate import validate
from csql_ml.sources import open_warehouse
from tests.contract.sound_company import problems


@pytest.fixture(scope="module")
def config(project_root: Path) -> Config:
    config = load(project_root / "configs/ravenstack.yaml")
    if not config.data_folder.is_dir():
        pytest.skip(f"the RavenStack files are not in {config.data_folder}")
    return config


@pytest.fixture(scope="module")
def inputs(config: Config) -> Iterator[Inputs]:
    with open_warehouse(config) as warehouse:
        yield validate(warehouse, config)


def test_the_dirt_is_reported_and_nothing_stops(inputs: Inputs) -> None:
    inputs.stop_if_broken()
    assert {r.name: (r.read, r.quarantined) for r in inputs.reports} == {
        "accounts": (500, 0),
        "contracts": (5473, 0),
        "events": (25_000, 21),
        "tickets": (2000, 0),
        "csqls": (529, 98),
        "coverage": (500, 0),
    }
    assert problems(inputs, "events") == {
        ("event_id", "conflicting_duplicate"): 21,
        ("occurred_at", "before_first_contract"): 14_207,
    }
    assert problems(inputs, "tickets") == {("opened_at", "before_first_contract"): 1170}
    assert problems(inputs, "csqls") == {("type", "not_allowed"): 98}
    assert inputs.absent == ("users", "nps", "advocacy", "milestones", "contacts", "opportunities")


def test_the_end_of_a_subscription_is_not_known_before_it_comes(inputs: Inputs) -> None:
    contracts = inputs.tables["contracts"]
    ended = contracts.filter(contracts.end_date.notnull())
    assert ended.count().execute() == 486
    assert ended.filter(ended.known_at < ended.end_date.cast("timestamp")).count().execute() == 0


def test_snapshots_have_complete_outcomes(config: Config, inputs: Inputs) -> None:
    last = inputs.tables["events"].occurred_at.max().execute().date()
    assert str(last) == "2024-12-31"
    assert [str(day) for day in config.snapshots[:: len(config.snapshots) - 1]] == ["2023-04-01", "2024-07-01"]


def test_signals_name_features_and_events_that_exist(config: Config, inputs: Inputs) -> None:
    events = inputs.tables["events"]
    features = set(events.select("feature").distinct().to_pyarrow()["feature"].to_pylist())
    names = set(events.select("event_name").distinct().to_pyarrow()["event_name"].to_pylist())
    assert set(config.signals.core_features) <= features
    assert set(config.signals.gated_clicks) <= names
