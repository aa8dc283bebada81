from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from csql_ml import printing_push
from csql_ml.handoff.push import dry_run, history, push
from tests.handoff.scripted_sink import ScriptedCrm, World
from tests.handoff.small_run import config, lead, write_run


def text(parts: list[Any]) -> str:
    console = Console(file=io.StringIO(), width=110, highlight=False)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def world() -> World:
    return World()


def test_a_dry_run_shows_counts_and_the_lines_that_differ(tmp_path: Path, world: World) -> None:
    crm, settings = ScriptedCrm(world), config(tmp_path)
    push(settings, write_run(tmp_path / "a", [lead("A1"), lead("A2")]), "scripted", sink=crm, clock=world.clock())
    reasons = lead()["proof_of_value"]
    second = {"metric": "nps_score", "value": 9, "unit": "score", "side": "for", "facts": {}}
    changed = [lead("A1", proof_of_value=[*reasons, second], account_name="[bold]Odd[/bold]"), lead("A3")]
    result = dry_run(settings, write_run(tmp_path / "b", changed), "scripted", sink=crm, clock=world.clock())
    printed = printing_push.pushed(result)
    shown, data = text(list(printed.text)), printed.data
    assert "create  update  withdraw  unchanged  invalid" in shown
    assert "update [bold]Odd[/bold] A1" in shown, "markup in names is text"
    assert "withdraw Account A2" in shown
    assert "dry run: nothing was written" in shown
    assert json.loads(json.dumps(data, allow_nan=False))["planned"]["lead"]["create"] == 1
    assert {c["action"] for c in data["changes"]} == {"create", "update", "withdraw"}


def test_dead_rows_are_listed_with_what_to_do(tmp_path: Path, world: World) -> None:
    key = lead("A1")["lead_key"]
    crm = ScriptedCrm(world, invalid=[key])
    run = write_run(tmp_path / "a", [lead("A1"), lead("A2")])
    result = push(config(tmp_path), run, "scripted", sink=crm, clock=world.clock())
    printed = printing_push.pushed(result)
    shown, data = text(list(printed.text)), printed.data
    assert "1 rows are dead; mend the cause, then: csql push --replay KEY, or --replay all" in shown
    assert "no such company" in shown
    assert (data["exit_code"], data["counts"]) == (1, {"create": 1, "dead": 1})


def test_the_history_is_a_table_and_one_push_shows_its_rows(tmp_path: Path, world: World) -> None:
    settings = config(tmp_path)
    assert text(list(printing_push.history(history(settings)).text)) == "nothing was pushed yet\n"
    push(settings, write_run(tmp_path / "a", [lead("A1")]), "scripted", sink=ScriptedCrm(world), clock=world.clock())
    assert "1 create" in text(list(printing_push.history(history(settings)).text))
    shown = text(list(printing_push.history(history(settings, push_id=1)).text))
    assert "Results of push 1" in shown
    assert "acknowledged" in shown
