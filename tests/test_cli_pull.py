"""``csql pull`` as a user types it; what comes back is a scripted CRM's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from csql_ml.cli import main
from csql_ml.handoff import sinks
from tests.handoff.scripted_sink import ScriptedCrm, World

Capture = pytest.CaptureFixture[str]
CRM = ScriptedCrm(World())


def open_sink(_: object) -> ScriptedCrm:
    """As every module of a sink has it."""
    return CRM


@pytest.fixture(autouse=True)
def crm(monkeypatch: pytest.MonkeyPatch) -> ScriptedCrm:
    CRM.sales.records.clear()
    CRM.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    CRM.sales.note("csqls", "R1", "2026-07-09T08:00:00Z", closed_at="2026-07-09T08:00:00Z", won=True, arr=1200.0)
    monkeypatch.setitem(sinks.SINKS, "scripted", __name__)
    return CRM


def csql(capture: Capture, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capture.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


def test_pull_prints_counts_for_people_and_machines(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: {pulled: pulled}\n")
    code, out, _ = csql(capsys, "pull", "-c", str(path), "--from", "scripted")
    assert code == 0
    assert "Leads now: won 1; incremental ARR won 1,200.00" in out
    code, out, err = csql(capsys, "pull", "-c", str(path), "--from", "scripted", "--full", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["tables"]["csqls"] == {"new": 0, "changed": 0, "unchanged": 1}
    assert (found["leads"]["won"], found["won_arr"], found["read_from_the_beginning"]) == (1, 1200.0, True)


@pytest.mark.parametrize(
    ("config", "origin", "code", "said"),
    [
        ("{}", "scripted", 2, "csql: csql pull needs a folder for what it brings: set data.pulled"),
        ("data: {pulled: pulled}", "nowhere", 2, "csql: there is no sink 'nowhere'"),
        ("data: {pulled: pulled}", "files", 1, "csql: files are written and tell nothing of outcomes"),
    ],
)
def test_what_cannot_be_pulled_is_one_clear_line(
    tmp_path: Path, capsys: Capture, config: str, origin: str, code: int, said: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(config + "\n")
    found, out, err = csql(capsys, "pull", "-c", str(path), "--from", origin)
    assert (found, out) == (code, "")
    assert err.splitlines()[-1].startswith(said)
    assert not (tmp_path / "pulled" / "csqls.parquet").exists()
