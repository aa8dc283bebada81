"""What commands print: for people as Rich tables and lines, for machines as JSON-able data. No decisions here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

    from csql_ml.config import Config
    from csql_ml.demo import Demo
    from csql_ml.model.guards import Skew
    from csql_ml.model.saving import Training
    from csql_ml.model.training import Trained
    from csql_ml.model.verdict import Verdict
    from csql_ml.pipeline import Checked, FeatureTable, Run
    from csql_ml.reports import ReportSummary
    from csql_ml.simulate import Summary

_STATUS = {"qualified": "qualified", "not_yet": "not yet", "held_for_risk": "held for risk", "ineligible": "ineligible"}
_FIGURES = {
    "roc_auc": ("ROC-AUC", 3),
    "average_precision": ("average precision", 3),
    "log_loss": ("log loss", 4),
    "brier": ("Brier score", 4),
    "ece": ("calibration error (ECE)", 3),
    "precision_at_k": ("precision at capacity", 3),
    "arr_at_k": ("ARR at capacity, thousands", 0),
    "arr_share_at_k": ("share of won ARR at capacity", 3),
}
_TOP = 5
#: Events older than this many days before the as-of date are worth a warning.
FRESH_DAYS = 7


@dataclass(frozen=True)
class Printed:
    """One result in both forms."""

    text: Sequence[Any]
    data: Mapping[str, Any]


def titled_table(title: str, *columns: str, rows: Iterable[Sequence[Any]], left: int | None = 1) -> Table:
    """A table for the terminal.

    Parameters
    ----------
    left
        How many columns stand to the left, the others to the right; None: all of them.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if left is None or i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def simulation(summary: Summary, out: Path, config: Path) -> Printed:
    """Result of ``csql simulate``."""
    rows = dict(summary.rows)
    text = [
        titled_table("Simulated tables", "table", "rows", rows=[(n, f"{c:,}") for n, c in rows.items()]),
        "",
        f"written to {escape(str(out))}; next: csql train -c {escape(str(config))}",
    ]
    return Printed(text, {"out": str(out), "config": str(config), "rows": rows})


def checked(result: Checked) -> Printed:
    """Result of ``csql check``."""
    counts = [
        (t["table"], f"{t['read']:,}", f"{t['kept']:,}", f"{t['quarantined']:,}")
        if t["mapped"]
        else (t["table"], *"---")
        for t in result.tables
    ]
    problems = [
        (_where(t["table"], p["column"]), p["message"], p["action"], f"{p['rows']:,}", ", ".join(p["examples"][:3]))
        for t in result.tables
        for p in t["problems"]
    ]
    text: list[Any] = [titled_table("Input tables", "table", "read", "kept", "quarantined", rows=counts)]
    if problems:
        text += ["", titled_table("Problems", "where", "what", "action", "rows", "for example", rows=problems, left=3)]
    if result.absent:
        text += ["", f"not mapped: {', '.join(result.absent)}"]
    if result.unavailable:
        lost = [(name, "; ".join(why)) for name, why in result.unavailable.items()]
        text += ["", titled_table("Metrics that lose something", "metric", "why", rows=lost, left=2)]
    text += ["", "[bold]" + escape(f"stop: {result.broken}" if result.broken else "ok: the job can run") + "[/bold]"]
    data = {
        "ok": result.broken is None,
        "broken": result.broken,
        "tables": result.tables,
        "absent": list(result.absent),
        "unavailable": {k: list(v) for k, v in result.unavailable.items()},
    }
    return Printed(text, data)


def _where(table: str, column: str) -> str:
    return f"{table}.{column}" if column else table


def feature_table(written: FeatureTable, out: Path) -> Printed:
    """Result of ``csql features``."""
    dates = {day.isoformat(): count for day, count in written.rows.items()}
    text = [
        titled_table("Feature table", "as of", "accounts", rows=[(d, f"{n:,}") for d, n in dates.items()]),
        "",
        f"{len(written.columns)} columns written to {escape(str(out))}",
    ]
    return Printed(text, {"out": str(out), "rows": dates, "columns": list(written.columns)})


def plan(steps: Sequence[tuple[str, str]]) -> Printed:
    """Result of ``csql features --explain-plan``: every step's name and SQL, in the order they are computed."""
    text: list[Any] = []
    for name, sql in steps:
        text += [Text(f"-- {name}", style="bold"), Text(sql), ""]
    return Printed(text, {"steps": [{"step": name, "sql": sql} for name, sql in steps]})


