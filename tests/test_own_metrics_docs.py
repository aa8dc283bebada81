"""The examples of docs/own-metrics.md are what they claim: they load, and their metrics are sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from csql_ml import printing_metrics
from csql_ml.config import Config
from csql_ml.leak_check import Finding, LeakReport
from csql_ml.metrics import metrics_of, registry


@pytest.fixture
def config(project_root: Path, tmp_path: Path) -> Config:
    """The page's configuration, with its Python file beside it."""
    page = (project_root / "docs/own-metrics.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (code,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "my_metrics.py").write_text(code, encoding="utf-8")
    return Config(**yaml.safe_load(settings), metric_files="my_metrics.py", home=tmp_path)


def test_the_examples_are_metrics(config: Config) -> None:
    assert list(metrics_of(config))[len(registry()) :] == ["forecasts_per_seat", "forecasts_made", "forecasting_users"]


def test_the_listing_has_every_metric_and_its_own_ones_last(config: Config) -> None:
    listed = printing_metrics.metrics(config)
    rows = listed.data["metrics"]
    assert {row["metric"] for row in rows} == set(metrics_of(config))
    assert [row["metric"] for row in rows if row["family"] == "own"] == list(metrics_of(config))[len(registry()) :]
    assert rows[-2]["threshold"] == "10"
    assert "3 of your own" in listed.text[-1]


def test_what_the_leak_check_found_is_printed_for_people_and_machines() -> None:
    report = LeakReport(("a", "b", "c"), (Finding("a", "it [peeks]"),), ("b",), ("c",), 3)
    printed = printing_metrics.leaks(report)
    assert printed.data["findings"] == [{"of": "a", "message": "it [peeks]"}]
    assert (printed.data["sound"], printed.data["passed"], printed.data["silent"]) == (False, ["b"], ["c"])
    assert len(printed.text) == 3
    assert printed.text[2] == "b: no leak found in 3 random companies"
