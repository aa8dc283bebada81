"""Why an account has its propensity: reasons as facts, and a sum that closes on the page as it is shown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from csql_ml.errors import OutputError
from csql_ml.reports.build_evidence import peer_text, where
from csql_ml.reports.build_score import tenths
from csql_ml.reports.build_trend import evidence_line
from csql_ml.reports.chart import bar
from csql_ml.reports.evidence_text import reaches
from csql_ml.reports.rounding import largest_remainder
from csql_ml.reports.site import Site

Account = Mapping[str, Any]

#: Largest gap between the parts and the propensity that is rounding of the file and not an error (0.01 points).
TOLERANCE = 0.0001


def why(account: Account, site: Site) -> dict[str, Any]:
    """Reasons for and against, missing data that counts, and how everything adds up.

    Returns
    -------
    dict
        ``for``, ``against``, ``missing``: lists of reasons; ``refits``: whether any tells its stability; ``sum``: rows
        from the reference to the propensity, or None where a part is missing.

    Raises
    ------
    OutputError
        The record's parts do not add up to its propensity.
    """
    shown = [r for r in account["reasons"] if site.facts.shown(str(r.get("metric")))]
    hidden = [r for r in account["reasons"] if not site.facts.shown(str(r.get("metric")))]
    ordered = [*_on(shown, "for"), *_on(shown, "against"), *_on(shown, "missing")]
    rounded = _rounded(account, ordered, hidden)
    points: Sequence[int | None] = [None] * len(ordered) if rounded is None else rounded[1:-1]
    reasons = [(_side(r), _reason(r, p, account, site)) for r, p in zip(ordered, points, strict=True)]
    _drawn_once([page for _, page in reasons])
    return {
        **{side: [page for s, page in reasons if s == side] for side in ("for", "against", "missing")},
        "sum": None if rounded is None else _sum([page for _, page in reasons], rounded, site),
        "refits": any(r.get("stability") is not None for r in shown),
        "unsteady": unsteady_text(account.get("unsteady"), site),
    }


def _drawn_once(reasons: Sequence[dict[str, Any]]) -> None:
    """Reasons made of the same use have the same line: the first keeps it."""
    seen = set()
    for reason in reasons:
        if reason["line"] in seen:
            reason["line"] = None
        seen.add(reason["line"])


def unsteady_text(count: Any, site: Site) -> str | None:
    """How many facts were left out because they do not hold from fit to fit; None where none were or it is unknown."""
    if not count:
        return None
    return site.texts.ngettext(
        "{n} more fact is left out: refitting the model on other samples changes its weight too much.",
        "{n} more facts are left out: refitting the model on other samples changes their weight too much.",
        count,
    )


def _side(reason: Account) -> str:
    """A missing value is never praised: it stands for itself, on neither side."""
    if reason.get("value") is None:
        return "missing"
    return "against" if reason.get("side") == "against" or (reason.get("points") or 0) < 0 else "for"


def _on(reasons: Sequence[Account], side: str) -> list[Account]:
    return [r for r in reasons if _side(r) == side]


def _rounded(account: Account, ordered: Sequence[Account], hidden: Sequence[Account]) -> list[int] | None:
    """Reference, each reason, everything else: in tenths of a point, adding up to the propensity shown."""
    propensity = account.get("propensity")
    points = [account.get("reference"), *(r.get("points") for r in ordered)]
    rest = [account.get("other_points"), *(r.get("points") for r in hidden)]
    known = [p for p in (*points, *rest) if p is not None]
    if propensity is None or len(known) < len(points) + len(rest):
        return None
    if abs(sum(known) - propensity) > TOLERANCE:
        raise OutputError(
            f"account {account['account_id']}: reference and points do not add up to the propensity; score again"
        )
    exact = [*known[: len(points)], sum(known[len(points) :])]
    return largest_remainder([1000 * p for p in exact], tenths(propensity))


def _reason(reason: Account, points: int | None, account: Account, site: Site) -> dict[str, Any]:
    t, name = site.texts, str(reason.get("metric"))
    return {
        "label": site.facts.label(name),
        "sentence": site.facts.sentence(reason),
        "points": None if points is None else t.signed_tenths(points),
        "evidence": _evidence(reason, name, site),
        "line": None if reason.get("value") is None else evidence_line(name, account, site),
        "where": where(reason, site),
    }


def _evidence(reason: Account, name: str, site: Site) -> list[tuple[str, str]]:
    """Value, earlier value, comparison, threshold, stability as label and text; what the record has not is left out."""
    t, unit = site.texts, reason.get("unit") or site.facts.unit(name)
    value, previous, threshold = reason.get("value"), reason.get("previous_value"), reason.get("threshold")
    lines = [(t.gettext("Now"), t.quantity(value, unit))]
    if previous is not None:
        lines.append((t.gettext("Before"), t.quantity(previous, unit)))
    if (peers := peer_text(reason, unit, site)) is not None:
        lines.append((t.gettext("Peers"), peers))
    elif reason.get("typical") is not None:
        lines.append((t.gettext("Typical"), t.quantity(reason["typical"], unit)))
    if threshold is not None and value is not None:
        reached = reaches(value, threshold, site.facts.direction(name))
        at = t.quantity(threshold, unit)
        text = t.gettext("{value}, reached", value=at) if reached else t.gettext("{value}, not reached", value=at)
        lines.append((t.gettext("Threshold"), text))
    if reason.get("stability") is not None:
        share = t.percent(reason["stability"])
        lines.append((t.gettext("Stability"), t.gettext("in {share} of refits", share=share)))
    return lines


def _sum(reasons: Sequence[dict[str, Any]], rounded: Sequence[int], site: Site) -> list[dict[str, Any]]:
    """Rows of the sum with a bar each, from where the row before ended to where this one ends."""
    t = site.texts
    ends = list(itertools.accumulate(rounded))
    low, high = min(0, *ends), max(1, *ends)
    labels = [t.gettext("Typical account"), *(r["label"] for r in reasons), t.gettext("Everything else")]
    rows = []
    for i, (label, points, end) in enumerate(zip(labels, rounded, ends, strict=True)):
        first = i == 0
        start = 0 if first else ends[i - 1]
        kind = "base" if first else "for" if points > 0 else "against" if points < 0 else "none"
        text = t.tenths(points) if first else t.signed_tenths(points)
        rows.append({"label": label, "kind": kind, "text": text, "bar": bar(start, end, low, high)})
    total, label = ends[-1], t.gettext("This account")
    whole = bar(0, total, low, high)
    return [*rows, {"label": label, "kind": "total", "text": t.tenths(total), "bar": whole}]
