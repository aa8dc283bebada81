"""Bootstrap refits of the stack: how far a score can be trusted, and which reasons stay from one refit to the next.

Each refit draws accounts with replacement (all rows of an account go together), fits the four members on their rows
(one LightGBM model in the place of the bag), and the stack's weights on the out-of-fold log-odds of the drawn rows,
which are computed once. A refit therefore costs one fit of the members and not six.

The spread of the refits alone is too narrow an interval: what all of them share, the pull towards the weighted score,
does not show in it. So the weights behind the interval are fitted with hardly any pull, how far the champion's members
disagree is added, and the sum is widened by a factor measured on simulated companies whose true propensities are known
(docs/benchmarks.md says which, and what the result covers on others).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from csql_ml.labelled_rows import LabelledRows, labelled_rows
from csql_ml.logistic_fit import fit_bounded_logistic
from csql_ml.metrics.agreement import sides
from csql_ml.metrics.definition import Feature
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.stack_weights import SCORE_ALONE, OutOfFold, stack_weights
from csql_ml.model.stacking import Stack, StackRecipe, out_of_fold

FloatArray = npt.NDArray[np.float64]
SideArray = npt.NDArray[np.int8]

#: A reason stands if it is one of so many strongest of its side ...
TOP = 3
#: ... in at least this share of the refits.
LEAST_SHARE = 0.8
#: Share of true propensities that an interval is meant to cover.
LEVEL = 0.9
#: Half width of an interval: so many times the spread of the refits and the largest disagreement of a member together.
WIDENING = 2.0
#: Pull of the weights behind the interval towards the weighted score: enough to keep a fit on few labels finite.
FREE_SHRINKAGE = 1.0
#: Accounts of a draw at most: where there are more, the refits differ by more than chance would make them on all of the
#: accounts, so intervals are rather too wide than too narrow.
MOST_DRAWN = 50_000
#: Draws that hold one class only are drawn again, at most so many times the number asked for.
_PATIENCE = 10


@dataclass(frozen=True, eq=False)
class Refit:
    """One bootstrap refit.

    Attributes
    ----------
    stack
        As the champion is made: whose reasons are compared.
    free
        The same members, with weights that are hardly pulled to the weighted score: whose margins spread.
    """

    stack: Stack
    free: Stack


@dataclass(frozen=True, eq=False)
class Refits:
    """The refits of one champion, and what they say of its reasons.

    Attributes
    ----------
    refits
        In the order they were drawn.
    figures
        For the model report, of the reference accounts: see `stability_figures`; empty before they are known.
    """

    refits: tuple[Refit, ...]
    figures: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.refits)

    def interval(self, members: Stack, matrix: FloatArray, margin: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n,) lower and upper end of the interval of each propensity; the propensity always lies inside.

        Parameters
        ----------
        members
            The champion's stack.
        matrix
            (n, columns) rows as the champion reads them.
        margin
            (n,) the champion's log-odds.
        """
        between = _deviation(refit.free.margin(matrix) for refit in self.refits)
        furthest = np.zeros(len(matrix))
        for member in members.members:
            furthest = np.maximum(furthest, np.abs(member.margin(matrix) - margin))
        half = WIDENING * np.sqrt(between**2 + furthest**2)
        return np.asarray(expit(margin - half)), np.asarray(expit(margin + half))

    def shares(self, matrix: FloatArray, agree: SideArray, place: npt.NDArray[np.intp], rows: FloatArray) -> FloatArray:
        """(n, metrics) share of refits in which a metric is among the `TOP` strongest reasons of its side.

        Parameters
        ----------
        matrix
            (n, columns) rows as the champion reads them.
        agree
            (n, metrics) side on which each fact may be a reason: see `csql_ml.metrics.agreement.sides`.
        place
            (columns,) the metric of each column.
        rows
            (R, columns) the reference accounts, from which every refit counts its own log-odds.
        """
        width = agree.shape[1]
        counts = np.zeros(agree.shape)
        for refit, typical in zip(self.refits, self._typical(rows, place, width), strict=True):
            away = _by_metric(refit.stack.parts(matrix), place, width) - typical
            counts += strongest(away, agree)
        return counts / max(len(self.refits), 1)

    def _typical(self, rows: FloatArray, place: npt.NDArray[np.intp], width: int) -> list[FloatArray]:
        """(metrics,) mean log-odds of the reference accounts, by every refit; computed once for a champion."""
        kept = self._means
        if not kept:
            kept += [_by_metric(r.stack.parts(rows), place, width).mean(axis=0) for r in self.refits]
        return kept

    @cached_property
    def _means(self) -> list[FloatArray]:
        return []


