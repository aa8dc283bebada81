"""Suspects among the columns of a training.

Limits grow where there is little to go by. A ROC-AUC is suspicious from `AUC_FLOOR` (or what all other columns reach
together, if that is more) plus its standard error times the normal quantile of `FALSE_ALARMS` shared among all columns;
differences of shares must be both large and sure. Accounts are counted, not rows. Measured false alarms stand in
docs/benchmarks.md (`benchmarks/guards.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from csql_ml.model.guards.sample import Sample, sample_of
from csql_ml.model.guards.single import SingleColumns, auc_error, changes_by_label, single_columns
from csql_ml.model.guards.suspicion import (
    Suspect,
    changes_with_label,
    important,
    missing_by_label,
    predicts_too_well,
)
from csql_ml.model.guards.together import importance_shares, out_of_fold_auc
from csql_ml.model.training_data import TrainingData

#: Chance of any false alarm among clean columns, for each kind that is tested.
FALSE_ALARMS = 0.01
#: No honest column ranks expansions so well by itself; what all others reach together may lie higher.
AUC_FLOOR = 0.80
#: Nearly perfect is suspicious whatever the others reach.
PERFECT = 0.995
#: Up to so many columns (or that share of all) that rank so well may be several leaks, held against the others without
#: any of them. Where more do, outcomes are easy to tell, and each is held against all others.
FEW_CANDIDATES, SHARE_OF_CANDIDATES = 3, 0.1
#: Smallest suspicious difference between the shares of missing values.
MISSING_GAP = 0.15
#: Changes that go with the label: this share of the rows with an expansion at least, of the others at most.
CHANGED, UNCHANGED = 0.5, 0.02
#: Share of all contributions in one column, and in two, and from how many columns on that is remarkable.
ONE_CARRIES, TWO_CARRY, FEWEST_COLUMNS = 0.6, 0.8, 6
#: Columns that a yardstick model is made of.
MOST_TOGETHER = 300
#: Fewer outcomes of the rarer class say nothing.
FEWEST = 10


@dataclass(frozen=True, eq=False)
class Guarded:
    """Result of `guard`.

    Attributes
    ----------
    data
        What to train on; with ``strict`` without the suspects' columns.
    suspects
        Everything that was found, by kind.
    excluded
        Columns that are left out because of it.
    """

    data: TrainingData = field(repr=False)
    suspects: tuple[Suspect, ...]
    excluded: tuple[str, ...] = ()


def guard(
    data: TrainingData,
    *,
    strict: bool = False,
    trusted: Iterable[str] = (),
    noted: Sequence[Suspect] = (),
    seed: int = 7,
) -> Guarded:
    """Look for columns that know too much.

    Parameters
    ----------
    strict
        Leave suspects out of the data that is returned.
    trusted
        Names that are never suspected.
    noted
        Suspects found before, while the columns were read.
    """
    believed = set(trusted)
    known = data.labelled(data.now)
    positives = int(known["label"].sum()) if len(known) else 0
    found = [s for s in noted if s.feature not in believed]
    if min(positives, len(known) - positives) >= FEWEST:
        sample = sample_of(known, data.features, seed)
        found += [s for s in _suspects(sample) if s.feature not in believed]
    found = list(dict.fromkeys(found))
    if not strict or not found:
        return Guarded(data, tuple(found))
    return _without(data, found)


def _without(data: TrainingData, found: list[Suspect]) -> Guarded:
    """Leave out every column of a suspect metric, as long as anything remains."""
    named = {s.feature for s in found}
    kept = tuple(f for f in data.features if f.metric not in named)
    if not kept:
        return Guarded(data, tuple(found))
    gone = {f.name for f in data.features if f.metric in named}
    terms = tuple(t for t in data.terms if t.feature not in gone and t.feature not in named)
    return Guarded(replace(data, features=kept, terms=terms), tuple(found), tuple(sorted(named)))


def _suspects(sample: Sample) -> Iterator[Suspect]:
    alone = single_columns(sample)
    yield from _too_good(sample, alone)
    yield from _after(sample)
    yield from _gaps(sample, alone)
    yield from _carried(sample, alone)


def _quantile(columns: int) -> float:
    """Normal quantile of `FALSE_ALARMS`, shared among the columns."""
    from scipy.stats import norm

    return float(norm.isf(FALSE_ALARMS / max(columns, 1)))


def _too_good(sample: Sample, alone: SingleColumns) -> Iterator[Suspect]:
    positives, negatives = sample.accounts
    z = _quantile(len(sample.sizes))
    margin = np.array([z * auc_error(a, positives, negatives) for a in alone.auc])
    over = (alone.auc - margin > AUC_FLOOR) | (alone.auc >= PERFECT)
    if not over.any():
        return
    candidates = _by_metric(sample, np.flatnonzero(over))
    few = len(candidates) <= max(FEW_CANDIDATES, SHARE_OF_CANDIDATES * len({f.metric for f in sample.features}))
    for name, columns in candidates.items():
        rest = _reached_without(sample, alone, candidates if few else {name})
        best = columns[int(np.argmax(alone.auc[columns]))]
        above_rest = rest + margin[best] * _quantile(1) / z  # candidates are few: no share of the false alarms each
        limit = min(max(AUC_FLOOR + margin[best], above_rest), PERFECT)
        if alone.auc[best] >= limit:
            yield predicts_too_well(name, float(alone.auc[best]), limit, rest)


def _reached_without(sample: Sample, alone: SingleColumns, metrics: Iterable[str]) -> float:
    """What the columns of all other metrics reach together."""
    without = set(metrics)
    others = np.array([i for i, f in enumerate(sample.features) if f.metric not in without], dtype=np.intp)
    return out_of_fold_auc(sample, _strongest(others, alone))


def _strongest(columns: npt.NDArray[np.intp], alone: SingleColumns) -> npt.NDArray[np.intp]:
    """Of many columns those that say most by themselves; a yardstick needs no more."""
    if len(columns) <= MOST_TOGETHER:
        return columns
    order = np.argsort(-alone.auc[columns], kind="stable")
    return np.sort(columns[order[:MOST_TOGETHER]])


def _by_metric(sample: Sample, columns: npt.NDArray[np.intp]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for column in columns:
        found.setdefault(sample.features[column].metric, []).append(int(column))
    return found


def _gaps(sample: Sample, alone: SingleColumns) -> Iterator[Suspect]:
    positives, negatives = sample.accounts
    won, lost = alone.missing.T
    share = (won * positives + lost * negatives) / (positives + negatives)
    error = np.sqrt(share * (1 - share) * (1 / positives + 1 / negatives))
    limit = np.maximum(MISSING_GAP, _quantile(2 * len(won)) * error)
    for name, columns in _by_metric(sample, np.flatnonzero(np.abs(won - lost) > limit)).items():
        worst = columns[int(np.argmax(np.abs(won - lost)[columns]))]
        yield missing_by_label(name, float(won[worst]), float(lost[worst]), float(limit[worst]))


def _after(sample: Sample) -> Iterator[Suspect]:
    shares, won, lost = changes_by_label(sample)
    if min(won, lost) < FEWEST:
        return
    told = (shares[:, 0] >= CHANGED) & (shares[:, 1] <= UNCHANGED)
    for name, columns in _by_metric(sample, np.flatnonzero(told)).items():
        yield changes_with_label(name, float(shares[columns[0], 0]), float(shares[columns[0], 1]), CHANGED)


def _carried(sample: Sample, alone: SingleColumns) -> Iterator[Suspect]:
    if len({f.metric for f in sample.features}) < FEWEST_COLUMNS:
        return
    columns = _strongest(np.arange(len(sample.sizes)), alone)
    shares = sorted(importance_shares(sample, columns).items(), key=lambda item: (-item[1], item[0]))
    (first, one), (second, two) = shares[:2]
    if one < ONE_CARRIES and one + two < TWO_CARRY:
        return
    auc = out_of_fold_auc(sample, columns)
    if auc - _quantile(1) * auc_error(auc, *sample.accounts) < 0.6:
        return  # where nothing predicts, some column must carry most of nothing
    if one >= ONE_CARRIES:
        yield important(first, one, ONE_CARRIES, None)
    else:
        yield important(first, one + two, TWO_CARRY, second)
        yield important(second, one + two, TWO_CARRY, first)
