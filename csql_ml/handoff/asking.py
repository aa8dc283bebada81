"""A question put to a sink while other work goes on: most of a push is waiting for answers."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Asked(Generic[_T]):
    """A question that is being answered; ask one at a time, for a sink takes one call at a time.

    It only reads: a process that ends does not wait for the answer.
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

    def answer(self) -> _T:
        """Wait for the answer; raises what asking raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found[0]
