"""Trees cut into pieces, each so small that a table can hold all it says.

A tree with few distinct decisions is one piece. A larger one is cut: a piece is a subtree, or a single leaf, and all
that the way to it asks of one column is one question, "does a row answer as this way does?". So a piece has few
questions however large the tree is, and every leaf belongs to one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from csql_ml.model.decision_answers import left_answer
from csql_ml.model.tree_text import Decision, Tree

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: A table has up to 2 ** 8 patterns: they fit into a byte, and the tables into the processor's cache.
MOST_QUESTIONS = 8
#: A leaf whose way asks more columns than this has a table of its own that is too large.
MOST_COLUMNS = 12
#: A way does not ask a question, or asks a decision with both answers, so that no row comes along.
ANY, NEVER = -1, 2


@dataclass(frozen=True)
class Questions:
    """What pieces ask of a row, each once, and its place among the answers.

    Attributes
    ----------
    decisions
        Distinct decisions: the first places.
    joint
        Several decisions at once, each with the answer that is wanted: the places after them. The answer is 1 if a row
        gives all of those answers.
    """

    decisions: dict[Decision, int]
    joint: dict[tuple[tuple[int, int], ...], int] = field(default_factory=dict)

    @classmethod
    def of(cls, trees: Iterable[Tree]) -> Questions:
        """The decisions of some trees, in the order in which they come."""
        places: dict[Decision, int] = {}
        for tree in trees:
            for decision in tree.decisions:
                places.setdefault(decision, len(places))
        return cls(places)

    def place_of(self, asked: dict[int, int]) -> tuple[int, int]:
        """Place of "all of these decisions are answered so", and the answer that means yes."""
        if len(asked) == 1 or NEVER in asked.values():
            place = next(iter(asked))
            return place, NEVER if NEVER in asked.values() else asked[place]
        wanted = tuple(sorted(asked.items()))
        return self.joint.setdefault(wanted, len(self.decisions) + len(self.joint)), 1


@dataclass(frozen=True, eq=False)
class Piece:
    """Some leaves of a tree; a pattern's highest bit is the answer to the first question.

    Attributes
    ----------
    questions
        Their places, ascending.
    columns
        Columns that are asked, ascending.
    column_of
        Per question the place of its column in ``columns``.
    answers
        (leaves, questions) answers with which a row comes to the leaf; `ANY` where it is not asked, `NEVER` where none
        comes.
    shares
        (leaves, columns) share of the training rows that the way lets through by its decisions on a column.
    values
        (leaves,) log-odds.
    """

    questions: tuple[int, ...]
    columns: tuple[int, ...]
    column_of: tuple[int, ...]
    answers: IntArray
    shares: FloatArray
    values: FloatArray

    def leaf_values(self) -> FloatArray:
        """(patterns,) log-odds of the leaf that each pattern leads to; 0 where it leads to none of these."""
        asked = self.answers[:, None, :]
        leads = ((asked == ANY) | (asked == bits(len(self.questions)))).all(axis=2)
        return np.where(leads.any(axis=0), self.values[leads.argmax(axis=0)], 0.0)

    def patterns_within(self, questions: Sequence[int]) -> IntArray:
        """The piece's pattern for each pattern of more questions (ascending places, all of its own among them)."""
        pattern = np.zeros(2 ** len(questions), dtype=np.intp)
        answers = bits(len(questions))
        for question in self.questions:
            pattern = pattern * 2 + answers[:, questions.index(question)]
        return pattern


def bits(questions: int) -> IntArray:
    """(patterns, questions) answers of every pattern."""
    shifts = np.arange(questions)[::-1]
    return (np.arange(2**questions)[:, None] >> shifts) & 1


@dataclass(frozen=True)
class _Asked:
    """What a way asks of one column: answers by decision, and the share of the training rows they let through."""

    answers: dict[int, int]
    share: float


#: From the root to a node or leaf, by column.
_Way = dict[int, _Asked]


