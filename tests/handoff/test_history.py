"""Past pushes with counts, durations and results."""

from __future__ import annotations

import pytest

from csql_ml.errors import UsageError
from csql_ml.handoff.push import history
from tests.handoff.push_desk import KEY, Desk
from tests.handoff.scripted_sink import Killed
from tests.handoff.small_run import lead


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
