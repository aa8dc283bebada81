"""What a small tree answers and contributes for every pattern of its decisions.

A leaf is reached with the patterns that agree with its path. Its part of the path-dependent game pays, when the columns
of a set S are known, its constant times the product over the path's columns of "agrees" (0 or 1, columns in S) or of
the share of training rows that went that way (columns outside S). Shapley values of such products are sums over the
sizes of S (Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import factorial

import numpy as np
import numpy.typing as npt

from csql_ml.model.decision_answers import left_answer
from csql_ml.model.tree_text import Decision, Tree

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: A path does not ask a decision, or asks it with both answers, so that no row comes along.
_ANY, _NEVER = -1, 2
#: Numbers in the largest temporary array.
_MOST_NUMBERS = 2_000_000


@dataclass(frozen=True, eq=False)
class TreePatterns:
    """A tree by its leaves; a pattern's highest bit is the answer of the first decision.

    Attributes
    ----------
    decisions
        Places of the tree's distinct decisions among all decisions, ascending.
    columns
        Columns of the tree, ascending.
    column_of
        Per decision the place of its column in ``columns``.
    answers
        (leaves, decisions) answers with which a row comes to the leaf; `_ANY` where it is not asked.
    shares
        (leaves, columns) share of the training rows that a path's decisions on a column let through.
    values
        (leaves,) log-odds.
    """

    decisions: tuple[int, ...]
    columns: tuple[int, ...]
    column_of: tuple[int, ...]
    answers: IntArray
    shares: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, tree: Tree, places: Mapping[Decision, int]) -> TreePatterns:
        """Follow every path of a tree."""
        distinct = sorted(set(tree.decisions), key=places.__getitem__)
        columns = sorted({d.column for d in distinct})
        column_of = tuple(columns.index(d.column) for d in distinct)
        answers = np.full((len(tree.leaf_values), len(distinct)), _ANY, dtype=np.intp)
        shares = np.ones((len(tree.leaf_values), len(columns)))
        local = {d: i for i, d in enumerate(distinct)}
        for leaf, path in _paths(tree):
            for node, side in path:
                decision = local[tree.decisions[node]]
                answer = left_answer(tree.decisions[node]) ^ side
                before = answers[leaf, decision]
                answers[leaf, decision] = answer if before in (_ANY, answer) else _NEVER
                child = (tree.left, tree.right)[side][node]
                shares[leaf, column_of[decision]] *= tree.count(child) / tree.counts[node]
        return cls(
            tuple(places[d] for d in distinct), tuple(columns), column_of, answers, shares, np.array(tree.leaf_values)
        )

    def leaf_values(self) -> FloatArray:
        """(patterns,) log-odds of the leaf that each pattern leads to."""
        leads = _agrees(self.answers).all(axis=2)
        return np.asarray(self.values[leads.argmax(axis=0)])

    def patterns_within(self, decisions: Sequence[int]) -> IntArray:
        """The tree's pattern for each pattern of more decisions (ascending places, all of the tree's among them)."""
        pattern = np.zeros(2 ** len(decisions), dtype=np.intp)
        answers = _bits(len(decisions))
        for decision in self.decisions:
            pattern = pattern * 2 + answers[:, decisions.index(decision)]
        return pattern


def _paths(tree: Tree) -> list[tuple[int, list[tuple[int, int]]]]:
    """Per leaf the nodes on its path, each with the side taken: 0 left, 1 right."""
    found: list[tuple[int, list[tuple[int, int]]]] = []
    todo: list[tuple[int, list[tuple[int, int]]]] = [(0 if tree.decisions else ~0, [])]
    while todo:
        place, path = todo.pop()
        if place < 0:
            found.append((~place, path))
            continue
        todo += [(tree.left[place], [*path, (place, 0)]), (tree.right[place], [*path, (place, 1)])]
    return found


def _bits(decisions: int) -> IntArray:
    """(patterns, decisions) answers of every pattern."""
    shifts = np.arange(decisions)[::-1]
    return (np.arange(2**decisions)[:, None] >> shifts) & 1


def _agrees(answers: IntArray) -> npt.NDArray[np.bool_]:
    """(..., patterns, decisions) whether a pattern answers as a path, given its (..., decisions) answers, does."""
    asked = answers[..., None, :]
    return np.asarray((asked == _ANY) | (asked == _bits(answers.shape[-1])))


def contribution_tables(trees: Sequence[TreePatterns]) -> list[FloatArray]:
    """Per tree a (columns, patterns) table of SHAP values, all in log-odds.

    Parameters
    ----------
    trees
        Each with at least one decision.
    """
    tables: list[FloatArray] = [np.zeros((0, 1))] * len(trees)

    def shape(place: int) -> tuple[int, ...]:
        return (*trees[place].answers.shape, len(trees[place].columns), *trees[place].column_of)

    for key, group in groupby(sorted(range(len(trees)), key=lambda i: (shape(i), i)), shape):
        places = list(group)
        most = max(1, _MOST_NUMBERS // (2 ** key[1] * key[2]))
        for start in range(0, len(places), most):
            alike = places[start : start + most]
            for place, table in zip(alike, _tables_alike([trees[i] for i in alike]), strict=True):
                tables[place] = table
    return tables


def _tables_alike(trees: Sequence[TreePatterns]) -> FloatArray:
    """(trees, columns, patterns) tables of trees of one shape, whose decisions belong to columns in the same way."""
    answers, shares = np.stack([t.answers for t in trees]), np.stack([t.shares for t in trees])
    values, column_of = np.stack([t.values for t in trees]), np.array(trees[0].column_of)
    total = np.zeros((len(trees), shares.shape[2], 2 ** answers.shape[2]))
    for leaf in range(values.shape[1]):
        agrees = _agrees(answers[:, leaf])
        along = np.stack([agrees[..., column_of == c].all(axis=2) for c in range(shares.shape[2])], axis=1)
        total += values[:, leaf, None, None] * _shapley(along.astype(np.float64), shares[:, leaf])
    return total


def _shapley(along: FloatArray, shares: FloatArray) -> FloatArray:
    """(trees, columns, patterns) Shapley values of the product over columns of "agrees" or "share".

    The product over the other columns of (share + agrees * y) has as coefficient of y**s the sum over all sets S of s
    known columns, each of which counts s! (columns - 1 - s)! / columns!. A column that a path does not ask agrees
    with share 1: it gets nothing, and changes nothing.
    """
    columns = along.shape[1]
    weights = [factorial(s) * factorial(columns - 1 - s) / factorial(columns) for s in range(columns)]
    result = np.empty_like(along)
    for column in range(columns):
        sums = [np.ones((along.shape[0], along.shape[2]))]
        for other in (c for c in range(columns) if c != column):
            known, unknown = along[:, other], shares[:, other, None]
            raised = [sums[0] * unknown, *(b * unknown + a * known for a, b in pairwise(sums))]
            sums = [*raised, sums[-1] * known]
        mean = sum(w * s for w, s in zip(weights, sums, strict=True))
        result[:, column] = (along[:, column] - shares[:, column, None]) * mean
    return result
