"""Sinks that ask for time, take long, or cannot be reached."""

from __future__ import annotations

import pytest

from csql_ml.errors import DeliveryError
from tests.handoff.push_desk import Desk
from tests.handoff.small_run import lead


def test_retry_after_holds_for_the_whole_sink(desk: Desk) -> None:
    desk.crm.script = ["unavailable"]
    desk.push(*(lead(f"A{n}") for n in range(6)))
    begun, *later = (t for name, t in zip(desk.crm.requests, desk.crm.times, strict=True) if name == "submit")
    # 2 s were asked for; half of the first delay is added as jitter. The other batch waits as well.
    assert [t - begun for t in later] == pytest.approx([2.5, 2.5])


def test_a_sink_that_asks_for_too_much_time_is_left_and_the_next_push_goes_on(desk: Desk) -> None:
    desk.options |= {"patience": 1.0}
    desk.crm.script = ["unavailable"]
    pushed = desk.push(lead("A1"))
    assert (pushed.unfinished, pushed.exit_code) == (1, 1)
    assert desk.push(lead("A1")).exit_code == 0


def test_a_bulk_job_without_an_end_is_given_up_and_a_replay_asks_again(desk: Desk) -> None:
    desk.options |= {"poll_interval": 10.0, "poll_limit": 30.0}
    desk.crm.polls = 1_000_000
    pushed = desk.push(lead("A1"))
    assert [r.error for r in pushed.dead] == ["the sink has not finished its job within 30 s; replay it"]
    desk.crm.polls = 1
    assert desk.replay().exit_code == 0
    assert desk.crm.writes == 1, "collected, not sent again"


def test_reading_is_tried_again_and_an_unreachable_sink_changes_nothing(desk: Desk) -> None:
    from csql_ml.handoff.sink import TransientError

    def down(name: str) -> None:
        raise TransientError("connection refused")

    desk.crm.before_call = down
    with pytest.raises(DeliveryError, match=r"scripted cannot be reached \(looking up leads: connection refused\)"):
        desk.push(lead("A1"))
    assert len(desk.crm.requests) == 10
    desk.crm.before_call = lambda name: None
    assert desk.push(lead("A1")).counts == {"create": 1}
