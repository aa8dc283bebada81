"""What stands behind a reason: how the account compares with its peers, and which rows of which tables say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from csql_ml.metrics.definition import Unit
from csql_ml.reports import wording as w
from csql_ml.reports.site import Site
from csql_ml.reports.wording import N_

Reason = Mapping[str, Any]

#: Quarters of the accounts of a segment, from the lowest values to the highest.
QUARTER = {
    1: N_("lowest quarter of {n} in {segment}, middle {median}"),
    2: N_("second-lowest quarter of {n} in {segment}, middle {median}"),
    3: N_("second-highest quarter of {n} in {segment}, middle {median}"),
    4: N_("highest quarter of {n} in {segment}, middle {median}"),
}


def peer_text(reason: Reason, unit: Unit | None, site: Site) -> str | None:
    """Which quarter of its segment the account is in; None where the run does not know."""
    peers, t = reason.get("peers"), site.texts
    if not peers or peers.get("quartile") not in QUARTER or reason.get("value") is None:
        return None
    return t.gettext(
        QUARTER[peers["quartile"]],
        n=t.number(peers.get("accounts") or 0),
        segment=peers.get("segment") or t.missing,
        median=t.quantity(peers.get("median"), unit),
    )


def where(reason: Reason, site: Site) -> str:
    """Which tables, which days and how many rows a fact comes from."""
    places = reason.get("where")
    if places:
        return site.texts.joined(_place(place, site) for place in places)
    return _old_place(reason, site)


def _place(place: Reason, site: Site) -> str:
    """One table with its days, and its rows where they were counted."""
    t, first, last, rows = site.texts, place.get("from"), place.get("to"), place.get("rows")
    source = w.word(t, w.SOURCE, place.get("table"))
    if last is None:
        told = source
    elif first is None:
        told = t.gettext("{source}, as of {date}", source=source, date=_day(last, site))
    else:
        told = t.gettext("{source}, {first} to {last}", source=source, first=_day(first, site), last=_day(last, site))
    return told if rows is None else f"{told} ({t.ngettext('{n} row', '{n} rows', rows)})"


def _day(text: str, site: Site) -> str:
    return site.texts.date(date.fromisoformat(text[:10]))


def _old_place(reason: Reason, site: Site) -> str:
    """The same for runs that name tables and a length in days only."""
    t, days = site.texts, reason.get("window_days")
    tables = [name for name in str(reason.get("source") or "").split(", ") if name]
    source = ", ".join(w.word(t, w.SOURCE, name) for name in tables)
    if not source:
        source = t.gettext("the feature table") if site.run.own_features else t.gettext("several tables")
    if days is None:
        return t.gettext("{source}, as of {date}", source=source, date=t.date(site.as_of))
    return t.gettext("{source}, {days} before {date}", source=source, days=t.days(days), date=t.date(site.as_of))
