"""Metrics of one's own written in Python: a file named in the configuration, and an installed package's entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.errors import ConfigError
from csql_ml.metrics import from_python, metrics_of, own, registry
from tests.small_company import SETTINGS, small_company
from tests.spec.test_metrics import AS_OF

HEAD = """
from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric, Ramp
from csql_ml.metrics.from_config import amount_of
"""
EXPORTS_PER_SEAT = (
    HEAD
    + """
exports_per_seat = Metric(
    name="exports_per_seat",
    part="success",
    direction=+1,
    unit="count",
    formula=lambda at: M.ratio(at(amount_of("exports", "count")), at(M.SEATS)),
    label="exports per seat",
    description="Data exports / licensed seats.",
    sentence="{value} exports per seat in 30 days; {previous} in the 30 days before",
    windows=(30, 90),
    compare=True,
    threshold=0.2,
    gate="value_proven",
    ramp=Ramp("engagement", 0.0, 1.0),
)
"""
)
EVENTS = """
account_id | user_id | occurred_at | event_name
a1         | u1      | 2025-11-20  | export
a1         | u1      | 2025-11-21  | export
a1         | u1      | 2025-10-20  | export
"""
SIGNALS = {**SETTINGS["signals"], "own": {"exports": {"events": ["export"]}}}


def config_with(folder: Path, **files: str) -> Config:
    """A configuration in ``folder`` with these metric files beside it; its data lies in ``folder/data``."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    data = {"folder": str(folder / "data")}
    return Config(**SETTINGS | {"signals": SIGNALS}, data=data, metric_files=[f"{n}.py" for n in files], home=folder)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_metric_of_a_file_is_computed_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(EXPORTS_PER_SEAT, encoding="utf-8")
    with small_company(tmp_path, {"events": EVENTS}, signals=SIGNALS, metric_files="mine.py") as company:
        features = company.builder.build(AS_OF).features.set_index("account_id").loc["a1"]
        terms = {t.feature: t.part for t in company.terms}
    assert features["exports_per_seat"] == pytest.approx(0.2)
    assert features["exports_per_seat_previous"] == pytest.approx(0.1)
    assert features["exports_per_seat_90d"] == pytest.approx(0.3)
    assert features["exports_per_seat_reached"] == 1.0
    assert terms["exports_per_seat"] == "engagement"


def test_files_come_before_the_configuration_and_in_its_order(tmp_path: Path) -> None:
    second = EXPORTS_PER_SEAT.replace("exports_per_seat", "another")
    config = config_with(tmp_path, b=EXPORTS_PER_SEAT, a=second)
    yaml_metric = {"signal": "exports", "measure": "count", "label": "exports", "direction": 1}
    both = Config(**{**config.model_dump(), "own_metrics": {"from_yaml": yaml_metric}}, home=tmp_path)
    assert list(metrics_of(both))[len(registry()) :] == ["exports_per_seat", "another", "from_yaml"]


def test_a_changed_file_is_read_anew_and_an_unchanged_one_is_not_run_again(tmp_path: Path) -> None:
    config = config_with(tmp_path, mine=EXPORTS_PER_SEAT)
    first = metrics_of(config)["exports_per_seat"]
    assert metrics_of(config)["exports_per_seat"] is first
    (tmp_path / "mine.py").write_text(EXPORTS_PER_SEAT.replace("per seat", "a seat"), encoding="utf-8")
    assert metrics_of(config)["exports_per_seat"].label == "exports a seat"


def test_a_file_may_import_built_in_metrics_and_define_classes(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from csql_ml.metrics.adoption import seat_saturation\n"
        "@dataclass\nclass Thresholds:\n    exports: float = 0.2\n" + EXPORTS_PER_SEAT + "same = exports_per_seat\n"
    )
    found = metrics_of(config_with(tmp_path, mine=text))
    assert set(found) - set(registry()) == {"exports_per_seat"}
    assert list(tmp_path.glob("**/*.pyc")) == []


