"""Own metrics that are refused, each in one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from csql_ml.config import Config, load
from csql_ml.errors import ConfigError
from csql_ml.metrics import metrics_of
from tests.metrics.own_definitions import COUNT, SIGNALS, USERS, own


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (
            {"signal": "exprots", "measure": "count"},
            "own_metrics.it.signal: there is no signal 'exprots'; did you mean exports",
        ),
        ({"signal": "x", "measure": "count"}, "there is no signal 'x'; there are core_features, advanced_features,"),
        (
            {"signal": "exports", "measure": "share", "of": "al"},
            "own_metrics.it.of: there is no signal 'al'; did you mean all",
        ),
        ({"signal": "exports", "measure": "share", "of": "exports"}, "the share would always be 1"),
        ({"signal": "exports", "measure": "mean"}, "own_metrics.it.measure: Input should be 'count', 'sum', 'users'"),
        ({"signal": "gated_clicks", "measure": "sum"}, "quantities of gated_clicks are not kept"),
        ({**COUNT, "of": "all"}, "of goes with measure share, not with count"),
        ({**COUNT, "by": "users"}, "by goes with measure share or change, not with count"),
        ({**COUNT, "window": 0}, "own_metrics.it.window.0: Input should be greater than or equal to 2"),
        ({**COUNT, "window": [30, 30]}, "the same number of days is given twice"),
        ({**COUNT, "sentence": "{valu} exports"}, "sentence quotes {valu}; this metric has {value}, {previous}"),
        ({**COUNT, "sentence": "{value"}, "a brace that is text is written twice"),
        ({**COUNT, "sentence": "{value.real}"}, "sentence quotes {value.real}"),
        ({**COUNT, "sentences": {"it": "x"}}, "own_metrics.it.sentences"),
        ({**COUNT, "treshold": 1}, "own_metrics.it.treshold: unknown key; allowed here: signal, measure, of,"),
    ],
)
def test_a_wrong_definition_is_one_clear_line(tmp_path: Path, definition: dict[str, Any], message: str) -> None:
    path = tmp_path / "company.yaml"
    content = {"signals": {"own": SIGNALS["own"]}, "own_metrics": {"it": own(**definition)}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "definition", "message"),
    [
        ("seat_saturation", {}, "column 'seat_saturation' is already that of the built-in metric seat_saturation"),
        ("usage_growth_90d", {}, "column 'usage_growth_90d' is already that of the built-in metric usage_growth"),
        ("portfolio", {}, "column 'portfolio' is already that of csql_ml"),
        ("licensed_seats", {}, "column 'licensed_seats' is already that of csql_ml"),
        ("engagement_score", {}, "column 'engagement_score' is already that of the built-in metric"),
        ("it", {"threshold": 3, "direction": 0}, "own_metrics.it: a threshold is reached from one side"),
        ("it", {"gate": "timing"}, "own_metrics.it: gate timing opens at a threshold; give one"),
        (
            "it",
            {"actionable": True, "direction": -1},
            "what is actionable is in the model, shown, and has direction +1",
        ),
        ("it", {"part": "risk"}, "risk speaks against an expansion or claims nothing"),
        ("it", {"score": {"part": "fit", "zero_at": 5, "full_at": 0}}, "the score goes from zero_at 5 to full_at 0"),
    ],
)
def test_a_clash_or_a_contradiction_names_the_metric(name: str, definition: dict[str, Any], message: str) -> None:
    config = Config(signals=SIGNALS, own_metrics={name: own(**COUNT, **definition)})
    with pytest.raises(ConfigError) as caught:
        metrics_of(config)
    assert message in str(caught.value)
    assert f"own_metrics.{name}" in str(caught.value)


def test_two_own_metrics_may_not_share_a_column() -> None:
    definitions = {"exports": own(**COUNT), "exports_change": own(**USERS)}
    with pytest.raises(ConfigError, match=r"own_metrics\.exports_change: column 'exports_change' is already that of"):
        metrics_of(Config(signals=SIGNALS, own_metrics=definitions))


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({"all": {"events": ["x"]}}, "signal 'all' is built in"),
        ({"gated_clicks": {"events": ["x"]}}, "signal 'gated_clicks' is built in"),
        ({"x": {"events": ["x"]}, "x_quantity": {"events": ["y"]}}, "would share a column"),
        ({"x": {}}, "give the names of its events, its features, or both"),
    ],
)
def test_a_signal_of_ones_own_has_a_name_of_its_own(signals: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(signals={"own": signals})
