"""Distributions that a bundle keeps: their bins, their way through JSON, and bundles without them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from csql_ml.model.distributions import (
    MOST_LIMITS,
    Distribution,
    Distributions,
    column_values,
    distribution,
    distributions,
)

NUMBERS = arrays(
    np.float64,
    st.integers(0, 200),
    elements=st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9), st.integers(0, 3).map(float)),
)


@given(NUMBERS, NUMBERS)
def test_every_value_is_counted_once_in_the_same_bins(values: np.ndarray, others: np.ndarray) -> None:
    found = distribution(values)
    again = found.again(others)
    for spread, given_values in ((found, values), (again, others)):
        known = given_values[~np.isnan(given_values)]
        assert (spread.known, spread.missing) == (len(known), len(given_values) - len(known))
        assert len(spread.counts) == len(found.limits) + 1
        for limit, below in zip(found.limits, np.cumsum(spread.counts), strict=False):
            assert below == (known <= limit).sum()
    assert len(found.limits) <= MOST_LIMITS + 2


@given(NUMBERS)
def test_json_brings_back_the_same(values: np.ndarray) -> None:
    found = distribution(values)
    again = Distribution.from_plain(found.to_plain())
    assert (again.limits, again.words, again.missing) == (found.limits, found.words, found.missing)
    assert again.counts.tolist() == found.counts.tolist()
    assert np.array_equal([again.mean, again.deviation], [found.mean, found.deviation], equal_nan=True)


def test_bins_hold_about_as_many_accounts_each_and_what_lies_outside_has_its_own() -> None:
    values = np.random.default_rng(1).normal(size=6_400)
    found = distribution(values)
    assert found.counts[0] == found.counts[-1] == 0
    assert set(found.counts[2:-1].tolist()) <= set(range(95, 106))
    outside = found.again(np.array([-100.0, 100.0, np.nan]))
    assert (outside.counts[0], outside.counts[-1], outside.missing) == (1, 1, 1)


def test_a_constant_column_sees_whatever_is_different() -> None:
    found = distribution(np.zeros(10))
    assert found.again(np.array([-1.0, 0.0, 1.0])).counts.tolist() == [1, 1, 1]


def test_words_beyond_the_most_frequent_share_a_bin() -> None:
    words = np.array([*(["b"] * 3), *(["a"] * 2), None], dtype=object)
    found = distribution(words)
    assert (found.words, found.counts.tolist(), found.missing) == (("a", "b"), [2, 3, 0], 1)
    assert found.again(np.array(["c", "a", None, "c"], dtype=object)).counts.tolist() == [1, 0, 2]
    many = distribution(np.array([f"w{i:03d}" for i in range(100)], dtype=object))
    assert (len(many.words), many.counts[-1]) == (MOST_LIMITS, 100 - MOST_LIMITS)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.Series([1, 2], dtype="int64"), "f"),
        (pd.Series([True, False]), "f"),
        (pd.Series([1.5, None], dtype="object"), "f"),
        (pd.Series([None, None], dtype="object"), "f"),
        (pd.Series([1, None], dtype="Int64"), "f"),
        (pd.Series(["x", None], dtype="object"), "O"),
        (pd.Series(["x", None], dtype="str"), "O"),
        (pd.Series(["x", None], dtype="category"), "O"),
    ],
)
def test_columns_are_numbers_or_texts_and_missing_is_missing(column: pd.Series, kind: str) -> None:
    values = column_values(column)
    assert values.dtype.kind == kind
    assert distribution(values).missing == int(column.isna().sum())


def test_the_distributions_of_a_table() -> None:
    day = date(2026, 7, 1)
    frame = pd.DataFrame({"as_of": [day] * 3, "seats": [1.0, 2.0, None], "plan": ["Basic", "Pro", "Pro"]})
    found = distributions(frame, ["seats", "plan", "absent"], {"propensity": np.array([0.1, 0.2, 0.3])})
    again = Distributions.from_plain(found.to_plain())
    assert (again.accounts, again.as_of, sorted(again.metrics)) == (3, day, ["plan", "seats"])
    assert again.scores["propensity"].known == 3


@pytest.mark.parametrize("change", [{"counts": [1]}, {"counts": [1, 2, -3]}, {"missing": -1}])
def test_what_does_not_fit_together_is_refused(change: dict[str, object]) -> None:
    plain = distribution(np.array([1.0])).to_plain()
    with pytest.raises(ValueError, match="one bin more than limits"):
        Distribution.from_plain({**plain, **change})
