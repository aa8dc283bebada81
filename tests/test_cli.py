"""Commands as a user types them: help, exit codes, one clear line for bad input, and nothing half written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from csql_ml.cli import app, main
from tests.small_company import ACCOUNTS, CONTRACTS, FIRST_EVENT, rows, write_tables

CONFIG = """
data:
  folder: .
  tables: {accounts: accounts.csv, contracts: contracts.csv, events: events.csv}
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """A folder with the three required tables and a configuration."""
    tables = {"accounts": rows(ACCOUNTS), "contracts": rows(CONTRACTS), "events": rows(FIRST_EVENT)}
    write_tables(tmp_path, tables)
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def csql(arguments: Sequence[str], capture: Capture) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capture.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), printed.out, printed.err


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


def written(name: str, content: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


SCORE = ["score", "--as-of", "2025-12-01"]
#: What is broken, the command, its exit code and what the one line must say.
BAD_INPUT: dict[str, tuple[Callable[[Path], None], list[str], int, str]] = {
    "configuration missing": (removed("c.yaml"), SCORE, 2, "does not exist"),
    "table file missing": (removed("contracts.csv"), SCORE, 1, "contracts"),
    "unknown key in YAML": (replaced("c.yaml", "data:", "datta:"), SCORE, 2, "datta: unknown key"),
    "wrong type in YAML": (written("c.yaml", "scoring: {high_band: many}"), SCORE, 2, "scoring.high_band"),
    "not YAML": (written("c.yaml", "data: [unclosed"), SCORE, 2, "not valid YAML"),
    "unknown metric": (
        replaced("c.yaml", "data:", "metrics: {seat_saturatoin: {}}\ndata:"),
        SCORE,
        2,
        "seat_saturation?",
    ),
    "ramp the wrong way": (
        replaced("c.yaml", "data:", "metrics: {seat_saturation: {zero_at: 0.9, full_at: 0.1}}\ndata:"),
        SCORE,
        2,
        "swap the two",
    ),
    "unknown column mapped": (
        replaced("c.yaml", "events: events.csv", "events: {file: events.csv, columns: {when: x}}"),
        SCORE,
        2,
        "no column 'when'",
    ),
    "mapped column absent": (
        replaced("c.yaml", "events: events.csv", "events: {file: events.csv, columns: {occurred_at: ts}}"),
        SCORE,
        1,
        "ts",
    ),
    "required column absent": (replaced("contracts.csv", "seats", "chairs"), SCORE, 1, "seats"),
    "empty table": (
        written("contracts.csv", "account_id,product,seats,arr,start_date,end_date\n"),
        SCORE,
        1,
        "contracts",
    ),
    "file of no bytes": (written("events.csv", ""), SCORE, 1, "events"),
    "every row bad": (replaced("contracts.csv", "Platform", "Platform,1e999"), SCORE, 1, "contracts"),
    "as-of before all data": ([].append, ["score", "--as-of", "2020-01-01"], 1, "choose a later as-of date"),
    "as-of is no date": ([].append, ["score", "--as-of", "soon"], 2, "YYYY-MM-DD"),
    "bundle missing": ([].append, [*SCORE, "--model", "nowhere"], 1, "nowhere"),
    "not enough history to train": ([].append, ["train", "--as-of", "2025-02-01"], 1, "60 days"),
    "a query that writes": (
        replaced("c.yaml", "events: events.csv", 'events: {query: "drop table x"}'),
        SCORE,
        2,
        "SELECT",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_ends_in_one_clear_line(name: str, company: Path, capsys: Capture) -> None:
    damage, command, code, says = BAD_INPUT[name]
    damage(company)
    out = [] if command[0] == "train" else ["--out", str(company / "run")]
    found, _, error = csql([*command, "-c", str(company / "c.yaml"), *out], capsys)
    lines = [line for line in error.splitlines() if line and not line.startswith("...")]
    assert found == code, error
    assert says in error
    assert "Traceback" not in error
    if code == 1:
        assert len(lines) == 1
    if code:
        assert not (company / "run").exists()


def test_odd_but_good_input_is_scored(company: Path, capsys: Capture) -> None:
    accounts = "account_id | name | created_at\n0017 | =1+1 Åß 株式会社 \u202e<b> | 2025-01-01T00:00:00+09:00"
    contracts = "account_id | product | seats | arr | start_date | end_date\n0017 | P | 0 | 12.50 | 2025-01-01 |"
    events = "account_id | user_id | occurred_at | event_name\n0017 | u | 2025-11-30T23:59:59+00:00 | x"
    bad = "0017 | u | 2025-11-30 | x | nan\n0017 | u | 2025-11-30 | x | inf"
    table = events.replace("event_name", "event_name | quantity").replace("| x", "| x | 1") + "\n" + bad
    write_tables(company, {"accounts": rows(accounts), "contracts": rows(contracts), "events": rows(table)})
    code, out, error = csql(
        ["score", "-c", str(company / "c.yaml"), "--as-of", "2025-12-01", "--out", str(company / "run"), "--json"],
        capsys,
    )
    assert (code, error) == (0, "")
    assert json.loads(out)["quarantined_rows"] == {"events": 2}
    record = json.loads((company / "run" / "accounts.jsonl").read_text(encoding="utf-8"))
    assert (record["account_id"], record["name"]) == ("0017", "=1+1 Åß 株式会社 \u202e<b>")
    assert record["seats"] == 0


def test_check_reports_quarantines_and_stops_with_1_when_broken(company: Path, capsys: Capture) -> None:
    replaced("contracts.csv", "Platform,4", "Platform,four")(company)
    bad = company / "bad"
    code, out, _ = csql(["check", "-c", str(company / "c.yaml"), "--quarantine", str(bad), "--json"], capsys)
    result = json.loads(out)
    contracts = next(t for t in result["tables"] if t["table"] == "contracts")
    assert (code, contracts["read"], contracts["kept"], contracts["quarantined"]) == (0, 2, 1, 1)
    assert (bad / "contracts.parquet").is_file()
    assert result["unavailable"]["nps_score"] == ["table nps is absent"]
    replaced("contracts.csv", "seats", "chairs")(company)
    code, out, _ = csql(["check", "-c", str(company / "c.yaml"), "--json"], capsys)
    assert code == 1
    assert "seats" in json.loads(out)["broken"]


def test_a_run_explains_and_reports_one_account(company: Path, capsys: Capture) -> None:
    config, run = str(company / "c.yaml"), str(company / "run")
    assert csql(["score", "-c", config, "--as-of", "2025-12-01", "--out", run], capsys)[0] == 0
    code, out, _ = csql(["explain", "-c", config, "--run", run, "--account", "a1"], capsys)
    assert code == 0
    assert "Alpha" in out
    assert "Propensity" in out
    code, _, error = csql(["explain", "-c", config, "--run", run, "--account", "zz"], capsys)
    assert (code, "'zz' is not in run" in error) == (1, True)
    assert csql(["report", "-c", config, "--run", run, "--out", str(company / "site")], capsys)[0] == 0
    assert (company / "site" / "index.html").is_file()


def test_a_folder_with_other_things_is_never_overwritten(company: Path, capsys: Capture) -> None:
    (company / "run").mkdir()
    (company / "run" / "thesis.txt").write_text("mine", encoding="utf-8")
    arguments = ["score", "-c", str(company / "c.yaml"), "--as-of", "2025-12-01", "--out", str(company / "run")]
    code, _, error = csql(arguments, capsys)
    assert code == 1
    assert "thesis.txt" in error
    assert [p.name for p in (company / "run").iterdir()] == ["thesis.txt"]


def _commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found += _commands(command, (*path, name)) if hasattr(command, "commands") else [(*path, name)]
    return found


@pytest.mark.parametrize("command", _commands(get_command(app)), ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...], capsys: Capture) -> None:
    code, out, _ = csql([*command, "--help"], capsys)
    assert code == 0
    assert f"Example: csql {' '.join(command)}" in out


def test_an_unexpected_error_is_one_line_unless_debugged(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the name of a customer")

    monkeypatch.setattr("csql_ml.config.load", broken)
    code, _, error = csql(["check", "-c", "x.yaml"], capsys)
    assert code == 1
    expected = r"csql: unexpected ZeroDivisionError in test_cli\.py, line \d+; run again with --debug for the traceback"
    assert re.fullmatch(expected, error.strip()), "no values of rows, which an error of somebody else's code may quote"
    with pytest.raises(ZeroDivisionError):
        main(["check", "-c", "x.yaml", "--debug"])


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "csql_ml", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "csql")


def test_a_run_without_leads_says_what_is_missing_most(company: Path, capsys: Capture) -> None:
    arguments = ["score", "-c", str(company / "c.yaml"), "--as-of", "2025-12-01", "--out", str(company / "run")]
    code, out, _ = csql(arguments, capsys)
    assert code == 0
    assert "No account is qualified" in out
    assert "value proven (2)" in " ".join(out.split())
