"""The RevOps dashboard as a plain dict, from the data of ``csql measure --json`` and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from math import ceil
from typing import TYPE_CHECKING, Any

from csql_ml.reports import dashboard_charts as charts
from csql_ml.reports import dashboard_words as words
from csql_ml.reports.dashboard_charts import Curve, Point, Series
from csql_ml.reports.dashboard_groups import csm_stages, experiments, rejection_types, split_table
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import word

if TYPE_CHECKING:
    from csql_ml.config import Config

Data = Mapping[str, Any]
STAGES = ("accepted", "opportunity", "won")
#: Splits beside quarter and CSM, in the order they are shown.
SPLITS = ("type", "band", "version")
#: Quarters in a chart; the table has all.
MOST_QUARTERS = 12
_CODES = {"met": "met", "missed": "missed", "too early": "early", "no data": "nothing"}


def page(data: Data, read: Sequence[Data], texts: Texts, config: Config) -> dict[str, Any]:
    """Everything the page says, as plain values and drawings.

    Parameters
    ----------
    data
        What ``csql measure --json`` prints.
    read
        Per experiment what ``csql poc read --json`` prints, or ``{"experiment", "complete_from"}`` while it runs.
    """
    quarters = config.outcomes.benchmarks.expansion_share_quarters
    tables = [split_table(split, data, texts) for split in SPLITS]
    return {
        "quarter": None if data["quarter"] is None else texts.quarter(data["quarter"]),
        "level": texts.percent(data["confidence"]),
        "leads": texts.ngettext("{n} lead", "{n} leads", data["total"]["created"]),
        "nothing": not data["total"]["created"],
        "tiles": [_tile(v, data, texts) for v in data["benchmarks"]],
        "money": _money_tiles(data["total"], texts),
        "sentences": [words.sentence(texts, v, data, quarters) for v in data["benchmarks"]],
        "funnel": _funnel(data, texts),
        "cycle": _cycle(data, texts),
        "trends": _trends(data, texts),
        "quarters": split_table("quarter", data, texts),
        "splits": [t for t in tables if t["rows"]],
        "csms": csm_stages(data, texts, config.labels.stage),
        "csm_lines": split_table("csm", data, texts),
        "rejections": rejection_types(data, texts),
        "experiments": experiments(read, texts),
        "notes": [words.note(texts, n) for n in data["note_messages"]],
    }


def _benchmark(data: Data, name: str) -> float:
    return float(next(v["benchmark"] for v in data["benchmarks"] if v["name"] == name))


# tiles


def _tile(verdict: Data, data: Data, t: Texts) -> dict[str, Any]:
    name, total = verdict["name"], data["total"]
    value, span = _figure(name, total, t)
    judged = verdict["standing"] in ("met", "missed")
    return {
        "code": _CODES[verdict["standing"]],
        "label": word(t, words.FIGURE, name),
        "value": value,
        "interval": span,
        "goal": words.limit(t, name, verdict["benchmark"]),
        "word": word(t, words.STANDING, verdict["standing"]),
        "chance": t.gettext("could be chance") if judged and not verdict["sure"] else None,
    }


def _figure(name: str, total: Data, t: Texts) -> tuple[str, str | None]:
    """A figure and its interval as texts."""
    if name == "cycle":
        return median_texts(total["cycle_days"], t)
    found = total["stages"][name] if name in STAGES else total["expansion_share"]
    if found is None or found["value"] is None:
        return "–", None
    return t.percent(found["value"]), words.rate_interval(t, found)


def median_texts(median: Data, t: Texts) -> tuple[str, str | None]:
    """A median of days and its interval."""
    if median["value"] is None:
        return (t.gettext("Not reached") if median["ended"] + median["open"] else "–"), None
    if median["low"] is None:
        return t.days(round(median["value"])), None
    low = t.number(round(median["low"]))
    if median["high"] is None:
        return t.days(round(median["value"])), t.gettext("{low} or more", low=low)
    return t.days(round(median["value"])), words.interval(t, low, t.number(round(median["high"])))


def _money_tiles(total: Data, t: Texts) -> list[dict[str, Any]]:
    arr, kept, net_new = total["arr_won"], total["retention"], total["net_new"]
    found = [
        {
            "label": t.gettext("ARR won by CSQLs"),
            "value": t.short_money(arr["value"] or 0.0),
            "detail": None
            if arr["low"] is None
            else words.interval(t, t.short_money(arr["low"]), t.short_money(arr["high"])),
        }
    ]
    if kept is not None and kept["with_csql"]["value"] is not None:
        rest, since = t.percent(kept["without_csql"]["value"], 1), t.date(date.fromisoformat(kept["period"]["start"]))
        detail = t.gettext("{rest} without CSQL revenue; since {date}", rest=rest, date=since)
        value = t.percent(kept["with_csql"]["value"], 1)
        found.append({"label": t.gettext("Net revenue retention"), "value": value, "detail": detail})
    if net_new is not None and net_new["value"] is not None:
        detail = t.gettext("no opportunity of the account was open when the lead was raised")
        found.append({"label": t.gettext("Net-new leads"), "value": t.percent(net_new["value"]), "detail": detail})
    return found


# funnel and cycle


def _funnel(data: Data, t: Texts) -> list[dict[str, Any]]:
    created = data["total"]["created"]
    if not created:
        return []
    label = t.gettext("Created")
    told = t.gettext("{metric}: {value}", metric=label, value=t.number(created))
    bar = charts.funnel_bar(1.0, 1.0, None, None, None, told)
    first = {
        "label": label,
        "count": t.number(created),
        "share": "",
        "interval": "",
        "open": "",
        "goal": "",
        "bar": bar,
    }
    return [first, *(_stage(stage, data, t) for stage in STAGES)]


def _stage(stage: str, data: Data, t: Texts) -> dict[str, Any]:
    rate, goal = data["total"]["stages"][stage], _benchmark(data, stage)
    label, share, span = word(t, words.STAGE, stage), t.percent(rate["value"]), words.rate_interval(t, rate) or ""
    due = words.limit(t, stage, goal)
    told = t.gettext(
        "{label}: {share}, interval {interval}, benchmark {limit}", label=label, share=share, interval=span, limit=due
    )
    return {
        "label": label,
        "count": t.number(rate["reached"]),
        "share": share,
        "interval": span,
        "open": t.ngettext("{n} still open", "{n} still open", rate["open"]) if rate["open"] else "",
        "goal": due,
        "bar": charts.funnel_bar(rate["value"], rate["most"], rate["low"], rate["high"], goal, told),
    }


def _cycle(data: Data, t: Texts) -> dict[str, Any] | None:
    steps = data["cycle_curve"]
    if not steps:
        return None
    goal, median = _benchmark(data, "cycle"), data["total"]["cycle_days"]
    marks = _marks(max(steps[-1]["days"], goal))
    value, span = median_texts(median, t)
    curve = Curve(
        steps=[(s["days"], s["closed"], s["low"], s["high"]) for s in steps],
        marks=marks,
        title=t.gettext("Share of leads closed by day"),
        description=t.gettext(
            "A rising curve from {n} leads, {open} of them still open; the band is its interval. Median: {median}.",
            n=t.number(median["ended"] + median["open"]),
            open=t.number(median["open"]),
            median=value,
        ),
        goal=goal,
        goal_label=t.gettext("benchmark {days}", days=t.days(goal)),
        median=median["value"],
        median_label=t.gettext("Median: {days}", days=value),
    )
    return {
        "svg": charts.cycle(curve, t.percent, t.number),
        "median": value,
        "interval": span,
        "rows": [_by_day(day, steps, t) for day in marks],
    }


def _marks(longest: float) -> list[float]:
    """At most seven round day counts from 0 to the last step or beyond."""
    step = next(d for d in (5, 10, 15, 30, 60, 90, 180, 365, 730, 3650, 36_500) if 6 * d >= longest)
    return [float(step * i) for i in range(ceil(longest / step) + 1)]


def _by_day(day: float, steps: Sequence[Data], t: Texts) -> dict[str, str]:
    found = [s for s in steps if s["days"] <= day][-1]
    return {
        "days": t.days(day),
        "closed": t.percent(found["closed"]),
        "interval": words.rate_interval(t, found) or "",
    }


# quarters


def _trends(data: Data, t: Texts) -> list[dict[str, Any]]:
    lines = data["splits"]["quarter"][-MOST_QUARTERS:]
    if not lines:
        return []
    labels = [(t.short_quarter(line["name"]), line["name"][:4]) for line in lines]
    found = [_rate_trend(stage, lines, labels, data, t) for stage in STAGES]
    created = [Point(line["created"], told=_told(line, t.number(line["created"]), t)) for line in lines]
    found.append(_columns(t.gettext("Leads created"), created, labels, t.short_number, t))
    won = [_won_point(line, t) for line in lines]
    found.append(_columns(t.gettext("ARR won, by quarter raised"), won, labels, t.short_money, t))
    shares = [_share_point(line, t) for line in lines]
    if any(p.value is not None for p in shares):
        found.append(_share_trend("expansion_share", shares, labels, data, t))
    return found


def _won_point(line: Data, t: Texts) -> Point:
    """The ARR won of a quarter's leads; open ones may add to it."""
    arr = line["arr_won"]["value"] or 0.0
    told = _told(line, t.money(arr), t)
    return Point(arr, most=float("inf") if line["stages"]["won"]["open"] else None, told=told)


