from __future__ import annotations

from threading import Event

import pytest

from csql_ml.handoff.asking import Asked, Line


def test_an_answer_is_waited_for_and_an_error_raised_where_it_is_wanted() -> None:
    free = Event()
    asked = Asked(lambda: free.wait(5) and "answer")
    assert not asked.done()
    free.set()
    assert asked.answer() == "answer"
    assert asked.done()
    failed = Asked(lambda: 1 // 0)
    failed.wait()
    with pytest.raises(ZeroDivisionError):
        failed.answer()


def test_a_line_makes_one_call_at_a_time_in_order() -> None:
    line, at_work, order = Line(), 0, []

    def call(number: int) -> int:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        order.append(number)
        at_work -= 1
        return number

    asked = [line.ask(lambda n=n: call(n)) for n in range(20)]  # type: ignore[misc]
    assert [a.answer() for a in reversed(asked)] == [*reversed(range(20))]
    assert order == [*range(20)]


def test_after_an_error_a_line_makes_no_more_calls() -> None:
    line, made = Line(), []
    first = line.ask(lambda: 1 // 0)
    second = line.ask(lambda: made.append(2))
    for asked in (first, second):
        with pytest.raises(ZeroDivisionError):
            asked.answer()
    assert made == []
