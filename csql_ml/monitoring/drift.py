"""Drift: whether a run's accounts look like those the champion was trained on, as far as so few can say.

A fixed limit on a distance between distributions is wrong at most sizes: chance alone moves 60 accounts further than a
real change moves 6,000. So the limits come from resampling at the sizes at hand. If nothing has changed, reference and
run are one pool of accounts, and which of them belong to the run is mere chance. So the pooled bins are dealt out again
many times (`numpy.random.Generator.multivariate_hypergeometric`, a permutation test on binned values); the share of
deals that differ at least as much as the run does is the p-value. It holds at any two sizes and with any ties.

* Numbers: the Anderson-Darling distance over the limits of the bins (Scholz and Stephens 1987, with ties). It sees
  shifts nearly as well as a comparison of means, and changes of spread or tails, too.
* Texts: Pearson's chi-square over words. What is missing: Fisher's exact test (`scipy.stats.fisher_exact`).
* Many metrics: Holm (`statsmodels.stats.multitest`), so that the rate of false alarms is one of the run, not of a
  metric. A part of the rate belongs to the scores, which would drown among the metrics.
* A sure change may still be small: an alarm needs a shift of at least ``smallest_shift`` standard deviations, or a
  distance like that of a normal column shifted so far.

The accounts of a run are mostly those of the reference some months later. That makes the two more alike than strangers
are, so that there are fewer false alarms than promised, not more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from csql_ml.config.monitoring import Monitoring
from csql_ml.model.distributions import Counts, Distribution, Distributions
from csql_ml.monitoring.findings import Level
from csql_ml.monitoring.run_values import SCORES, RunValues

Floats = npt.NDArray[np.float64]
Kind = Literal["score", "metric"]
What = Literal["values", "missing"]

#: Shares of the false alarms that each family of tests may raise; the rest belongs to `csql_ml.monitoring.realised`.
OF_SCORES, OF_METRICS = 0.2, 0.6
#: Deals of the pool: first for all, then for what chance did not match at least `_SEEN` times.
_FIRST, _MORE, _SEEN = 499, 19_500, 10
#: Chance shows less than the printed limit in so many of 100 cases.
_LIMIT = 0.95


@dataclass(frozen=True, eq=False)
class Drift:
    """One score or metric of a run against the reference.

    Attributes
    ----------
    p_value, p_missing
        Of the known values and of the share without a value; None where there is nothing to compare.
    distance
        Largest difference, over all limits, between the shares of accounts up to a limit (Kolmogorov-Smirnov); for
        texts half the sum of differences. 0 to 1.
    chance
        What chance alone stays below in 95 of 100 samples of these sizes.
    shift
        Difference of means in standard deviations of the reference; None for texts and where nothing varies.
    adjusted
        The smaller p-value after Holm, over all tests of the family.
    level
        ``alarm``, ``watch`` (sure, but small or of the calendar) or ``fine``.
    what
        Which of both made the level: ``values`` or ``missing``.
    """

    kind: Kind
    name: str
    reference: Distribution
    run: Distribution
    p_value: float | None
    p_missing: float | None
    distance: float
    chance: float
    shift: float | None
    adjusted: float = 1.0
    level: Level = "fine"
    what: What = "values"

    @property
    def missing(self) -> tuple[float, float]:
        """Shares without a value: reference, run."""
        before, after = (d.missing / max(d.known + d.missing, 1) for d in (self.reference, self.run))
        return before, after


def compare(reference: Distributions, run: RunValues, settings: Monitoring) -> tuple[Drift, ...]:
    """All scores and metrics that both have, tested and judged: scores first, then metrics by name."""
    return judged(tested(reference, run, settings), settings)


def tested(reference: Distributions, run: RunValues, settings: Monitoring) -> tuple[Drift, ...]:
    """As `compare`, without levels."""
    scores = [
        test("score", name, reference.scores[name], run.score_like(name, reference.scores[name]), settings)
        for name in SCORES
        if name in reference.scores
    ]
    shared = [m for m in run.metrics if m in reference.metrics]
    metrics = [test("metric", m, reference.metrics[m], run.like(m, reference.metrics[m]), settings) for m in shared]
    return (*scores, *metrics)


def judged(drifts: Sequence[Drift], settings: Monitoring) -> tuple[Drift, ...]:
    """Results of `test` with their levels, which depend on how many were tested."""
    scores, metrics = ([d for d in drifts if d.kind == kind] for kind in ("score", "metric"))
    return (
        *_judged(scores, OF_SCORES * settings.false_alarms, settings),
        *_judged(metrics, OF_METRICS * settings.false_alarms, settings),
    )


def test(kind: Kind, name: str, reference: Distribution, run: Distribution, settings: Monitoring) -> Drift:
    """Hold one column against the reference.

    Parameters
    ----------
    run
        In the bins of the reference: see `Distribution.again`.
    """
    rng = np.random.default_rng([settings.seed, *name.encode()])
    p_value, chance, distance = None, 0.0, 0.0
    if reference.known and run.known:
        p_value, chance = _permuted(reference.counts, run.counts, rng, ordered=not reference.is_text)
        distance = float(_distance(run.counts[None], reference.counts + run.counts, not reference.is_text)[0])
    p_missing, shift = _missing(reference, run), _shift(reference, run)
    return Drift(kind, name, reference, run, p_value, p_missing, distance, chance, shift)


def _permuted(reference: Counts, run: Counts, rng: np.random.Generator, *, ordered: bool) -> tuple[float, float]:
    """p-value, and the distance chance stays below. Deals are added only where the first ones do not settle it."""
    pooled = reference + run
    statistic = _anderson_darling if ordered else _chi_square
    found = statistic(run[None], pooled)[0]
    dealt = _deals(pooled, int(run.sum()), _FIRST, rng)
    chance = float(np.quantile(_distance(dealt, pooled, ordered), _LIMIT))
    least = found * (1 - 1e-9)  # equal sums may differ in their last digit
    seen, of = int((statistic(dealt, pooled) >= least).sum()), _FIRST
    if seen < _SEEN:
        seen += int((statistic(_deals(pooled, int(run.sum()), _MORE, rng), pooled) >= least).sum())
        of += _MORE
    return (1 + seen) / (1 + of), chance


def _deals(pooled: Counts, size: int, times: int, rng: np.random.Generator) -> Counts:
    """(times, bins) accounts per bin of a run drawn from the pool."""
    return np.asarray(rng.multivariate_hypergeometric(pooled, size, size=times, method="marginals"))


def _gaps(run: Counts, pooled: Counts) -> tuple[Floats, Floats, int, int]:
    """(runs, bins) share up to each limit in the run less that in the reference, and the pool's share there."""
    n, total = int(run[0].sum()), int(pooled.sum())
    below, pool = np.cumsum(run, axis=1), np.cumsum(pooled)
    return below / n - (pool - below) / (total - n), pool / total, n, total


