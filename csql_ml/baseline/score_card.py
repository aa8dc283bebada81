"""The arithmetic of the weighted score on a float matrix.

    CSQL score = engagement score * w1 + fit score * w2 + intent score * w3        (domain.md, the weighted score)

Each term's degree rises (or falls) straight from 0 at ``zero_at`` to 1 at ``full_at``. A missing value is left out and
the weights of the others are scaled up, within its sub-score and, if the whole sub-score is missing, among sub-scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csql_ml.errors import ConfigError
from csql_ml.metrics.definition import ScoreTerm

FloatArray = npt.NDArray[np.float64]

#: The three sub-scores, in the order of the formula.
PARTS = ("engagement", "fit", "intent")
#: The guide leaves the weights to the company; these are the configuration's defaults (`csql_ml.config.ScoreWeights`).
DEFAULT_WEIGHTS: Mapping[str, float] = {"engagement": 0.4, "fit": 0.25, "intent": 0.35}
FULL_SCORE = 100.0
#: Rows handled at a time: what is made on the way is several times as large as they are.
CHUNK = 65_536


@dataclass(frozen=True)
class TermWeights:
    """How much each term counts in each row once missing values are left out.

    Attributes
    ----------
    degree
        (n, terms) from 0 to 1; 0 where missing.
    of_score
        (n, terms) shares of the score; each row sums to 1.
    of_part
        (n, terms) shares of the term's own sub-score; sum to 1 over the terms of a part that has a value.
    """

    degree: FloatArray
    of_score: FloatArray
    of_part: FloatArray


@dataclass(frozen=True)
class ScoreCard:
    """Terms bound to the columns of a matrix.

    Parameters
    ----------
    terms
        The terms, in order.
    part_weights
        (3,) weights of engagement, fit and intent.
    columns
        (terms,) column of each term's value in the matrix.
    """

    terms: tuple[ScoreTerm, ...]
    part_weights: tuple[float, float, float]
    columns: tuple[int, ...]

    @classmethod
    def bind(cls, terms: Sequence[ScoreTerm], weights: Mapping[str, float] | None, names: Sequence[str]) -> ScoreCard:
        """Bind terms to the columns called ``names``.

        Raises
        ------
        ConfigError
            A weight or ramp makes no sense, or nothing has a weight.
        """
        chosen = _checked_weights(weights)
        for term in terms:
            _check_term(term)
        place = {name: i for i, name in enumerate(names)}
        if terms and not any(t.weight * chosen[PARTS.index(t.part)] > 0 for t in terms):
            raise ConfigError("no term of the weighted score has a weight above 0; give one of them a weight")
        return cls(tuple(terms), chosen, tuple(place[t.feature] for t in terms))

    @property
    def part_of_term(self) -> npt.NDArray[np.intp]:
        """(terms,) place of each term's part in `PARTS`."""
        return np.array([PARTS.index(t.part) for t in self.terms], dtype=np.intp)

    def weigh(self, matrix: FloatArray) -> TermWeights:
        """Degrees and shares of every term in every row of the matrix.

        A row in which every term is missing keeps the nominal shares and gets no points: a CSQL needs evidence, and
        where nothing is known nothing may be claimed. (One missing source is different: it is left out.)
        """
        values = matrix[:, list(self.columns)]
        known = ~np.isnan(values)
        nominal = np.array([t.weight for t in self.terms])
        known[~self._shares(known * nominal)[0].any(axis=1)] = True
        of_score, of_part = self._shares(known * nominal)
        return TermWeights(self._degrees(values), of_score, of_part)

    def _degrees(self, values: FloatArray) -> FloatArray:
        degree = np.empty_like(values)
        for place, term in enumerate(self.terms):
            value = values[:, place]
            if term.zero_at == term.full_at:
                degree[:, place] = value >= term.full_at
                continue
            degree[:, place] = np.clip((value - term.zero_at) / (term.full_at - term.zero_at), 0.0, 1.0)
        return np.nan_to_num(degree, nan=0.0)

    def _shares(self, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        part = self.part_of_term
        member = (part[:, None] == np.arange(3)).astype(float)
        part_total = _row_products(weight, member)
        part_weight = np.where(part_total > 0, np.array(self.part_weights), 0.0)
        total = part_weight.sum(axis=1, keepdims=True)
        of_part = weight / np.where(part_total > 0, part_total, 1.0)[:, part]
        of_score = of_part * (part_weight / np.where(total > 0, total, 1.0))[:, part]
        return of_score, of_part

    def parts(self, weights: TermWeights) -> FloatArray:
        """(n, terms) points of each term; each row sums to the score."""
        return FULL_SCORE * weights.of_score * weights.degree

    def score(self, matrix: FloatArray) -> FloatArray:
        """(n,) the CSQL score, 0 to 100."""
        if len(matrix) > CHUNK:
            return np.concatenate([self.score(some) for some in _chunks(matrix)])
        return np.asarray(np.clip(row_sums(self.parts(self.weigh(matrix))), 0.0, FULL_SCORE))

    def sub_scores(self, matrix: FloatArray) -> FloatArray:
        """(n, 3) engagement, fit and intent score, 0 to 100; NaN where a sub-score has no value at all."""
        if len(matrix) > CHUNK:
            return np.concatenate([self.sub_scores(some) for some in _chunks(matrix)])
        return self.sub_scores_of(self.weigh(matrix), matrix)

    def sub_scores_of(self, weights: TermWeights, matrix: FloatArray) -> FloatArray:
        """As `sub_scores`, from weights already computed."""
        member = (self.part_of_term[:, None] == np.arange(3)).astype(float)
        nominal = np.array([t.weight for t in self.terms])
        known = ~np.isnan(matrix[:, list(self.columns)]) * nominal
        points = FULL_SCORE * _row_products(weights.of_part * weights.degree, member)
        return np.asarray(np.where(_row_products(known, member) > 0, np.minimum(points, FULL_SCORE), np.nan))


def _chunks(matrix: FloatArray) -> Iterator[FloatArray]:
    return (matrix[start : start + CHUNK] for start in range(0, len(matrix), CHUNK))


def _row_products(rows: FloatArray, member: FloatArray) -> FloatArray:
    """``rows @ member`` row by row, so that a row's result does not depend on its neighbours."""
    return np.stack([row_sums(rows * member[:, k]) for k in range(member.shape[1])], axis=1)


def row_sums(rows: FloatArray) -> FloatArray:
    """(n,) sums of rows, each to the last bit the same whatever rows stand beside it.

    NumPy adds in another order where columns, not rows, lie together in memory, which a single row cannot tell.
    """
    return np.asarray(np.ascontiguousarray(rows).sum(axis=1))


def _checked_weights(weights: Mapping[str, float] | None) -> tuple[float, float, float]:
    given = DEFAULT_WEIGHTS if weights is None else weights
    unknown = sorted(set(given) - set(PARTS))
    if unknown:
        raise ConfigError(f"unknown part of the weighted score: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    values = tuple(float(given.get(p, 0.0)) for p in PARTS)
    if not all(np.isfinite(v) and v >= 0 for v in values) or sum(values) <= 0:
        raise ConfigError("the weights of engagement, fit and intent must be 0 or more, and one of them above 0")
    return values[0], values[1], values[2]


def _check_term(term: ScoreTerm) -> None:
    if not all(np.isfinite(v) for v in (term.zero_at, term.full_at, term.weight)) or term.weight < 0:
        raise ConfigError(
            f"term {term.feature} of the weighted score needs finite zero_at and full_at and a weight of 0 or more"
        )
    if term.part not in PARTS:
        raise ConfigError(f"term {term.feature} belongs to part {term.part!r}; there are {', '.join(PARTS)}")