def cut(tree: Tree, questions: Questions) -> Iterator[Piece]:
    """The pieces of a tree; joint questions that are new get a place.

    Parameters
    ----------
    questions
        All decisions of the tree have a place there.
    """
    below = _decisions_below(tree)
    todo: list[tuple[int, _Way]] = [(_root(tree), {})]
    while todo:
        child, way = todo.pop()
        if child < 0 or len(way) + len(below[child]) <= MOST_QUESTIONS:
            yield _piece(tree, child, way, questions)
        else:
            todo += [(_child(tree, child, side), _further(tree, child, side, way, questions)) for side in (1, 0)]


def columns_of_ways(tree: Tree) -> int:
    """The most columns that the way to any leaf asks."""
    most, todo = 0, [(_root(tree), frozenset[int]())]
    while todo:
        child, columns = todo.pop()
        if child < 0:
            most = max(most, len(columns))
        else:
            columns |= {tree.decisions[child].column}
            todo += [(tree.left[child], columns), (tree.right[child], columns)]
    return most


def _root(tree: Tree) -> int:
    return 0 if tree.decisions else ~0


def _child(tree: Tree, node: int, side: int) -> int:
    return (tree.left, tree.right)[side][node]


def _decisions_below(tree: Tree) -> list[frozenset[Decision]]:
    """Per node its own decision and those below; a child's number is always higher than its parent's."""
    below: list[frozenset[Decision]] = [frozenset()] * len(tree.decisions)
    for node in reversed(range(len(tree.decisions))):
        children = [below[c] for c in (tree.left[node], tree.right[node]) if c >= 0]
        below[node] = frozenset({tree.decisions[node]}).union(*children)
    return below


def _further(tree: Tree, node: int, side: int, way: _Way, questions: Questions) -> _Way:
    """The way with one step more: 0 left, 1 right."""
    decision = tree.decisions[node]
    place, answer = questions.decisions[decision], left_answer(decision) ^ side
    asked = way.get(decision.column, _Asked({}, 1.0))
    share = asked.share * (tree.count(_child(tree, node, side)) / tree.counts[node])
    answers = {**asked.answers, place: answer if asked.answers.get(place, answer) == answer else NEVER}
    return {**way, decision.column: _Asked(answers, share)}


def _piece(tree: Tree, top: int, above: _Way, questions: Questions) -> Piece:
    """The leaves from a node on, or one leaf."""
    leaves = list(_leaves(tree, top, above, questions))
    at_once = {column: questions.place_of(asked.answers) for column, asked in above.items()}
    told = [_told(way, above, at_once) for _, way in leaves]
    column_of = {q: column for answers in told for q, (_, column) in answers.items()}
    places, columns = sorted(column_of), sorted(set(column_of.values()))
    answers = np.full((len(leaves), len(places)), ANY, dtype=np.intp)
    shares = np.ones((len(leaves), len(columns)))
    for row, (_, way) in enumerate(leaves):
        for question, (answer, _) in told[row].items():
            answers[row, places.index(question)] = answer
        for column, asked in way.items():
            shares[row, columns.index(column)] = asked.share
    return Piece(
        tuple(places),
        tuple(columns),
        tuple(columns.index(column_of[q]) for q in places),
        answers,
        shares,
        np.array([tree.leaf_values[leaf] for leaf, _ in leaves]),
    )


def _leaves(tree: Tree, top: int, above: _Way, questions: Questions) -> Iterator[tuple[int, _Way]]:
    todo = [(top, above)]
    while todo:
        child, way = todo.pop()
        if child < 0:
            yield ~child, way
        else:
            todo += [(_child(tree, child, side), _further(tree, child, side, way, questions)) for side in (0, 1)]


def _told(way: _Way, above: _Way, at_once: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Answer and column of each question on the way to a leaf; what was asked above its piece is one per column."""
    found: dict[int, tuple[int, int]] = {}
    for column, asked in way.items():
        before = above[column].answers if column in above else {}
        if column in above:
            question, answer = at_once[column]
            turned = any(asked.answers[place] != before[place] for place in before)
            found[question] = (NEVER if turned else answer, column)
        found |= {place: (answer, column) for place, answer in asked.answers.items() if place not in before}
    return found
