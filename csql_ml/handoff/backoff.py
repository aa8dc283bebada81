"""Clock and waiting times, given to whoever waits, so that tests need not."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """The world outside: seconds since 1970, waiting, and a number from 0 up to 1."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    draw: Callable[[], float]


def system_clock() -> Clock:
    """The real one. It decides when something is tried, never what is sent."""
    return Clock(now=time.time, sleep=time.sleep, draw=random.SystemRandom().random)  # noqa: TID251


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: anywhere between nothing and an upper end that doubles, up to ``longest``.

    A waiting time that the sink asked for is kept, with a little jitter on top, so that those it turned away together
    do not come back together.
    """

    first: float
    longest: float

    def delay(self, attempt: int, draw: float, retry_after: float | None = None) -> float:
        """Seconds to wait after the ``attempt``-th attempt (1, 2 ...); ``draw``: a random number from 0 up to 1."""
        # Beyond 2**60 every ceiling is the longest delay, and the power would overflow.
        ceiling = min(self.longest, self.first * 2.0 ** min(max(attempt - 1, 0), 60))
        if retry_after is not None:
            return max(retry_after, 0.0) + draw * self.first
        return draw * ceiling