def _deviation(margins: Iterable[FloatArray]) -> FloatArray:
    """(n,) standard deviation over models, added up row by row: it does not depend on the rows beside it."""
    given = list(margins)
    mean = sum(given[1:], given[0]) / len(given)
    squares = [(m - mean) ** 2 for m in given]
    return np.asarray(np.sqrt(sum(squares[1:], squares[0]) / len(given)))


def _by_metric(parts: FloatArray, place: npt.NDArray[np.intp], width: int) -> FloatArray:
    phi = np.zeros((len(parts), width))
    for column, metric in enumerate(place):
        phi[:, metric] += parts[:, column]
    return phi


def strongest(away: FloatArray, agree: SideArray) -> npt.NDArray[np.bool_]:
    """(n, metrics) whether a metric is among the `TOP` strongest of its side; ties stand together.

    Parameters
    ----------
    away
        (n, metrics) log-odds above those of the typical account.
    agree
        (n, metrics) +1 or -1 where the fact may speak for or against, else 0.
    """
    found = np.zeros(away.shape, dtype=bool)
    if not away.size:
        return found
    last = min(TOP, away.shape[1])
    for side in (1, -1):
        strength = np.where(agree == side, side * away, 0.0)
        least = np.partition(strength, -last, axis=1)[:, -last][:, None]
        found |= (strength > 0.0) & (strength >= least)
    return found


# --- fitting ----------------------------------------------------------------------------------------------------------


def refit(
    estimator: PropensityClassifier,
    X: pd.DataFrame,
    y: Any,
    accounts: npt.NDArray[Any],
    number: int,
    seed: int,
    weight: Any = None,
) -> Refits | None:
    """Fit the bootstrap refits of a fitted classifier on its own training rows.

    Parameters
    ----------
    X, y, accounts
        What it was fitted on: rows, labels and the account of each row.
    number
        How many refits; 0: none.
    seed
        Of the draws; the same seed gives the same refits.
    weight
        (n,) sample weights it was fitted with, if any.

    Returns
    -------
    Refits or None
        None where none are asked for or no draw held both classes.
    """
    if not number:
        return None
    rows = labelled_rows(estimator.encoder_.matrix(X), y, weight, accounts)
    recipe = StackRecipe(
        estimator.encoder_,
        estimator.features_,
        estimator.terms_,
        estimator.weights,
        1,
        estimator.shrinkage,
        seed,
        estimator.n_threads,
        estimator.stack_.shape,
    )
    with threadpool_limits(limits=1, user_api="blas"):  # see `csql_ml.logistic_fit`
        judged = estimator.stack_.judged or out_of_fold(recipe, rows)
        found = [
            _refit(replace(recipe, seed=seed + 1 + i), rows, judged, draw)
            for i, draw in enumerate(_draws(rows, number, seed))
        ]
    return Refits(tuple(found)) if found else None


@dataclass(frozen=True)
class Draw:
    """Rows of accounts drawn with replacement.

    Attributes
    ----------
    places
        (k,) the rows.
    units
        (k,) number of the draw that each belongs to: an account drawn twice counts as two.
    """

    places: npt.NDArray[np.intp]
    units: npt.NDArray[np.intp]


def _draws(rows: LabelledRows, number: int, seed: int) -> list[Draw]:
    """Accounts drawn with replacement, with both classes in every draw."""
    groups = np.arange(len(rows.positive)) if rows.groups is None else rows.groups
    order = np.argsort(groups, kind="stable")
    accounts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    drawn: list[Draw] = []
    for attempt in range(_PATIENCE * number):
        rng = np.random.default_rng([seed, attempt])
        chosen = [accounts[i] for i in rng.integers(0, len(accounts), min(len(accounts), MOST_DRAWN))]
        places = np.concatenate(chosen)
        if 0 < rows.positive[places].sum() < len(places):
            drawn.append(Draw(places, np.repeat(np.arange(len(chosen)), [len(c) for c in chosen])))
        if len(drawn) == number:
            break
    return drawn


