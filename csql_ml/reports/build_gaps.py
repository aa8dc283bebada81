"""What an account that is not yet a lead still lacks: metrics that have not reached their thresholds."""

from __future__ import annotations

from collections.abc import Mapping
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


def _reached(gap: Mapping[str, Any], site: Site) -> bool:
    direction = site.facts.direction(str(gap.get("metric")))
    return reaches(gap.get("value"), gap.get("threshold"), direction)


def _gap(gap: Mapping[str, Any], site: Site) -> dict[str, Any]:
    t, name = site.texts, str(gap.get("metric"))
    unit, value, threshold = gap.get("unit") or site.facts.unit(name), gap.get("value"), gap.get("threshold")
    label = site.facts.label(name)
    drawn = None
    if unit in _GRADUAL and value is not None and threshold is not None and 0 <= value < threshold:
        drawn = bar(0, value, 0, threshold, "rest", label)
    return {
        "label": label,
        "value": None if value is None else t.quantity(value, unit),
        "threshold": None if threshold is None or unit == "flag" else t.quantity(threshold, unit),
        "bar": drawn,
    }
