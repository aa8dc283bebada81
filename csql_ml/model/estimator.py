"""The propensity model: a scikit-learn classifier that is the weighted score while labels are few.

Four members (see `csql_ml.model.members` and `csql_ml.model.trees`) are stacked in log-odds on out-of-fold
predictions, with non-negative weights pulled towards "the weighted score alone".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from csql_ml.baseline.score_logit import ScoreLogit
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.errors import FeatureError
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import labelled_rows
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.maturity import Maturity
from csql_ml.model.stacking import Members, Stack, StackRecipe
from csql_ml.model.tree_shape import TreeShape

FloatArray = npt.NDArray[np.float64]


class PropensityClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probability of an expansion: weighted score, logistic regressions and monotone LightGBM models in one stack.

    Parameters
    ----------
    features
        Columns to learn from, by name, with monotone direction, category and skew. None: all columns of ``X`` as they
        come (text and category columns of a DataFrame are categories).
    terms
        Terms of the weighted score. None: a plain score is learned from the columns (`learn_terms`).
    weights
        Weights of ``engagement``, ``fit`` and ``intent``; default: the configuration's.
    bags
        LightGBM models to average.
    shrinkage
        L2 pull of the stack's weights towards the weighted score alone, in units of the summed log loss; with few
        labels more is added (`csql_ml.model.stack_weights`). 0: no pull at all.
    random_state
        Seed of folds, row and column draws.
    n_threads
        Threads of LightGBM; the result does not depend on it.
    shape
        Size and regularisation of the trees, where they were tuned; None: the fixed recipe.

    Attributes
    ----------
    features_ : tuple of Feature
        The features in use: all of them, or, of more than `csql_ml.model.screening.MOST_COLUMNS`, those chosen.
    stack_ : Stack
        Members and their weights.
    encoder_ : FeatureEncoder
        Columns and vocabularies of training.
    maturity_ : Maturity
        Stage, number of labels, weight of each member, and about how many more outcomes the next stage takes.
    weighted_score_ : WeightedScore
        The baseline inside, on the same data.

    Notes
    -----
    A missing value stays missing: left out of the score, imputed with the median (and indicated) in the logistic
    part, a branch of its own in the trees. A category unknown at training reads as missing.
    """

    def __init__(
        self,
        features: tuple[Feature, ...] | None = None,
        terms: tuple[ScoreTerm, ...] | None = None,
        weights: Mapping[str, float] | None = None,
        bags: int = 4,
        shrinkage: float = 5.0,
        random_state: Any = 7,
        n_threads: int = 1,
        shape: TreeShape | None = None,
    ) -> None:
        self.features = features
        self.terms = terms
        self.weights = weights
        self.bags = bags
        self.shrinkage = shrinkage
        self.random_state = random_state
        self.n_threads = n_threads
        self.shape = shape

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from labelled rows.

        Parameters
        ----------
        X
            (n, columns) DataFrame; an array where neither ``features`` nor ``terms`` are given.
        y
            (n,) two classes; the second in sorted order is the positive one.
        sample_weight
            (n,) weights; rows of weight 0 are left out.
        groups
            (n,) account of each row: the rows of one account never stand on both sides of a fold.

        Raises
        ------
        FeatureError
            A column is absent, there twice, or of the wrong type.
        OneClassError
            All labels are the same.
        """
        matrix, y = self._training_matrix(X, y)
        rows = labelled_rows(matrix, y, sample_weight, groups)
        recipe = StackRecipe(
            self.encoder_,
            self.features_,
            self.terms,
            self.weights,
            self.bags,
            self.shrinkage,
            self._seed(),
            self.n_threads,
            self.shape,
        )
        with threadpool_limits(limits=1, user_api="blas"):  # see `csql_ml.logistic_fit`
            stack = Stack.fit(recipe, rows)
        if stack.columns is not None:
            self._read_only(recipe.of_columns(stack.columns))
        self._take(stack, rows.classes, len(rows.positive), int(rows.positive.sum()))
        return self

    @classmethod
    def from_stack(
        cls,
        stack: Stack,
        encoder: FeatureEncoder,
        features: tuple[Feature, ...],
        weights: Mapping[str, float] | None,
        labels: tuple[int, int],
    ) -> Self:
        """A fitted classifier from its parts, as read from a bundle; ``labels`` counts all and positive ones."""
        made = cls(features=features, weights=weights)
        made.features_, made.encoder_ = features, encoder
        made.n_features_in_ = len(encoder.names)
        made._take(stack, np.array([0, 1]), *labels)
        made.set_params(terms=made.terms_)
        return made

    def recalibrated(self, slope: float, intercept: float) -> Self:
        """The same classifier with log-odds ``intercept + slope * log-odds``; ranking and additivity stay.

        Parameters
        ----------
        slope
            Above 0.
        """
        if not slope > 0.0:
            raise ValueError(f"a calibrator with slope {slope} would turn the ranking round; expected one above 0")
        made = copy(self)
        weights = tuple(slope * weight for weight in self.stack_.weights)
        made.stack_ = replace(self.stack_, weights=weights, intercept=intercept + slope * self.stack_.intercept)
        return made

    def _take(self, stack: Stack, classes: npt.NDArray[Any], labels: int, positives: int) -> None:
        self.stack_ = stack
        self.classes_ = classes
        weights = dict(zip(Members._fields, stack.weights, strict=True))
        self.maturity_ = Maturity(labels, positives, weights, stack.evidence)

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**20))

    def _training_matrix(self, X: Any, y: Any) -> tuple[FloatArray, Any]:
        if self.features is None and self.terms is None and not _has_categories(X):
            matrix, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
            names = [str(n) for n in getattr(self, "feature_names_in_", range(matrix.shape[1]))]
            self.features_ = tuple(Feature(n, n) for n in names)
            self.encoder_ = FeatureEncoder(tuple(names))
            return matrix, y
        frame = _frame(X)
        self.features_ = inferred_features(frame) if self.features is None else tuple(self.features)
        self.encoder_ = FeatureEncoder.learn(frame, self.features_, [t.feature for t in self.terms or ()])
        self.n_features_in_ = len(self.encoder_.names)
        return self.encoder_.matrix(frame), y

    def _read_only(self, narrow: StackRecipe) -> None:
        """Know the columns that were chosen, and no others."""
        self.encoder_ = narrow.encoder
        self.features_ = narrow.features

    def _matrix(self, X: Any) -> FloatArray:
        check_is_fitted(self)
        if self.features is None and self.terms is None and not self.encoder_.vocabularies:
            checked = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
            matrix = np.asarray(checked, dtype=np.float64)
            return matrix if self.stack_.columns is None else matrix[:, self.stack_.columns]
        return self.encoder_.matrix(_frame(X))

    @property
    def terms_(self) -> tuple[ScoreTerm, ...]:
        """Terms of the weighted score in use."""
        return self._score_logit.card.terms

    @property
    def weighted_score_(self) -> WeightedScore:
        """The baseline inside the stack, fitted on the same labels."""
        return WeightedScore.from_logit(self._score_logit, self.weights, self.classes_)

    @property
    def _score_logit(self) -> ScoreLogit:
        check_is_fitted(self)
        stack: Stack = self.stack_
        return stack.members.score

    def decision_function(self, X: Any) -> FloatArray:
        """(n,) log-odds of the positive class."""
        matrix = self._matrix(X)
        return self.stack_.margin(matrix)

    def predict_proba(self, X: Any) -> FloatArray:
        """(n, 2) probabilities of the two classes."""
        margin = self.decision_function(X)
        return np.stack([expit(-margin), expit(margin)], axis=1)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """(n,) the likelier class."""
        margin = self.decision_function(X)
        return np.asarray(self.classes_[(margin > 0).astype(int)])

    @property
    def contribution_names_(self) -> tuple[str, ...]:
        """Columns of `contributions`: the features, then columns that only the weighted score reads."""
        check_is_fitted(self)
        return self.encoder_.names

    @property
    def base_(self) -> float:
        """Log-odds to which the contributions of a row are added."""
        check_is_fitted(self)
        return self.stack_.base

    def contributions(self, X: Any) -> FloatArray:
        """(n, columns) log-odds by column of ``contribution_names_``.

        ``base_`` plus a row's sum is its `decision_function` to 1e-9: SHAP values of the trees (LightGBM's
        ``pred_contrib``), linear terms of the other members, weighted as the stack weighs them.
        """
        matrix = self._matrix(X)
        return self.stack_.parts(matrix)

    def margin_and_contributions(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """`decision_function` and `contributions`, reading the table once."""
        return self.stack_.margin_and_parts(self._matrix(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags


def inferred_features(frame: pd.DataFrame, names: Sequence[str] | None = None) -> tuple[Feature, ...]:
    """Features of a table nobody described: numbers as they are, text and categories as categories."""
    chosen = list(frame.columns) if names is None else list(names)
    return tuple(Feature(str(n), str(n), categorical=_is_category(frame[n])) for n in chosen)


def _is_category(column: pd.Series) -> bool:
    kind = column.dtype
    if pd.api.types.is_object_dtype(kind):
        return pd.api.types.infer_dtype(column, skipna=True) == "string"
    return isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_string_dtype(kind)


def _has_categories(X: Any) -> bool:
    return isinstance(X, pd.DataFrame) and any(_is_category(X.iloc[:, i]) for i in range(X.shape[1]))


def _frame(X: Any) -> pd.DataFrame:
    if isinstance(X, pd.DataFrame):
        return X
    raise FeatureError(
        f"the model reads its features by column name, found {type(X).__name__}; give a pandas DataFrame"
    )
