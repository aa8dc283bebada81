"""What `csql monitor` found as one page that needs no other file: alarms first, then each check with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from csql_ml.monitoring.arrivals import Arrivals
from csql_ml.monitoring.drift import Drift
from csql_ml.monitoring.monitor import Monitored
from csql_ml.monitoring.realised import Realised, Share
from csql_ml.monitoring.reasons import Churn
from csql_ml.reports import wording as w
from csql_ml.reports.chart import Line, line_chart
from csql_ml.reports.monitor_charts import calibration_chart, distance_bar, tenths_chart
from csql_ml.reports.monitor_texts import LEVEL, MonitorTexts, signed
from csql_ml.reports.render import compact_css, environment, html_bytes, inline, minified_css
from csql_ml.reports.texts import Texts

_PARTS = 10
_WHOLE = 1e-6


def page(found: Monitored, words: MonitorTexts) -> dict[str, Any]:
    """Everything the page says, as plain values and drawn charts."""
    return {
        "findings": [
            {"level": f.level, "word": w.word(words.texts, LEVEL, f.level), "sentence": words.sentence(f)}
            for f in found.findings
        ],
        "alarms": len(found.alarms),
        "headline": _headline(found, words.texts),
        "reference": _reference(found, words.texts),
        "scores": [_score(d, words) for d in found.drift if d.kind == "score" and d.reference.known and d.run.known],
        "drift": _drift(found.drift, words),
        "realised": [_realised(r, words.texts) for r in found.realised],
        "calibration": _calibration(found.realised, words.texts),
        "arrivals": None if found.arrivals is None else _arrivals(found.arrivals, words.texts),
        "reasons": None if found.churn is None else _reasons(found.churn, words),
    }


def _headline(found: Monitored, texts: Texts) -> str:
    count = len(found.alarms)
    if not count:
        return texts.gettext("No alarm")
    return texts.ngettext("{n} alarm", "{n} alarms", count)


def _reference(found: Monitored, texts: Texts) -> str:
    held = found.reference
    if held is None:
        return texts.gettext("There was nothing to hold the run against.")
    day, accounts = texts.date(held.distributions.as_of), texts.number(held.distributions.accounts)
    n = texts.number(len(found.run.scores))
    if held.origin == "run":
        return texts.gettext(
            "{n} accounts of the run are held against the {accounts} of the run of {day}.",
            n=n,
            accounts=accounts,
            day=day,
        )
    return texts.gettext(
        "{n} accounts of the run are held against the {accounts} of {day} that model {model} was trained on.",
        n=n,
        accounts=accounts,
        day=day,
        model=held.name,
    )


# --- drift ------------------------------------------------------------------------------------------------------------


def _drift(drifts: Sequence[Drift], words: MonitorTexts) -> list[dict[str, Any]]:
    """Rows of the table: alarms first, then by distance over what chance shows."""
    top = max([0.1, *(d.distance for d in drifts), *(d.chance for d in drifts)])
    order = sorted(drifts, key=lambda d: (("alarm", "watch", "fine").index(d.level), -(d.distance - d.chance), d.name))
    return [_drift_row(d, top, words) for d in order]


def _drift_row(drift: Drift, top: float, words: MonitorTexts) -> dict[str, Any]:
    texts, (before, after) = words.texts, drift.missing
    title = texts.gettext(
        "{name}: {distance}, chance alone below {chance}",
        name=words.name(drift.name),
        distance=texts.percent(drift.distance),
        chance=texts.percent(drift.chance),
    )
    return {
        "name": words.name(drift.name),
        "level": drift.level,
        "word": w.word(texts, LEVEL, drift.level),
        "bar": distance_bar(drift.distance, drift.chance, top, drift.level, title),
        "distance": texts.percent(drift.distance, 1),
        "chance": texts.percent(drift.chance, 1),
        "shift": None if drift.shift is None else signed(texts, drift.shift),
        "missing": f"{texts.percent(before)} → {texts.percent(after)}",
        "adjusted": texts.number(drift.adjusted, 4),
    }


def _score(drift: Drift, words: MonitorTexts) -> dict[str, Any]:
    """The score's bins of the reference put together to about ten parts."""
    texts = words.texts
    limits, before, now = parts(drift)

    def written(value: float) -> str:
        return texts.percent(value, 1) if drift.name == "propensity" else texts.number(value)

    names = [texts.gettext("up to {limit}", limit=written(v)) for v in limits]
    names.append(texts.gettext("above {limit}", limit=written(limits[-1])) if limits else texts.gettext("all"))
    below = [written(v) if i % 3 == 1 else "" for i, v in enumerate(limits)]
    title = texts.gettext("{name}: share of accounts by value", name=words.name(drift.name))
    return {
        "name": words.name(drift.name),
        "chart": tenths_chart(now, before, below, title, _axis(texts)),
        "rows": [
            {"name": n, "before": texts.percent(b, 1), "now": texts.percent(a, 1)}
            for n, b, a in zip(names, before, now, strict=True)
        ],
    }