def verdict_table(verdict: Verdict) -> Table:
    """Model, logistic regression and baseline side by side, with 90 % intervals."""
    rows = verdict.table()
    judged = list(dict.fromkeys(r["judged"] for r in rows))
    cells = {(r["judged"], r["figure"]): r for r in rows}
    body = []
    for figure, (label, digits) in _FIGURES.items():
        values = [cells.get((name, figure)) for name in judged]
        if any(values):
            body.append((label, *(_estimate(v, digits, 1e3 if figure == "arr_at_k" else 1.0) for v in values)))
    if verdict.figures is not None:
        tops = [verdict.figures.lift[name][0] for name in judged]
        body.append(("lift of the top tenth", *(_estimate(_lift(top), 2) for top in tops)))
    return titled_table("Verdict (value and 90 % interval)", "figure", *judged, rows=body)


def _lift(top: Mapping[str, float]) -> dict[str, float | None]:
    values = {"value": top["lift"], "low": top["lift_low"], "high": top["lift_high"]}
    return {k: v if isfinite(v) else None for k, v in values.items()}


def _estimate(row: Mapping[str, Any] | None, digits: int, scale: float = 1.0) -> str:
    if row is None or row["value"] is None:
        return "-"
    value, low, high = (None if row[k] is None else f"{row[k] / scale:,.{digits}f}" for k in ("value", "low", "high"))
    return f"{value} ({low} to {high})" if low is not None and high is not None else str(value)


def training(result: Training) -> Printed:
    """Result of ``csql train``."""
    trained = result.trained
    funnel = trained.label_funnel
    columns = ["positive", "negative", "open", "unobserved"]
    text: list[Any] = [
        titled_table("Labels", "as of", *columns, rows=funnel[["as_of", *columns]].astype(str).to_numpy().tolist()),
        "",
    ]
    if trained.verdict.figures is not None:
        text += [verdict_table(trained.verdict), ""]
    text += [escape(trained.paragraph()), ""]
    if trained.maturity is not None:
        text += [f"[bold]maturity:[/bold] {escape(str(trained.maturity))}", ""]
    if trained.tuning is not None:
        text += [f"[bold]tuning:[/bold] {escape(trained.tuning.sentence())}", ""]
    if trained.calibration is not None and trained.calibration.applied:
        text += [f"[bold]calibration:[/bold] {escape(trained.calibration.sentence())}", ""]
    text += [*_steps(result), *suspects(trained, "csql train"), *_where_champion(result)]
    data = {
        "now": result.now.isoformat(),
        "champion": trained.champion.kind,
        "model_version": trained.champion.model_version,
        "promoted": trained.promoted,
        "verdict": trained.verdict.to_dict(),
        "succession": trained.succession.to_dict() if trained.succession else None,
        "labels": [{k: str(v) if k == "as_of" else v for k, v in row.items()} for row in _plain_rows(funnel)],
        "maturity": trained.maturity.to_dict() if trained.maturity is not None else None,
        "tuning": trained.tuning.to_dict() if trained.tuning is not None else None,
        "calibration": trained.calibration.to_dict() if trained.calibration is not None else None,
        "suspects": [s.to_dict() for s in trained.suspects],
        "excluded": list(trained.excluded),
        "selection": trained.selection.to_dict() if trained.selection else None,
        "bundle": str(result.bundle),
        "card": str(result.card),
        "report": str(result.report) if result.report else None,
        "mlflow_run": result.mlflow.run_id if result.mlflow else None,
        "mlflow_version": result.mlflow.model_version if result.mlflow else None,
    }
    return Printed(text, data)


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with Python numbers; missing becomes None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()} for row in rows]


def _steps(result: Training) -> list[str]:
    """Who was worked, accepted and won, in one line; and how a correction for it would change the headline."""
    found = result.trained.selection
    if found is None or not found.steps:
        return []
    words = {"worked": "worked", "accepted": "accepted of worked", "won": "won of accepted"}
    rates = [
        f"{words[s.step]} {'not known' if s.value is None else f'{s.value:.0%}'} (open: {s.open:,})"
        for s in found.steps
    ]
    lines = [f"accounts    {', '.join(rates)}"]
    if "model" in found.figures:
        worked, everybody = found.figures["model"]["rate"]
        done = "weighted in training" if found.applied else "not corrected for"
        lines.append(
            f"selection   rate among worked accounts {worked:.1%}, weighted to all accounts {everybody:.1%} ({done})"
        )
    return [*lines, ""]


def suspects(trained: Trained, command: str) -> list[str]:
    """Columns that may know the outcome, and what became of them; ``command`` trains without them."""
    if not trained.suspects:
        return []
    left = f"left out: {', '.join(trained.excluded)}" if trained.excluded else f"{command} --strict leaves them out"
    return [*(f"[bold]suspect:[/bold] {escape(s.sentence)}" for s in trained.suspects), escape(left), ""]


