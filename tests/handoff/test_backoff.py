from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.handoff.backoff import Backoff, system_clock

BACKOFF = Backoff(first=1.0, longest=60.0)


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (100_000, 60)])
def test_the_ceiling_doubles_up_to_the_longest_delay(attempt: int, ceiling: float) -> None:
    assert BACKOFF.delay(attempt, 0.0) == 0
    assert BACKOFF.delay(attempt, 0.5) == ceiling / 2


@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True), st.floats(0, 1e4))
def test_retry_after_is_never_undercut(attempt: int, draw: float, retry_after: float) -> None:
    delay = BACKOFF.delay(attempt, draw, retry_after)
    assert retry_after <= delay <= retry_after + BACKOFF.first


def test_the_real_clock_moves_on() -> None:
    clock = system_clock()
    before = clock.now()
    clock.sleep(0.001)
    assert clock.now() > before
    assert 0 <= clock.draw() < 1