def parts(drift: Drift) -> tuple[list[float], list[float], list[float]]:
    """Limits between about ten parts of equal mass in the reference, and shares of reference and run in each."""
    share = np.cumsum(drift.reference.counts) / drift.reference.known
    inner = np.searchsorted(share[:-1], np.arange(1, _PARTS) / _PARTS - 1e-9)
    cuts = sorted({int(i) for i in inner if i < len(drift.reference.limits) and share[i] < 1.0})
    edges = [0, *(c + 1 for c in cuts)]
    before, now = (np.add.reduceat(d.counts, edges) / d.known for d in (drift.reference, drift.run))
    return [drift.reference.limits[c] for c in cuts], before.tolist(), now.tolist()


def _axis(texts: Texts) -> Callable[[float], str]:
    """Shares at an axis: a decimal only where a whole per cent would not be true."""
    return lambda share: texts.percent(share, 0 if abs(share * 100 - round(share * 100)) < _WHOLE else 1)


# --- realised results -------------------------------------------------------------------------------------------------


def _realised(found: Realised, texts: Texts) -> dict[str, Any]:
    row: dict[str, Any] = {
        "as_of": texts.date(found.as_of),
        "model": found.model_version,
        "complete_from": texts.date(found.complete_from),
        "mature": found.mature,
    }
    if found.mature:
        row |= {
            "observed": texts.number(found.observed),
            "open": texts.number(found.open),
            "came": texts.number(found.came),
            "foretold": texts.number(found.foretold, 1),
            "precision": _share(found.precision, texts),
            "foretold_precision": _percent(found.foretold_precision, texts),
            "at_capacity": _share(found.at_capacity, texts),
            "foretold_at_capacity": _percent(found.foretold_at_capacity, texts),
        }
    return row


def _calibration(results: Sequence[Realised], texts: Texts) -> dict[str, Any] | None:
    """Of the newest mature run."""
    judged = [r for r in results if r.mature and r.bins]
    if not judged:
        return None
    newest = max(judged, key=lambda r: r.as_of)
    title = texts.gettext("Foretold (across) and realised (up) of the run of {as_of}", as_of=texts.date(newest.as_of))
    rows = [
        {
            "foretold": texts.percent(b.foretold, 1),
            "accounts": texts.number(b.realised.of),
            "realised": _share(b.realised, texts),
        }
        for b in newest.bins
    ]
    return {"title": title, "chart": calibration_chart(newest.bins, _axis(texts), title), "rows": rows}


def _share(found: Share, texts: Texts) -> str:
    if found.value is None or found.low is None or found.high is None:
        return texts.missing
    return texts.gettext(
        "{rate} ({low} to {high}), {reached} of {of}",
        rate=texts.percent(found.value),
        low=texts.percent(found.low),
        high=texts.percent(found.high),
        reached=texts.number(found.reached),
        of=texts.number(found.of),
    )


def _percent(value: float | None, texts: Texts) -> str:
    return texts.missing if value is None else texts.percent(value)


# --- arrivals and reasons ---------------------------------------------------------------------------------------------


def _arrivals(found: Arrivals, texts: Texts) -> dict[str, Any]:
    weeks = [{"first": texts.date(x.first), "events": texts.number(x.events)} for x in found.weeks]
    title = texts.gettext("Events per week")
    line = Line(
        values=[float(x.events) for x in found.weeks],
        labels=[weeks[0]["first"], weeks[-1]["first"]] if weeks else [],
        title=title,
        description=texts.gettext("Seven days each; the last ones are those before the as-of date."),
        limit=found.low,
        limit_label=texts.gettext("least usual"),
    )
    return {
        "chart": line_chart(line, texts.short_number) if weeks else None,
        "weeks": weeks,
        "tables": [
            {
                "name": t.table,
                "newest": texts.missing if t.newest is None else texts.date(t.newest),
                "silent": texts.days(t.silent) if t.newest else texts.missing,
                "longest": texts.days(t.longest) if t.judged else texts.gettext("too few rows to tell"),
            }
            for t in found.tables
        ],
    }


def _reasons(found: Churn, words: MonitorTexts) -> dict[str, Any]:
    texts = words.texts
    nothing = texts.gettext("none")
    return {
        "rows": [
            {"name": texts.gettext("Accounts in both runs"), "value": texts.number(found.shared)},
            {"name": texts.gettext("of them with an unchanged score"), "value": texts.number(found.unchanged)},
            {"name": texts.gettext("with another main reason"), "value": _share(found.main, texts)},
            {"name": texts.gettext("of those without a changed fact"), "value": _share(found.unfounded, texts)},
            {"name": texts.gettext("Share of the top three reasons kept"), "value": _percent(found.kept, texts)},
        ],
        "swaps": [
            {
                "before": words.name(a) if a else nothing,
                "now": words.name(b) if b else nothing,
                "accounts": texts.number(n),
            }
            for a, b, n in found.swaps
        ],
    }


def render(found: Monitored, texts: Texts) -> bytes:
    """The page as one HTML file; the same result gives the same bytes."""
    manifest: Mapping[str, Any] = found.run.manifest
    return html_bytes(
        environment(texts).get_template("monitor.html.j2"),
        page=page(found, MonitorTexts(texts, manifest)),
        language=texts.language,
        company=str(manifest.get("company") or ""),
        as_of=texts.date(found.run.as_of),
        run_id=str(manifest["run_id"]),
        model_version=found.run.model_version,
        rules=manifest.get("champion_kind") == "rules",
        # There is no other page: the mark in the corner leads nowhere.
        root="#",
        style=inline(compact_css(minified_css("base.css") + minified_css("monitor.css"))),
        script=None,
    )
