"""The dashboard's groups of leads: by type, band, champion and CSM, why leads are rejected, experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from csql_ml.reports import dashboard_charts as charts
from csql_ml.reports import dashboard_words as words
from csql_ml.reports.dashboard_charts import Point
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_, word

Data = Mapping[str, Any]
STAGES = ("accepted", "opportunity", "won")
TITLE = {
    "quarter": N_("Figures by quarter"),
    "type": N_("By lead type"),
    "band": N_("By score band"),
    "version": N_("By champion version"),
    "csm": N_("Figures by CSM"),
}
_ORDER = {"high": 0, "medium": 1, "low": 2}
_FINDINGS = {"above the team": "above", "below the team": "below", "within noise": "noise"}


def split_table(split: str, data: Data, t: Texts) -> dict[str, Any]:
    """One line per group of a split; ``money`` and ``kept``: whether any line has that column."""
    lines = data["splits"][split]
    if split == "band":
        lines = sorted(lines, key=lambda line: _ORDER.get(line["name"], len(_ORDER)))
    goals = {v["name"]: v["benchmark"] for v in data["benchmarks"]}
    return {
        "split": split,
        "title": word(t, TITLE, split),
        "group": {"type": t.gettext("Type"), "band": t.gettext("Band"), "quarter": t.gettext("Quarter")}.get(
            split, t.gettext("CSM") if split == "csm" else t.gettext("Champion")
        ),
        "rows": [_line(split, line, goals, t) for line in lines],
        "money": any(line["expansion_share"] is not None for line in lines),
        "kept": any(line["retention"] is not None for line in lines),
    }


def _line(split: str, line: Data, goals: Mapping[str, float], t: Texts) -> dict[str, Any]:
    name, kept, net_new = words.group(t, split, line["name"]), line["retention"], line["net_new"]
    median, share = line["cycle_days"], line["expansion_share"]
    return {
        "name": name,
        "created": t.number(line["created"]),
        "stages": [_stage(stage, line["stages"][stage], goals[stage], name, t) for stage in STAGES],
        "net_new": None if net_new is None or net_new["value"] is None else t.percent(net_new["value"]),
        "cycle": None if median["value"] is None else t.days(round(median["value"])),
        "arr": t.short_money(line["arr_won"]["value"] or 0.0),
        "share": None if share is None or share["value"] is None else t.percent(share["value"]),
        "kept": None if kept is None else _percent(kept["with_csql"], t),
        "rest": None if kept is None else _percent(kept["without_csql"], t),
    }


def _percent(amount: Data, t: Texts) -> str | None:
    return None if amount["value"] is None else t.percent(amount["value"], 1)


def _stage(stage: str, rate: Data, goal: float, name: str, t: Texts) -> dict[str, Any]:
    label = word(t, words.STAGE, stage)
    if rate["value"] is None:
        return {"label": label, "value": "–", "interval": None, "most": None, "svg": None}
    value, span = t.percent(rate["value"]), words.rate_interval(t, rate)
    point = Point(rate["value"], rate["low"], rate["high"], rate["most"])
    title = t.gettext(
        "{group}, {label}: {value}, interval {interval}", group=name, label=label, value=value, interval=span
    )
    most = t.gettext("up to {most}", most=t.percent(rate["most"])) if words.more_to_come(t, rate) else None
    return {
        "label": label,
        "value": value,
        "interval": span,
        "most": most,
        "svg": charts.strip(point, goal, title),
    }


def csm_stages(data: Data, t: Texts, first: str) -> list[dict[str, Any]]:
    """Per stage every CSM beside what the team makes of leads like theirs; the ``first`` stage is open."""
    order = sorted(STAGES, key=lambda s: (s != first, STAGES.index(s)))
    found = [{"stage": s, "rows": [c for c in data["csms"] if c["stage"] == s]} for s in order]
    return [
        {
            "title": word(t, words.STAGE, f["stage"]),
            "open": f["stage"] == order[0],
            "basis": t.gettext(
                "Expected by {basis}.", basis=", ".join(sorted({word(t, words.BASIS, c["basis"]) for c in f["rows"]}))
            ),
            "summary": _summary(f["rows"], t),
            "rows": [_csm(c, t) for c in f["rows"]],
        }
        for f in found
        if f["rows"]
    ]


def _summary(rows: Sequence[Data], t: Texts) -> str:
    apart = sum(c["finding"] in ("above the team", "below the team") for c in rows)
    if apart:
        return t.ngettext("{n} CSM differs by more than noise", "{n} CSMs differ by more than noise", apart)
    return t.gettext("all within noise")


def _csm(c: Data, t: Texts) -> dict[str, Any]:
    rate, expected = c["decided"], c["expected"]
    own = "–" if rate["value"] is None else t.percent(rate["value"])
    due = None if expected is None else t.percent(expected)
    span = words.rate_interval(t, rate)
    title = t.gettext(
        "{csm}: {own}, interval {interval}, expected {due}", csm=c["csm"], own=own, interval=span, due=due or "–"
    )
    return {
        "name": c["csm"],
        "decided": t.number(rate["created"]),
        "own": own,
        "interval": span,
        "expected": due,
        "points": None if c["difference"] is None else words.points(t, c["difference"]),
        "code": _FINDINGS.get(c["finding"], "few"),
        "finding": word(t, words.FINDING, c["finding"]),
        "svg": charts.strip(Point(rate["value"], rate["low"], rate["high"]), None, title, expected=expected),
    }


def rejection_types(data: Data, t: Texts) -> list[dict[str, Any]]:
    """The types of reasons, most frequent first, with what each asks for."""
    return [
        {
            "name": word(t, words.REASON, r["name"]).replace("_", " "),
            "count": t.number(r["share"]["reached"]),
            "share": t.percent(r["share"]["value"]),
            "interval": words.rate_interval(t, r["share"]),
            "fix": None if r["fix"] is None else word(t, words.FIX, r["fix"]),
            "proposal": words.proposal(t, r["proposal"]),
            "texts": r["texts"],
            "svg": charts.share_bar(r["share"]["value"], _told(r, t)),
        }
        for r in data["rejections"]
    ]


def _told(rejected: Data, t: Texts) -> str:
    name, share = word(t, words.REASON, rejected["name"]), t.percent(rejected["share"]["value"])
    return t.gettext("{metric}: {value}", metric=name, value=share)


def experiments(read: Sequence[Data], t: Texts) -> list[dict[str, Any]]:
    """What each experiment says, or from when on it can be read."""
    return [_experiment(one, t) for one in read]


def _experiment(one: Data, t: Texts) -> dict[str, Any]:
    if "effects" not in one:
        day = t.date(date.fromisoformat(one["complete_from"]))
        wait = t.gettext("The outcomes are complete from {date}; an early look would find effects by chance.", date=day)
        return {
            "name": one["experiment"],
            "code": "early",
            "word": t.gettext("Still running"),
            "sentence": wait,
            "rows": [],
        }
    code = {"helps": "met", "harms": "missed"}.get(one["verdict"], "early")
    return {
        "name": one["experiment"],
        "code": code,
        "word": word(t, words.VERDICT, one["verdict"]),
        "sentence": words.experiment(t, one),
        "rows": [_effect(e, t) for e in one["effects"]],
    }


def _effect(e: Data, t: Texts) -> dict[str, Any]:
    money = e["outcome"].startswith("ARR")

    def level(value: float | None) -> str:
        return "–" if value is None else t.money(round(value)) if money else t.percent(value, 1)

    def apart(value: float) -> str:
        return t.signed_money(round(value)) if money else words.points(t, value)

    known = e["low"] is not None and e["high"] is not None
    return {
        "name": word(t, words.OUTCOME, e["outcome"]),
        "worked": level(e["worked"]),
        "held": level(e["held_out"]),
        "difference": "–" if e["difference"] is None else apart(e["difference"]),
        "interval": words.interval(t, apart(e["low"]), apart(e["high"])) if known else "–",
        "units": t.gettext("{worked} and {held}", worked=t.number(e["units"][0]), held=t.number(e["units"][1])),
    }
