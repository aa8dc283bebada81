"""Which source is used for which contract table: the best assignment over all of them, each source for one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from csql_ml.contract.tables import TABLES
from csql_ml.proposing.columns import MAPPED, Fit, Keys, fit, forget_what_was_compared
from csql_ml.proposing.joins import best_join
from csql_ml.proposing.names import forms
from csql_ml.proposing.sources import Source
from csql_ml.proposing.stand_ins import STAND_INS
from csql_ml.proposing.synonyms import meant_by, table_phrases

#: Where a fit begins to be worth proposing; tables that look like others need a name or telling values as well.
_WORTH, _ALTERNATIVE = 0.5, 0.75
_NEED_NAME = ("coverage", "advocacy", "milestones", "csqls", "nps")
#: Columns without which rows of a table say nothing: at least one of each.
_HEART = {
    "accounts": ("account_id",),
    "contracts": ("start_date", "arr", "seats"),
    "users": ("user_id",),
    "events": ("occurred_at",),
    "tickets": ("opened_at", "severity"),
    "nps": ("score",),
    "advocacy": ("kind",),
    "milestones": ("kind",),
    "contacts": ("contact_id",),
    "csqls": ("created_at",),
    "opportunities": ("opportunity_id",),
    "coverage": ("start_date",),
}
_MOST_KEYS = 6


@dataclass(frozen=True)
class Choice:
    """What is used for what.

    Attributes
    ----------
    fits
        By contract table.
    others
        By contract table, sources that fit it nearly as well and are not used.
    unused
        Sources that serve no table.
    """

    fits: dict[str, Fit]
    others: dict[str, tuple[str, ...]]
    unused: tuple[Source, ...]


def choose(sources: Sequence[Source], postgres: bool) -> Choice:
    """The assignment that fits best over all tables, tried with every column that could be the accounts' key."""
    try:
        tried = [_assigned(sources, keys, postgres) for keys in _possible_keys(sources, postgres) or [None]]
    finally:
        forget_what_was_compared()
    return max(tried, key=lambda pair: pair[0])[1]  # the first of equals


def _possible_keys(sources: Sequence[Source], postgres: bool) -> list[Keys | None]:
    """Columns that may be the key of the accounts, the likeliest first."""
    found = []
    for source in sources:
        fitted = fit(source, "accounts", None, postgres)
        if _score(fitted) < _WORTH:
            continue
        versions = any(column.name.lower() == "recorded_at" for column in source.columns)
        for column in source.columns:
            strength = max(
                (
                    meant_by("accounts", text).get("account_id", 0.0)
                    for text in forms(column.name, table_phrases("accounts"))
                ),
                default=0.0,
            )
            if strength >= MAPPED and (column.mostly_unique or versions):
                found.append((_score(fitted) + strength, Keys(source, column)))
    return [keys for _, keys in sorted(found, key=lambda pair: -pair[0])[:_MOST_KEYS]]


def _assigned(sources: Sequence[Source], keys: Keys | None, postgres: bool) -> tuple[float, Choice]:
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    names = list(TABLES)
    fits = [[fit(source, name, keys, postgres) for name in names] for source in sources]
    fits = _with_joins(fits, keys)
    scores = np.array([[_score(one) if _plausible(one, keys) else 0.0 for one in row] for row in fits])
    worth = np.where(scores >= _WORTH, scores, 0.0)
    pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-worth), strict=True) if worth[i, j] > 0]
    chosen = {names[j]: fits[i][j] for i, j in sorted(pairs, key=lambda pair: pair[1])}
    used = {i for i, _ in pairs}
    spare = [k for k in range(len(sources)) if k not in used]
    for k in spare if keys else ():  # the key of the accounts is none of another list of accounts
        worth[k, names.index("accounts")] = _score(fit(sources[k], "accounts", None, postgres))
    others = {
        names[j]: tuple(sources[k].location for k in spare if worth[k, j] >= max(_WORTH, _ALTERNATIVE * worth[i, j]))
        for i, j in pairs
    }
    unused = tuple(source for i, source in enumerate(sources) if i not in used)
    return float(sum(worth[i, j] for i, j in pairs)), Choice(chosen, others, unused)


def _with_joins(fits: list[list[Fit]], keys: Keys | None) -> list[list[Fit]]:
    """Fits whose account stands in another source, where their own has none."""
    accounts = [(row[0].source, _account_of(row)) for row in fits]
    known = [(source, account) for source, account in accounts if account is not None]
    if keys is not None:
        known = [(s, a) for s, a in known if s is not keys.source] + [(keys.source, keys.column.name)]
    joined = []
    for row in fits:
        needs = [one for one in row if one.table != "accounts" and "account_id" not in one.matches]
        join = (
            best_join(row[0].source, known, keys.source if keys else None)
            if any(_heart(one) for one in needs)
            else None
        )
        joined.append([replace(one, join=join) if one in needs and _heart(one) else one for one in row])
    return joined


def _account_of(row: Sequence[Fit]) -> str | None:
    """The column with a source's account, found for the first table that has one."""
    found = [one.matches["account_id"] for one in row if one.table != "accounts" and "account_id" in one.matches]
    return max(found, key=lambda match: match.score).theirs if found else None


def _heart(fitted: Fit) -> bool:
    return any(column in fitted.matches for column in _HEART[fitted.table])


def _plausible(fitted: Fit, keys: Keys | None) -> bool:
    """Whether a source can be a table at all."""
    if fitted.table == "accounts":
        return keys is None or keys.source is fitted.source
    accounted = "account_id" in fitted.matches or fitted.join is not None
    if fitted.table == "coverage":
        accounted = accounted or "csm_id" in fitted.matches
    if fitted.table in _NEED_NAME and not fitted.named and not _telling_name(fitted):
        return False
    return accounted and _heart(fitted)


def _telling_name(fitted: Fit) -> bool:
    """A column that only this table has, such as an NPS score."""
    match = fitted.matches.get("score") if fitted.table == "nps" else None
    return match is not None and "nps" in forms(match.theirs)[0].split()


def _score(fitted: Fit) -> float:
    """0 to 1: the required columns found, the source's name, and a little for what is optional."""
    table = TABLES[fitted.table]
    spare = STAND_INS.get(fitted.table, {})
    weights = {c.name: 0.3 if c.name in spare or c.nullable else 1.0 for c in table.columns if c.required}
    found = {name: match.score for name, match in fitted.matches.items()}
    if fitted.join is not None:
        found["account_id"] = 0.6
    required = sum(weight * found.get(name, 0.0) for name, weight in weights.items()) / sum(weights.values())
    optional = [c.name for c in table.columns if not c.required and c.name != "recorded_at"]
    more = min(1.0, sum(found.get(name, 0.0) for name in optional) / max(1, min(3, len(optional))))
    return 0.55 * required + 0.3 * fitted.named + 0.15 * more
