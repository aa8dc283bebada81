"""What a model is trained and judged on: snapshots, and labels as they were known on any day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from csql_ml.errors import TrainingError
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.account_folds import taught

STATES = ("positive", "negative", "open", "unobserved")
KEYS = ["account_id", "as_of"]
#: More distinct as-of dates than this are judged by calendar quarter instead of one by one.
MOST_SNAPSHOTS = 24
#: Rows digested at a time.
_HASHED = 8_192


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Snapshots with point-in-time labels.

    Parameters
    ----------
    frame
        One row per account and snapshot: ``account_id`` (text), ``as_of`` (date), ``portfolio`` (text, '' where
        unknown), ``arr`` (today's ARR of the account) and the feature columns. Kept ordered by snapshot and account.
    labels_known
        ``labels_known(day)`` returns the labels as they were known on that day: account_id, as_of, state (see
        `STATES`), reason, label (1.0, 0.0, NaN), amount (ARR won, else NaN), lead_type.
    now
        The day training happens on.
    features, terms, weights
        The model's columns, the terms of the weighted score, the weights of its three parts.
    mature_from
        The day from which the oldest snapshot's outcomes are complete, where they are not yet.

    Raises
    ------
    TrainingError
        A column is missing, or an account has two rows in one snapshot.
    """

    frame: pd.DataFrame
    labels_known: Callable[[date], pd.DataFrame] = field(repr=False)
    now: date
    features: tuple[Feature, ...]
    terms: tuple[ScoreTerm, ...]
    weights: Mapping[str, float]
    mature_from: date | None = None

    def __post_init__(self) -> None:
        needed = [*KEYS, "portfolio", "arr", *self.columns]
        missing = [c for c in needed if c not in self.frame.columns]
        if missing:
            raise TrainingError(
                f"the training table lacks {', '.join(missing)}; expected these beside its other columns"
            )
        frame = self.frame.assign(as_of=_dates(self.frame["as_of"]), portfolio=self.frame["portfolio"].fillna(""))
        _refuse_duplicates(frame, "the training table")
        order = frame[KEYS].reset_index(drop=True).sort_values(["as_of", "account_id"], kind="stable").index.to_numpy()
        ordered = (np.diff(order) == 1).all()  # then no copy is made, which counts with thousands of columns
        object.__setattr__(self, "frame", (frame if ordered else frame.iloc[order]).reset_index(drop=True))

    @property
    def columns(self) -> list[str]:
        """Columns the estimators get: features first, then what only the weighted score reads."""
        return list(dict.fromkeys([f.name for f in self.features] + [t.feature for t in self.terms]))

    def reading(self, names: Collection[str]) -> TrainingData:
        """The same rows with those features alone that a model reads, where that leaves any out."""
        kept = tuple(f for f in self.features if f.name in names)
        if len(kept) == len(self.features):
            return self
        gone = {f.name for f in self.features} - {f.name for f in kept} - {t.feature for t in self.terms}
        return replace(self, features=kept, frame=self.frame.drop(columns=list(gone)))

    def drawn(self, seed: int) -> TrainingData:
        """The same data; of very many accounts in the newest period, the rows of some (`account_folds.taught`)."""
        period = periods(self.frame["as_of"])
        newest, accounts = np.flatnonzero(period == period.max()), self.frame["account_id"].to_numpy()
        chosen = taught(newest, accounts, seed)
        if len(chosen) == len(newest):
            return self
        return replace(self, frame=self.frame[self.frame["account_id"].isin(set(accounts[chosen]))])

    @property
    def snapshots(self) -> tuple[date, ...]:
        """All as-of dates, oldest first."""
        return tuple(sorted(self.frame["as_of"].unique()))

    def with_labels(self, known_on: date) -> pd.DataFrame:
        """All rows with the label columns as known on ``known_on``.

        A row without a label is open where the day is not past its snapshot, else unobserved.
        """
        labels = self.labels_known(known_on)
        labels = labels.assign(as_of=_dates(labels["as_of"]))[[*KEYS, "state", "label", "amount", "lead_type"]]
        _refuse_duplicates(labels, f"the labels known on {known_on}")
        found = self.frame[KEYS].merge(labels, on=KEYS, how="left", validate="one_to_one", sort=False)
        joined = self.frame.assign(**{column: found[column] for column in ("state", "label", "amount", "lead_type")})
        unknown = ~joined["state"].isin(["positive", "negative"])
        ahead = joined["as_of"].map(lambda day: day >= known_on)
        joined["state"] = joined["state"].fillna(ahead.map({True: "open", False: "unobserved"}))
        for column in ("label", "amount"):
            joined[column] = joined[column].astype("float64").mask(unknown)
        return joined.assign(period=periods(joined["as_of"]))

    def labelled(self, known_on: date) -> pd.DataFrame:
        """Rows whose outcome was complete on ``known_on``.

        A snapshot with wins, open accounts and no negative is not complete: an early win is known before the quiet
        accounts beside it can be called negative, and learning from the wins alone would teach a rate of 100 %.
        """
        return self._labelled_now if known_on == self.now else self._labelled(known_on)

    @cached_property
    def _labelled_now(self) -> pd.DataFrame:
        return self._labelled(self.now)

    def _labelled(self, known_on: date) -> pd.DataFrame:
        joined = self.with_labels(known_on)
        waiting = set(joined.loc[joined["state"] == "open", "period"])
        waiting -= set(joined.loc[joined["label"] == 0, "period"])
        complete = joined["label"].notna() & ~joined["period"].isin(waiting)
        return joined if complete.all() else joined[complete].reset_index(drop=True)

    def fingerprint(self) -> str:
        """SHA-256 of the rows and of the labels known now; equal data in any row order gives the same text."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        table, columns = self.with_labels(self.now), ["account_id", "as_of", "portfolio", "arr", *self.columns, "label"]
        texts = {c: "string" for c in columns if not pd.api.types.is_numeric_dtype(table[c])}
        digest = hashlib.sha256("|".join(columns).encode())
        for start in range(0, len(table), _HASHED):
            plain = table.iloc[start : start + _HASHED][columns].astype(texts)
            digest.update(pd.util.hash_pandas_object(plain, index=False).to_numpy(dtype="<u8").tobytes())
        return digest.hexdigest()


def periods(as_of: pd.Series) -> pd.Series:
    """The period each row is judged in, named by its first as-of date.

    A period is a snapshot. Where each row has a date of its own (more than `MOST_SNAPSHOTS` of them), it is a
    calendar quarter.
    """
    distinct = sorted(as_of.unique())
    if len(distinct) <= MOST_SNAPSHOTS:
        return as_of
    first: dict[tuple[int, int], date] = {}
    for day in distinct:
        first.setdefault((day.year, (day.month - 1) // 3), day)
    return as_of.map({day: first[day.year, (day.month - 1) // 3] for day in distinct})


def _dates(values: pd.Series) -> pd.Series:
    """Plain ``datetime.date`` objects, whatever date type came in."""
    if values.empty:
        return values.astype(object)
    return pd.Series(pd.to_datetime(values).dt.date, index=values.index, dtype=object)


def _refuse_duplicates(frame: pd.DataFrame, what: str) -> None:
    twice = frame[frame.duplicated(KEYS)]
    if len(twice):
        row = twice.iloc[0]
        raise TrainingError(
            f"{what}: account {row['account_id']} has more than one row for {row['as_of']} "
            f"({len(twice)} rows too many); one row per account and snapshot is expected"
        )
