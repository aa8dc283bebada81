"""Which columns of a source are which columns of a contract table: names, values, and keys that join."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from csql_ml.contract.tables import TABLES, Column, Table
from csql_ml.proposing.joins import PLAIN, Join, found_share, telling
from csql_ml.proposing.names import common_start, forms, phrase, words
from csql_ml.proposing.repairs import ENOUGH, Repair, closed_only, outcome, repair_of, written_either_way
from csql_ml.proposing.sources import Source, SourceColumn
from csql_ml.proposing.synonyms import LIKELY, SURE, WEAK, meant_by, table_phrases

#: From here on a column is mapped, and from here on without a remark.
MAPPED, CERTAIN = 0.6, 0.8
#: What an account id found in a complete list of accounts, or missing there, is worth.
_JOINS, _FOUND_BY_VALUE, _STRANGE = 0.5, 0.75, 0.3
_NUMBER = re.compile(r"^[+-]?[0-9]*[.]?[0-9]+([eE][+-]?[0-9]{1,3})?[.]?$")
_STAGES = {"stage", "status", "phase", "dealstage", "stagename"}
_CLOSED_FLAGS = {"is closed", "isclosed", "hs is closed", "closed flag"}


@dataclass(frozen=True)
class Match:
    """A source's column for a contract column.

    Attributes
    ----------
    score
        0 to 1; see `MAPPED` and `CERTAIN`.
    why
        What speaks against it or asks for a look; a part of a sentence, empty where nothing does.
    """

    column: str
    theirs: str
    score: float
    why: str = ""
    repair: Repair | None = None


@dataclass(frozen=True)
class Fit:
    """How a source fits a contract table.

    Attributes
    ----------
    matches
        By contract column, what is mapped.
    doubtful
        By contract column, what is not sure enough to be mapped, best first.
    join
        Where the account is found if the source does not name it.
    """

    table: str
    source: Source
    matches: Mapping[str, Match]
    doubtful: Mapping[str, tuple[Match, ...]]
    named: float
    join: Join | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Required columns that were not found."""
        found = {*self.matches, *(("account_id",) if self.join else ())}
        lacking = [c.name for c in TABLES[self.table].columns if c.required and c.name not in found]
        if self.table == "coverage" and not found & {"csm_id", "account_id"}:
            lacking.append("csm_id")
        return tuple(lacking)


@dataclass(frozen=True)
class Keys:
    """The column with the accounts' ids, and whether its sample is all there is."""

    source: Source
    column: SourceColumn

    @property
    def complete(self) -> bool:
        return self.source.complete


def fit(source: Source, name: str, keys: Keys | None, postgres: bool) -> Fit:
    """The best assignment of a source's columns to those of a contract table."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    table = TABLES[name]
    found = _matches(source, table, keys, postgres)
    theirs = sorted({match.theirs for match in found})
    scores = np.zeros((len(table.columns), len(theirs)))
    places = {column: i for i, column in enumerate(table.column_names)}
    for match in found:
        scores[places[match.column], theirs.index(match.theirs)] = match.score
    chosen = zip(*linear_sum_assignment(-_firm(scores)), strict=True)
    best = {(table.column_names[i], theirs[j]) for i, j in chosen if scores[i, j] >= MAPPED}
    matches = _with_outcome(source, table, {m.column: m for m in found if (m.column, m.theirs) in best})
    matches = {column: matches[column] for column in table.column_names if column in matches}
    taken = {match.theirs for match in matches.values()}
    doubtful: dict[str, tuple[Match, ...]] = {}
    for column in table.column_names:
        open_ones = [m for m in found if m.column == column and m.theirs not in taken]
        if open_ones:
            doubtful[column] = tuple(sorted(open_ones, key=lambda m: (-m.score, m.theirs)))
    return Fit(name, source, matches, doubtful, _named(source, name))


def _with_outcome(source: Source, table: Table, matches: dict[str, Match]) -> dict[str, Match]:
    """Whether and when a deal was closed, from its stage where no column says so."""
    if table.name not in ("opportunities", "csqls"):
        return matches
    stages = [c for c in source.columns if set(words(c.name)) & _STAGES or phrase(c.name) in _STAGES]
    for stage in stages:
        repair = outcome(stage)
        if "won" not in matches and repair is not None:
            matches["won"] = Match("won", stage.name, LIKELY, repair.why, repair)
    closed, flags = matches.get("closed_at"), [c for c in source.columns if phrase(c.name) in _CLOSED_FLAGS]
    if closed is None or closed.repair is not None:
        return matches
    days = source.column(closed.theirs)
    for told, flag in [(c, True) for c in flags] + [(c, False) for c in stages]:
        expected = closed_only(days, told, flag)
        if expected is not None:
            matches["closed_at"] = replace(closed, why=expected.why, repair=expected)
            break
    return matches


def _firm(scores: Any) -> Any:
    """Scores in which a weak match never pushes a mapped one away."""
    import numpy as np

    return np.where(scores >= MAPPED, scores, 0.0)


def _named(source: Source, table: str) -> float:
    """How much a source's name speaks for a table: 1 where it is one of its names."""
    stem, phrases = source.stem, table_phrases(table)
    if stem in phrases:
        return 1.0
    parts = stem.split()
    runs = {" ".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)}
    ending = any(stem.endswith(f" {one}") for one in phrases)
    return 0.8 if ending else 0.6 if runs & set(phrases) else 0.0


