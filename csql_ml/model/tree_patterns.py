"""What a piece of a tree contributes for every pattern of answers.

A leaf is reached with the patterns that agree with its way. Its part of the path-dependent game pays, when the columns
of a set S are known, its constant times the product over the way's columns of "agrees" (0 or 1, columns in S) or of
the share of training rows that went that way (columns outside S). Shapley values of such products are sums over the
sizes of S (Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees").

So a leaf's contributions depend on nothing but which of its way's columns agree. They are computed once per leaf, for
all leaves with equally many columns together, and added up over the leaves of a piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import factorial

import numpy as np
import numpy.typing as npt

from csql_ml.model.tree_pieces import ANY, NEVER, Piece, bits

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Numbers in the largest temporary array.
_MOST_NUMBERS = 2_000_000


def contribution_tables(pieces: Sequence[Piece]) -> list[FloatArray]:
    """Per piece a (columns, patterns) table of SHAP values, all in log-odds.

    Parameters
    ----------
    pieces
        Each with at least one question.
    """
    tables: list[FloatArray] = [np.zeros((0, 1))] * len(pieces)
    for questions in sorted({len(p.questions) for p in pieces}):
        places = [i for i, p in enumerate(pieces) if len(p.questions) == questions]
        ends = np.cumsum([len(pieces[i].columns) for i in places])
        total = np.zeros((ends[-1], 2**questions))
        for leaves in _leaves([pieces[i] for i in places]):
            for some in leaves.batches(questions):
                some.add_to(total)
        for place, table in zip(places, np.split(total, ends[:-1]), strict=True):
            tables[place] = table
    return tables


@dataclass(frozen=True, eq=False)
class _Leaves:
    """Leaves whose ways ask equally many columns, k.

    Attributes
    ----------
    wanted, mask
        (leaves, k) answers that agree with the way, and questions asked, as bits of a piece's pattern; wanted is
        negative where nothing agrees.
    shares
        (leaves, k) share of training rows.
    values
        (leaves,) log-odds.
    target
        (leaves, k) row of the table that each contribution belongs to.
    """

    wanted: IntArray
    mask: IntArray
    shares: FloatArray
    values: FloatArray
    target: IntArray

    def batches(self, questions: int) -> Iterator[_Leaves]:
        """Some leaves at a time."""
        columns = self.mask.shape[1]
        most = max(1, _MOST_NUMBERS // (columns * 2 ** max(questions, columns)))
        for start in range(0, len(self.values), most):
            rows = slice(start, start + most)
            yield _Leaves(self.wanted[rows], self.mask[rows], self.shares[rows], self.values[rows], self.target[rows])

    def add_to(self, total: FloatArray) -> None:
        """Add what the leaves contribute to the (columns of all pieces, patterns) table."""
        patterns = np.arange(total.shape[1])
        which = np.zeros((len(self.values), len(patterns)), dtype=np.intp)
        for mask, wanted in zip(self.mask.T, self.wanted.T, strict=True):
            which = which * 2 + ((patterns & mask[:, None]) == wanted[:, None])
        by_agreement = self.values[:, None, None] * _shapley(self.shares)
        found = np.take_along_axis(by_agreement, which[:, None, :], axis=2).reshape(-1, len(patterns))
        order = np.argsort(self.target.ravel(), kind="stable")
        rows, starts = np.unique(self.target.ravel()[order], return_index=True)
        total[rows] += np.add.reduceat(found[order], starts, axis=0)


def _leaves(pieces: Sequence[Piece]) -> Iterator[_Leaves]:
    """The leaves of pieces with equally many questions, by the number of columns that their ways ask."""
    width = max(len(p.columns) for p in pieces)
    values = np.concatenate([p.values for p in pieces])
    wanted, mask, target = (np.zeros((len(values), width), dtype=np.intp) for _ in range(3))
    shares, leaf, row = np.ones((len(values), width)), 0, 0
    for piece in pieces:
        its = slice(leaf, leaf + len(piece.values)), slice(0, len(piece.columns))
        wanted[its], mask[its] = _as_bits(piece)
        shares[its], target[its] = piece.shares, row + np.arange(len(piece.columns))
        leaf, row = its[0].stop, row + len(piece.columns)
    asked = mask > 0
    for columns in np.unique(asked.sum(axis=1)):
        some = np.flatnonzero(asked.sum(axis=1) == columns)
        on_way = some[:, None], np.argsort(~asked[some], axis=1, kind="stable")[:, :columns]
        yield _Leaves(wanted[on_way], mask[on_way], shares[on_way], values[some], target[on_way])


def _as_bits(piece: Piece) -> tuple[IntArray, IntArray]:
    """(leaves, columns) wanted answers and questions asked, as bits of the piece's pattern."""
    bit = 1 << np.arange(len(piece.questions))[::-1]
    of_column = np.equal.outer(np.array(piece.column_of), np.arange(len(piece.columns))).astype(np.intp)
    mask = ((piece.answers != ANY) * bit) @ of_column
    wanted = ((piece.answers == 1) * bit) @ of_column
    never = (piece.answers == NEVER) @ of_column > 0
    return np.where(never, -1, wanted), mask


def _shapley(shares: FloatArray) -> FloatArray:
    """(leaves, k, 2**k) Shapley values of the product over k columns of "agrees" or "share", by who agrees.

    The product over the other columns of (share + agrees * y) has as coefficient of y**s the sum over all sets S of s
    known columns, each of which counts s! (k - 1 - s)! / k!.
    """
    columns = shares.shape[1]
    agrees = bits(columns).T.astype(np.float64)
    weights = [factorial(s) * factorial(columns - 1 - s) / factorial(columns) for s in range(columns)]
    result = np.empty((len(shares), *agrees.shape))
    for column in range(columns):
        sums = [np.ones((len(shares), agrees.shape[1]))]
        for other in (c for c in range(columns) if c != column):
            known, unknown = agrees[other], shares[:, other, None]
            raised = [sums[0] * unknown, *(b * unknown + a * known for a, b in pairwise(sums))]
            sums = [*raised, sums[-1] * known]
        mean = sum(w * s for w, s in zip(weights, sums, strict=True))
        result[:, column] = (agrees[column] - shares[:, column, None]) * mean
    return result
