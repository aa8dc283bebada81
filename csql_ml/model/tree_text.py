"""Trees as LightGBM's text format has them, read without running any code.

The format is not specified anywhere but in LightGBM's own reader (``src/io/tree.cpp``); what stands here follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, pairwise

#: Bits of ``decision_type``; the two above them say what reads as missing.
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_BITS_OF_A_WORD = 32
Fields = Mapping[str, str]


class Missing(IntEnum):
    """What a numeric decision takes for a missing value, which goes to the default side; else NaN reads as 0."""

    NONE = 0
    ZERO = 1
    NAN = 2


@dataclass(frozen=True)
class Decision:
    """A question of a tree. Decisions that are equal send every row to the same side.

    Attributes
    ----------
    column
        Which column is asked.
    threshold
        Up to and including it a number goes left.
    missing, default_left
        What is missing, and whether it goes left.
    categories
        The codes that go left, missing and unseen ones go right; None for a numeric decision.
    """

    column: int
    threshold: float
    missing: Missing
    default_left: bool
    categories: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Tree:
    """One tree. A child is a place in ``decisions``, or ``~leaf`` (negative).

    Attributes
    ----------
    counts, leaf_counts
        Training rows that reached a decision or a leaf.
    """

    decisions: tuple[Decision, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    counts: tuple[int, ...]
    leaf_values: tuple[float, ...]
    leaf_counts: tuple[int, ...]

    def count(self, child: int) -> int:
        """Training rows that reached a child."""
        return self.leaf_counts[~child] if child < 0 else self.counts[child]

    @property
    def counts_add_up(self) -> bool:
        """Whether every decision was reached by rows, and passed all of them on."""
        children = zip(self.counts, self.left, self.right, strict=True)
        return all(n > 0 and n == self.count(a) + self.count(b) for n, a, b in children)


def read_trees(text: str) -> tuple[Tree, ...] | None:
    """The trees of a model, in order.

    Returns
    -------
    tuple or None
        None where a row's log-odds are more than the sum of its leaves' constants (several classes, averaged output,
        linear leaves).

    Raises
    ------
    ValueError, KeyError, IndexError
        The text is not LightGBM's.
    """
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    told = _fields(head)
    lines = head.splitlines()
    if told["num_class"] != "1" or told["num_tree_per_iteration"] != "1" or "average_output" in lines:
        return None
    fields = [_fields(block) for block in blocks]
    if any(f.get("is_linear", "0") != "0" for f in fields):
        return None
    return tuple(map(_tree, fields))


def _fields(block: str) -> Fields:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _tree(fields: Fields) -> Tree:
    leaves = _floats(fields, "leaf_value")
    if int(fields["num_leaves"]) != len(leaves):
        raise ValueError("a tree does not have as many leaves as it says")
    if len(leaves) == 1:
        return Tree((), (), (), (), leaves, (0,))
    return Tree(
        _decisions(fields),
        _integers(fields, "left_child"),
        _integers(fields, "right_child"),
        _integers(fields, "internal_count"),
        leaves,
        _integers(fields, "leaf_count"),
    )


def _decisions(fields: Fields) -> tuple[Decision, ...]:
    asked = zip(
        _integers(fields, "split_feature"),
        _floats(fields, "threshold"),
        _integers(fields, "decision_type"),
        strict=True,
    )
    sets = _category_sets(fields)
    return tuple(_decision(column, threshold, kind, sets) for column, threshold, kind in asked)


def _decision(column: int, threshold: float, kind: int, sets: list[tuple[int, ...]]) -> Decision:
    if kind & _CATEGORICAL:
        return Decision(column, 0.0, Missing.NAN, False, sets[int(threshold)])
    missing = Missing(kind >> 2 & 3)
    # Without missing values there is no default side to tell decisions apart by.
    return Decision(column, threshold, missing, missing is not Missing.NONE and bool(kind & _DEFAULT_LEFT))


def _category_sets(fields: Fields) -> list[tuple[int, ...]]:
    """The sets of codes that go left, from bits in words of 32."""
    if fields.get("num_cat", "0") == "0":
        return []
    starts, words = _integers(fields, "cat_boundaries"), _integers(fields, "cat_threshold")
    return [
        tuple(chain.from_iterable(_codes(word, place) for place, word in enumerate(words[start:end])))
        for start, end in pairwise(starts)
    ]


def _codes(word: int, place: int) -> list[int]:
    return [place * _BITS_OF_A_WORD + bit for bit in range(_BITS_OF_A_WORD) if word >> bit & 1]


def _integers(fields: Fields, name: str) -> tuple[int, ...]:
    return tuple(map(int, fields[name].split()))


def _floats(fields: Fields, name: str) -> tuple[float, ...]:
    return tuple(map(float, fields[name].split()))