def test_reading_a_configuration_runs_no_code(tmp_path: Path) -> None:
    config = config_with(tmp_path, mine="raise RuntimeError('run')")
    assert config.metric_files == ("mine.py",)
    with pytest.raises(ConfigError, match=r"mine\.py, line 1: RuntimeError: run"):
        metrics_of(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", "mine.py, line 1: SyntaxError: '(' was never closed"),
        ("\nimport nowhere_to_be_found", "mine.py, line 2: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("import sys\nsys.exit(3)", "mine.py, line 2: SystemExit: 3"),
        ("x = 1", "mine.py: there is no Metric in it"),
        (
            EXPORTS_PER_SEAT.replace("exports_per_seat", "seats"),
            "column 'seats' is already that of the built-in metric",
        ),
        (EXPORTS_PER_SEAT.replace('"exports_per_seat"', '"Exports"'), "name 'Exports': use lower-case letters"),
        (EXPORTS_PER_SEAT.replace("direction=+1", "direction=2"), "direction is 2; it is +1"),
        (EXPORTS_PER_SEAT.replace('unit="count"', 'unit="pieces"'), "unit is 'pieces'; it is one of ratio, change,"),
        (EXPORTS_PER_SEAT.replace("{previous}", "{before}"), "quotes {before}; this metric has {value}, {previous}"),
        (EXPORTS_PER_SEAT.replace("0.0, 1.0", "1.0, 0.0"), "the score goes from zero_at 1 to full_at 0"),
        (EXPORTS_PER_SEAT.replace("M.SEATS", "M.SEETS"), "its formula fails: AttributeError"),
        (
            EXPORTS_PER_SEAT.replace("at(M.SEATS)", "at('seats')"),
            "TypeError: it asks for str 'seats', which is no Measure",
        ),
        (
            EXPORTS_PER_SEAT.replace("threshold=0.2", "threshold=0.2, facts={'n': 3}"),
            "facts have int 3, which is no Measure",
        ),
        (EXPORTS_PER_SEAT.replace("lambda at: M", "lambda at: 3 or M"), "its formula returns int; it must return an"),
        (
            "import ibis\n" + EXPORTS_PER_SEAT.replace("lambda at: M", "lambda at: ibis.literal(3) if at else M"),
            "its formula asks for no measure",
        ),
        (EXPORTS_PER_SEAT.replace("threshold=0.2", "threshold=0.2, also='nothing'"), "also names 'nothing'"),
        (EXPORTS_PER_SEAT.replace("(30, 90)", "(30, 0)"), "windows are (30, 0); they are whole numbers of days"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        metrics_of(config_with(tmp_path, mine=text))
    assert message in str(caught.value)
    assert "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_measure_may_not_take_the_name_of_another(tmp_path: Path) -> None:
    text = EXPORTS_PER_SEAT + (
        "from csql_ml.metrics.definition import Measure\n"
        "USAGE = Measure('usage', 'activity', lambda rows, period, config: rows.events.sum(), empty=0)\n"
        "usual = Metric(name='usual', part='success', direction=1, unit='count', formula=lambda at: at(USAGE),\n"
        "               label='usual', description='Usual.', sentence='usual {value}', windows=(30,))\n"
    )
    with pytest.raises(ConfigError, match=r"usual: measure 'usage' is already another one of the built-in metric"):
        metrics_of(config_with(tmp_path, mine=text))


def test_a_file_that_is_absent_or_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric_files: .*gone\.py cannot be read: No such file"):
        metrics_of(Config(metric_files="gone.py", home=tmp_path))
    with pytest.raises(ConfigError, match=r"gone\.txt is no Python file"):
        metrics_of(Config(metric_files="gone.txt", home=tmp_path))


def test_code_is_not_read_from_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.py").write_text(EXPORTS_PER_SEAT, encoding="utf-8")
    (tmp_path / "link.py").symlink_to(tmp_path / "data" / "mine.py")
    for name in ("data/mine.py", "link.py"):
        config = Config(data={"folder": "data"}, metric_files=name, home=tmp_path)
        with pytest.raises(ConfigError, match="lies in the data folder"):
            metrics_of(config)


def test_beside_a_configuration_that_lies_with_its_data_code_is_as_trusted_as_that(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(EXPORTS_PER_SEAT, encoding="utf-8")
    config = Config(signals=SIGNALS, data={"folder": "."}, metric_files="mine.py", home=tmp_path)
    assert "exports_per_seat" in metrics_of(config)


# --- entry points -----------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install a package of one module with entry points, as pip leaves it; gone after the test."""
    before = set(sys.modules)

    def install(module: str, text: str, points: str) -> None:
        site = tmp_path / "site"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(text, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{from_python.GROUP}]\n{points}\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))

    own.forget()
    yield install
    own.forget()
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "point"),
    [
        (EXPORTS_PER_SEAT, "acme = acme_metrics"),
        (EXPORTS_PER_SEAT, "acme = acme_metrics:exports_per_seat"),
        (EXPORTS_PER_SEAT + "ALL = [exports_per_seat]\n", "acme = acme_metrics:ALL"),
    ],
    ids=["module", "metric", "iterable"],
)
def test_a_package_brings_metrics(installed: Any, text: str, point: str) -> None:
    installed("acme_metrics", text, point)
    found = metrics_of(Config(signals=SIGNALS))
    assert list(found) == [*registry(), "exports_per_seat"]


@pytest.mark.parametrize(
    ("text", "point", "message"),
    [
        ("x = 3", "acme = acme_metrics:x", "expected a module or an iterable of Metric, found int"),
        ("x = [3]", "acme = acme_metrics:x", "expected Metric objects, found int"),
        ("x = []", "acme = acme_metrics:x", "there is no Metric in it"),
        ("raise ValueError('no')", "acme = acme_metrics", "acme_metrics cannot be loaded: ValueError: no"),
        ("x = 3", "acme = acme_metrics:y", "acme_metrics:y cannot be loaded: AttributeError"),
        (EXPORTS_PER_SEAT.replace("+1", "5"), "acme = acme_metrics", "exports_per_seat: direction is 5"),
    ],
)
def test_a_broken_package_is_named(installed: Any, text: str, point: str, message: str) -> None:
    installed("acme_metrics", text, point)
    with pytest.raises(ConfigError) as caught:
        metrics_of(Config(signals=SIGNALS))
    assert "entry point acme of package acme_metrics" in str(caught.value)
    assert message in str(caught.value)


def test_a_package_and_a_file_may_not_define_one_name(installed: Any, tmp_path: Path) -> None:
    installed("acme_metrics", EXPORTS_PER_SEAT, "acme = acme_metrics")
    with pytest.raises(
        ConfigError, match=r"mine\.py, exports_per_seat: column 'exports_per_seat' is already that of entry"
    ):
        metrics_of(config_with(tmp_path, mine=EXPORTS_PER_SEAT))
