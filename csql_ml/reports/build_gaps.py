"""What an account that is not yet a lead still lacks: metrics that have not reached their thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from csql_ml.reports.chart import bar
from csql_ml.reports.evidence_text import reaches
from csql_ml.reports.site import Site

#: Units in which a part of the way to the threshold can be seen; for the others it is there or it is not.
_GRADUAL = ("ratio", "score")


def gaps(account: Mapping[str, Any], site: Site) -> list[dict[str, Any]]:
    """Label, value and threshold of each, with a bar where a part of the way is done."""
    return [_gap(m, site) for m in account["missing"] if not _reached(m, site)]


def gap_note(account: Mapping[str, Any], site: Site) -> str:
    """All of them in one line; empty where there is none. Values stand there only where they say more than no."""
    found = [gap["label"] if gap["bar"] is None else f"{gap['label']} {gap['value']}" for gap in gaps(account, site)]
    return site.texts.gettext("Signals not reached: {metrics}", metrics=", ".join(found)) if found else ""


def comparable(account: Mapping[str, Any], site: Site) -> dict[str, Any] | None:
    """What the nearest account that got further had where this one has not; an observation, never a promise.

    Returns
    -------
    dict or None
        ``title``, ``rows`` (label, theirs, own value) and ``note``; None where the run knows no such account.
    """
    found, t = account.get("comparable"), site.texts
    if not found or not found.get("metrics"):
        return None
    as_of, looked = found.get("as_of"), found.get("accounts")
    expanded = found.get("kind") == "expanded"
    return {
        "title": t.gettext("An account like this one that expanded had")
        if expanded
        else t.gettext("An account like this one whose score is above the threshold has"),
        "rows": [_comparison(m, site) for m in found["metrics"] if site.facts.shown(str(m.get("metric")))],
        "note": None
        if looked is None or as_of is None
        else t.ngettext(
            "Seen on {date}, the nearest of {n} account. It promises nothing.",
            "Seen on {date}, the nearest of {n} accounts. It promises nothing.",
            looked,
            date=t.date(date.fromisoformat(str(as_of)[:10])),
        ),
    }


def _comparison(metric: Mapping[str, Any], site: Site) -> dict[str, str]:
    t, name = site.texts, str(metric.get("metric"))
    unit = metric.get("unit") or site.facts.unit(name)
    return {
        "label": site.facts.label(name),
        "theirs": t.quantity(metric.get("theirs"), unit),
        "own": t.quantity(metric.get("value"), unit),
    }


def _reached(gap: Mapping[str, Any], site: Site) -> bool:
    direction = site.facts.direction(str(gap.get("metric")))
    return reaches(gap.get("value"), gap.get("threshold"), direction)


def _gap(gap: Mapping[str, Any], site: Site) -> dict[str, Any]:
    t, name = site.texts, str(gap.get("metric"))
    unit, value, threshold = gap.get("unit") or site.facts.unit(name), gap.get("value"), gap.get("threshold")
    label = site.facts.label(name)
    drawn = None
    if unit in _GRADUAL and value is not None and threshold is not None and 0 <= value < threshold:
        drawn = bar(0, value, 0, threshold)
    return {
        "label": label,
        "value": None if value is None else t.quantity(value, unit),
        "threshold": None if threshold is None or unit == "flag" else t.quantity(threshold, unit),
        "bar": drawn,
    }
