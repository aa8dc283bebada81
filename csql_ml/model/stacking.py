"""Members and their weights: the stack that starts as the weighted score and earns its way.

    log-odds = intercept + w_score * score + w_sub_scores * sub_scores + w_ridge * ridge + w_trees * trees

All weights are non-negative, so what every member keeps (monotone directions) the stack keeps, and what every member
has (exactly additive parts) the stack has. `csql_ml.model.stack_weights` says how they are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from csql_ml.baseline.score_card import ScoreCard
from csql_ml.baseline.score_logit import ScoreLogit, learn_terms
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import LabelledRows
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.account_folds import ENOUGH_TAUGHT, account_folds, taught
from csql_ml.model.freer_trees import with_freer_trees
from csql_ml.model.members import Member, RidgeLogistic, SubScoreLogistic
from csql_ml.model.screening import Screen, screen_of
from csql_ml.model.stack_weights import LARGEST_MARGIN, SCORE_ALONE, OutOfFold, StackWeights, stack_weights
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.trees import TreeBag, TreeSettings, categorical_places

FloatArray = npt.NDArray[np.float64]

FOLDS = 5
#: Below this many labels of the rarer class nothing can be said out of fold.
FEWEST_OF_A_CLASS = 3
#: So many rows judged out of fold settle four weights; of more than about as many labels not every fold is judged.
ENOUGH_JUDGED = 50_000


class Members(NamedTuple):
    """The members, in the order of the stack's weights."""

    score: ScoreLogit
    sub_scores: SubScoreLogistic
    ridge: RidgeLogistic
    trees: TreeBag


