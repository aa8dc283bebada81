"""The answers of trees' decisions for a chunk of rows: each distinct decision is asked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from csql_ml.model.tree_text import Decision, Missing

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: LightGBM reads smaller values as 0 (its ``kZeroThreshold``, a single-precision constant).
ZERO = float(np.float32(1e-35))


@dataclass(frozen=True)
class Answers:
    """Asks decisions; `left_answer` says what the answers mean.

    Attributes
    ----------
    decisions
        All distinct decisions.
    by_reading
        Their places, by the column and the reading of missing values that they need.
    joint
        Several decisions at once, by place, each with the answer that is wanted.
    """

    decisions: tuple[Decision, ...]
    by_reading: tuple[tuple[int, Missing, tuple[int, ...]], ...]
    joint: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, decisions: Sequence[Decision], joint: Sequence[tuple[tuple[int, int], ...]]) -> Answers:
        """Sort decisions by what they read."""

        def reading(place: int) -> tuple[int, Missing, bool]:
            decision = decisions[place]
            return decision.column, decision.missing, decision.categories is not None

        places = sorted(range(len(decisions)), key=reading)
        grouped = ((key, tuple(group)) for key, group in groupby(places, reading))
        by_reading = tuple((column, missing, group) for (column, missing, _), group in grouped)
        return cls(tuple(decisions), by_reading, tuple(joint))

    @property
    def asked(self) -> int:
        """How many questions there are."""
        return len(self.decisions) + len(self.joint)

    def to(self, rows: FloatArray) -> npt.NDArray[np.uint8]:
        """(questions, n) answers, 0 or 1, for (n, columns) rows: of decisions, then of several at once."""
        found = np.empty((self.asked, len(rows)), dtype=np.bool_)
        for column, missing, places in self.by_reading:
            values = _read(rows[:, column], missing)
            for place in places:
                _ask(self.decisions[place], values, found[place])
        for wanted, answer in zip(self.joint, found[len(self.decisions) :], strict=True):
            answer[:] = True
            for place, yes in wanted:
                # For truth values a > b is "a and not b".
                (np.logical_and if yes else np.greater)(answer, found[place], out=answer)
        return found.view(np.uint8)


def left_answer(decision: Decision) -> int:
    """The answer that means left. Where missing values go left, ``value > threshold`` is asked: false for NaN."""
    return 0 if decision.categories is None and decision.default_left else 1


def _read(column: FloatArray, missing: Missing) -> FloatArray:
    """A column as numeric decisions of one kind read it: NaN is what is missing."""
    values = np.array(column)  # a copy, contiguous
    values[np.abs(values) <= ZERO] = 0.0
    if missing is Missing.NONE:
        values[np.isnan(values)] = 0.0
    elif missing is Missing.ZERO:
        values[values == 0.0] = np.nan
    return values


def _ask(decision: Decision, values: FloatArray, answer: BoolArray) -> None:
    if decision.categories is not None:
        answer[:] = _among(decision.categories, values)
    elif decision.default_left:
        np.greater(values, decision.threshold, out=answer)
    else:
        np.less_equal(values, decision.threshold, out=answer)


def _among(categories: Sequence[int], values: FloatArray) -> BoolArray:
    """Whether a value, cut to a whole number, is one of the categories; NaN, negative and unseen ones are not."""
    known = np.zeros(max(categories, default=0) + 2, dtype=np.bool_)
    known[list(categories)] = True
    # The last place is no category. What compares false with everything (NaN) lands there, too.
    inside = (values > -1.0) & (values < len(known) - 1)
    return known[np.where(inside, values, len(known) - 1).astype(np.intp)]
