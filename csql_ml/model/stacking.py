"""Members and their weights: the stack that starts as the weighted score and earns its way.

    log-odds = intercept + w_score * score + w_sub_scores * sub_scores + w_ridge * ridge + w_trees * trees

All weights are non-negative, so what every member keeps (monotone directions) the stack keeps, and what every member
has (exactly additive parts) the stack has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from csql_ml.baseline.score_card import ScoreCard
from csql_ml.baseline.score_logit import ScoreLogit, learn_terms
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import LabelledRows
from csql_ml.logistic_fit import fit_bounded_logistic
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.members import Member, RidgeLogistic, SubScoreLogistic
from csql_ml.model.trees import TreeBag, TreeSettings, categorical_places

FloatArray = npt.NDArray[np.float64]

#: The stack without evidence: the weighted score alone.
SCORE_ALONE = (1.0, 0.0, 0.0, 0.0)
FOLDS = 5
#: Below this many labels of the rarer class nothing can be said out of fold.
FEWEST_OF_A_CLASS = 3
#: Out-of-fold log-odds are bounded: one wildly confident row must not decide the weights.
LARGEST_MARGIN = 8.0


class Members(NamedTuple):
    """The members, in the order of the stack's weights."""

    score: ScoreLogit
    sub_scores: SubScoreLogistic
    ridge: RidgeLogistic
    trees: TreeBag


@dataclass(frozen=True)
class StackRecipe:
    """Everything the members need to know besides the rows."""

    encoder: FeatureEncoder
    features: tuple[Feature, ...]
    terms: tuple[ScoreTerm, ...] | None
    weights: Mapping[str, float] | None
    bags: int
    shrinkage: float
    seed: int
    n_threads: int

    def _by_column(self) -> Sequence[Feature]:
        """One `Feature` per matrix column; columns that only the score reads get their direction from its ramp."""
        known = {f.name: f for f in self.features}
        return [known.get(n, Feature(n, n)) for n in self.encoder.names]

    def card(self, rows: LabelledRows) -> ScoreCard:
        """The weighted score: as given, or learned from the rows."""
        names, columns = self.encoder.names, self._by_column()
        terms = self.terms
        if terms is None:
            directions, numeric = [f.direction for f in columns], [not f.categorical for f in columns]
            terms = learn_terms(rows.matrix, names, rows.positive, rows.weight, directions, numeric)
        return ScoreCard.bind(terms, self.weights, names)

    def fit_members(self, rows: LabelledRows) -> Members:
        """Fit all four."""
        card = self.card(rows)
        columns, sizes = self._by_column(), self.encoder.category_sizes
        modelled = rows.matrix if not self._score_only else self._without_score_only(rows.matrix)
        learn = LabelledRows(modelled, rows.positive, rows.weight, rows.groups, rows.classes)
        directions = tuple(f.direction for f in columns)
        trees = TreeSettings(directions, categorical_places(sizes), self.bags, self.seed, self.n_threads)
        return Members(
            ScoreLogit.fit(card, rows.matrix, rows.positive, rows.weight),
            SubScoreLogistic.fit(card, rows),
            RidgeLogistic.fit(learn, [f.skewed for f in columns], sizes, directions),
            TreeBag.fit(learn, trees),
        )

    @property
    def _score_only(self) -> list[int]:
        modelled = {f.name for f in self.features}
        return [i for i, n in enumerate(self.encoder.names) if n not in modelled]

    def _without_score_only(self, matrix: FloatArray) -> FloatArray:
        """Columns that only the score may read are blank where ridge and trees learn, so they never use them."""
        blank = matrix.copy()
        blank[:, self._score_only] = np.nan
        return blank


@dataclass(frozen=True)
class Stack:
    """Weighted sum of the members in log-odds."""

    members: Members
    weights: tuple[float, ...]
    intercept: float

    @classmethod
    def fit(cls, recipe: StackRecipe, rows: LabelledRows) -> Stack:
        """Fit the members, and their weights on out-of-fold log-odds."""
        members = recipe.fit_members(rows)
        judged, margins = out_of_fold_margins(recipe, rows)
        if not len(judged):
            return cls(members, SCORE_ALONE, 0.0)
        fit = fit_bounded_logistic(
            margins,
            rows.positive[judged].astype(float),
            rows.weight[judged],
            penalty=recipe.shrinkage,
            pull_to=np.array(SCORE_ALONE),
            lower=np.zeros(len(SCORE_ALONE)),
        )
        return cls(members, tuple(fit.coefficients.tolist()), fit.intercept)

    @property
    def _counting(self) -> list[tuple[float, Member]]:
        members: tuple[Member, ...] = self.members
        return [(w, m) for w, m in zip(self.weights, members, strict=True) if w > 0]

    @property
    def base(self) -> float:
        """Log-odds to which the parts are added."""
        return self.intercept + sum(w * m.base for w, m in self._counting)

    def margin(self, matrix: FloatArray) -> FloatArray:
        """(n,) log-odds."""
        total = np.full(len(matrix), self.intercept)
        for weight, member in self._counting:
            total += weight * member.margin(matrix)
        return total

    def parts(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) log-odds by column; ``base`` plus a row's sum is its margin."""
        total = np.zeros(matrix.shape)
        for weight, member in self._counting:
            total += weight * member.parts(matrix)
        return total


def out_of_fold_margins(recipe: StackRecipe, rows: LabelledRows) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Log-odds of every member for rows it was not trained on.

    Returns
    -------
    judged, margins
        Places of the rows that could be judged (none if there are too few labels), and their (n, members) log-odds.
    """
    judged, margins = [], []
    for train, test in _folds(rows, recipe.seed):
        if len(np.unique(rows.positive[train])) < 2:
            continue
        members = recipe.fit_members(rows.take(train))
        matrix = rows.matrix[test]
        margins.append(np.stack([m.margin(matrix) for m in members], axis=1))
        judged.append(test)
    if not judged:
        return np.zeros(0, dtype=np.intp), np.zeros((0, len(SCORE_ALONE)))
    return np.concatenate(judged), np.clip(np.concatenate(margins), -LARGEST_MARGIN, LARGEST_MARGIN)


def _folds(rows: LabelledRows, seed: int) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Stratified folds that never part a group; none if a class has too few rows or groups."""
    groups = np.arange(len(rows.positive)) if rows.groups is None else rows.groups
    rarest = min(len(np.unique(groups[rows.positive])), len(np.unique(groups[~rows.positive])))
    if rarest < FEWEST_OF_A_CLASS:
        return []
    kind = StratifiedKFold if rows.groups is None else StratifiedGroupKFold
    splitter = kind(n_splits=min(FOLDS, rarest), shuffle=True, random_state=seed)
    return list(splitter.split(rows.matrix, rows.positive, rows.groups))
