"""The weighted score as a scikit-learn classifier: the baseline every model must beat, the champion of day one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from csql_ml.baseline.score_card import PARTS, ScoreCard
from csql_ml.baseline.score_logit import ScoreLogit, learn_terms
from csql_ml.errors import FeatureError
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import LabelledRows, labelled_rows
from csql_ml.metrics.definition import ScoreTerm

FloatArray = npt.NDArray[np.float64]


class WeightedScore(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """CSQL score = engagement * w1 + fit * w2 + intent * w3, with Platt scaling on top for a probability.

    Parameters
    ----------
    terms
        Terms of the score; they name columns of a DataFrame. None: learned from the training table (`learn_terms`).
    weights
        Weights of ``engagement``, ``fit`` and ``intent``; default: the configuration's.
    prior_rate
        Expected share of positives while there are no labels; see `from_prior`.

    Attributes
    ----------
    calibrated_ : bool
        False while the probability comes from the prior map and not from labels.
    logit_ : ScoreLogit
        Terms bound to columns, slope and intercept from score to log-odds.

    Notes
    -----
    A missing value is left out and the other weights scaled up (a missing source is never a zero). A row in which
    everything is missing has 0 points: where nothing is known, no lead is claimed.

    Examples
    --------
    >>> term = ScoreTerm("seat_saturation", "engagement", 0.4, 0.8, 1.0)
    >>> score = WeightedScore.from_prior((term,))
    >>> score.csql_score(pd.DataFrame({"seat_saturation": [0.4, 0.6, 0.9]})).round(1).tolist()
    [0.0, 50.0, 100.0]
    """

    def __init__(
        self,
        terms: tuple[ScoreTerm, ...] | None = None,
        weights: Mapping[str, float] | None = None,
        prior_rate: float = 0.1,
    ) -> None:
        self.terms = terms
        self.weights = weights
        self.prior_rate = prior_rate

    @classmethod
    def from_prior(
        cls, terms: Sequence[ScoreTerm], weights: Mapping[str, float] | None = None, prior_rate: float = 0.1
    ) -> Self:
        """A fitted baseline without any label, for day one.

        The probability is ``prior_rate`` at 50 points and its log-odds rise by `PRIOR_SLOPE` a point, so its mean over
        accounts whose scores lie around the middle is near ``prior_rate``. It ranks as the score does; its level is an
        assumption, which ``calibrated_`` (False) says.
        """
        card = ScoreCard.bind(terms, weights, _encoder(terms).names)
        score = cls.from_logit(ScoreLogit.prior(card, prior_rate), weights, calibrated=False)
        score.set_params(prior_rate=prior_rate)
        return score

    @classmethod
    def from_logit(
        cls,
        logit: ScoreLogit,
        weights: Mapping[str, float] | None = None,
        classes: npt.NDArray[Any] | None = None,
        *,
        calibrated: bool = True,
    ) -> Self:
        """A fitted baseline from its parts, as read from a bundle or taken from a stack."""
        score = cls(logit.card.terms, weights)
        score.encoder_ = _encoder(logit.card.terms)
        card = ScoreCard.bind(logit.card.terms, weights, score.encoder_.names)
        score.logit_ = replace(logit, card=card)
        score.classes_ = np.array([0, 1]) if classes is None else classes
        score.calibrated_ = calibrated
        return score

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit slope and intercept of the probability (and, with ``terms=None``, the score itself).

        Parameters
        ----------
        X
            (n, features) DataFrame with the terms' columns; with ``terms=None`` also any array of numbers.
        y
            (n,) two classes; the second in sorted order is the positive one.
        sample_weight
            (n,) weights; rows of weight 0 are left out.

        Raises
        ------
        FeatureError
            A term's column is absent or not a number.
        OneClassError
            All labels are the same.
        """
        if self.terms is not None:
            self.encoder_ = _encoder(self.terms)
            rows = labelled_rows(self._matrix(X), y, sample_weight)
            card = ScoreCard.bind(self.terms, self.weights, self.encoder_.names)
        else:
            matrix, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
            rows = labelled_rows(matrix, y, sample_weight)
            card = self._learned_card(rows)
        self.logit_ = ScoreLogit.fit(card, rows.matrix, rows.positive, rows.weight)
        self.classes_ = rows.classes
        self.calibrated_ = True
        return self

    def _learned_card(self, rows: LabelledRows) -> ScoreCard:
        width = rows.matrix.shape[1]
        names = [str(n) for n in getattr(self, "feature_names_in_", range(width))]
        self.encoder_ = FeatureEncoder(tuple(names))
        terms = learn_terms(rows.matrix, names, rows.positive, rows.weight, [0] * width, [True] * width)
        return ScoreCard.bind(terms, self.weights, names)

    def _matrix(self, X: Any) -> FloatArray:
        if self.terms is None:
            return np.asarray(
                validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False), dtype=np.float64
            )
        if not isinstance(X, pd.DataFrame):
            raise FeatureError(
                f"the weighted score reads its terms by column name, found {type(X).__name__}; give a pandas DataFrame"
            )
        return self.encoder_.matrix(X)

    @property
    def terms_(self) -> tuple[ScoreTerm, ...]:
        """The terms in use."""
        check_is_fitted(self)
        return self.logit_.card.terms

    def csql_score(self, X: Any) -> FloatArray:
        """(n,) the CSQL score, 0 to 100."""
        check_is_fitted(self)
        return self.logit_.card.score(self._matrix(X))

    def sub_scores(self, X: Any) -> pd.DataFrame:
        """(n, 3) engagement, fit and intent score, 0 to 100; NaN where a sub-score has no value at all."""
        check_is_fitted(self)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(self.logit_.card.sub_scores(self._matrix(X)), index=index, columns=list(PARTS))

    def linear_parts(self, X: Any) -> FloatArray:
        """(n, terms) points of every term of ``terms_``; a row sums to its score, a missing value has 0 points."""
        check_is_fitted(self)
        card = self.logit_.card
        return card.parts(card.weigh(self._matrix(X)))

    def decision_function(self, X: Any) -> FloatArray:
        """(n,) log-odds of the positive class."""
        check_is_fitted(self)
        return self.logit_.margin(self._matrix(X))

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
        """Columns of `contributions`."""
        check_is_fitted(self)
        return tuple(dict.fromkeys(t.feature for t in self.terms_))

    @property
    def base_(self) -> float:
        """Log-odds to which the contributions of a row are added."""
        check_is_fitted(self)
        return self.logit_.base

    def contributions(self, X: Any) -> FloatArray:
        """(n, columns) log-odds by column of ``contribution_names_``; ``base_`` plus a row's sum is its margin."""
        check_is_fitted(self)
        parts = self.logit_.parts(self._matrix(X))
        return parts[:, list(dict.fromkeys(self.logit_.card.columns))]

    def margin_and_contributions(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """`decision_function` and `contributions`."""
        return self.decision_function(X), self.contributions(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags


def _encoder(terms: Sequence[ScoreTerm]) -> FeatureEncoder:
    return FeatureEncoder(tuple(dict.fromkeys(t.feature for t in terms)))
