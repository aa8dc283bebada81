"""The leak check finds metrics that look ahead, each by what it does, and leaves honest ones alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from csql_ml import as_of as as_of_cut
from csql_ml.config import Config
from csql_ml.errors import UsageError
from csql_ml.leak_check import LeakReport, check_leaks
from csql_ml.metrics import registry
from tests.small_company import SETTINGS

SIGNALS = {**SETTINGS["signals"], "own": {"exports": {"events": ["export"], "features": ["exporter"]}}}
HONEST_YAML = {
    f"yaml_{measure}": {"signal": "exports", "measure": measure, "label": measure, "direction": 1}
    for measure in ("count", "sum", "users", "share", "change")
}
HEAD = """
from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Measure, Metric
from csql_ml.metrics.from_config import amount_of


def metric(name, formula, **more):
    return Metric(name=name, part="success", direction=1, unit="count", formula=formula, label=name,
                  description="A metric.", sentence="{value} of it", **{"windows": (30,), **more})


def events(name, value):
    return Measure(name, "activity", value, empty=0, dense=True)
"""
HONEST = (
    HEAD
    + """
per_seat = metric("per_seat", lambda at: M.ratio(at(amount_of("exports", "count")), at(M.SEATS)), compare=True)
tickets_open = metric("tickets_open", lambda at: at(M.OPEN_SEVERE_TICKETS), windows=())
"""
)
#: Each peeks in its own way.
PEEKING = (
    HEAD
    + """
import json
import random
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.operations as ops

FOLDER = Path(__file__).parent


def uncut(rows, period, config):
    # Up from the rows as they were known, to the table before the cut.
    table = rows.op().find(ops.PhysicalTable)[0].to_expr()
    return rows.count() + table.count().as_scalar()


def from_file(at):
    return at(M.EVENTS) + json.loads((FOLDER / "future.json").read_text())["a"]


up_the_tree = metric("up_the_tree", lambda at: at(events("up", uncut)))
engine_clock = metric("engine_clock", lambda at: at(M.EVENTS) * (ibis.now().year() - 2000))
fixed_date = metric("fixed_date", lambda at: at(events("fixed", lambda rows, period, config: ibis.ifelse(
    ibis.date("2025-11-20") > ibis.date("2025-01-01"), rows.events, 0).sum())))
own_table = metric("own_table", lambda at: at(events("own_table", lambda rows, period, config: rows.count(
    where=rows.account_id.isin(ibis.table({"account_id": "string"}, name="outcomes").account_id)))))
opens_file = metric("opens_file", from_file)
any_row = metric("any_row", lambda at: at(events("any_row", lambda rows, period, config: rows.days_ago.first())))
dice = metric("dice", lambda at: at(M.EVENTS) + random.random())
engine_dice = metric("engine_dice", lambda at: at(M.EVENTS) + ibis.random())
age = (date.today() - date(2020, 1, 1)).days
clock = metric("clock", lambda at: at(M.EVENTS) + age)
"""
)


def checked(folder: Path, text: str, metrics: list[str] | None = None, **sections: Any) -> LeakReport:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    config = Config(**{**SETTINGS, "signals": SIGNALS, "metric_files": "mine.py", "home": folder, **sections})
    return check_leaks(config, metrics, companies=1, accounts=12)


def test_honest_metrics_pass_and_are_all_put_to_the_test(tmp_path: Path) -> None:
    report = checked(tmp_path, HONEST, own_metrics=HONEST_YAML)
    assert report.findings == ()
    assert report.sound
    assert report.silent == ()
    assert report.metrics == report.passed == ("per_seat", "tickets_open", *HONEST_YAML)


def test_every_way_of_peeking_is_found(tmp_path: Path) -> None:
    (tmp_path / "future.json").write_text('{"a": 1}', encoding="utf-8")
    report = checked(tmp_path, PEEKING)
    found: dict[str, str] = {}
    for finding in report.findings:
        found[finding.of] = f"{found.get(finding.of, '')}{finding.message}\n"
    assert not report.sound
    calls = found.pop(str(tmp_path / "mine.py"))
    assert [line.split("() ")[1].split(";")[0] for line in calls.splitlines()] == [
        "reads data by itself",
        "reads the clock",
        "is chance",
        "is chance",
        "reads the clock",
    ]
    assert f"line {line_of('age = ')}: today() reads the clock" in calls
    assert "news known at or after the cut-off change its value (column up_the_tree" in found.pop("up_the_tree")
    assert found.pop("engine_clock") == "it asks the engine for the present time\n"
    assert "measure fixed: it has a date of its own" in found.pop("fixed_date")
    assert "measure own_table: it reads a table of its own" in found.pop("own_table")
    assert "future.json while it is evaluated" in found.pop("opens_file")
    assert found.pop("dice") == "it is another formula each time it is asked for\n"
    assert "measure any_row: it takes whichever row comes first" in found.pop("any_row")
    assert found.pop("engine_dice") == "it asks the engine for random values\n"
    # What the clock said when the file was read is a number by now: only the file shows it.
    assert found == {}
    assert "clock" in report.metrics
    assert (report.passed, report.silent) == ((), ())


def line_of(start: str) -> int:
    return next(i for i, line in enumerate(PEEKING.splitlines(), 1) if line.startswith(start))


def test_a_cut_that_is_loose_by_one_instant_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_of_cut, "known_before", lambda day, as_of: day <= as_of)
    report = checked(tmp_path, HONEST, ["per_seat"])
    assert {f.of for f in report.findings} == {"per_seat"}
    assert "news known at or after the cut-off change its value" in report.findings[0].message


def test_a_formula_the_engine_refuses_is_found_and_the_others_are_checked(tmp_path: Path) -> None:
    text = HONEST + (
        "\nrefused = metric('refused', lambda at: at(events('refused', lambda rows, period, config: \n"
        "    rows.account_id.cast('int64').sum())))\n"
    )
    report = checked(tmp_path, text, ["refused", "per_seat"])
    assert [f.of for f in report.findings] == ["refused"]
    assert "it cannot be computed: Conversion Error" in report.findings[0].message
    assert report.passed == ("per_seat",)


def test_a_metric_that_nothing_changes_is_silent_not_sound(tmp_path: Path) -> None:
    signals = {**SIGNALS, "workflow_starts": []}
    own = {"starts": {"signal": "workflow_starts", "measure": "count", "label": "starts", "direction": 1}}
    report = check_leaks(Config(signals=signals, own_metrics=own, home=tmp_path), companies=1, accounts=5)
    assert (report.sound, report.silent) == (True, ("starts",))


def test_there_must_be_something_to_check() -> None:
    with pytest.raises(UsageError, match="there is no metric of your own to check"):
        check_leaks(Config())
    with pytest.raises(UsageError, match="there is no metric 'seat_saturashun'"):
        check_leaks(Config(), ["seat_saturashun"])


@pytest.mark.slow
def test_every_built_in_metric_is_put_to_the_test_and_passes() -> None:
    report = check_leaks(Config(**SETTINGS), list(registry()), companies=2)
    assert report.findings == ()
    assert report.silent == ()
