"""The stand-up's digest in one language, as plain dicts: for the page and the Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.filenames import page_name
from csql_ml.reports.push_page import REASON
from csql_ml.reports.site import UNASSIGNED
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_

Data = Mapping[str, Any]

CHANGE = {
    "newly_qualified": N_("Newly qualified"),
    "released_from_risk": N_("Released from risk"),
    "newly_held": N_("Newly held for risk"),
    "cooled_down": N_("Cooled down"),
    "taken_up": N_("Taken up by sales"),
    "dropped_out": N_("Dropped out"),
}
MEANING = {
    "newly_qualified": N_("Ready now and not in the earlier run."),
    "released_from_risk": N_("The risk that held the account is gone."),
    "newly_held": N_("A risk must be solved before anybody talks about more."),
    "cooled_down": N_("The rest after a rejected or lost lead is over."),
    "taken_up": N_("A lead of the account is in work at sales."),
    "dropped_out": N_("Ready in the earlier run and not any more."),
}
COUNT = CHANGE | {
    "offers": N_("To hand over"),
    "waiting": N_("Waiting"),
    "due_today": N_("Due today"),
    "overdue": N_("Overdue"),
}
WAITS = REASON | {"held_out": N_("An experiment holds the account out.")}
SOURCE = {
    "outbox": N_("What was handed over before stands in the outbox."),
    "earlier run": N_(
        "Nothing was pushed yet: the leads of the earlier run count as handed over, as far as capacity went."
    ),
    "nothing": N_("Nothing was handed over before."),
}
#: Entries of a list that are shown; the JSON has them all.
MOST_SHOWN = 200
#: Changes of a kind that are unfolded at once.
MOST_OPEN = 10


def part_path(csm: str | None) -> str:
    """Path of a CSM's page inside the digest, without its ending."""
    return "csm/" + (page_name(csm) if csm else UNASSIGNED).removesuffix(".html")


def part_page(data: Data, part: Data, t: Texts, *, team: bool) -> dict[str, Any]:
    """What a page says: the whole team's, or one CSM's."""
    since = data["since"]
    return {
        "team": team,
        "title": t.gettext("Stand-up") if team else (part["csm"] or t.gettext("No CSM")),
        "day": _date(data["today"], t),
        "since": None if since is None else _date(since["as_of"], t),
        "source": w.word(t, SOURCE, data["handed_over"]),
        "load": _load(part, data["capacity"], t, team=team),
        "tiles": [_tile(name, n, t) for name, n in _tiles(part, compared=since is not None)],
        "due": _cut([_due(e, t) for e in part["due"]]),
        "offers": _cut([_lead(e, t) for e in part["offers"]]),
        "waiting": _cut([_lead(e, t) for e in part["waiting"]]),
        "changes": [_kind(kind, part["changes"], t) for kind in CHANGE if part["counts"][kind]],
        "csms": [_line(p, t) for p in data["csms"]] if team else [],
        "heads": [w.word(t, COUNT, name) for name in _COLUMNS],
        "quiet": not any(part["counts"].values()),
        "left_out": _left_out(part, t),
    }


_COLUMNS = ("overdue", "due_today", "offers", "waiting", "newly_qualified", "newly_held")


def _tiles(part: Data, *, compared: bool) -> list[tuple[str, int]]:
    names = ("overdue", "due_today", "offers", "waiting", *(CHANGE if compared else ()))
    return [(name, part["counts"][name]) for name in names]


def _tile(name: str, count: int, t: Texts) -> dict[str, Any]:
    return {
        "code": name,
        "section": "due" if name in ("due_today", "overdue") else name,
        "word": w.word(t, COUNT, name),
        "count": t.number(count),
        "some": count > 0,
    }


def _load(part: Data, capacity: int, t: Texts, *, team: bool) -> str:
    if team or part["free"] is None:
        return t.ngettext("{n} lead open", "{n} leads open", part["open"])
    return t.gettext(
        "{open} of {capacity} open leads, room for {free}",
        open=t.number(part["open"]),
        capacity=t.number(capacity),
        free=t.number(part["free"]),
    )


def _line(part: Data, t: Texts) -> dict[str, Any]:
    free = "–" if part["free"] is None else t.number(part["free"])
    return {
        "name": part["csm"] or t.gettext("No CSM"),
        "path": part_path(part["csm"]) + ".html",
        "file": part_path(part["csm"]) + ".md",
        "open": t.number(part["open"]),
        "free": free,
        "counts": [t.number(part["counts"][name]) for name in _COLUMNS],
    }


def _due(e: Data, t: Texts) -> dict[str, Any]:
    late = e["days_overdue"]
    return {
        **_who(e, t),
        "code": "overdue" if late > 0 else "due_today",
        "word": t.ngettext("{n} day overdue", "{n} days overdue", late) if late > 0 else t.gettext("Due today"),
        "owner": e["owner"] or t.missing,
        "opened": "–" if not e["opened_on"] else _date(e["opened_on"], t),
        "due": _date(e["answer_due"], t),
    }


def _lead(e: Data, t: Texts) -> dict[str, Any]:
    kind = w.word(t, w.LEAD_TYPE, e["lead_type"])
    return {
        **_who(e, t),
        "kind": t.gettext("{type}: {product}", type=kind, product=e["product"]) if e["product"] else kind,
        "owner": e["owner"] or t.missing,
        "due": _date(e["answer_due"], t),
        "propensity": t.missing if e["propensity"] is None else t.percent(e["propensity"], 1),
        "expected": t.missing if e["expected_arr"] is None else t.money(e["expected_arr"]),
        "note": e["note"],
        "handed": e.get("handed", False),
        "waits": w.word(t, WAITS, e["waits_for"]) if e.get("waits_for") else None,
    }


def _kind(kind: str, changes: Sequence[Data], t: Texts) -> dict[str, Any]:
    found = [e for e in changes if kind in e["changes"]]
    return {
        "code": kind,
        "word": w.word(t, CHANGE, kind),
        "meaning": w.word(t, MEANING, kind),
        "count": t.number(len(found)),
        "open": kind == "newly_qualified" or len(found) <= MOST_OPEN,
        "rows": _cut([_change(e, t) for e in found]),
    }


def _change(e: Data, t: Texts) -> dict[str, Any]:
    gone = t.gettext("not in the run")
    return {
        **_who(e, t),
        "before": gone if e["before"] is None else w.word(t, w.STATUS, e["before"]),
        "now": gone if e["now"] is None else w.word(t, w.STATUS, e["now"]),
        "status": e["now"] or "ineligible",
        "note": e["note"],
        "detail": t.gettext("Released when: {condition}", condition=e["detail"])
        if e["now"] == "held_for_risk" and e["detail"]
        else "",
    }


def _who(e: Data, t: Texts) -> dict[str, Any]:
    return {"id": e["account_id"], "name": e["name"], "csm": e["csm"] or t.gettext("No CSM")}


def _cut(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:MOST_SHOWN]


def _left_out(part: Data, t: Texts) -> str | None:
    lists = [part[name] for name in ("due", "offers", "waiting")]
    lists += [[e for e in part["changes"] if kind in e["changes"]] for kind in CHANGE]
    rest = sum(max(len(entries) - MOST_SHOWN, 0) for entries in lists)
    return t.ngettext("{n} more stands in the JSON", "{n} more stand in the JSON", rest) if rest else None


def _date(text: str, t: Texts) -> str:
    return t.date(date.fromisoformat(text[:10]))
