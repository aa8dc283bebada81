"""The curve of closed leads against a hand-computed example and scipy's own estimate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf

from csql_ml.outcomes.cycle import curve
from csql_ml.outcomes.note import Note
from tests.outcomes.funnel_tables import report
from tests.outcomes.test_measure import LEADS


def of(days: list[float], ended: list[bool]) -> list[tuple[float, float, int]]:
    steps = curve(np.array(days), np.array(ended), 0.95)
    return [(s.days, round(s.closed, 6), s.at_risk) for s in steps]


def test_by_hand() -> None:
    # 4 leads: one closes after 10 of 4, one is last seen open at 20, one closes at 30 of the 2 left.
    assert of([10, 20, 30, 40], [True, False, True, False]) == [(0, 0, 4), (10, 0.25, 4), (30, 0.625, 2)]
    assert of([5, 9], [False, False]) == []
    assert of([7], [True]) == [(0, 0, 1), (7, 1, 1)]


def test_it_is_what_scipy_has() -> None:
    rng = np.random.default_rng(3)
    days, ended = rng.integers(1, 90, 200).astype(float), rng.random(200) < 0.7
    theirs = ecdf(CensoredData.right_censored(days, ~ended)).cdf
    for step in curve(days, ended, 0.9)[1:]:
        assert step.closed == pytest.approx(theirs.evaluate(step.days))
        assert 0 <= step.low <= step.closed <= step.high <= 1
    widths = [s.high - s.low for s in curve(days, ended, 0.99)]
    assert sum(widths) > sum(s.high - s.low for s in curve(days, ended, 0.8))


def test_the_report_has_the_curve_its_median_is_read_from() -> None:
    found = report(csqls=LEADS)
    halfway = next(s for s in found.cycle_curve if s.closed >= 0.5 - 1e-9)
    assert halfway.days == found.total.cycle.value


def test_a_note_can_be_said_again() -> None:
    note = Note("{count} of {total} leads", count=1200, total=3)
    assert note == "1,200 of 3 leads"
    assert note.message.format(**note.values) == "1200 of 3 leads"