@lru_cache(maxsize=10_000)
def _by_name(source: Source, name: str, postgres: bool) -> tuple[Match, ...]:
    """Everything that the source's columns may be by their names, judged by their values, in a fixed order."""
    table = TABLES[name]
    shared = common_start([column.name for column in source.columns])
    leading = (*table_phrases(name), *((shared,) if shared else ()))
    found = []
    for theirs in source.columns:
        meant: dict[str, float] = {}
        for text in forms(theirs.name, leading):
            for column, strength in meant_by(name, text).items():
                meant[column] = max(meant.get(column, 0.0), strength)
        if theirs.name.lower() in table.column_names:  # nobody means another column by the contract's own name
            meant = {theirs.name.lower(): 1.0}
        found += [_judged(theirs, table.column(c), strength, name, postgres) for c, strength in sorted(meant.items())]
    return tuple(found)


def _matches(source: Source, table: Table, keys: Keys | None, postgres: bool) -> list[Match]:
    """Everything that the source's columns may be, account ids judged by whether they are accounts."""
    found = list(_by_name(source, table.name, postgres))
    if keys is not None and keys.source is source:
        found = [_as_key(match, keys) for match in found] if table.name == "accounts" else found
    elif keys is not None:
        named = {match.theirs for match in found if match.column == "account_id"}
        found = [_joined(m, source.column(m.theirs), keys) if m.column == "account_id" else m for m in found]
        if table.name != "accounts" and "account_id" in table.column_names:
            strangers = [c for c in source.columns if c.name not in named and _is_account(c, keys)]
            new = [_judged(c, table.column("account_id"), _FOUND_BY_VALUE, table.name, postgres) for c in strangers]
            found += [_joined(match, source.column(match.theirs), keys) for match in new]
    return [match for match in found if match.score > 0]


def _as_key(match: Match, keys: Keys) -> Match:
    """The account's key is the column that the other sources' keys are found in."""
    if match.column != "account_id":
        return match
    return replace(match, score=max(match.score, CERTAIN) if match.theirs == keys.column.name else 0.0)


def _is_account(theirs: SourceColumn, keys: Keys) -> bool:
    return telling(theirs) and found_share(theirs, keys.column) >= PLAIN


def _judged(theirs: SourceColumn, column: Column, strength: float, table: str, postgres: bool) -> Match:
    """A match by name, judged by its values."""
    repair = repair_of(theirs, column, table, postgres)
    if repair is not None:
        why = repair.why if strength >= SURE else f"{_doubt(strength, theirs)}; {repair.why}"
        return Match(column.name, theirs.name, strength * 0.95, why, repair)
    why = "" if strength >= CERTAIN else _doubt(strength, theirs)
    if not theirs.counts:
        return Match(column.name, theirs.name, strength * 0.9, why or "no value in the rows that were looked at")
    share = _readable(theirs, column, table)
    if share >= ENOUGH:
        return Match(column.name, theirs.name, strength, why)
    kind = f"one of {', '.join(column.values)}" if column.values else f"a {column.dtype}"
    why = f"{share:.0%} of its sampled values can be read as {kind}"
    if column.dtype in ("date", "timestamp") and written_either_way(theirs):
        why += "; the day or the month may stand first in its dates, so write a query with try_strptime"
    # A row with a value that cannot be read is set aside: only a required column is worth that.
    return Match(column.name, theirs.name, strength * (0.8 if share >= 0.5 and column.required else 0.4), why)


def _readable(theirs: SourceColumn, column: Column, table: str) -> float:
    if column.values:
        return sum(value.lower() in column.values for value in theirs.counts) / len(theirs.counts)
    share = theirs.readable.get(column.dtype, 0.0)
    if share < ENOUGH or (column.minimum is None and column.maximum is None):
        return share
    low, high = column.minimum, column.maximum
    numbers = [float(value) for value in theirs.tried if _NUMBER.match(value)]
    inside = [n for n in numbers if (low is None or n >= low) and (high is None or n <= high)]
    return len(inside) / len(theirs.tried)


def _doubt(strength: float, theirs: SourceColumn) -> str:
    if strength <= WEAK:
        return "the name may as well mean something else"
    if strength == LIKELY:
        return "the name is often used for it, but not always"
    return "its name does not say so, but its values are those of the accounts"


def _joined(match: Match, theirs: SourceColumn, keys: Keys) -> Match:
    """An account id, judged by whether its values are accounts."""
    share = found_share(theirs, keys.column)
    if not theirs.counts:
        return match
    if share >= _JOINS:
        return replace(match, score=min(1.0, max(match.score + 0.1, LIKELY)), why="" if share >= 0.9 else _share(share))
    if not keys.complete:
        return match
    return replace(match, score=match.score * max(_STRANGE, share), why=f"{_share(share)}, {keys.source.location}")


def _share(share: float) -> str:
    return f"{share:.0%} of its sampled values are in the accounts"


def forget_what_was_compared() -> None:
    """Let go of the sources that were looked at."""
    _by_name.cache_clear()
    found_share.cache_clear()
