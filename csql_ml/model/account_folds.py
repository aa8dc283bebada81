"""Stratified folds that never part an account, for any number of accounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

Places = npt.NDArray[np.intp]

#: From so many accounts on, folds even out by themselves, and placing accounts one by one takes longer than learning.
MANY_ACCOUNTS = 10_000
#: Rows that settle which of several models is the better one; more of them settle it no further, and cost the time.
ENOUGH_TAUGHT = 100_000


def account_folds(
    positive: npt.NDArray[np.bool_], accounts: npt.NDArray[Any] | None, splits: int, seed: int
) -> list[tuple[Places, Places]]:
    """Places of training and test rows, fold by fold.

    Up to `MANY_ACCOUNTS` accounts are placed one by one so that folds are alike in size and rate (scikit-learn's
    ``StratifiedGroupKFold``); of more, accounts with and without a positive row are dealt out evenly.

    Parameters
    ----------
    positive
        (n,) labels.
    accounts
        (n,) account of each row; None: every row is one of its own.
    """
    if accounts is None:
        return list(_dealt(splits, seed).split(positive, positive))
    codes, distinct = pd.factorize(accounts)
    if len(distinct) <= MANY_ACCOUNTS:
        placed = StratifiedGroupKFold(splits, shuffle=True, random_state=seed)
        return list(placed.split(positive, positive, accounts))
    won = np.bincount(codes, positive) > 0
    fold = np.empty(len(distinct), dtype=np.intp)
    for number, (_, test) in enumerate(_dealt(splits, seed).split(won, won)):
        fold[test] = number
    of_row = fold[codes]
    return [(np.flatnonzero(of_row != number), np.flatnonzero(of_row == number)) for number in range(splits)]


def _dealt(splits: int, seed: int) -> StratifiedKFold:
    return StratifiedKFold(splits, shuffle=True, random_state=seed)


def taught(train: Places, accounts: npt.NDArray[Any] | None, seed: int) -> Places:
    """All places, or, of more than `ENOUGH_TAUGHT`, those of drawn accounts that together have no more, in order.

    Parameters
    ----------
    accounts
        (n,) account of every row of the table; None: every row is one of its own.
    """
    if len(train) <= ENOUGH_TAUGHT:
        return train
    account = np.arange(len(train)) if accounts is None else pd.factorize(accounts[train])[0]
    drawn = np.random.default_rng(seed).permutation(int(account.max()) + 1)[account]
    return train[drawn < np.searchsorted(np.cumsum(np.bincount(drawn)), ENOUGH_TAUGHT, side="right")]
