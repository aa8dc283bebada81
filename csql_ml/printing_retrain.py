"""What ``csql retrain`` prints: text for people and the data behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from csql_ml.metrics import metrics_of
from csql_ml.printing import Printed, suspects, titled_table
from csql_ml.retraining.words import judged_name, label, sentences

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.metrics.definition import Metric
    from csql_ml.model.figures import Estimate
    from csql_ml.model.promotions import Change, Promotions
    from csql_ml.model.succession import Trial
    from csql_ml.retraining.churn import Churn, Entered
    from csql_ml.retraining.retrain import Retrained

_FIGURES = {
    "log_loss": ("log loss (less is better)", 4),
    "brier": ("Brier score (less is better)", 4),
    "roc_auc": ("ROC-AUC", 3),
    "average_precision": ("average precision", 3),
    "ece": ("calibration error (less is better)", 3),
    "precision_at_k": ("precision at capacity", 3),
    "arr_share_at_k": ("share of won ARR at capacity", 3),
}
#: Accounts that came in, shown at most.
_SHOWN = 10


def retrained(result: Retrained, config: Config) -> Printed:
    """Result of ``csql retrain``."""
    metrics = metrics_of(config)
    said = list(sentences(result, metrics))
    text: list[Any] = []
    if result.trial is not None and result.trial.figures:
        text += [_trial(result.trial), ""]
    if result.churn is not None and result.churn.changed:
        text += [_entered(result.churn, metrics), ""]
    text += [escape(sentence) for sentence in said]
    if result.training is not None:
        text += ["", *suspects(result.training.trained, "csql retrain"), *_files(result)]
    return Printed(text, _data(result, said))


def _trial(trial: Trial) -> Table:
    figures = trial.figures["baseline"]
    names = list(figures.of)
    head = ["figure", *(judged_name(n) for n in names)]
    paired = [(n, "champion") for n in names if "champion" in trial.figures and n == "challenger"]
    paired += [("champion" if paired else "challenger", "baseline")]
    head += [f"{judged_name(n)} minus {judged_name(r)}" for n, r in paired]
    rows = [
        [
            title,
            *(_estimate(figures.of[n][figure], digits) for n in names),
            *(_estimate(trial.figures[r].gain[n][figure], digits, "+") for n, r in paired),
        ]
        for figure, (title, digits) in _FIGURES.items()
    ]
    outcomes = f"{trial.judged:,} outcomes, {trial.positives:,} positive"
    title = f"Judged on the snapshot of {trial.quarter.isoformat()} ({outcomes}; 90 % intervals)"
    return titled_table(title, *head, rows=rows, left=None)


def _estimate(estimate: Estimate, digits: int, sign: str = "") -> str:
    if not isfinite(estimate.value):
        return "-"
    value, low, high = (f"{v:{sign}.{digits}f}" for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def _entered(churn: Churn, metrics: Mapping[str, Metric]) -> Table:
    why = {"data": "new data", "model": "new model", "new": "could not be a lead then"}
    rows = [
        [
            e.account_id,
            str(e.rank),
            "-" if e.old_rank is None else str(e.old_rank),
            why[e.cause],
            _moved(e, metrics),
        ]
        for e in churn.entered[:_SHOWN]
    ]
    more = f", the first {_SHOWN} of {churn.changed:,}" if churn.changed > _SHOWN else ""
    title = f"New among the top {churn.top:,} of {churn.new_day}{more}"
    head = ("account", "rank", f"rank of {churn.old_day}", "because of", "most of all")
    return titled_table(title, *head, rows=rows, left=None)


def _moved(entered: Entered, metrics: Mapping[str, Metric]) -> str:
    if entered.metric is None or entered.points is None:
        return ""
    return f"{label(entered.metric, metrics)} ({100 * entered.points:+.1f} points)"


def _files(result: Retrained) -> list[str]:
    training = result.training
    if training is None:
        return []
    lines = [f"in force    {escape(str(training.bundle))} ({result.change.action.replace('_', ' ')})"]
    if result.change.challenger is not None:
        lines.append(f"challenger  {escape(str(training.bundle.with_name(result.change.challenger)))}")
    lines.append(f"model card  {escape(str(training.card))}")
    if training.report is not None:
        lines.append(f"model page  {escape(str(training.report))}")
    if training.mlflow is not None:
        lines.append(f"MLflow      run {training.mlflow.run_id}, version {training.mlflow.model_version} in force")
    return [*lines, "undo        csql retrain --rollback"] if result.change.action != "keep" else lines


def _data(result: Retrained, said: Sequence[str]) -> dict[str, Any]:
    training, mature = result.training, result.mature
    trained = training.trained if training is not None else None
    return {
        "as_of": result.now.isoformat(),
        "quarter": mature.name,
        "snapshot": mature.quarter.isoformat(),
        "complete_from": mature.complete_from.isoformat(),
        "still_open": result.still_open,
        "next_snapshot": mature.following.isoformat() if mature.following else None,
        "next_complete_from": mature.following_from.isoformat() if mature.following_from else None,
        "unchanged": training is None,
        "in_force": result.in_force,
        "decision": asdict(result.change),
        "promoted": trained.promoted if trained else False,
        "champion_before": result.before.model_version if result.before else None,
        "champion": trained.champion.model_version if trained else None,
        "kind": trained.champion.kind if trained else None,
        "verdict": trained.verdict.to_dict() if trained else None,
        "succession": trained.succession.to_dict() if trained and trained.succession else None,
        "trial": result.trial.to_dict() if result.trial else None,
        "suspects": [s.to_dict() for s in trained.suspects] if trained else [],
        "excluded": list(trained.excluded) if trained else [],
        "told_from": result.told_from.isoformat() if result.told_from else None,
        "churn": _churn(result.churn),
        "challenger_would_change": _churn(result.would_change),
        "bundle": str(training.bundle) if training else None,
        "card": str(training.card) if training else None,
        "report": str(training.report) if training and training.report else None,
        "mlflow_run": training.mlflow.run_id if training and training.mlflow else None,
        "sentences": list(said),
    }


def _churn(churn: Churn | None) -> dict[str, Any] | None:
    if churn is None:
        return None
    plain = {**asdict(churn), "entered": [asdict(e) for e in churn.entered], "changed": churn.changed}
    return {**plain, "by": {"data": churn.count("data"), "model": churn.count("model"), "new": churn.count("new")}}


def rolled_back(change: Change) -> Printed:
    """Result of ``csql retrain --rollback``."""
    text = [
        f"{escape(change.after)} is in force again; {escape(str(change.before))} is not any more",
        "what was scored with it stays as it is: score and push again",
    ]
    return Printed(text, asdict(change))


def history(known: Promotions) -> Printed:
    """Result of ``csql retrain --history``."""
    rows = [
        [
            e.as_of or "-",
            e.quarter or "-",
            e.action.replace("_", " "),
            e.before or "-",
            e.after,
            _first_sentence(e.sentence),
        ]
        for e in known.entries
    ]
    head = ["as of", "quarter", "decision", "before", "in force", "why"]
    text: list[Any] = [titled_table("Champions so far", *head, rows=rows, left=None)]
    if known.under_way is not None:
        text += ["", f"under way, finished by the next command: {escape(known.under_way.after)}"]
    under_way = asdict(known.under_way) if known.under_way else None
    return Printed(text, {"entries": [asdict(e) for e in known.entries], "under_way": under_way})


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".") + "."
