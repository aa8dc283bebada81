"""Exact SHAP values and log-odds of trees, by tables indexed by the pattern of a row's answers.

A tree with k distinct decisions knows of a row only their k answers, so its 2**k patterns have one contribution per
column each (path-dependent SHAP, the values of LightGBM's ``pred_contrib``). All are computed once; explaining a row is
asking each distinct decision once, whatever the number of trees that ask it, and looking the answers up. Larger trees
are cut into pieces that ask little enough (`csql_ml.model.tree_pieces`).

Rows never meet: every step works element by element, in a fixed order of trees and groups, so a row's values do not
depend, to the last bit, on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csql_ml.model.decision_answers import Answers
from csql_ml.model.tree_patterns import contribution_tables
from csql_ml.model.tree_pieces import MOST_COLUMNS, MOST_QUESTIONS, Piece, Questions, columns_of_ways, cut
from csql_ml.model.tree_text import Tree

FloatArray = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

#: Columns of a group of pieces; beyond them joining saves fewer look-ups than it spoils.
_MOST_JOINED = 6
#: Rows looked up at a time, and answers: beyond them fewer rows, but never fewer than the first.
CHUNK, _MOST_ANSWERS = (1_024, 8_192), 2**25


@dataclass(frozen=True)
class _Group:
    """Pieces with overlapping questions, added up: patterns of ``questions`` to contributions of ``columns``."""

    questions: tuple[int, ...]
    columns: tuple[int, ...]
    tables: tuple[FloatArray, ...]


@dataclass(frozen=True)
class TreeTables:
    """Tables of the trees of one or more models.

    Attributes
    ----------
    answers
        All distinct questions.
    models
        Per model and piece of a tree: its questions, and its leaf's constant per pattern (0 in all but one of the
        pieces of a tree).
    groups
        What the trees contribute, over all models.
    """

    answers: Answers
    models: tuple[tuple[tuple[tuple[int, ...], FloatArray], ...], ...]
    groups: tuple[_Group, ...]

    @classmethod
    def of(cls, models: Sequence[Sequence[Tree]]) -> TreeTables:
        """Compute the tables of models whose trees are all `tabled`."""
        questions = Questions.of(t for trees in models for t in trees)
        pieces = [[list(cut(tree, questions)) for tree in trees] for trees in models]
        leaves = tuple(tuple((p.questions, p.leaf_values()) for tree in trees for p in tree) for trees in pieces)
        splitting = [tree for trees in pieces for tree in trees if tree[0].questions]
        answers = Answers.of(tuple(questions.decisions), tuple(questions.joint))
        return cls(answers, leaves, tuple(_groups(splitting)))

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
        step = int(np.clip(_MOST_ANSWERS // max(1, self.answers.asked), *CHUNK))
        for start in range(0, len(matrix), step):
            rows = slice(start, start + step)
            yield rows, self.answers.to(matrix[rows])

    def _add_margins(self, answers: Codes, totals: FloatArray) -> None:
        look_up = _LookUp(answers)
        for total, trees in zip(totals, self.models, strict=True):
            for questions, table in trees:
                look_up.turn_to(questions)
                total += look_up.values(table)

    def _parts(self, answers: Codes, columns: int) -> FloatArray:
        found, look_up = np.zeros((columns, answers.shape[1])), _LookUp(answers)
        for group in self.groups:
            look_up.turn_to(group.questions)
            for column, table in zip(group.columns, group.tables, strict=True):
                found[column] += look_up.values(table)
        return found


class _LookUp:
    """Patterns of answers of a chunk of rows, and the values they have in tables; memory is taken once."""

    def __init__(self, answers: Codes) -> None:
        self._answers = answers
        rows = answers.shape[1]
        self._byte = np.empty(rows, dtype=np.uint8)
        self._word = np.empty(rows, dtype=np.uint16)
        self._place = np.empty(rows, dtype=np.intp)
        self._value = np.empty(rows)

    def turn_to(self, questions: Sequence[int]) -> None:
        """Make the rows' patterns of some questions: the first one's answer is the highest bit."""
        code = self._byte if len(questions) <= 8 else self._word
        code.fill(0)
        for question in questions:
            np.add(code, code, out=code)
            np.bitwise_or(code, self._answers[question], out=code)
        np.copyto(self._place, code)

    def values(self, table: FloatArray) -> FloatArray:
        """(rows,) values; overwritten by the next call."""
        # Patterns are in range by construction; "clip" spares the copy that "raise" makes.
        return np.take(table, self._place, out=self._value, mode="clip")


def tabled(tree: Tree) -> bool:
    """Whether a tree's pieces fit into tables, and are of a kind that has exact contributions."""
    return tree.counts_add_up and columns_of_ways(tree) <= MOST_COLUMNS


def _groups(trees: Sequence[Sequence[Piece]]) -> Iterator[_Group]:
    """Join what shares columns, and add the tables up; the order follows from the trees alone.

    Trees of one piece are joined with each other. The pieces of a larger tree fill their tables.
    """
    whole = [tree[0] for tree in trees if len(tree) == 1]
    yield from _joined(whole, _members(whole))
    parts = [piece for tree in trees if len(tree) > 1 for piece in tree]
    yield from _joined(parts, [[place] for place in range(len(parts))])


def _joined(pieces: Sequence[Piece], groups: Sequence[Sequence[int]]) -> Iterator[_Group]:
    tables = contribution_tables(pieces)
    for members in groups:
        questions = tuple(sorted({q for m in members for q in pieces[m].questions}))
        columns = tuple(sorted({c for m in members for c in pieces[m].columns}))
        sums = {column: np.zeros(2 ** len(questions)) for column in columns}
        for member in members:
            pattern = pieces[member].patterns_within(questions)
            for column, table in zip(pieces[member].columns, tables[member], strict=True):
                sums[column] += table[pattern]
        yield _Group(questions, columns, tuple(sums.values()))


def _members(pieces: Sequence[Piece]) -> list[list[int]]:
    """Places of the pieces of each group: most columns first, each into the group that grows least by it."""
    order = sorted(range(len(pieces)), key=lambda i: (-len(pieces[i].columns), pieces[i].columns, i))
    groups: list[list[int]] = []
    asked: list[tuple[int, int]] = []
    for place in order:
        questions, columns = _bits(pieces[place].questions), _bits(pieces[place].columns)
        best, cost = len(groups), (columns.bit_count(), 0)
        for group, (its_questions, its_columns) in enumerate(asked):
            more = (its_columns | columns).bit_count() - its_columns.bit_count()
            if more >= cost[0]:
                continue
            most = (its_questions | questions).bit_count()
            if most <= MOST_QUESTIONS and (its_columns | columns).bit_count() <= _MOST_JOINED:
                best, cost = group, (more, most)
        if best == len(groups):
            groups.append([])
            asked.append((0, 0))
        groups[best].append(place)
        asked[best] = (asked[best][0] | questions, asked[best][1] | columns)
    return groups


def _bits(places: Sequence[int]) -> int:
    return sum(1 << place for place in places)
