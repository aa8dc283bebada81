"""Whether columns join: how many of the sampled values of one are found in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from csql_ml.proposing.names import forms, words
from csql_ml.proposing.sources import Source, SourceColumn

#: Share of the distinct sampled values that must be found for a join: among all keys, among a sample of them, and where
#: the columns have no name in common.
ENOUGH, SOME, PLAIN = 0.5, 0.02, 0.9
_KEY_WORDS = {"id", "key", "nr", "no", "number", "nummer", "uuid", "code", "uid", "guid"}


@lru_cache(maxsize=100_000)
def found_share(column: SourceColumn, keys: SourceColumn) -> float:
    """Share of a column's distinct sampled values that are among the keys; 0 for an empty column."""
    if not column.counts:
        return 0.0
    return len(column.counts.keys() & keys.counts.keys()) / len(column.counts)


def telling(column: SourceColumn) -> bool:
    """Whether values of a column say that they are keys: small numbers match anything."""
    return bool(set(words(column.name)) & _KEY_WORDS) or any(not v.isdigit() for v in list(column.counts)[:20])


@dataclass(frozen=True)
class Join:
    """The account of a source's rows stands in another source: ``source.ours = other.theirs``."""

    ours: str
    other: Source
    theirs: str
    account: str
    share: float


def best_join(source: Source, others: Sequence[tuple[Source, str]], accounts: Source | None) -> Join | None:
    """The other source that tells the accounts of a source's rows.

    Parameters
    ----------
    others
        Sources and their column with the account.
    accounts
        The source with the accounts themselves: with it columns may join by their values alone.
    """
    found = [
        (join.share + same, join)
        for other, account in others
        if other is not source and other.column(account).inside is None
        for same, join in _joins(source, other, account, other is accounts)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _joins(source: Source, other: Source, account: str, by_value: bool) -> Iterator[tuple[bool, Join]]:
    """Every way to join two sources by a column that is a key of the other one."""
    keys = [c for c in other.columns if c.name != account and c.inside is None and telling(c) and c.unique]
    names = {key: set(forms(key.name)) for key in keys}
    for ours in filter(telling, source.columns):
        own = set(forms(ours.name))
        for key in keys:
            same = bool(own & names[key])
            if not (same or by_value):
                continue
            share = found_share(ours, key)
            if share >= ((ENOUGH if other.complete else SOME) if same else PLAIN):
                yield same, Join(ours.name, other, key.name, account, share)
