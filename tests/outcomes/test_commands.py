"""The commands from files to text and JSON, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from csql_ml.cli import main
from tests.outcomes.funnel_tables import ACCOUNTS, CONTRACTS
from tests.outcomes.test_measure import LEADS, OPPORTUNITIES
from tests.small_company import rows, write_tables


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company in CSV files; its events are mapped, but there is no need for the file."""
    folder = tmp_path_factory.mktemp("funnel")
    texts = {"accounts": ACCOUNTS, "contracts": CONTRACTS, "csqls": LEADS, "opportunities": OPPORTUNITIES}
    write_tables(folder, {name: rows(text) for name, text in texts.items()})
    path = folder / "config.yaml"
    files = "".join(f"    {name}: {name}.csv\n" for name in (*texts, "events"))
    path.write_text(f"data:\n  folder: .\n  tables:\n{files}", encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    else:
        code = 0
    said = capsys.readouterr()
    return code, said.out, said.err


def test_measure(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "measure", "-c", config, "--as-of", "2026-07-01", "--json")
    data = json.loads(out)
    assert (code, data["total"]["created"], data["total"]["stages"]["won"]["reached"]) == (0, 9, 3)
    code, out, _ = run(capsys, "measure", "-c", config, "--quarter", "2026Q1")
    assert code == 0
    assert "Funnel of leads of 2026Q1, known before 2026-06-02" in out, "by default the day after the newest news"
    assert "no --run was given" in " ".join(out.split())


def test_plan_and_read(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    days = ("--start", "2026-03-01", "--end", "2026-04-01")
    code, out, _ = run(capsys, "poc", "plan", "-c", config, "--name", "x", *days, "--out", plan, "--holdout", 0.4)
    assert code == 1 or code == 2, "three accounts have a contract then: too few for two arms"
    extra = config.with_name("more.yaml")
    table = "\n".join(f"b{i} | Platform | 1 | {100 * i + 50} | 2025-01-01 | 2027-01-01" for i in range(20))
    people = "\n".join(f"b{i} | B | 2025-01-01 | c{i % 3}" for i in range(20))
    write_tables(
        config.parent / "more",
        {
            "accounts": rows(f"{ACCOUNTS.strip()}\n{people}"),
            "contracts": rows(f"{CONTRACTS.strip()}\n{table}"),
            "csqls": rows(LEADS),
            "opportunities": rows(OPPORTUNITIES),
        },
    )
    extra.write_text(config.read_text(encoding="utf-8").replace("folder: .", "folder: more"), encoding="utf-8")
    code, out, err = run(capsys, "poc", "plan", "-c", extra, "--name", "x", *days, "--out", plan)
    assert (code, err) == (0, "")
    assert "you can see only a difference of" in " ".join(out.split())
    code, _, err = run(capsys, "poc", "read", "-c", extra, "--plan", plan)
    assert (code, "complete from 2026-06-15" in err) == (1, True)
    code, out, _ = run(capsys, "poc", "read", "-c", extra, "--plan", plan, "--as-of", "2026-07-01", "--json")
    data = json.loads(out)
    assert (code, data["experiment"], data["verdict"]) == (0, "x", "cannot tell")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("measure", "--quarter", "Q3"), "write it as 2026Q3"),
        (("measure", "--run", "nowhere"), "written by csql score"),
        (("poc", "read", "--plan", "nowhere.json"), "--plan names a file of csql poc plan"),
    ],
)
def test_what_is_wrong_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capsys, *arguments, "-c", config)
    assert code in (1, 2)
    assert message in err
    assert len(err.strip().splitlines()) == 1
