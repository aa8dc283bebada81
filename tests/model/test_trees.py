"""Tables of small trees against LightGBM itself: the same log-odds to the last bit, the same SHAP values."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.model import tree_pieces, tree_tables
from csql_ml.model.tree_pieces import MOST_QUESTIONS
from csql_ml.model.tree_tables import TreeTables, tabled
from csql_ml.model.tree_text import Missing, read_trees
from csql_ml.model.trees import TreeBag
from tests.model.boosters import COLUMNS, QUIET, company, from_lightgbm, trained, unusual, with_table_spoilt

ways = st.fixed_dictionaries(
    {
        "num_leaves": st.sampled_from([2, 3, 4, 5, 6, 15, 31]),
        "max_depth": st.sampled_from([-1, 1, 2, 3, 8]),
        "min_data_in_leaf": st.sampled_from([1, 5]),
        "use_missing": st.booleans(),
        "zero_as_missing": st.booleans(),
        "max_cat_to_onehot": st.sampled_from([1, 4, 64]),
        "monotone_constraints": st.sampled_from([[0] * COLUMNS, [1, -1, 0, 1, 0]]),
        "path_smooth": st.sampled_from([0.0, 5.0]),
        "max_bin": st.sampled_from([4, 31, 255]),
        "bagging_fraction": st.sampled_from([0.6, 1.0]),
        "bagging_freq": st.just(1),
        "boost_from_average": st.booleans(),
    }
)


@given(ways, st.integers(0, 1000), st.integers(1, 3), st.sampled_from([1, 3, MOST_QUESTIONS]))
@settings(max_examples=80)
def test_tables_say_what_lightgbm_says(parameters: dict[str, Any], seed: int, bags: int, questions: int) -> None:
    texts = tuple(trained(seed + bag, **parameters) for bag in range(bags))
    bag, matrix = TreeBag(texts), unusual(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_pieces, "MOST_QUESTIONS", questions)
        assert len(bag._tables[1]) == bags
    margin, parts = from_lightgbm(texts, matrix)
    np.testing.assert_array_equal(bag.margin(matrix), margin)
    np.testing.assert_allclose(bag.parts(matrix), parts, rtol=0, atol=1e-13)


@given(st.integers(0, 100), st.sampled_from([1, 2, 7, 8, 9, 50]))
@settings(max_examples=20)
def test_a_row_does_not_depend_on_its_neighbours(seed: int, chunk: int) -> None:
    bag, matrix = TreeBag((trained(), trained(2, num_leaves=6))), unusual(seed)
    margin, parts = bag.margin_and_parts(matrix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_tables, "CHUNK", (chunk, chunk))
        np.testing.assert_array_equal(bag.parts(matrix), parts)
        np.testing.assert_array_equal(bag.margin(matrix), margin)
    for rows in (slice(0, 1), slice(3, 5), slice(11, 60)):
        np.testing.assert_array_equal(bag.parts(matrix[rows]), parts[rows])
        np.testing.assert_array_equal(bag.margin(np.asfortranarray(matrix[rows])), margin[rows])


def test_margins_do_not_tell_whether_tables_were_made() -> None:
    texts, matrix = (trained(), trained(2)), unusual(3)
    few = TreeBag(texts)
    before = few.margin(matrix)
    assert "_tables" not in vars(few)
    few.parts(matrix[:1])
    np.testing.assert_array_equal(few.margin(matrix), before)
    many = TreeBag(texts)
    np.testing.assert_array_equal(many.margin(np.tile(matrix, (100, 1)))[:60], before)
    assert "_tables" in vars(many)
    by_and_by, asked = TreeBag(texts), 0
    while "_tables" not in vars(by_and_by):
        np.testing.assert_array_equal(by_and_by.margin(matrix), before)
        asked += len(matrix)
    assert 0 < asked < 6000


def test_parts_add_up_to_the_margin() -> None:
    bag, matrix = TreeBag((trained(), trained(2, num_leaves=6))), unusual(5)
    margin, parts = bag.margin_and_parts(matrix)
    np.testing.assert_allclose(bag.base + parts.sum(axis=1), margin, rtol=0, atol=1e-13)


def test_one_wrong_number_in_a_table_is_seen() -> None:
    text, matrix = trained(), unusual(4, rows=400)
    trees = read_trees(text)
    assert trees is not None
    tables, (_, parts) = TreeTables.of([trees]), from_lightgbm((text,), matrix)
    np.testing.assert_allclose(tables.parts(matrix), parts, rtol=0, atol=1e-13)
    seen = 0
    for place, group in enumerate(tables.groups):
        wrong = [with_table_spoilt(tables, place, i).parts(matrix) for i in range(len(group.tables[0]))]
        seen += sum(not np.allclose(w, parts, rtol=0, atol=1e-13) for w in wrong)
    assert seen > 30


def test_equal_decisions_are_asked_once() -> None:
    trees = read_trees(trained(rounds=100, max_bin=6))
    assert trees is not None
    tables = TreeTables.of([trees])
    asked = [d for tree in trees for d in tree.decisions]
    assert len(tables.answers.decisions) == len(set(asked)) < len(asked) / 2
    assert len(tables.groups) < len(trees) / 2
    assert max(len(g.questions) for g in tables.groups) <= MOST_QUESTIONS


LARGE = {"num_leaves": 12, "min_data_in_leaf": 2}


@pytest.mark.parametrize(
    ("texts", "tabled"),
    [((LARGE,), ()), (({}, LARGE, {"seed": 9}), (0, 2))],
    ids=["ways of many columns", "one such model of three"],
)
def test_what_has_no_tables_is_left_to_lightgbm(
    texts: tuple[dict[str, Any], ...], tabled: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_tables, "MOST_COLUMNS", 3)
    models, (matrix, _) = tuple(trained(**parameters) for parameters in texts), company(8, rows=80)
    bag = TreeBag(models)
    margin, parts = from_lightgbm(models, matrix)
    assert bag._tables[1] == tabled
    np.testing.assert_array_equal(bag.margin_and_parts(matrix)[0], margin)
    np.testing.assert_allclose(bag.parts(matrix), parts, rtol=0, atol=1e-13)
    assert bag.parts(matrix[:0]).shape == (0, COLUMNS)


def test_other_kinds_of_models_have_no_tables() -> None:
    assert read_trees(trained(linear_tree=True)) is None
    assert read_trees(trained(boosting="rf", bagging_fraction=0.5, bagging_freq=1)) is None
    matrix, won = company(1)
    data = lgb.Dataset(matrix, label=won + 2 * (matrix[:, 3] > 0))
    model = lgb.train({**QUIET, "objective": "multiclass", "num_class": 4, "num_leaves": 3}, data, num_boost_round=2)
    assert read_trees(model.model_to_string()) is None


def test_trees_that_never_split_contribute_nothing() -> None:
    bag, matrix = TreeBag((trained(min_data_in_leaf=150, rounds=3),)), unusual(1)
    margin, parts = bag.margin_and_parts(matrix)
    assert not parts.any()
    np.testing.assert_array_equal(margin, from_lightgbm(bag.texts, matrix)[0])
    assert bag.base == margin[0] != 0


def test_a_tree_whose_counts_do_not_add_up_has_no_exact_contributions() -> None:
    trees = read_trees(trained())
    assert trees is not None
    assert all(map(tabled, trees))
    assert not tabled(replace(trees[0], counts=(trees[0].counts[0] + 1, *trees[0].counts[1:])))


def test_options_of_missing_values_are_read() -> None:
    kinds = {}
    for name, parameters in {
        "as NaN": {},
        "as zero": {"zero_as_missing": True},
        "never": {"use_missing": False},
    }.items():
        trees = read_trees(trained(rounds=40, **parameters))
        assert trees is not None
        asked = [d for tree in trees for d in tree.decisions]
        kinds[name] = {d.missing for d in asked if d.categories is None}
        assert any(d.categories for d in asked)
    assert Missing.NAN in kinds["as NaN"]
    assert Missing.ZERO in kinds["as zero"]
    assert kinds["never"] == {Missing.NONE}


@pytest.mark.parametrize(("found", "instead"), [("leaf_value=", "leaf_value=1 "), ("left_child=", "left_kid=")])
def test_a_text_that_is_not_lightgbms_is_refused(found: str, instead: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        read_trees(trained(rounds=1).replace(found, instead))


def test_a_copy_of_a_bag_makes_its_own_tables() -> None:
    bag, matrix = TreeBag((trained(),)), unusual(2)
    parts = bag.parts(matrix)
    again = copy.copy(bag)
    assert again == bag
    assert "_tables" not in vars(again)
    np.testing.assert_array_equal(again.parts(matrix), parts)
