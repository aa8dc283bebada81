"""What ``csql measure`` and ``csql poc`` print: text for people and the data behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from csql_ml.outcomes.effects import RATE
from csql_ml.outcomes.figures import Amount, Median, Rate
from csql_ml.outcomes.words import sentences, verdicts
from csql_ml.printing import Printed

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.outcomes.measure import Line, Measured
    from csql_ml.outcomes.plan_file import Plan
    from csql_ml.outcomes.uplift import Uplift

_SPLITS = {
    "quarter": "By quarter",
    "type": "By lead type",
    "band": "By score band",
    "version": "By champion version",
    "csm": "By CSM",
}
_HEAD = ("", "leads", "accepted", "opport.", "won", "net-new", "cycle", "ARR won", "share", "NRR", "without")
_STANDING = {"met": "[green]met[/]", "missed": "[red]missed[/]", "too early": "[yellow]too early[/]", "no data": "-"}
_FIGURES = {
    "accepted": "accepted",
    "opportunity": "to opportunity",
    "won": "won",
    "cycle": "median cycle",
    "expansion_share": "share of expansion ARR",
}


def measured(result: Measured, config: Config) -> Printed:
    """Result of ``csql measure``."""
    currency, level = config.company.currency, f"{config.outcomes.confidence:.0%}"
    scope = f"leads of {result.quarter}" if result.quarter else "all leads"
    text: list[Any] = [
        _benchmarks(f"Funnel of {scope}, known before {result.as_of.isoformat()}", result, config),
        "",
        *(escape(s) for s in sentences(result, config)),
    ]
    for split, title in _SPLITS.items():
        if result.splits[split]:
            head = [h if h != "ARR won" else f"k{currency} won" for h in _HEAD]
            body = [_line(line) for line in result.splits[split]]
            text += ["", *_filled(f"{title} (rate and {level} interval)", head, body)]
    text += _portfolios(result, level)
    text += _reasons(result)
    text += ["", *(f"[bold]note:[/] {escape(note)}" for note in result.notes)] if result.notes else []
    return Printed(text, _data(result, config))


def _benchmarks(title: str, result: Measured, config: Config) -> Table:
    line = result.total
    values = {stage: _rate(found) for stage, found in line.stages.items()}
    values |= {"cycle": _median(line.cycle), "expansion_share": _share(line.expansion_share)}
    rows = []
    for v in verdicts(result, config):
        most = v.name == "cycle"
        limit = f"<= {v.benchmark:.0f} days" if most else f">= {v.benchmark:.0%}"
        chance = "" if v.sure or v.standing not in ("met", "missed") else " (by chance?)"
        rows.append((_FIGURES[v.name], values[v.name], limit, _STANDING[v.standing] + chance))
    return _table(title, ("figure", "value and interval", "benchmark", ""), rows, left=1, marked=True)


def _line(line: Line) -> tuple[str, ...]:
    kept = line.retention
    return (
        line.name,
        f"{line.created:,}",
        *(_rate(line.stages[stage]) for stage in ("accepted", "opportunity", "won")),
        "" if line.net_new is None or line.net_new.value is None else f"{line.net_new.value:.0%}",
        _median(line.cycle),
        _money(line.arr_won),
        _share(line.expansion_share),
        "" if kept is None else _percent(kept.with_csql),
        "" if kept is None else _percent(kept.without_csql),
    )


def _rate(found: Rate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "-"
    most = f"..{found.most:.0%}" if f"{found.most:.0%}" != f"{found.value:.0%}" else ""
    return f"{found.value:.0%}{most} ({found.low * 100:.0f}-{found.high * 100:.0f})"


def _median(found: Median) -> str:
    if not found.ended + found.open:
        return "-"
    if found.value is None:
        return "not reached"
    low, high = ("?" if end is None else f"{end:.0f}" for end in (found.low, found.high))
    return f"{found.value:.0f} d ({low}-{high})"


def _money(found: Amount) -> str:
    if found.value is None:
        return "-"
    low, high = found.low, found.high
    return f"{found.value / 1e3:,.0f}" + (
        "" if low is None or high is None else f" ({low / 1e3:,.0f}-{high / 1e3:,.0f})"
    )


def _share(found: Amount | None) -> str:
    if found is None or found.value is None:
        return ""
    return f"{found.value:.0%}" + (
        "" if found.low is None or found.high is None else f" ({found.low * 100:.0f}-{found.high * 100:.0f})"
    )


def _percent(found: Amount) -> str:
    return "" if found.value is None else f"{found.value:.1%}"


def _portfolios(result: Measured, level: str) -> list[Any]:
    if not result.csms:
        return []
    rows = [
        (
            c.csm,
            c.stage,
            f"{c.decided.created:,}",
            _rate(c.decided),
            "-" if c.expected is None else f"{c.expected:.0%}",
            "-" if c.difference is None else f"{c.difference * 100:+.0f}",
            c.finding,
        )
        for c in result.csms
    ]
    bases = " / ".join(sorted({c.basis for c in result.csms}))
    title = f"CSMs against what the team makes of leads like theirs (by {bases}; {level}, Holm)"
    head = ("CSM", "stage", "decided", "rate", "expected", "points", "difference is")
    return ["", _table(title, head, rows, left=2)]


def _reasons(result: Measured) -> list[Any]:
    if not result.rejections:
        return []
    rows = [
        (r.name.replace("_", " "), f"{r.share.reached:,}", _rate(r.share), r.fix or "-", r.proposal)
        for r in result.rejections
    ]
    texts = [t for r in result.rejections for t in r.texts]
    told = [f"most frequent texts without a type: {escape('; '.join(texts))}"] if texts else []
    return ["", _table("Why leads were rejected", ("reason", "leads", "share", "fix", "proposal"), rows, 1), *told]


def _filled(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Table]:
    """A table without the columns in which no row has anything."""
    used = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    return [_table(title, [head[i] for i in used], [[row[i] for i in used] for row in rows], 1)]


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], left: int, *, marked: bool = False) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    last = len(head) - 1
    for i, column in enumerate(head):
        words = column in ("", "difference is", "fix", "proposal") or i < left
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell if marked and i == last else escape(cell) for i, cell in enumerate(row)))
    return table


# --- data -------------------------------------------------------------------------------------------------------------


def _data(result: Measured, config: Config) -> dict[str, Any]:
    return {
        "as_of": result.as_of.isoformat(),
        "quarter": result.quarter,
        "confidence": config.outcomes.confidence,
        "currency": config.company.currency,
        "benchmarks": [asdict(v) for v in verdicts(result, config)],
        "total": _line_data(result.total),
        "splits": {name: [_line_data(line) for line in lines] for name, lines in result.splits.items()},
        "csms": [{**asdict(c), "decided": _rate_data(c.decided), "difference": c.difference} for c in result.csms],
        "rejections": [{**asdict(r), "share": _rate_data(r.share), "texts": list(r.texts)} for r in result.rejections],
        "sentences": list(sentences(result, config)),
        "notes": list(result.notes),
        "note_messages": [{"message": n.message, "values": dict(n.values)} for n in result.notes],
        "cycle_curve": [asdict(step) for step in result.cycle_curve],
    }


def _line_data(line: Line) -> dict[str, Any]:
    kept = line.retention
    period = None if kept is None else {"start": kept.period.start.isoformat(), "end": kept.period.end.isoformat()}
    return {
        "name": line.name,
        "created": line.created,
        "stages": {stage: _rate_data(found) for stage, found in line.stages.items()},
        "net_new": None if line.net_new is None else _rate_data(line.net_new),
        "cycle_days": asdict(line.cycle),
        "arr_won": asdict(line.arr_won),
        "expansion_share": None if line.expansion_share is None else asdict(line.expansion_share),
        "retention": None if kept is None else {**asdict(kept), "period": period},
    }


def _rate_data(found: Rate) -> dict[str, Any]:
    return {**asdict(found), "value": found.value, "most": found.most}


# --- proof of concept -------------------------------------------------------------------------------------------------


def planned(plan: Plan, out: Path) -> Printed:
    """Result of ``csql poc plan``."""
    arms: dict[str, list[int]] = {}
    for unit in plan.units:
        arms.setdefault(str(unit["stratum"]), [0, 0])[0 if unit["worked"] else 1] += 1
    rows = [(f"size {int(s) + 1} of {len(arms)}", f"{a:,}", f"{b:,}") for s, (a, b) in sorted(arms.items())]
    title = f"Experiment {plan.name}: {plan.start.isoformat()} up to {plan.end.isoformat()}, by {plan.unit}"
    text: list[Any] = [
        _table(title, ("accounts", "worked", "held out"), rows, 1),
        "",
        *(escape(s) for s in plan.sentences),
        f"plan {plan.fingerprint[:12]} written to {escape(str(out))}; keep it as it is, csql poc read needs it",
    ]
    return Printed(text, {"out": str(out), "fingerprint": plan.fingerprint, **_plain_plan(plan)})


def _plain_plan(plan: Plan) -> dict[str, Any]:
    plain = {k: v.isoformat() if isinstance(v, date) else v for k, v in asdict(plan).items()}
    return {**plain, "units": [dict(u) for u in plan.units], "sentences": list(plan.sentences)}


def read(result: Uplift) -> Printed:
    """Result of ``csql poc read``."""
    rows = [
        (
            e.outcome,
            _level(e.worked, e.outcome),
            _level(e.held_out, e.outcome),
            "-" if e.difference is None else _difference(e.difference, e.outcome),
            "-"
            if e.low is None or e.high is None
            else f"{_difference(e.low, e.outcome)} to {_difference(e.high, e.outcome)}",
            f"{e.units[0]:,} / {e.units[1]:,}",
            e.method,
        )
        for e in result.effects
    ]
    plan = result.plan
    title = f"Experiment {plan.name}: {plan.start.isoformat()} up to {plan.complete_from.isoformat()}, by {plan.unit}"
    head = ("outcome", "worked", "held out", "difference", f"{plan.confidence:.0%} interval", "units", "method")
    text = [_table(title, head, rows, 1), "", *(escape(s) for s in result.sentences)]
    return Printed(text, _read_data(result))


def _level(value: float | None, outcome: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if outcome.startswith("ARR") else f"{value:.1%}"


def _difference(value: float, outcome: str) -> str:
    return f"{value:+,.0f}" if outcome.startswith("ARR") else f"{value * 100:+.1f} points"


def _read_data(result: Uplift) -> Mapping[str, Any]:
    return {
        "experiment": result.plan.name,
        "fingerprint": result.plan.fingerprint,
        "as_of": result.as_of.isoformat(),
        "primary": RATE,
        "verdict": result.verdict,
        "effects": [{**asdict(e), "units": list(e.units), "tells": e.tells} for e in result.effects],
        "accounts": list(result.accounts),
        "worked_leads": result.worked_leads,
        "held_out_leads": result.held_out_leads,
        "sentences": list(result.sentences),
    }
