"""Why leads are rejected, in types, and what each type asks for: another threshold, gate, feature or label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from csql_ml.config.outcomes import USUAL_REJECTIONS, Rejection, plain_reason
from csql_ml.outcomes.figures import Rate, rate

if TYPE_CHECKING:
    from csql_ml.config import Config

UNTOLD, UNMAPPED = "no reason given", "not mapped"
_PROPOSALS = {
    UNTOLD: "make the reason a required field in the CRM: without it nothing can be learned from a rejection",
    UNMAPPED: "give these texts a type under outcomes.rejections in the configuration",
}
_MOST_TEXTS = 5


@dataclass(frozen=True)
class RejectionType:
    """One type of reason.

    Attributes
    ----------
    share
        Of all rejected leads.
    fix
        ``threshold``, ``gate``, ``feature`` or ``label``; None where the reason is not known.
    texts
        The most frequent texts that have no type yet; only of `UNMAPPED`.
    """

    name: str
    share: Rate
    fix: str | None
    proposal: str
    texts: tuple[str, ...] = ()


def types_of(config: Config) -> dict[str, Rejection]:
    """The usual types and the configuration's own, which replace those of the same name."""
    return {**USUAL_REJECTIONS, **config.outcomes.rejections}


def type_of(text: str | None, config: Config) -> str:
    """The type of a reason: that of the longest mapped text that it equals, or holds as whole words.

    A text that the configuration maps itself goes before the usual ones.
    """
    reason = plain_reason(text or "")
    if not reason:
        return UNTOLD
    own, usual = config.outcomes.rejections, types_of(config)
    return _longest(reason, own) or _longest(reason, usual) or UNMAPPED


def _longest(reason: str, types: dict[str, Rejection]) -> str | None:
    hits = [
        (len(known), name)
        for name, rejection in types.items()
        for known in map(plain_reason, rejection.texts)
        if f" {known} " in f" {reason} "
    ]
    return max(hits)[1] if hits else None


def rejections(book: pd.DataFrame, config: Config) -> list[RejectionType]:
    """The types found among the leads, most frequent first."""
    rejected = book[book["reason"].notna()]
    counts = rejected["reason"].value_counts()
    known = types_of(config)
    found = []
    for name in sorted(counts.index, key=lambda n: (-counts[n], n)):
        share = rate(int(counts[name]), 0, len(rejected), config.outcomes.confidence)
        if name in known:
            found.append(RejectionType(name, share, known[name].fix, known[name].proposal))
        else:
            texts = _most_frequent(rejected.loc[rejected["reason"] == name, "reason_text"])
            found.append(RejectionType(name, share, None, _PROPOSALS[name], texts if name == UNMAPPED else ()))
    return found


def _most_frequent(texts: pd.Series) -> tuple[str, ...]:
    counts = texts.dropna().astype(str).str.strip().value_counts()
    return tuple(sorted(counts.index, key=lambda t: (-counts[t], t))[:_MOST_TEXTS])
