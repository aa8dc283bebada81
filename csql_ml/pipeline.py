"""The main job, step by step: check, features, train, score, explain.

Reads like the diagram in docs/architecture.md; each step's arithmetic lives in the module it is named after.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from csql_ml.baseline.hypothesis import hypotheses
from csql_ml.batch_run import (
    about_run,
    dossier_of,
    input_fingerprint,
    part_of,
    reference_places,
    run_id_of,
    write_run,
)
from csql_ml.company import Company, Progress, open_company, open_inputs
from csql_ml.config import Config
from csql_ml.contract.report import Inputs, summary_rows
from csql_ml.errors import ContractError, OutputError, TrainingError
from csql_ml.explain.evidence import source_of
from csql_ml.handoff.lead import lead_of
from csql_ml.labels import COLUMNS as LABEL_COLUMNS
from csql_ml.metrics import metrics_of
from csql_ml.metrics.compiler import Available, unavailable_measures
from csql_ml.metrics.faces import own_faces
from csql_ml.model import bundle as bundles
from csql_ml.model import promotions
from csql_ml.model.bundle import Champion
from csql_ml.model.checked_training import checked_training
from csql_ml.model.distributions import column_values
from csql_ml.model.guards import Skew, skewed
from csql_ml.model.money import HYPOTHESIS
from csql_ml.model.saving import Training, champion_in_force, refused, save_champion
from csql_ml.model.training import train
from csql_ml.model.training_data import TrainingData
from csql_ml.model.tuning import Budget
from csql_ml.model_report import model_report
from csql_ml.run_files import read_manifest, write_file, write_folder, write_parquet_parts
from csql_ml.scoring import QUALIFIED, score_snapshot
from csql_ml.snapshots import Snapshot

# --- check ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """Result of `check`.

    Attributes
    ----------
    tables
        One plain dict per table: name, read, kept, quarantined and its problems.
    unavailable
        Per metric that loses something: why.
    broken
        The message of the first problem that stops the job, or None.
    """

    tables: list[dict[str, Any]]
    absent: tuple[str, ...]
    unavailable: dict[str, tuple[str, ...]]
    broken: str | None


def check(config: Config, quarantine: Path | None = None) -> Checked:
    """Validate the inputs and say what is wrong and what it costs."""
    with open_inputs(config, quarantine) as inputs:
        available = Available(present=inputs.present_columns, config=config)
        metrics = [m for m in metrics_of(config).values() if not _excluded(m.name, config)]
        return Checked(
            tables=summary_rows(inputs),
            absent=inputs.absent,
            unavailable=unavailable_measures(metrics, available),
            broken=_broken(inputs),
        )


def _broken(inputs: Inputs) -> str | None:
    try:
        inputs.stop_if_broken()
    except ContractError as error:
        return str(error)
    return None


def _excluded(name: str, config: Config) -> bool:
    settings = config.metrics.get(name)
    return settings is not None and settings.exclude


# --- features ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FeatureTable:
    """Result of `features`: accounts per date, and the columns written."""

    rows: dict[date, int]
    columns: tuple[str, ...]


def features(config: Config, as_of: Sequence[date], out: Path, on_progress: Progress | None = None) -> FeatureTable:
    """Write the feature table of one or more dates to a Parquet file, snapshot by snapshot."""
    if out.suffix != ".parquet":
        raise OutputError(f"{out} must end in .parquet")
    rows: dict[date, int] = {}
    with open_company(config, on_progress=on_progress) as company:
        if config.engine == "spark":
            from csql_ml.spark_scoring import features_on_spark

            rows = features_on_spark(company, as_of, out, on_progress)
            return FeatureTable(rows, tuple(pq.read_schema(out).names))

        def frames() -> Iterator[pd.DataFrame]:
            for snapshot in company.snapshots(sorted(set(as_of)), on_progress, contacts=False):
                rows[snapshot.as_of] = len(snapshot.features)
                yield snapshot.features

        write_file(out, lambda path: write_parquet_parts(frames(), path))
    return FeatureTable(rows, tuple(pq.read_schema(out).names))


def explain_plan(config: Config, as_of: date) -> list[tuple[str, str]]:
    """The named steps that compute the snapshot of a date, each with its SQL."""
    with open_company(config) as company:
        return company.builder.explain(as_of)


# --- train ------------------------------------------------------------------------------------------------------------


def train_champion(
    config: Config,
    now: date | None = None,
    on_progress: Progress | None = None,
    *,
    strict: bool = False,
    budget: Budget | None = None,
) -> Training:
    """Label, validate in time, judge against the rules, save the champion and the model report, log to MLflow.

    Parameters
    ----------
    now
        The day to stand on; default: the day after the newest row became known.
    strict
        Leave metrics out that may know the outcome (`csql_ml.model.guards`).
    budget
        Of a search for other tree settings (`csql_ml.model.tuning`); None: the fixed recipe.
    """
    previous = champion_in_force(config)
    with open_company(config, on_progress=on_progress) as company:
        today = now or company.today
        data = training_data(company, today, on_progress, previous)
    gone = refused(config)
    trained, data = checked_training(data, config, on_progress, previous, gone, strict=strict, budget=budget)
    return save_champion(trained, data, config, today, on_progress, model_report)


def training_data(
    company: Company, now: date, on_progress: Progress | None = None, previous: Champion | None = None
) -> TrainingData:
    """Snapshots of the training dates with their labels, as known before ``now``.

    Parameters
    ----------
    previous
        The champion in force; what was known on the day it was trained is looked up, too.
    """
    dates = company.training_dates(now)
    if not dates:
        first = company.builder.first_day
        raise TrainingError(
            f"no training date before {now.isoformat()} has 60 days of events before it (events begin on {first}); "
            "train later, or give dates under snapshots in the configuration"
        )
    snapshots = list(company.snapshots(dates, on_progress, contacts=False))
    book = company.label_book(snapshots)
    ends = [company.horizon_end(d) for d in dates]
    trained_on = {previous.trained_as_of} if previous is not None and previous.trained_as_of is not None else set()
    known = {day: book.known(day) for day in sorted({now, *dates, *(d for d in trained_on if d < now)})}
    return TrainingData(
        frame=pd.concat([_training_rows(s, company.config) for s in snapshots], ignore_index=True),
        labels_known=lambda day: known[day],
        now=now,
        features=company.features,
        terms=company.terms,
        weights=company.weights,
        mature_from=min(ends) if min(ends) > now else None,
    )


def _training_rows(snapshot: Snapshot, config: Config) -> pd.DataFrame:
    portfolio = snapshot.accounts["csm_id"].astype("object")
    keys = pd.DataFrame({"portfolio": portfolio.where(portfolio.notna(), ""), "arr": snapshot.facts["arr_in_force"]})
    keys[HYPOTHESIS] = [h.type if h else "" for h in hypotheses(snapshot.features, snapshot.facts, config)]
    return pd.concat([snapshot.features.drop(columns=["arr"], errors="ignore"), keys], axis=1)


# --- score ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """Result of `score`; ``skew``: metrics with other values than in training."""

    out: Path
    manifest: dict[str, Any]
    scores: pd.DataFrame
    leads: Sequence[dict[str, Any]]
    skew: Skew | None = None


def trained_champion(config: Config, model: str | None) -> Champion | None:
    """The bundle named, else the newest champion; None where nothing was trained yet."""
    if model is not None and model.startswith(("models:/", "runs:/")):
        from csql_ml.model.tracking import bundle_from

        return bundles.load(bundle_from(model, config))
    if model is not None:
        return bundles.load(Path(model))
    name = promotions.in_force(config.models_path)
    return None if name is None else bundles.load(config.models_path / name)


def day_one_champion(config: Config, company: Company, snapshot: Snapshot) -> Champion:
    """The weighted score with its prior probability: what scores before anything was trained."""
    data = TrainingData(
        frame=_training_rows(snapshot, config),
        labels_known=lambda day: pd.DataFrame(columns=list(LABEL_COLUMNS)),
        now=snapshot.as_of,
        features=company.features,
        terms=company.terms,
        weights=company.weights,
    )
    return train(data, config).champion


def score(
    config: Config,
    as_of: date,
    out: Path,
    model: str | None = None,
    on_progress: Progress | None = None,
) -> Run:
    """The batch run: one folder of scores, explanations, leads and account records, whole or not at all."""
    if config.engine == "spark":
        return _score_on_spark(config, as_of, out, model, on_progress)
    with open_company(config, on_progress=on_progress) as company:
        (snapshot,) = company.snapshots([as_of], on_progress)
        champion = trained_champion(config, model) or day_one_champion(config, company, _compared(snapshot, config))
        absent, metrics = company.inputs.absent, company.metrics
        problems = {row["table"]: row["quarantined"] for row in summary_rows(company.inputs) if row["quarantined"]}
    if on_progress is not None:
        on_progress("scoring and explaining", 0, 1)
    own = own_faces(metrics)
    inputs = input_fingerprint(snapshot, config, {"quarantined": problems, "absent": list(absent), **own})
    run_id = run_id_of(as_of, champion.model_version, inputs)
    scored = score_snapshot(snapshot, metrics, champion, config, run_id)
    sources = {m.name: source_of(m, config) for m in metrics}
    records = list(dossier_of(snapshot, scored, metrics, sources, champion, absent, config).records())
    qualified = [r for r in records if r["status"] == QUALIFIED]
    leads = [lead_of(r, champion, run_id, config, snapshot) for r in sorted(qualified, key=lambda r: r["rank"])]
    about = {**about_run(snapshot, champion, config, run_id, inputs, problems), **own}
    manifest: dict[str, Any] = {}
    write_folder(out, lambda folder: manifest.update(write_run(folder, scored, records, leads, about)))
    return Run(out, manifest, scored.scores, leads, skew_of(champion, snapshot.features, config.monitoring.calendar))


def skew_of(champion: Champion, features: pd.DataFrame, leave: Sequence[str] = ()) -> Skew:
    """The scored columns against those the champion learned from, without some that move by themselves."""
    there = [name for name in champion.metrics if name in features.columns and name not in leave]
    return skewed(champion, {name: column_values(features[name]) for name in there})


def _compared(snapshot: Snapshot, config: Config) -> Snapshot:
    """The accounts that the champion of day one compares with; the same ones on every engine."""
    return part_of(snapshot, reference_places(len(snapshot.features), config))


def _score_on_spark(config: Config, as_of: date, out: Path, model: str | None, on_progress: Progress | None) -> Run:
    from csql_ml.spark_scoring import score_on_spark

    champion = trained_champion(config, model)
    with open_company(config, on_progress=on_progress) as company:
        manifest = score_on_spark(
            company, as_of, out, champion, lambda drawn: day_one_champion(config, company, drawn), on_progress
        )
    leads = [json.loads(line) for line in (out / "leads.jsonl").read_text(encoding="utf-8").splitlines()]
    return Run(out, manifest, pd.read_parquet(out / "scores.parquet"), leads)


# --- explain ----------------------------------------------------------------------------------------------------------


def account_record(run: Path, account_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest of a run and one account's record.

    Raises
    ------
    OutputError
        The folder is no run, or the account is not in it.
    """
    manifest = read_manifest(run)
    with (run / "accounts.jsonl").open(encoding="utf-8") as file:
        for line in file:
            record: dict[str, Any] = json.loads(line)
            if record["account_id"] == account_id:
                return manifest, record
    raise OutputError(
        f"account {account_id!r} is not in run {run}; it scored {manifest['rows']['scores.parquet']} accounts"
    )
