"""The rows that guards look at: labelled ones, few enough to be quick, with folds that never part an account."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.metrics.definition import Feature

FloatArray = npt.NDArray[np.float64]

FOLDS = 5
#: Cells looked at; beyond, accounts are drawn. 1,000,000 cells are 20,000 rows of 50 columns.
MOST_CELLS = 20_000_000
MOST_ROWS, FEWEST_ROWS = 40_000, 4_000


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled rows as a matrix.

    Attributes
    ----------
    matrix
        (n, columns) values, missing as NaN, categories as codes.
    sizes
        Per column the number of categories, 0 for numbers.
    positive, account, fold
        (n,) label, code of the account, and fold of the account.
    period
        (n,) place of the row's snapshot among all, oldest first.
    """

    features: tuple[Feature, ...]
    matrix: FloatArray
    sizes: tuple[int, ...]
    positive: npt.NDArray[np.bool_]
    account: npt.NDArray[np.intp]
    fold: npt.NDArray[np.intp]
    period: npt.NDArray[np.intp]

    @property
    def accounts(self) -> tuple[int, int]:
        """Distinct accounts with a positive and with a negative label: rows of one account are no independent cases."""
        return len(np.unique(self.account[self.positive])), len(np.unique(self.account[~self.positive]))

    def take(self, columns: npt.NDArray[np.intp]) -> FloatArray:
        """Some columns of the matrix."""
        return np.ascontiguousarray(self.matrix[:, columns])


def sample_of(known: pd.DataFrame, features: tuple[Feature, ...], seed: int) -> Sample:
    """Labelled rows, all of them or those of drawn accounts.

    Parameters
    ----------
    known
        Rows with ``account_id``, ``as_of``, ``label`` (0 or 1) and the features' columns.
    """
    account = pd.factorize(known["account_id"])[0]
    rng = np.random.default_rng(seed)
    most = int(np.clip(MOST_CELLS // max(len(features), 1), FEWEST_ROWS, MOST_ROWS))
    order = rng.permutation(int(account.max()) + 1 if len(account) else 0)  # a random place of each account
    place = order[account]
    rows = np.flatnonzero(_within(place, most)) if len(known) > most else np.arange(len(known))
    known, account, place = known.iloc[rows], account[rows], place[rows]
    encoder = FeatureEncoder.learn(known, features)
    return Sample(
        features,
        encoder.matrix(known),
        encoder.category_sizes,
        known["label"].to_numpy(dtype=np.float64) == 1,
        account,
        place % FOLDS,
        np.unique(known["as_of"].to_numpy(), return_inverse=True)[1],
    )


def _within(place: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.bool_]:
    """Rows of the accounts drawn first, up to about ``most`` rows."""
    counts = np.cumsum(np.bincount(place))
    return np.asarray(place <= np.searchsorted(counts, most))
