"""The logistic members of the stack. Each is exactly additive: base + row sum of its parts = its log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from csql_ml.baseline.score_card import FULL_SCORE, ScoreCard, row_sums
from csql_ml.baseline.score_logit import by_column
from csql_ml.labelled_rows import LabelledRows
from csql_ml.logistic_fit import fit_bounded_logistic
from csql_ml.model.linear_design import LinearDesign

FloatArray = npt.NDArray[np.float64]

#: L2 penalty on three standardised sub-scores: as weak as it can be without few labels separating perfectly.
SUB_SCORE_PENALTY = 1.0
#: L2 penalty on standardised features, in units of the summed log loss.
RIDGE_PENALTY = 10.0


class Member(Protocol):
    """One additive model in log-odds over the columns of a matrix."""

    @property
    def base(self) -> float:
        """Log-odds to which the parts are added."""

    def margin(self, matrix: FloatArray) -> FloatArray:
        """(n,) log-odds."""

    def parts(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) log-odds by column; ``base`` plus a row's sum is its margin."""

    def margin_and_parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margin` and `parts`, to the last bit, in one pass."""


@dataclass(frozen=True)
class SubScoreLogistic:
    """Logistic regression on engagement, fit and intent score; a missing sub-score counts as its mean.

    Attributes
    ----------
    coefficients
        (3,) log-odds per point, never negative.
    means
        (3,) mean sub-scores of training.
    intercept
        Log-odds at the means.
    """

    card: ScoreCard
    coefficients: FloatArray
    means: FloatArray
    intercept: float

    @classmethod
    def fit(cls, card: ScoreCard, rows: LabelledRows) -> SubScoreLogistic:
        """Fit on the sub-scores; one that is missing throughout gets no coefficient."""
        scores = card.sub_scores(rows.matrix)
        known = ~np.isnan(scores)
        mass = rows.weight[:, None] * known
        total = mass.sum(axis=0)
        means = np.where(total > 0, (mass * np.nan_to_num(scores)).sum(axis=0) / np.where(total > 0, total, 1.0), 0.0)
        away = np.where(known, scores - means, 0.0)
        spread = np.sqrt((rows.weight[:, None] * away**2).sum(axis=0) / rows.weight.sum())
        used = spread > 1e-9
        scale = np.where(used, spread, 1.0)
        upper = np.where(used, np.inf, 0.0)
        target = rows.positive.astype(float)
        fit = fit_bounded_logistic(
            away / scale, target, rows.weight, penalty=SUB_SCORE_PENALTY, lower=np.zeros(3), upper=upper
        )
        return cls(card, fit.coefficients / scale, means, fit.intercept)

    @property
    def base(self) -> float:
        return self.intercept

    def margin(self, matrix: FloatArray) -> FloatArray:
        away = np.nan_to_num(self.card.sub_scores(matrix) - self.means, nan=0.0)
        return np.asarray(self.intercept + row_sums(away * self.coefficients))

    def parts(self, matrix: FloatArray) -> FloatArray:
        weights = self.card.weigh(matrix)
        known = ~np.isnan(self.card.sub_scores_of(weights, matrix))
        part = self.card.part_of_term
        share = weights.of_part * known[:, part] * self.coefficients[part]
        return by_column(share * (FULL_SCORE * weights.degree - self.means[part]), self.card.columns, matrix.shape[1])

    def margin_and_parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margin` and `parts`."""
        return self.margin(matrix), self.parts(matrix)


@dataclass(frozen=True)
class RidgeLogistic:
    """Penalised logistic regression on all columns, its coefficients kept to the known directions."""

    design: LinearDesign
    coefficients: FloatArray
    intercept: float

    @classmethod
    def fit(
        cls, rows: LabelledRows, skewed: Sequence[bool], category_sizes: Sequence[int], directions: Sequence[int]
    ) -> RidgeLogistic:
        """Fit with `RIDGE_PENALTY` and the bounds that follow from the directions."""
        design = LinearDesign.fit(rows.matrix, rows.weight, skewed, category_sizes)
        lower, upper = design.bounds(directions)
        fit = fit_bounded_logistic(
            design.matrix(rows.matrix),
            rows.positive.astype(float),
            rows.weight,
            penalty=RIDGE_PENALTY,
            lower=lower,
            upper=upper,
        )
        return cls(design, fit.coefficients, fit.intercept)

    @property
    def base(self) -> float:
        return self.intercept

    def margin(self, matrix: FloatArray) -> FloatArray:
        return np.asarray(self.intercept + row_sums(self._terms(matrix)))

    def parts(self, matrix: FloatArray) -> FloatArray:
        return self._by_column(self._terms(matrix), matrix)

    def margin_and_parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margin` and `parts`, from one design matrix."""
        terms = self._terms(matrix)
        return np.asarray(self.intercept + row_sums(terms)), self._by_column(terms, matrix)

    def _terms(self, matrix: FloatArray) -> FloatArray:
        return np.asarray(self.design.matrix(matrix) * self.coefficients)

    def _by_column(self, terms: FloatArray, matrix: FloatArray) -> FloatArray:
        return by_column(terms, self.design.owner.tolist(), matrix.shape[1])
