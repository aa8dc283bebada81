"""How values spread over the accounts a champion was trained on: what later runs are held against.

Kept as counts in at most 67 bins per column, not as rows: small, the same size for 60 and for a million accounts, and
enough to see a shift. The accounts are those of the newest snapshot learned from, each once: rows of several snapshots
of one account resemble each other and would pass for more accounts than there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

#: Most limits between bins of numbers, and most words that have a bin of their own.
MOST_LIMITS = 64


@dataclass(frozen=True, eq=False)
class Distribution:
    """The values of one column over accounts.

    Attributes
    ----------
    limits
        Of a column of numbers, ascending: bin i holds the values above ``limits[i - 1]`` up to ``limits[i]``.
    words
        Of a column of text: the words with a bin of their own. One of both is empty.
    counts
        (limits or words + 1,) accounts per bin; the last bin holds values above all limits, or other words.
    missing
        Accounts without a value.
    mean, deviation
        Of the known numbers, NaN where there is none.
    """

    limits: tuple[float, ...]
    words: tuple[str, ...]
    counts: Counts
    missing: int
    mean: float
    deviation: float

    @property
    def known(self) -> int:
        """Accounts with a value."""
        return int(self.counts.sum())

    @property
    def is_text(self) -> bool:
        return bool(self.words)

    def again(self, values: npt.NDArray[Any]) -> Distribution:
        """The distribution of other values, in the same bins.

        Parameters
        ----------
        values
            (n,) numbers (missing as NaN) or texts (missing as None), as the column has them.
        """
        return _spread(values, self.limits, self.words)

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON, which `from_plain` reads."""
        bins = {"words": list(self.words)} if self.is_text else {"limits": list(self.limits)}
        moments = {k: v if np.isfinite(v) else None for k, v in (("mean", self.mean), ("deviation", self.deviation))}
        return {**bins, **moments, "counts": self.counts.tolist(), "missing": self.missing}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Distribution:
        """Read what `to_plain` gave; ValueError where the parts do not fit together."""
        limits, words = tuple(plain.get("limits", ())), tuple(plain.get("words", ()))
        counts = np.array(plain["counts"], dtype=np.int64)
        if len(counts) != max(len(limits), len(words)) + 1 or counts.min() < 0 or int(plain["missing"]) < 0:
            raise ValueError("a distribution has one bin more than limits, and no count below 0")
        mean, deviation = (float("nan") if plain[k] is None else float(plain[k]) for k in ("mean", "deviation"))
        return cls(limits, words, counts, int(plain["missing"]), mean, deviation)


def distribution(values: npt.NDArray[Any]) -> Distribution:
    """The distribution of a column: bins of about equal mass for numbers, the most frequent words for texts.

    Parameters
    ----------
    values
        (n,) float64 numbers, missing as NaN; or objects: texts, missing as None.
    """
    if values.dtype == object:
        words = pd.Series(values, dtype=object).dropna().astype(str).value_counts()
        chosen = sorted(words.index, key=lambda w: (-words[w], w))[:MOST_LIMITS]
        return _spread(values, (), tuple(sorted(chosen)))
    return _spread(values, _limits(values[~np.isnan(values)]), ())


def _limits(known: FloatArray) -> tuple[float, ...]:
    """All distinct values where they are few, else quantiles; what lies below or above all of them has its own bin."""
    distinct = np.unique(known)
    if len(distinct) > MOST_LIMITS:
        shares = np.arange(1, MOST_LIMITS) / MOST_LIMITS
        quantiles = np.quantile(known, shares, method="inverted_cdf")
        distinct = np.unique(np.r_[distinct[0], quantiles, distinct[-1]])
    below = np.nextafter(distinct[:1], -np.inf)
    return tuple(float(v) for v in np.r_[below, distinct])


def _spread(values: npt.NDArray[Any], limits: tuple[float, ...], words: tuple[str, ...]) -> Distribution:
    if words or values.dtype == object:
        texts = pd.Series(values, dtype=object).dropna().astype(str)
        places = pd.Index(words, dtype=object).get_indexer(pd.Index(texts, dtype=object))
        counts = np.bincount(np.where(places < 0, len(words), places), minlength=len(words) + 1)
        return Distribution((), words, counts.astype(np.int64), len(values) - len(texts), np.nan, np.nan)
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(np.array(limits), known, side="left"), minlength=len(limits) + 1)
    mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (np.nan, np.nan)
    return Distribution(limits, (), counts.astype(np.int64), len(values) - len(known), mean, deviation)


@dataclass(frozen=True, eq=False)
class Distributions:
    """What a champion was trained on, or an earlier run.

    Attributes
    ----------
    accounts, as_of
        How many accounts, on which day.
    metrics
        Per metric its headline values.
    scores
        ``propensity`` and ``baseline_score``.
    """

    accounts: int
    as_of: date
    metrics: Mapping[str, Distribution]
    scores: Mapping[str, Distribution]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON, which `from_plain` reads."""
        parts = {"metrics": self.metrics, "scores": self.scores}
        plain = {part: {name: d.to_plain() for name, d in of.items()} for part, of in parts.items()}
        return {"accounts": self.accounts, "as_of": self.as_of.isoformat(), **plain}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Distributions:
        """Read what `to_plain` gave."""
        parts = ({n: Distribution.from_plain(d) for n, d in plain[part].items()} for part in ("metrics", "scores"))
        return cls(int(plain["accounts"]), date.fromisoformat(plain["as_of"]), *parts)


def distributions(frame: pd.DataFrame, metrics: Sequence[str], scores: Mapping[str, FloatArray]) -> Distributions:
    """Distributions of a table of features.

    Parameters
    ----------
    frame
        One row per account: ``as_of`` and the columns named like metrics; metrics without a column are left out.
    scores
        (n,) scores by name.
    """
    found = {name: distribution(column_values(frame[name])) for name in metrics if name in frame.columns}
    spread = {name: distribution(np.asarray(values, dtype=np.float64)) for name, values in scores.items()}
    return Distributions(len(frame), max(frame["as_of"]), found, spread)


def column_values(column: pd.Series) -> npt.NDArray[Any]:
    """A column as `distribution` reads it: numbers where all that is known is a number, else texts."""
    plain = column.dtype.kind in "biuf" if isinstance(column.dtype, np.dtype) else False
    if plain or (column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) != "string"):
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if plain or not (np.isnan(numbers) & column.notna().to_numpy()).any():
            return np.asarray(numbers)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    boxed = column.astype(object)
    return np.asarray(boxed.where(boxed.notna(), None).to_numpy(dtype=object))
