"""Past pushes with counts, durations and results."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from csql_ml import printing_push
from csql_ml.errors import UsageError
from csql_ml.handoff.pull import pull
from csql_ml.handoff.push import history
from tests.handoff.push_desk import KEY, Desk
from tests.handoff.scripted_sink import Killed
from tests.handoff.small_run import lead
from tests.handoff.test_printing_push import text


def test_the_history_has_counts_durations_and_results_row_by_row(desk: Desk) -> None:
    desk.crm.invalid = {KEY}
    desk.push(lead("A1"), lead("A2"))
    desk.push(lead("A1"), lead("A2"))
    newest, oldest = history(desk.config)
    assert (oldest["push_id"], oldest["job"], oldest["run_id"], oldest["as_of"]) == (1, "push", "run-1", "2026-07-01")
    assert oldest["counts"] == {"create": 1, "dead": 1}
    assert oldest["seconds"] >= 0
    assert newest["planned"]["lead"]["unchanged"] == 1
    (one,) = history(desk.config, push_id=1)
    results = {r["account_id"]: (r["action"], r["result"], r["attempts"], r["error"]) for r in one["results"]}
    assert results == {"A1": ("create", "dead", 1, "no such company"), "A2": ("create", "acknowledged", 1, None)}
    with pytest.raises(UsageError, match="there is no push 9; the newest is 2"):
        history(desk.config, push_id=9)


def test_an_interrupted_push_has_no_end_in_the_history(desk: Desk) -> None:
    def die(name: str) -> None:
        if name == "submit":
            raise Killed

    desk.crm.before_call = die
    with pytest.raises(Killed):
        desk.push(lead("A1"))
    assert history(desk.config)[0]["ended_at"] is None


def test_there_is_no_history_before_the_first_push_and_asking_makes_no_file(desk: Desk) -> None:
    assert history(desk.config) == []
    assert not (desk.home / "outbox.sqlite").exists()


def test_pulls_stand_in_the_history_as_well(desk: Desk) -> None:
    desk.push(lead("A1"))
    settings = desk.config
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"pulled": Path("pulled")})})
    desk.world.sleep(60)
    desk.crm.sales.note("csqls", "R1", "1970-01-01T00:10:00Z", key=KEY)
    pull(settings, "scripted", sink=desk.crm, clock=desk.world.clock())
    desk.world.sleep(60)
    pull(settings, "scripted", sink=desk.crm, clock=desk.world.clock())
    found = [(h["job"], h["push_id"], h["counts"]) for h in history(desk.config)]
    assert found == [("pull", None, {}), ("pull", None, {"csqls new": 1}), ("push", 1, {"create": 1})]
    shown = text(list(printing_push.history(history(desk.config)).text))
    assert "1 csqls new" in shown
    assert "nothing new" in shown


def test_an_outbox_of_before_pulls_were_noted_goes_on(desk: Desk) -> None:
    desk.push(lead("A1"))
    with closing(sqlite3.connect(desk.home / "outbox.sqlite")) as connection:
        connection.execute("DROP TABLE pulls")
    assert [h["job"] for h in history(desk.config)] == ["push"]
    assert desk.push(lead("A1")).exit_code == 0
