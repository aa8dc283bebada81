"""``csql dashboard`` and ``csql digest`` from files to pages, and what they refuse."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from csql_ml.outcomes.plan_file import Plan
from tests.outcomes.funnel_tables import ACCOUNTS, CONTRACTS
from tests.outcomes.test_commands import run
from tests.outcomes.test_measure import LEADS, OPPORTUNITIES
from tests.small_company import rows, write_tables
from tests.test_standup import BEFORE, a_run


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    texts = {"accounts": ACCOUNTS, "contracts": CONTRACTS, "csqls": LEADS, "opportunities": OPPORTUNITIES}
    write_tables(folder, {name: rows(text) for name, text in texts.items()})
    path = folder / "config.yaml"
    files = "".join(f"    {name}: {name}.csv\n" for name in (*texts, "events"))
    text = f"company:\n  currency: EUR\ndata:\n  folder: .\n  tables:\n{files}delivery:\n  outbox: outbox.sqlite\n"
    path.write_text(text, encoding="utf-8")
    return path


def plan_file(folder: Path) -> Path:
    """An experiment whose outcomes are not complete before 2027."""
    days = {"start": date(2026, 7, 1), "end": date(2026, 12, 1), "complete_from": date(2027, 2, 14)}
    shares = {"holdout_share": 0.5, "confidence": 0.95, "power": 0.8}
    plan = Plan(
        "next", "account", **days, planned_as_of=date(2026, 7, 1), **shares, units=(), smallest={}, sentences=()
    )
    plan.write(folder / "plan.json")
    return folder / "plan.json"


def test_the_dashboard_has_the_figures_of_measure(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, measured, _ = run(capsys, "measure", "-c", config, "--as-of", "2026-07-01", "--json")
    out, plan = tmp_path / "new" / "dashboard.html", plan_file(tmp_path)
    given = ("--as-of", "2026-07-01", "--plan", plan, "--out", out)
    code, text, _ = run(capsys, "dashboard", "-c", config, *given, "--json")
    data = json.loads(text)
    assert (code, data["measured"]) == (0, json.loads(measured))
    assert data["bytes"] == out.stat().st_size
    assert data["read"] == [{"experiment": "next", "complete_from": "2027-02-14"}]
    page = out.read_text(encoding="utf-8")
    assert "complete from Feb 14, 2027" in page
    code, text, _ = run(capsys, "dashboard", "-c", config, *given)
    assert (code, "dashboard of 9 leads written to" in text) == (0, True)
    assert out.read_text(encoding="utf-8") == page


def test_the_digest(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier = a_run(tmp_path / "1", {"A1": "held", "A2": "qualified"}, BEFORE)
    now = a_run(tmp_path / "2", {"A1": "qualified", "A2": "qualified"})
    given = ("--run", now, "--since", earlier, "--out", tmp_path / "digest")
    code, text, _ = run(capsys, "digest", "-c", config, *given, "--json")
    data = json.loads(text)
    assert (code, data["team"]["counts"]["released_from_risk"], data["team"]["counts"]["offers"]) == (0, 1, 1)
    assert data["files"] == len([p for p in (tmp_path / "digest").rglob("*.*") if p.name != ".csql-report"])
    code, text, _ = run(capsys, "digest", "-c", config, *given, "--today", "2026-07-09")
    assert (code, "Stand-up 2026-07-09, run as of 2026-07-08, compared with 2026-07-01" in text) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("dashboard", "--out", "x.html", "--lang", "xx"), 2, "is not a language of the reports; choose en"),
        (("dashboard", "--out", "x.html", "--quarter", "Q3"), 2, "write it as 2026Q3"),
        (("dashboard", "--out", "x.html", "--run", "nowhere"), 1, "written by csql score"),
        (("dashboard", "--out", "x.html", "--plan", "nowhere.json"), 2, "--plan names a file of csql poc plan"),
        (("digest", "--out", "x", "--run", "nowhere"), 1, "written by csql score"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, err = run(capsys, *arguments, "-c", config)
    assert (found, message in err) == (code, True), err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
