"""Folds keep accounts together and rates alike, for few accounts and for many."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from csql_ml.model import account_folds as module
from csql_ml.model.account_folds import account_folds, taught


def rows(accounts: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Labels and accounts with one to three rows each."""
    rng = np.random.default_rng(3)
    account = np.repeat([f"a{i}" for i in range(accounts)], rng.integers(1, 4, accounts))
    return rng.random(len(account)) < 0.3, account


@pytest.mark.parametrize("many", [10, 10_000])
def test_no_account_stands_on_both_sides_and_every_row_is_judged_once(monkeypatch, many):
    monkeypatch.setattr(module, "MANY_ACCOUNTS", many)
    positive, account = rows()
    folds = account_folds(positive, account, 5, seed=7)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(positive)))
    for train, test in folds:
        assert not set(account[train]) & set(account[test])
        assert len(train) + len(test) == len(positive)
        assert positive[test].mean() == pytest.approx(positive.mean(), abs=0.08)


def test_few_accounts_are_placed_as_scikit_learn_places_them():
    positive, account = rows(40)
    expected = StratifiedGroupKFold(3, shuffle=True, random_state=1).split(positive, positive, account)
    for (train, test), (train_there, test_there) in zip(account_folds(positive, account, 3, 1), expected, strict=True):
        np.testing.assert_array_equal(train, train_there)
        np.testing.assert_array_equal(test, test_there)


def test_rows_without_accounts_are_dealt_out_evenly():
    positive = np.arange(100) % 4 == 0
    for _, test in account_folds(positive, None, 5, seed=2):
        assert (len(test), positive[test].sum()) == (20, 5)


def test_of_very_many_rows_those_of_drawn_accounts_teach(monkeypatch):
    monkeypatch.setattr(module, "ENOUGH_TAUGHT", 100)
    _, account = rows()
    train = np.flatnonzero(np.arange(len(account)) % 7)
    drawn = taught(train, account, seed=7)
    assert 95 <= len(drawn) <= 100
    assert set(drawn) < set(train)
    assert (np.diff(drawn) > 0).all()
    left_out = np.setdiff1d(train, drawn)
    assert not set(account[drawn]) & set(account[left_out])
    np.testing.assert_array_equal(taught(train[:100], account, seed=7), train[:100])
    assert len(taught(train, None, seed=7)) == 100