def _refit(recipe: StackRecipe, rows: LabelledRows, judged: OutOfFold, draw: Draw) -> Refit:
    """Members on the drawn rows; weights on what was said of those rows out of fold."""
    members = recipe.fit_members(rows.take(draw.places))
    place = np.full(len(rows.positive), -1, dtype=np.intp)
    place[judged.rows] = np.arange(len(judged.rows))
    known = place[draw.places] >= 0
    at, of_rows = place[draw.places][known], draw.places[known]
    positive, weight = rows.positive[of_rows], rows.weight[of_rows]
    if not 0 < positive.sum() < len(positive):
        alone = Stack(members, SCORE_ALONE, 0.0)
        return Refit(alone, alone)
    told = OutOfFold(of_rows, judged.margins[at], judged.fold[at])
    held = stack_weights(told, positive, weight, draw.units[known], recipe.shrinkage)
    free = fit_bounded_logistic(
        told.margins,
        positive.astype(float),
        weight,
        penalty=FREE_SHRINKAGE,
        pull_to=np.array(SCORE_ALONE),
        lower=np.zeros(len(SCORE_ALONE)),
    )
    return Refit(
        Stack(members, held.weights, held.intercept), Stack(members, tuple(free.coefficients.tolist()), free.intercept)
    )


# --- what they say of the reasons -------------------------------------------------------------------------------------


def with_figures(
    refits: Refits,
    estimator: PropensityClassifier,
    metrics: Sequence[str],
    place: npt.NDArray[np.intp],
    rows: FloatArray,
) -> Refits:
    """The refits with their `stability_figures` over the reference accounts."""
    agree = sides_of(estimator.features_, estimator.encoder_.names, metrics, rows)
    own = _by_metric(estimator.stack_.parts(rows), place, len(metrics))
    top = strongest(own - own.mean(axis=0), agree)
    shares = refits.shares(rows, agree, place, rows)
    return replace(refits, figures=stability_figures(shares, top, agree, len(refits)))


def sides_of(features: Sequence[Feature], names: Sequence[str], metrics: Sequence[str], rows: FloatArray) -> SideArray:
    """(n, metrics) side of each fact, by the directions of the features alone."""
    direction = {f.name: f.direction for f in features if not f.categorical}
    columns = list(names)
    values = np.full((len(rows), len(metrics)), np.nan)
    for i, metric in enumerate(metrics):
        if metric in direction:
            values[:, i] = rows[:, columns.index(metric)]
    known = ~np.isnan(values).all(axis=0)
    typical = np.full(len(metrics), np.nan)
    typical[known] = np.nanmedian(values[:, known], axis=0)
    return sides(values, typical, np.array([direction.get(m, 0) for m in metrics], dtype=int))


def stability_figures(
    shares: FloatArray, top: npt.NDArray[np.bool_], agree: SideArray, refits: int
) -> dict[str, float]:
    """How stable the champion's strongest reasons are, beside what chance alone would give.

    Parameters
    ----------
    shares
        (n, metrics) as `Refits.shares` gives them.
    top
        (n, metrics) the champion's own strongest reasons.

    Returns
    -------
    dict
        ``refits``; ``stability``: mean share of refits in which the champion's reasons stand again;
        ``stability_chance``: the same if every refit ordered an account's facts at random; ``printed``: share of them
        that stand in at least `LEAST_SHARE` of the refits; ``printed_chance``: the same at random.
    """
    if not top.any():
        return {"refits": float(refits)}
    rivals = np.where(agree > 0, (agree > 0).sum(axis=1)[:, None], (agree < 0).sum(axis=1)[:, None])[top]
    by_chance = np.minimum(1.0, TOP / np.maximum(rivals, 1))
    needed = needed_refits(refits)
    return {
        "refits": float(refits),
        "stability": float(shares[top].mean()),
        "stability_chance": float(by_chance.mean()),
        "printed": float((shares[top] * refits >= needed - 1e-9).mean()),
        "printed_chance": float(binom.sf(needed - 1, refits, by_chance).mean()),
    }


def needed_refits(refits: int) -> int:
    """In how many refits a reason must stand to be printed."""
    return int(np.ceil(LEAST_SHARE * refits - 1e-9))