@dataclass(frozen=True)
class StackRecipe:
    """Everything the members need to know besides the rows; ``among``: of how many columns these were chosen."""

    encoder: FeatureEncoder
    features: tuple[Feature, ...]
    terms: tuple[ScoreTerm, ...] | None
    weights: Mapping[str, float] | None
    bags: int
    shrinkage: float
    seed: int
    n_threads: int
    shape: TreeShape | None = None
    among: int = 0

    def of_columns(self, columns: npt.NDArray[np.intp]) -> StackRecipe:
        """The recipe for some of the columns, chosen among all of these."""
        encoder = self.encoder.take(columns)
        kept = set(encoder.names)
        features = tuple(f for f in self.features if f.name in kept)
        return replace(self, encoder=encoder, features=features, among=len(self.encoder.names))

    @property
    def term_places(self) -> list[int]:
        """Columns of a given score: they are read whatever else is."""
        named = {t.feature for t in self.terms or ()}
        return [i for i, n in enumerate(self.encoder.names) if n in named]

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
            terms = learn_terms(rows.matrix, names, rows.positive, rows.weight, directions, numeric, self.among)
        return ScoreCard.bind(terms, self.weights, names)

    def fit_members(self, rows: LabelledRows) -> Members:
        """Fit all four."""
        card = self.card(rows)
        columns, sizes = self._by_column(), self.encoder.category_sizes
        learn = self._modelled_rows(rows)
        directions = tuple(f.direction for f in columns)
        return Members(
            ScoreLogit.fit(card, rows.matrix, rows.positive, rows.weight),
            SubScoreLogistic.fit(card, rows),
            RidgeLogistic.fit(learn, [f.skewed for f in columns], sizes, directions),
            self.fit_trees(rows),
        )

    def fit_trees(self, rows: LabelledRows) -> TreeBag:
        """Fit the bag of trees alone."""
        directions = tuple(f.direction for f in self._by_column())
        places = categorical_places(self.encoder.category_sizes)
        shape = self.shape or TreeShape()
        settings = TreeSettings(directions, places, self.bags, self.seed, self.n_threads, shape)
        return TreeBag.fit(self._modelled_rows(rows), settings)

    def _modelled_rows(self, rows: LabelledRows) -> LabelledRows:
        modelled = self._without_score_only(rows.matrix) if self._score_only else rows.matrix
        return replace(rows, matrix=modelled)

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
    """Weighted sum of the members in log-odds.

    Where it was fitted, ``evidence`` says what the weights rest on, ``shape`` which trees are used, of a table too wide
    to learn from all of it ``columns`` which columns it reads, and of a large one ``judged`` what was said out of fold.
    """

    members: Members
    weights: tuple[float, ...]
    intercept: float
    evidence: StackWeights | None = field(default=None, compare=False, repr=False)
    shape: TreeShape | None = field(default=None, compare=False)
    columns: npt.NDArray[np.intp] | None = field(default=None, compare=False, repr=False)
    judged: OutOfFold | None = field(default=None, compare=False, repr=False)

    @classmethod
    def fit(cls, recipe: StackRecipe, rows: LabelledRows) -> Stack:
        """Fit the members, and their weights on out-of-fold log-odds."""
        screen = screen_of(rows.matrix, recipe.encoder.category_sizes)
        recipe, judged = with_freer_trees(recipe, rows, out_of_fold(recipe, rows, screen))
        every = np.arange(len(rows.positive))
        chosen = None if screen is None else screen.strongest(every, rows.positive, rows.weight, recipe.term_places)
        members = (
            recipe.fit_members(rows)
            if chosen is None
            else recipe.of_columns(chosen).fit_members(rows.take(every, chosen))
        )
        groups = None if rows.groups is None else rows.groups[judged.rows]
        found = stack_weights(judged, rows.positive[judged.rows], rows.weight[judged.rows], groups, recipe.shrinkage)
        kept = judged if chosen is not None or len(every) > ENOUGH_TAUGHT else None
        return cls(members, found.weights, found.intercept, found, recipe.shape, chosen, kept)

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

    def margin_and_parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margin` and `parts`, to the last bit, in one pass."""
        margin, parts = np.full(len(matrix), self.intercept), np.zeros(matrix.shape)
        for weight, member in self._counting:
            found = member.margin_and_parts(matrix)
            margin += weight * found[0]
            parts += weight * found[1]
        return margin, parts


def out_of_fold(recipe: StackRecipe, rows: LabelledRows, screen: Screen | None = None) -> OutOfFold:
    """Log-odds of every member for rows it was not trained on; with a ``screen``, of columns chosen for each fold.

    The members that are weighed this way learn from `csql_ml.model.account_folds.ENOUGH_TAUGHT` rows at most; those
    that are kept learn from all.
    """
    judged, margins, fold, columns = [], [], [], {}
    for number, (train, test) in enumerate(_folds(rows, recipe.seed)):
        if len(np.unique(rows.positive[train])) < 2:
            continue
        if screen is None:
            members, matrix = recipe.fit_members(rows.take(train)), rows.matrix[test]
        else:
            chosen = screen.strongest(train, rows.positive, rows.weight, recipe.term_places)
            members = recipe.of_columns(chosen).fit_members(rows.take(train, chosen))
            matrix, columns[number] = rows.matrix[np.ix_(test, chosen)], chosen
        margins.append(np.stack([m.margin(matrix) for m in members], axis=1))
        judged.append(test)
        fold.append(np.full(len(test), number, dtype=np.intp))
        if len(judged) > 1 and sum(map(len, judged)) >= ENOUGH_JUDGED:
            break
    if not judged:
        none = np.zeros(0, dtype=np.intp)
        return OutOfFold(none, np.zeros((0, len(SCORE_ALONE))), none)
    bounded = np.clip(np.concatenate(margins), -LARGEST_MARGIN, LARGEST_MARGIN)
    return OutOfFold(np.concatenate(judged), bounded, np.concatenate(fold), columns)


def out_of_fold_margins(recipe: StackRecipe, rows: LabelledRows) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Places of the rows that could be judged, and their (n, members) log-odds; see `out_of_fold`."""
    found = out_of_fold(recipe, rows)
    return found.rows, found.margins


def _folds(rows: LabelledRows, seed: int) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Stratified folds that never part a group; none if a class has too few rows or groups."""
    groups = np.arange(len(rows.positive)) if rows.groups is None else rows.groups
    rarest = min(len(np.unique(groups[rows.positive])), len(np.unique(groups[~rows.positive])))
    if rarest < FEWEST_OF_A_CLASS:
        return []
    folds = account_folds(rows.positive, rows.groups, min(FOLDS, rarest), seed)
    return [(taught(train, rows.groups, seed), test) for train, test in folds]
