"""How use of the product went over the last months: a line chart per series, and their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from csql_ml.reports import wording as w
from csql_ml.reports.chart import Line, line_chart, sparkline
from csql_ml.reports.site import Site

BUCKET_DAYS = 30
#: The series that licensed seats are a limit of.
_LIMITED_BY_SEATS = "active_users"
#: Metrics made of what a series counts.
_USE_BEHIND = {
    "seat_saturation": "active_users",
    "active_user_ratio": "active_users",
    "usage_growth": "usage",
    "usage_growth_streak": "usage",
    "usage_per_seat": "usage",
}
#: Licensed seats are drawn into the chart unless they would press the line flat.
_FARTHEST_SEATS = 3.0

Series = Sequence[float | None]


def trend(account: Mapping[str, Any], site: Site) -> dict[str, Any] | None:
    """Charts, and a table with a column per series and a row per bucket, oldest first; None where nothing is known."""
    given = {name: list(account["trend"].get(name) or []) for name in w.TREND}
    known = {name: values for name, values in given.items() if any(v is not None for v in values)}
    if not known:
        return None
    count = max(len(values) for values in known.values())
    # Buckets end at the as-of date, so a shorter series lacks its oldest ones.
    series = {name: [None] * (count - len(values)) + values for name, values in known.items()}
    ends = [site.day(BUCKET_DAYS * (count - 1 - i)) for i in range(count)]
    texts = [[None if v is None else site.texts.number(v, 1) for v in values] for values in series.values()]
    return {
        "charts": [_chart(name, values, ends, account, site) for name, values in series.items()],
        "heads": [site.texts.gettext(w.TREND[name]) for name in series],
        "rows": list(zip(ends, zip(*texts, strict=True), strict=True)),
    }


def evidence_line(metric: str, account: Mapping[str, Any], site: Site) -> Markup | None:
    """How the use behind a metric went, small enough to stand beside its sentence; None for other metrics."""
    name, t = _USE_BEHIND.get(metric), site.texts
    values = list(account["trend"].get(name) or []) if name else []
    known = [v for v in values if v is not None]
    if name is None or not known:
        return None
    return sparkline(
        values,
        t.gettext(
            "{series} per 30 days, from {first} to {last}",
            series=t.gettext(w.TREND[name]),
            first=t.number(known[0], 1),
            last=t.number(known[-1], 1),
        ),
    )


def _chart(name: str, values: Series, ends: Sequence[str], account: Mapping[str, Any], site: Site) -> dict[str, Any]:
    t, known = site.texts, [v for v in values if v is not None]
    label, seats = t.gettext(w.TREND[name]), _seats(name, known, account.get("seats"))
    description = t.gettext(
        "From {first} to {last}; lowest {low}, highest {high}.",
        first=t.number(known[0], 1),
        last=t.number(known[-1], 1),
        low=t.number(min(known), 1),
        high=t.number(max(known), 1),
    )
    title = t.gettext("{label} per 30 days", label=label)
    seats_label = "" if seats is None else t.ngettext("{n} seat", "{n} seats", seats)
    line = Line(values, ends, title, description, seats, seats_label)
    return {"label": label, "svg": line_chart(line, t.short_number)}


def _seats(name: str, known: Sequence[float], seats: float | None) -> float | None:
    near = seats is not None and 0 < seats <= _FARTHEST_SEATS * max(known)
    return seats if near and name == _LIMITED_BY_SEATS else None
