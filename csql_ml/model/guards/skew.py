"""Train/score skew: columns whose values, when scoring, are not those the champion learned from.

A champion keeps how every metric spread over the accounts it learned from (`csql_ml.model.distributions`). A scored
table is put in the same bins. A change counts where it is both sure (Pearson's chi-square over bins, or a test of two
shares, at `FALSE_ALARMS` shared among all columns) and large (half the sum of differences between shares, 0 to 1).
Most columns of a champion matter little, so whether calibration can hold is judged by what the changed columns carry:
their share of the mean absolute contributions among the champion's reference accounts.

`csql monitor` looks closer (permutation tests, trends, realised outcomes); this is the check that every scoring makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from csql_ml.model.distributions import Distribution
from csql_ml.model.guards.suspicion import Suspect

if TYPE_CHECKING:
    from csql_ml.model.bundle import Champion

FALSE_ALARMS = 0.01
#: Smallest suspicious distance between two distributions, and difference between shares of missing values.
DISTANCE, MISSING = 0.15, 0.15
#: Changed columns that carry this share of all contributions spoil the calibration.
CARRIED = 0.25
#: Expected accounts a bin needs for a chi-square test; smaller ones are put together with their neighbours.
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Skew:
    """Result of `skewed`.

    Attributes
    ----------
    suspects
        Changed columns, those that carry most first.
    carried
        Share of all contributions that changed columns carry, 0 to 1.
    calibration_holds
        False where propensities must not be read as probabilities.
    """

    suspects: tuple[Suspect, ...]
    carried: float
    calibration_holds: bool

    @property
    def sentence(self) -> str | None:
        """What it means for the propensities; None where nothing is to be said."""
        if self.calibration_holds:
            return None
        count = len(self.suspects)
        columns = "1 column has" if count == 1 else f"{count} columns have"
        return (
            f"{columns} other values than in training and carry {self.carried:.0%} of the model: its probabilities "
            "cannot be relied on, the order of accounts perhaps; find out what changed, or train again"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "suspects": [s.to_dict() for s in self.suspects],
            "carried": round(self.carried, 6),
            "calibration_holds": self.calibration_holds,
            "sentence": self.sentence,
        }


def skewed(champion: Champion, columns: Mapping[str, npt.NDArray[Any]]) -> Skew:
    """Hold scored columns against what the champion learned from.

    Parameters
    ----------
    columns
        Per metric (n,) values: float64 (missing as NaN) or texts (missing as None), as
        `csql_ml.model.distributions.column_values` gives them. Metrics that the champion does not know are ignored.
    """
    kept = champion.reference.distributions
    if kept is None:
        return Skew((), 0.0, True)
    shares = contribution_shares(champion)
    shared = [name for name in champion.metrics if name in kept.metrics and name in columns]
    found = [s for n in shared for s in _changes(n, kept.metrics[n], columns[n], len(shared))]
    found.sort(key=lambda s: (-shares.get(s.feature, 0.0), s.feature))
    carried = sum(shares.get(name, 0.0) for name in {s.feature for s in found})
    return Skew(tuple(found), float(carried), carried < CARRIED)


def contribution_shares(champion: Champion) -> dict[str, float]:
    """Per metric its share of the mean absolute contribution, in log-odds, among the reference accounts."""
    phi = champion.reference.phi
    size = np.abs(phi - phi.mean(axis=0)).mean(axis=0)
    total = float(size.sum())
    return {name: float(s) / total if total else 0.0 for name, s in zip(champion.metrics, size, strict=True)}


def _changes(name: str, learned: Distribution, values: npt.NDArray[Any], columns: int) -> Iterator[Suspect]:
    wrong = learned.known and learned.is_text != (values.dtype == object) and not _blank(values)
    if wrong:
        kinds = ("text", "numbers") if learned.is_text else ("numbers", "text")
        yield Suspect(name, "skew", 1.0, DISTANCE, f"{name} was {kinds[0]} in training and is {kinds[1]} now")
        return
    now = learned.again(_as_learned(values, learned))
    yield from _gaps(name, learned, now, columns)
    if learned.known and now.known:
        yield from _shift(name, learned, now, columns)


def _blank(values: npt.NDArray[Any]) -> bool:
    if values.dtype == object:
        return all(value is None for value in values)
    return bool(np.isnan(values).all())


def _as_learned(values: npt.NDArray[Any], learned: Distribution) -> npt.NDArray[Any]:
    """A column without any value is of either kind."""
    if learned.is_text != (values.dtype == object):
        return np.full(len(values), None if learned.is_text else np.nan, dtype=object if learned.is_text else float)
    return values


def _gaps(name: str, learned: Distribution, now: Distribution, columns: int) -> Iterator[Suspect]:
    from scipy.stats import norm

    before, after = learned.known + learned.missing, now.known + now.missing
    one, other = learned.missing / max(before, 1), now.missing / max(after, 1)
    pooled = (learned.missing + now.missing) / max(before + after, 1)
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / max(before, 1) + 1 / max(after, 1))))
    limit = max(MISSING, float(norm.isf(FALSE_ALARMS / (4 * max(columns, 1)))) * error)
    if abs(other - one) > limit:
        sentence = f"{name} was missing in {one:.1%} of the accounts of training and is missing in {other:.1%} now"
        yield Suspect(name, "skew", abs(other - one), limit, sentence)


def _shift(name: str, learned: Distribution, now: Distribution, columns: int) -> Iterator[Suspect]:
    from scipy.stats import chi2

    one, other = _filled(learned.counts, now.counts, ordered=not learned.is_text)
    n, m = one.sum(), other.sum()
    distance = float(np.abs(one / n - other / m).sum() / 2)
    statistic = float(((one * np.sqrt(m / n) - other * np.sqrt(n / m)) ** 2 / (one + other)).sum())
    freedom = len(one) - 1
    if freedom < 1 or chi2.sf(statistic, freedom) > FALSE_ALARMS / (2 * max(columns, 1)) or distance < DISTANCE:
        return
    beyond = ""
    if learned.is_text and (new := now.counts[-1] / m - learned.counts[-1] / n) > DISTANCE:
        beyond = f", {new:.0%} of them with texts that training did not have"
    yield Suspect(
        name,
        "skew",
        distance,
        DISTANCE,
        f"{name} has other values than in training: {distance:.0%} of the accounts would have to move to make both "
        f"alike{beyond}",
    )


def _filled(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], *, ordered: bool) -> Sequence[Any]:
    """Bins put together until a chi-square test may be trusted: neighbours of numbers, the rare ones of texts."""
    seen = one + other > 0
    one, other = one[seen], other[seen]
    both = (one + other).astype(float)
    share = min(one.sum(), other.sum()) / both.sum()
    order = np.arange(len(both)) if ordered else np.argsort(-both, kind="stable")
    expected = np.cumsum(both[order] * share)
    groups = np.floor(np.maximum(expected - both[order] * share / 2, 0.0) / (4 * _LEAST_EXPECTED)).astype(int)
    places = np.unique(groups, return_inverse=True)[1]
    return [np.bincount(places, weights=counts[order].astype(float)) for counts in (one, other)]