def _told(line: Data, figure: str, t: Texts) -> str:
    return t.gettext("{quarter}: {figure}", quarter=t.quarter(line["name"]), figure=figure)


def _rate_trend(
    stage: str, lines: Sequence[Data], labels: list[tuple[str, str]], data: Data, t: Texts
) -> dict[str, Any]:
    points = []
    for line in lines:
        rate = line["stages"][stage]
        told = "–" if rate["value"] is None else f"{t.percent(rate['value'])} ({words.rate_interval(t, rate)})"
        points.append(Point(rate["value"], rate["low"], rate["high"], rate["most"], _told(line, told, t)))
    return _share_trend(stage, points, labels, data, t)


def _share_point(line: Data, t: Texts) -> Point:
    share = line["expansion_share"]
    if share is None or share["value"] is None:
        return Point(None)
    span = words.rate_interval(t, share)
    told = t.percent(share["value"]) + (f" ({span})" if span else "")
    return Point(share["value"], share["low"], share["high"], told=_told(line, told, t))


def _share_trend(
    name: str, points: Sequence[Point], labels: list[tuple[str, str]], data: Data, t: Texts
) -> dict[str, Any]:
    goal, title = _benchmark(data, name), word(t, words.FIGURE, name)
    description = t.gettext(
        "One point per quarter with its interval, against the benchmark of {limit}; hollow while leads are open.",
        limit=words.limit(t, name, goal),
    )
    series = Series(points, labels, title, description, goal=goal, top=1.0)
    return {"title": title, "goal": words.limit(t, name, goal), "svg": charts.trend(series, t.percent)}


def _columns(
    title: str, points: Sequence[Point], labels: list[tuple[str, str]], written: charts.Write, t: Texts
) -> dict[str, Any]:
    series = Series(points, labels, title, t.gettext("One column per quarter."), bars=True)
    return {"title": title, "goal": None, "svg": charts.trend(series, written)}
