"""What a push would change in the CRM, as one page that needs no other file: counts, and changes field by field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.evidence_text import capitalised
from csql_ml.reports.lead_texts import field_label
from csql_ml.reports.render import compact_css, environment, html_bytes, inline, minified_css
from csql_ml.reports.run_folder import Run
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_

ACTION = {
    "create": N_("Create"),
    "update": N_("Update"),
    "reopen": N_("Reopen"),
    "withdraw": N_("Withdraw"),
    "unchanged": N_("Unchanged"),
    "invalid": N_("Invalid"),
    "waiting": N_("Waiting"),
    "held_out": N_("Held out by an experiment"),
    "older": N_("Older than what is there"),
    "drop": N_("No longer wanted, never sent"),
}
REASON = {
    "capacity": N_("The portfolio has as many open leads as it can work."),
    "cooldown": N_("A lead of this account was rejected or lost only recently."),
    "duplicate": N_("Another lead of the same account and motion stands higher in this run."),
}
#: The notes of `csql_ml.handoff.note`.
NOTE = (
    N_("run {run} is as of {as_of}; a run as of {newest} was handed over before: no lead is changed"),
    N_("run {run} is as of {as_of}; a run as of {newest} was handed over before: no score is changed"),
    N_("{count} leads have no account executive: name some under delivery.routing"),
    N_("experiment {experiment} holds out {count} leads of this run until {until}"),
    N_(
        "experiment {experiment} holds out {count} leads of this run until {until}; {known} of them were handed over "
        "before and stay as they are"
    ),
)
_DAYS = ("as_of", "newest", "until")
KIND = {"lead": N_("Leads"), "score": N_("Scores")}
STATUS = {"open": N_("Open"), "withdrawn": N_("Withdrawn")}

#: Always shown; the other counts only where there are any.
_ALWAYS = ("create", "update", "unchanged", "invalid")
#: Changes of one action that are shown in full; the JSON has them all.
MOST_SHOWN = 500


def page(data: Mapping[str, Any], run: Run, texts: Texts) -> dict[str, Any]:
    """Everything the page says, as plain values.

    Parameters
    ----------
    data
        Of a dry run; see `csql_ml.handoff.push_data.push_data`.
    """
    kinds = [
        {
            "title": w.word(texts, KIND, kind),
            "tiles": [_tile(action, n, texts) for action, n in counts.items() if n or action in _ALWAYS],
            "sections": [s for action in counts if (s := _section(kind, action, data["changes"], texts))],
        }
        for kind, counts in data["planned"].items()
    ]
    return {
        "sink": data["sink"],
        "kinds": kinds,
        "notes": [_note(said, texts) for said in data["note_messages"]],
        "findings": [_finding(found, texts) for found in data["findings"]],
        "nothing": not any(kind["sections"] for kind in kinds),
    }


def _note(said: Mapping[str, Any], texts: Texts) -> str:
    """A note about the push as a sentence."""
    return capitalised(_said(said, texts)) + "."


def _finding(found: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """A finding of the preflight; that of a sink of one's own may be a plain English sentence."""
    parts = found.get("parts")
    said = found["message"] if parts is None else _said(parts, texts)
    return {"name": found["name"], "level": found["level"], "said": said, "translated": parts is not None}


def _said(said: Mapping[str, Any], texts: Texts) -> str:
    values = {name: _note_value(name, value, texts) for name, value in said["values"].items()}
    return texts.gettext(said["message"], **values)


def _note_value(name: str, value: Any, texts: Texts) -> str:
    if name in _DAYS:
        return texts.date(date.fromisoformat(str(value)[:10]))
    if isinstance(value, Mapping):
        return _said(value, texts)
    if isinstance(value, list | tuple):
        return ", ".join(_note_value(name, one, texts) for one in value)
    return texts.number(value) if isinstance(value, int) else str(value)


def _tile(action: str, count: int, texts: Texts) -> dict[str, str]:
    return {"action": action, "word": w.word(texts, ACTION, action), "count": texts.number(count)}


def _section(kind: str, action: str, changes: list[Mapping[str, Any]], texts: Texts) -> dict[str, Any] | None:
    found = [c for c in changes if c["kind"] == kind and c["action"] == action]
    if not found:
        return None
    left_out = len(found) - MOST_SHOWN
    more = texts.ngettext("{n} more stands in the JSON", "{n} more stand in the JSON", left_out)
    return {
        "action": action,
        "word": w.word(texts, ACTION, action),
        "count": texts.number(len(found)),
        "changes": [_change(c, texts) for c in found[:MOST_SHOWN]],
        "more": more if left_out > 0 else None,
    }


def _change(change: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    reason = change["reason"]
    return {
        "name": change["account_name"] or change["account_id"],
        "id": change["account_id"],
        "reason": None if reason is None else w.word(texts, REASON, reason),
        "open": change["action"] not in ("create", "withdraw"),
        "fields": [_field(d, texts) for d in change["differences"]],
    }


def _field(difference: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    name = difference["field"]
    before, after = (_lines(shown(name, difference[side], texts)) for side in ("before", "after"))
    same = set(before) & set(after)
    return {
        "label": field_label(texts, name),
        "before": [(line, line in same) for line in before],
        "after": [(line, line in same) for line in after],
    }


def _lines(text: str | None) -> list[str]:
    return [] if text is None else text.splitlines()


def shown(name: str, value: Any, texts: Texts) -> str | None:
    """A field's value as people write it; None where there is none."""
    if value is None or value == "":
        return None
    words = {"status": STATUS | w.STATUS, "lead_type": w.LEAD_TYPE, "band": w.BAND}
    if name in words:
        return w.word(texts, words[name], value)
    if name == "propensity":
        return texts.percent(value, 1)
    if name in ("expected_arr", "potential_arr"):
        return texts.money(value)
    if name in ("opened_on", "answer_due", "as_of"):
        return texts.date(date.fromisoformat(str(value)[:10]))
    return texts.number(value, 1) if isinstance(value, int | float) else str(value)


def render(data: Mapping[str, Any], run: Run, texts: Texts) -> bytes:
    """The page as one HTML file; the same data give the same bytes."""
    return html_bytes(
        environment(texts).get_template("push.html.j2"),
        page=page(data, run, texts),
        language=texts.language,
        company=run.company,
        as_of=texts.date(run.as_of),
        run_id=run.run_id,
        model_version=run.model_version,
        rules=run.champion_kind == "rules",
        # There is no other page: the mark in the corner leads nowhere.
        root="#",
        style=inline(compact_css(minified_css("base.css") + minified_css("push.css"))),
        script=None,
    )
