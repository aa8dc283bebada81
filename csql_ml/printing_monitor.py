"""What ``csql monitor`` prints: findings as sentences, what drifted as a table, and the data behind both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from csql_ml.printing import Printed
from csql_ml.reports.catalogue import load
from csql_ml.reports.monitor_page import render
from csql_ml.reports.monitor_texts import MonitorTexts, signed
from csql_ml.reports.texts import Texts
from csql_ml.run_files import write_file

if TYPE_CHECKING:
    from csql_ml.monitoring.drift import Drift
    from csql_ml.monitoring.findings import Finding
    from csql_ml.monitoring.monitor import Monitored
    from csql_ml.monitoring.realised import Realised, Share

_MARK = {
    "alarm": "[red]alarm     [/]",
    "watch": "[yellow]watch     [/]",
    "fine": "[green]fine      [/]",
    "unknown": "not judged",
}
_ROWS = 10


def monitored(result: Monitored, page: Path | None) -> Printed:
    """Result of ``csql monitor``.

    Parameters
    ----------
    page
        Where the page was written, if it was.
    """
    texts = Texts(load("en"), str(result.run.manifest.get("currency") or "USD"))
    words = MonitorTexts(texts, result.run.manifest)
    text: list[Any] = [f"[bold]Run of {result.run.as_of.isoformat()}[/], {result.run.accounts:,} accounts"]
    text += [f"{_MARK[f.level]}  {escape(words.sentence(f))}" for f in result.findings]
    if result.drift:
        text += ["", _drift(result, words)]
    if page is not None:
        text.append(f"page written to {escape(str(page))}")
    return Printed(text, _data(result, words, page))


def _drift(result: Monitored, words: MonitorTexts) -> Table:
    """What moved furthest beyond chance."""
    table = Table(
        title="Furthest from the reference",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for i, name in enumerate(("", "distance", "chance below", "mean, sd", "p, over all", "")):
        table.add_column(name, justify="left" if i in (0, 5) else "right", overflow="fold")
    order = sorted(result.drift, key=lambda d: (d.chance - d.distance, d.name))
    for d in order[:_ROWS]:
        shift = "-" if d.shift is None else signed(words.texts, d.shift)
        row = (words.name(d.name), f"{d.distance:.1%}", f"{d.chance:.1%}", shift, f"{d.adjusted:.4f}")
        table.add_row(*map(escape, row), "" if d.level == "fine" else _MARK[d.level])
    return table


def write_page(result: Monitored, path: Path, language: str) -> None:
    """Write the page.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    content = render(result, Texts(load(language), str(result.run.manifest.get("currency") or "USD")))
    write_file(path, lambda draft: draft.write_bytes(content))


# --- data -------------------------------------------------------------------------------------------------------------


def _data(result: Monitored, words: MonitorTexts, page: Path | None) -> dict[str, Any]:
    held = result.reference
    return {
        "run_id": result.run.manifest["run_id"],
        "as_of": result.run.as_of.isoformat(),
        "now": None if result.now is None else result.now.isoformat(),
        "accounts": result.run.accounts,
        "looked_at": len(result.run.scores),
        "alarms": len(result.alarms),
        "findings": [_finding(f, words) for f in result.findings],
        "reference": None
        if held is None
        else {
            "origin": held.origin,
            "name": held.name,
            "accounts": held.distributions.accounts,
            "as_of": held.distributions.as_of.isoformat(),
        },
        "drift": [_drift_data(d) for d in result.drift],
        "realised": [_realised_data(r) for r in result.realised],
        "arrivals": None if result.arrivals is None else _plain(asdict(result.arrivals)),
        "reasons": None
        if result.churn is None
        else _plain(asdict(result.churn))
        | {"main": _share(result.churn.main), "unfounded": _share(result.churn.unfounded)},
        "page": None if page is None else str(page),
    }


def _finding(finding: Finding, words: MonitorTexts) -> dict[str, Any]:
    return {
        "code": finding.code,
        "level": finding.level,
        "subject": finding.subject,
        "values": _plain(finding.values),
        "sentence": words.sentence(finding),
    }


def _drift_data(drift: Drift) -> dict[str, Any]:
    names = ("kind", "name", "level", "what", "distance", "chance", "shift", "p_value", "p_missing", "adjusted")
    missing = dict(zip(("reference", "run"), drift.missing, strict=True))
    return {**{n: getattr(drift, n) for n in names}, "missing": missing}


def _realised_data(found: Realised) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(asdict(found))
    shares = {name: _share(getattr(found, name)) for name in ("overall", "precision", "at_capacity")}
    bins = [{"foretold": b.foretold, "realised": _share(b.realised)} for b in found.bins]
    return {**plain, **shares, "bins": bins}


def _share(share: Share) -> dict[str, Any]:
    return {**asdict(share), "value": share.value}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.isoformat() if isinstance(value, date) else value