def _anderson_darling(run: Counts, pooled: Counts) -> Floats:
    """(runs,) Anderson-Darling distance of two samples over bins, up to a factor that the sizes alone make."""
    gaps, pool, _, total = _gaps(run, pooled)
    inner = pool < 1.0 - 0.5 / total
    inner &= pooled > 0  # an empty bin repeats the limit before it, and weighs nothing
    share = pool[inner]
    weight = pooled[inner] / total / (share * (1 - share))
    return np.asarray((gaps[:, inner] ** 2) @ weight)


def _chi_square(run: Counts, pooled: Counts) -> Floats:
    """(runs,) Pearson's chi-square of run and reference, up to a factor that the sizes alone make."""
    filled = pooled > 0
    expected = pooled[filled] * (run[0].sum() / pooled.sum())
    return np.asarray((((run[:, filled] - expected) ** 2) / pooled[filled]).sum(axis=1))


def _distance(run: Counts, pooled: Counts, ordered: bool) -> Floats:
    """(runs,) Kolmogorov-Smirnov distance, or total variation where bins have no order."""
    if ordered:
        return np.asarray(np.abs(_gaps(run, pooled)[0]).max(axis=1))
    n, total = int(run[0].sum()), int(pooled.sum())
    return np.asarray(np.abs(run / n - (pooled - run) / (total - n)).sum(axis=1) / 2)


def _missing(reference: Distribution, run: Distribution) -> float | None:
    if not reference.missing + run.missing:
        return None
    from scipy.stats import fisher_exact

    return float(fisher_exact([[reference.missing, reference.known], [run.missing, run.known]]).pvalue)


def _shift(reference: Distribution, run: Distribution) -> float | None:
    if not reference.known or not run.known or not reference.deviation > 0:
        return None
    return (run.mean - reference.mean) / reference.deviation


def _judged(tested: Sequence[Drift], rate: float, settings: Monitoring) -> Iterator[Drift]:
    """Levels after Holm over every test of the family."""
    from statsmodels.stats.multitest import multipletests

    tests = [(i, what, p) for i, d in enumerate(tested) for what, p in _p_values(d) if _counts(d, settings)]
    surely = dict(
        zip(
            [(i, what) for i, what, _ in tests],
            multipletests([p for *_, p in tests], alpha=rate, method="holm")[1] if tests else [],
            strict=True,
        )
    )
    of_all = max(len(tests), 1)
    for i, drift in enumerate(tested):
        # A metric of the calendar takes part in no alarm, so it must not make the others' limits stricter either.
        adjusted = {what: float(surely.get((i, what), min(1.0, p * of_all))) for what, p in _p_values(drift)}
        yield _with_level(drift, adjusted, rate, settings)


def _p_values(drift: Drift) -> Iterator[tuple[What, float]]:
    if drift.p_value is not None:
        yield "values", drift.p_value
    if drift.p_missing is not None:
        yield "missing", drift.p_missing


def _counts(drift: Drift, settings: Monitoring) -> bool:
    return drift.kind == "score" or drift.name not in settings.calendar


def _with_level(drift: Drift, adjusted: Mapping[What, float], rate: float, settings: Monitoring) -> Drift:
    sure = {what: p for what, p in adjusted.items() if p <= rate}
    if not sure:
        return replace(drift, adjusted=min(adjusted.values(), default=1.0))
    alarming = [what for what in sure if _counts(drift, settings) and _is_large(drift, what, settings.smallest_shift)]
    what = min(alarming or sure, key=lambda w: (sure[w], w == "missing"))
    level: Level = "alarm" if alarming else "watch"
    return replace(drift, adjusted=sure[what], level=level, what=what)


def _is_large(drift: Drift, what: What, smallest: float) -> bool:
    from scipy.stats import norm

    distance = float(2 * norm.cdf(smallest / 2) - 1)  # of a normal column shifted so far
    if what == "missing":
        before, after = drift.missing
        share = (before * drift_size(drift.reference) + after * drift_size(drift.run)) / max(
            drift_size(drift.reference) + drift_size(drift.run), 1
        )
        deviation = float(np.sqrt(share * (1 - share)))
        return abs(after - before) >= min(distance, smallest * deviation)
    return drift.distance >= distance or abs(drift.shift or 0.0) >= smallest


def drift_size(of: Distribution) -> int:
    """Accounts of a distribution, with and without a value."""
    return of.known + of.missing
