"""The plain logistic regression that the verdict compares with: what an analyst would try first."""

# ruff: noqa: N803 - X is the name scikit-learn calls by

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import labelled_rows
from csql_ml.metrics.definition import Feature
from csql_ml.model.linear_design import LinearDesign
from csql_ml.model.screening import screen_of

FloatArray = npt.NDArray[np.float64]


class PlainLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """scikit-learn's L2 logistic regression on standardised features; knows no score, direction or tree.

    Parameters
    ----------
    features
        Columns to learn from; skewed ones enter as log1p, categories one-hot, missing values as median + indicator. Of
        very many the strongest are chosen, as for the stack (`csql_ml.model.screening`).
    C
        Inverse of the penalty; scikit-learn's default.
    random_state
        Kept for symmetry: the solver draws nothing.
    """

    def __init__(self, features: tuple[Feature, ...] = (), C: float = 1.0, random_state: int = 7) -> None:
        self.features = features
        self.C = C
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from a DataFrame with the features' columns and two classes."""
        self.encoder_ = FeatureEncoder.learn(X, self.features)
        rows = labelled_rows(self.encoder_.matrix(X), y, sample_weight)
        skewed = [f.skewed for f in self.features]
        if (screen := screen_of(rows.matrix, self.encoder_.category_sizes)) is not None:
            every = np.arange(len(rows.positive))
            chosen = screen.strongest(every, rows.positive, rows.weight)
            self.encoder_, rows = self.encoder_.take(chosen), rows.take(every, chosen)
            skewed = [skewed[i] for i in chosen]
        self.design_ = LinearDesign.fit(rows.matrix, rows.weight, skewed, self.encoder_.category_sizes)
        self.logistic_ = LogisticRegression(C=self.C, max_iter=2000, tol=1e-6, random_state=self.random_state)
        with threadpool_limits(limits=1, user_api="blas"):
            self.logistic_.fit(self.design_.matrix(rows.matrix), rows.positive, rows.weight)
        self.classes_ = rows.classes
        return self

    def predict_proba(self, X: Any) -> FloatArray:
        """(n, 2) probabilities of the two classes."""
        check_is_fitted(self)
        return np.asarray(self.logistic_.predict_proba(self.design_.matrix(self.encoder_.matrix(X))))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """(n,) the likelier class."""
        return np.asarray(self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)])


def logistic_comparison(features: tuple[Feature, ...], random_state: int = 7) -> PlainLogistic:
    """The comparison model of the verdict, ready to fit."""
    return PlainLogistic(features, random_state=random_state)
