"""Exact SHAP values and log-odds of small trees, by tables indexed by the pattern of their decisions.

A tree with k distinct decisions knows of a row only their k answers, so its 2**k patterns have one contribution per
column each (path-dependent SHAP, the values of LightGBM's ``pred_contrib``). All are computed once; explaining a row is
asking each distinct decision once, whatever the number of trees that ask it, and looking the answers up.

Rows never meet: every step works element by element, in a fixed order of trees and groups, so a row's values do not
depend, to the last bit, on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csql_ml.model.decision_answers import Answers
from csql_ml.model.tree_patterns import TreePatterns, contribution_tables
from csql_ml.model.tree_text import Decision, Tree

FloatArray = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

#: A table has up to 2 ** 8 patterns: they fit into a byte, and the tables into the processor's cache.
MOST_DECISIONS = 8
#: Columns of a group of trees; beyond them joining trees saves fewer look-ups than it spoils.
_MOST_COLUMNS = 6
#: Rows looked up at a time.
CHUNK = 8_192


@dataclass(frozen=True)
class _Group:
    """Trees with overlapping decisions, added up: patterns of ``decisions`` to contributions of ``columns``."""

    decisions: tuple[int, ...]
    columns: tuple[int, ...]
    tables: tuple[FloatArray, ...]


@dataclass(frozen=True)
class TreeTables:
    """Tables of the trees of one or more models.

    Attributes
    ----------
    answers
        All distinct decisions.
    models
        Per model and tree: the tree's decisions, and its leaf's constant per pattern.
    groups
        What the trees contribute, over all models.
    """

    answers: Answers
    models: tuple[tuple[tuple[tuple[int, ...], FloatArray], ...], ...]
    groups: tuple[_Group, ...]

    @classmethod
    def of(cls, models: Sequence[Sequence[Tree]]) -> TreeTables:
        """Compute the tables of models whose trees are all `small`."""
        places: dict[Decision, int] = {}
        for tree in (t for trees in models for t in trees):
            for decision in tree.decisions:
                places.setdefault(decision, len(places))
        patterns = [[TreePatterns.of(tree, places) for tree in trees] for trees in models]
        leaves = tuple(tuple((p.decisions, p.leaf_values()) for p in trees) for trees in patterns)
        splitting = [p for trees in patterns for p in trees if p.decisions]
        return cls(Answers.of(tuple(places)), leaves, tuple(_groups(splitting)))

    def margins(self, matrix: FloatArray) -> FloatArray:
        """(models, n) log-odds, to the last bit those of LightGBM, which adds up the trees in the same order."""
        found = np.zeros((len(self.models), len(matrix)))
        for rows, answers in self._chunks(matrix):
            self._add_margins(answers, found[:, rows])
        return found

    def parts(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) contributions, summed over models."""
        found = np.empty(matrix.shape)
        for rows, answers in self._chunks(matrix):
            found[rows] = self._parts(answers, matrix.shape[1]).T
        return found

    def both(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margins` and `parts`, asking the decisions once."""
        margins, parts = np.zeros((len(self.models), len(matrix))), np.empty(matrix.shape)
        for rows, answers in self._chunks(matrix):
            self._add_margins(answers, margins[:, rows])
            parts[rows] = self._parts(answers, matrix.shape[1]).T
        return margins, parts

    def _chunks(self, matrix: FloatArray) -> Iterator[tuple[slice, Codes]]:
        for start in range(0, len(matrix), CHUNK):
            rows = slice(start, start + CHUNK)
            yield rows, self.answers.to(matrix[rows])

    def _add_margins(self, answers: Codes, totals: FloatArray) -> None:
        look_up = _LookUp(answers)
        for total, trees in zip(totals, self.models, strict=True):
            for decisions, table in trees:
                look_up.turn_to(decisions)
                total += look_up.values(table)

    def _parts(self, answers: Codes, columns: int) -> FloatArray:
        found, look_up = np.zeros((columns, answers.shape[1])), _LookUp(answers)
        for group in self.groups:
            look_up.turn_to(group.decisions)
            for column, table in zip(group.columns, group.tables, strict=True):
                found[column] += look_up.values(table)
        return found


class _LookUp:
    """Patterns of decisions of a chunk of rows, and the values they have in tables; memory is taken once."""

    def __init__(self, answers: Codes) -> None:
        self._answers = answers
        rows = answers.shape[1]
        self._code = np.empty(rows, dtype=np.uint8)
        self._place = np.empty(rows, dtype=np.intp)
        self._value = np.empty(rows)

    def turn_to(self, decisions: Sequence[int]) -> None:
        """Make the rows' patterns of some decisions: the first one's answer is the highest bit."""
        code = self._code
        code.fill(0)
        for decision in decisions:
            np.add(code, code, out=code)
            np.bitwise_or(code, self._answers[decision], out=code)
        np.copyto(self._place, code)

    def values(self, table: FloatArray) -> FloatArray:
        """(rows,) values; overwritten by the next call."""
        # Patterns are in range by construction; "clip" spares the copy that "raise" makes.
        return np.take(table, self._place, out=self._value, mode="clip")


def small(tree: Tree) -> bool:
    """Whether a tree's patterns fit into a table, and are of a kind that has exact contributions."""
    return len(set(tree.decisions)) <= MOST_DECISIONS and tree.counts_add_up


def _groups(trees: Sequence[TreePatterns]) -> Iterator[_Group]:
    """Join trees that share columns, and add their tables up; the order follows from the trees alone."""
    tables = contribution_tables(trees)
    for members in _members(trees):
        decisions = tuple(sorted({d for m in members for d in trees[m].decisions}))
        columns = tuple(sorted({c for m in members for c in trees[m].columns}))
        sums = {column: np.zeros(2 ** len(decisions)) for column in columns}
        for member in members:
            pattern = trees[member].patterns_within(decisions)
            for column, table in zip(trees[member].columns, tables[member], strict=True):
                sums[column] += table[pattern]
        yield _Group(decisions, columns, tuple(sums.values()))


def _members(trees: Sequence[TreePatterns]) -> list[list[int]]:
    """Places of the trees of each group: those with most columns first, each into the group that grows least by it."""
    order = sorted(range(len(trees)), key=lambda i: (-len(trees[i].columns), trees[i].columns, i))
    groups: list[list[int]] = []
    asked: list[tuple[int, int]] = []
    for place in order:
        decisions, columns = _bits(trees[place].decisions), _bits(trees[place].columns)
        best, cost = len(groups), (columns.bit_count(), 0)
        for group, (its_decisions, its_columns) in enumerate(asked):
            more = (its_columns | columns).bit_count() - its_columns.bit_count()
            if more >= cost[0]:
                continue
            most = (its_decisions | decisions).bit_count()
            if most <= MOST_DECISIONS and (its_columns | columns).bit_count() <= _MOST_COLUMNS:
                best, cost = group, (more, most)
        if best == len(groups):
            groups.append([])
            asked.append((0, 0))
        groups[best].append(place)
        asked[best] = (asked[best][0] | decisions, asked[best][1] | columns)
    return groups


def _bits(places: Sequence[int]) -> int:
    return sum(1 << place for place in places)
