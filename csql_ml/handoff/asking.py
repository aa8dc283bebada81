"""Something asked of a sink while other work goes on: most of a push is waiting for answers."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Asked(Generic[_T]):
    """A call of a sink that is being answered; make one at a time, for a sink takes one call at a time.

    A process that ends does not wait for the answer: what was sent by then is in the outbox as in flight.
    """

    def __init__(self, question: Callable[[], _T]) -> None:
        self._question = question
        self._found: list[_T] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._question())
        except BaseException as error:  # noqa: BLE001 - raised where the answer is wanted
            self._error = error

    def done(self) -> bool:
        """Whether the answer is there."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait until the sink is free again, whatever it says."""
        self._thread.join()

    def answer(self) -> _T:
        """Wait for the answer; raises what asking raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._found[0]


class Line:
    """Calls of a sink, each made when the one before is answered."""

    def __init__(self) -> None:
        self._last: Asked[Any] | None = None

    def ask(self, question: Callable[[], _T]) -> Asked[_T]:
        """Make a call when its turn comes; raises, where its answer is wanted, what the one before raised."""
        before = self._last

        def in_turn() -> _T:
            if before is not None:
                before.answer()
            return question()

        asked = Asked(in_turn)
        self._last = asked
        return asked
