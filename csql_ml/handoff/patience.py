"""Asking a sink for something that changes nothing there: asked again until it answers or patience is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from csql_ml.errors import DeliveryError
from csql_ml.handoff.backoff import Backoff, Clock
from csql_ml.handoff.sink import TransientError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How often and how long a sink is asked. ``longest``: seconds of a waiting time that is not waited for."""

    sink: str
    clock: Clock
    backoff: Backoff
    most: int
    longest: float

    def ask(self, what: str, question: Callable[[], _T]) -> _T:
        """The answer to a question that may be asked twice.

        Raises
        ------
        DeliveryError
            There was no answer.
        """
        for attempt in range(1, self.most + 1):
            try:
                return question()
            except TransientError as error:
                delay = self.backoff.delay(attempt, self.clock.draw(), error.retry_after)
                if attempt == self.most or delay > self.longest:
                    raise DeliveryError(
                        f"{self.sink} cannot be reached ({what}: {error.reason}); run it again later"
                    ) from error
                self.clock.sleep(delay)
        raise AssertionError("unreachable")