def _where_champion(result: Training) -> list[str]:
    lines = [f"champion    {escape(str(result.bundle))}", f"model card  {escape(str(result.card))}"]
    if result.report is not None:
        lines.append(f"model page  {escape(str(result.report))}")
    if result.mlflow is not None:
        lines.append(f"MLflow      version {result.mlflow.model_version} of the registered model")
    return lines


def run(result: Run) -> Printed:
    """Result of ``csql score``."""
    counts = result.manifest["counts"]
    text = [
        _top_leads(result) if result.leads else _nobody(result),
        "",
        "  ".join(f"{_STATUS[s]}: {counts.get(s, 0):,}" for s in _STATUS),
        f"run {result.manifest['run_id']} written to {escape(str(result.out))}",
        *_stale(result.manifest),
        *_skew(result.skew),
    ]
    skew = None if result.skew is None else result.skew.to_dict()
    return Printed(text, {"out": str(result.out), **result.manifest, "skew": skew})


def _skew(skew: Skew | None) -> list[str]:
    """Columns with other values than in training, and what that means for the propensities."""
    if skew is None or not skew.suspects:
        return []
    more = len(skew.suspects) - _TOP
    return [
        *(f"[bold]suspect:[/bold] {escape(s.sentence)}" for s in skew.suspects[:_TOP]),
        *([f"and {more} more columns" if more > 1 else "and 1 more column"] if more > 0 else []),
        *([f"[bold]warning:[/bold] {escape(skew.sentence)}"] if skew.sentence else []),
    ]


def _nobody(result: Run) -> str:
    """Why there is no lead: what the accounts that are not held back lack most often."""
    waiting = result.scores[result.scores["status"] == "not_yet"]
    failed = waiting["failed_gates"].str.split(",").explode()
    counts = failed[failed != ""].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    gates = ", ".join(f"{str(gate).replace('_', ' ')} ({n:,})" for gate, n in counts.items())
    below = f"; score below the threshold only: {int((waiting['failed_gates'] == '').sum()):,}"
    return (
        f"No account is qualified. Gates not passed by the {len(waiting):,} that are not yet: {gates or 'none'}{below}"
    )


def _stale(manifest: Mapping[str, Any]) -> list[str]:
    """A word of warning where the newest event is much older than the as-of date."""
    newest = manifest.get("newest_event")
    if newest is None or (date.fromisoformat(manifest["as_of"]) - date.fromisoformat(newest)).days <= FRESH_DAYS:
        return []
    return [f"[bold]note:[/bold] the newest event is of {newest}; recent usage may not have arrived yet"]


def _top_leads(result: Run) -> Table:
    rows = [
        (
            lead["account_name"] or lead["account_id"],
            lead["account_id"],
            (lead["lead_type"] or "-").replace("_", "-"),
            lead["product"] or "-",
            (lead["trigger_event"] or {}).get("metric", "-").replace("_", " "),
            f"{lead['propensity']:.1%}",
            f"{lead['baseline_score']:.0f}",
            _money(lead["expected_arr"], lead["currency"]),
        )
        for lead in result.leads[:_TOP]
    ]
    columns = ("account", "id", "type", "product", "trigger", "propensity", "score", "expected ARR")
    return titled_table(f"Top leads ({len(result.leads)} qualified)", *columns, rows=rows, left=5)


def _money(amount: float | None, currency: str) -> str:
    return "-" if amount is None else f"{amount:,.0f} {currency}"


def site(summary: ReportSummary) -> Printed:
    """Result of ``csql report``."""
    return Printed(
        [f"{summary.pages:,} pages; open {escape(str(summary.index))}"],
        {"pages": summary.pages, "index": str(summary.index)},
    )


def account(record: Mapping[str, Any], manifest: Mapping[str, Any], config: Config) -> Printed:
    """Result of ``csql explain``: the account page's facts in the terminal."""
    from csql_ml.printing_account import account_text

    return Printed(account_text(record, manifest, config), {"run_id": manifest["run_id"], "account": dict(record)})


def demo(result: Demo) -> Printed:
    """Result of ``csql demo``."""
    trained, scored, summary = training(result.training), run(result.run), site(result.report)
    text = [
        verdict_table(result.training.trained.verdict),
        "",
        escape(result.training.trained.paragraph()),
        "",
        *scored.text[:3],
        "",
        "[bold]Where to look[/bold]",
        f"report      {escape(str(result.report.index))}",
        f"lead file   {escape(str(result.run.out / 'leads.jsonl'))}",
        f"scores      {escape(str(result.run.out / 'scores.parquet'))}",
        *_where_champion(result.training),
        f"config      {escape(str(result.config))}",
    ]
    return Printed(text, {"training": trained.data, "run": scored.data, "report": summary.data})
