"""How use of the product went over the last months: two line charts and their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csql_ml.reports.chart import Line, line_chart
from csql_ml.reports.site import Site

BUCKET_DAYS = 30

#: Licensed seats are drawn into the chart of active users unless they would press the line flat.
_FARTHEST_SEATS = 3.0


def trend(account: Mapping[str, Any], site: Site) -> dict[str, Any] | None:
    """Charts and table rows, oldest first; None where nothing is known."""
    t = site.texts
    series = {name: list(account["trend"].get(name) or []) for name in ("active_users", "events")}
    count = max(len(values) for values in series.values())
    if not any(v is not None for values in series.values() for v in values):
        return None
    series = {name: [None] * (count - len(values)) + values for name, values in series.items()}
    ends = [site.day(BUCKET_DAYS * (count - 1 - i)) for i in range(count)]
    seats = _seats(series["active_users"], account.get("seats"))
    charts = [
        _chart(t.gettext("Active users"), series["active_users"], ends, site, seats),
        _chart(t.gettext("Events"), series["events"], ends, site, None),
    ]
    rows = zip(ends, _texts(series["active_users"], site), _texts(series["events"], site), strict=True)
    return {"charts": [c for c in charts if c], "rows": list(rows)}


def _texts(values: Sequence[float | None], site: Site) -> list[str | None]:
    return [None if v is None else site.texts.number(v, 1) for v in values]


def _seats(values: Sequence[float | None], seats: float | None) -> float | None:
    highest = max((v for v in values if v is not None), default=0.0)
    return seats if seats and seats <= _FARTHEST_SEATS * highest else None


def _chart(
    label: str, values: Sequence[float | None], ends: Sequence[str], site: Site, seats: float | None
) -> dict[str, Any] | None:
    t, known = site.texts, [v for v in values if v is not None]
    if not known:
        return None
    title = t.gettext("{label} per 30 days", label=label)
    description = t.gettext(
        "From {first} to {last}; lowest {low}, highest {high}.",
        first=t.number(known[0], 1),
        last=t.number(known[-1], 1),
        low=t.number(min(known), 1),
        high=t.number(max(known), 1),
    )
    line = Line(
        values, ends, title, description, seats, "" if seats is None else t.gettext("{n} seats", n=t.number(seats))
    )
    return {"label": label, "svg": line_chart(line, t.short_number)}
