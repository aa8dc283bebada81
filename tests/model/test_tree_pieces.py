"""Large trees in pieces: no leaf is lost, no table too large, and no number in one of them is wrong unnoticed."""

from __future__ import annotations

import numpy as np
import pytest

from csql_ml.model.tree_pieces import ANY, MOST_QUESTIONS, NEVER, Piece, Questions, columns_of_ways, cut
from csql_ml.model.tree_tables import TreeTables
from csql_ml.model.tree_text import Decision, Missing, Tree, read_trees
from tests.model.boosters import COLUMNS, from_lightgbm, trained, unusual, with_table_spoilt

LARGE = {"num_leaves": 31, "min_data_in_leaf": 1, "max_depth": 8}


def trees_of(text: str) -> tuple[Tree, ...]:
    found = read_trees(text)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_leaf_is_in_one_piece_and_pieces_ask_little(seed: int) -> None:
    trees = trees_of(trained(seed, **LARGE))
    questions, cuts = Questions.of(trees), 0
    for tree in trees:
        pieces = list(cut(tree, questions))
        assert sorted(v for p in pieces for v in p.values) == sorted(tree.leaf_values)
        for piece in pieces:
            assert len(piece.questions) <= MOST_QUESTIONS
            assert piece.questions == tuple(sorted(set(piece.questions)))
            assert {piece.columns[c] for c in piece.column_of} == set(piece.columns)
        cuts += len(pieces) > 1
    assert cuts == len(trees)
    assert questions.joint
    assert min(questions.joint.values()) == len(questions.decisions)


def test_tables_of_large_trees_are_right_and_a_wrong_number_is_seen() -> None:
    text, matrix = trained(rounds=2, **LARGE), unusual(4, rows=300)
    tables, (_, parts) = TreeTables.of([trees_of(text)]), from_lightgbm((text,), matrix)
    np.testing.assert_allclose(tables.parts(matrix), parts, rtol=0, atol=1e-13)
    for place, group in enumerate(tables.groups):
        wrong = [with_table_spoilt(tables, place, i).parts(matrix) for i in range(len(group.tables[0]))]
        assert any(not np.allclose(w, parts, rtol=0, atol=1e-13) for w in wrong)


def asked(column: int, threshold: float) -> Decision:
    return Decision(column, threshold, Missing.NONE, default_left=False)


#: Column 0 up to 1 and up to 0, then column 1, then column 0 up to 1 once more: nobody goes right there.
AGAIN = Tree(
    decisions=(asked(0, 1.0), asked(0, 0.0), asked(1, 5.0), asked(0, 1.0), asked(2, 0.0)),
    left=(1, ~0, 3, ~2, ~4),
    right=(4, 2, ~1, ~3, ~5),
    counts=(16, 12, 8, 6, 4),
    leaf_values=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
    leaf_counts=(4, 2, 3, 3, 1, 3),
)


def pieces_of(tree: Tree, most: int, monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    monkeypatch.setattr("csql_ml.model.tree_pieces.MOST_QUESTIONS", most)
    return list(cut(tree, Questions.of([tree])))


def test_what_a_way_asks_of_a_column_is_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    by_value = {p.values[0]: p for p in pieces_of(AGAIN, 1, monkeypatch)}
    # value -> columns asked, answers, share of the rows per column
    expected = {
        1.0: ((0,), (1,), (12 / 16 * 4 / 12,)),
        2.0: ((0, 1), (1, 0), (12 / 16 * 8 / 12, 2 / 8)),
        3.0: ((0, 1), (1, 1), (12 / 16 * 8 / 12 * 3 / 6, 6 / 8)),
        4.0: ((0, 1), (NEVER, 1), (12 / 16 * 8 / 12 * 3 / 6, 6 / 8)),
        5.0: ((0, 2), (0, 1), (4 / 16, 1 / 4)),
        6.0: ((0, 2), (0, 0), (4 / 16, 3 / 4)),
    }
    assert set(by_value) == set(expected)
    for value, (columns, answers, shares) in expected.items():
        piece = by_value[value]
        told = {piece.columns[piece.column_of[i]]: piece.answers[0, i] for i in range(len(piece.questions))}
        assert (piece.columns, tuple(told[c] for c in columns)) == (columns, answers)
        np.testing.assert_allclose(piece.shares[0], shares)


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_each_row_comes_to_its_leaf_however_a_tree_is_cut(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TreeTables.of([[AGAIN]])
    monkeypatch.setattr("csql_ml.model.tree_pieces.MOST_QUESTIONS", most)
    tables = TreeTables.of([[AGAIN]])
    rows = np.array([[-1.0, 9.0, 0.0], [0.5, 9.0, 0.0], [0.5, 1.0, 0.0], [2.0, 1.0, -1.0], [2.0, 1.0, 1.0]])
    assert tables.margins(rows)[0].tolist() == [1.0, 2.0, 3.0, 5.0, 6.0]
    np.testing.assert_allclose(tables.parts(rows), whole.parts(rows), rtol=0, atol=1e-13)


def test_ways_are_as_wide_as_their_columns() -> None:
    assert columns_of_ways(AGAIN) == 2
    assert columns_of_ways(Tree((), (), (), (), (1.0,), (3,))) == 0
    (whole,) = cut(AGAIN, Questions.of([AGAIN]))
    assert len(whole.questions) == 4
    assert (whole.answers == ANY).any()
    assert max(map(columns_of_ways, trees_of(trained(**LARGE)))) in range(3, COLUMNS + 1)
