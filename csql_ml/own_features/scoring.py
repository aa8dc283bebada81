"""`csql score --features`: the batch run on the rows of one as-of date, with the files of any other run.

No metrics are known behind the columns, so there are no gates, no risks and no hypothesis: the score alone decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from csql_ml.baseline.gates import GateResults
from csql_ml.batch_run import (
    about_run,
    account_digests,
    digest_sum,
    inputs_of,
    part_of,
    run_id_of,
    with_stability,
)
from csql_ml.company import Progress
from csql_ml.config import Config
from csql_ml.errors import BundleError, FeatureError
from csql_ml.explain.contributions import explain, points
from csql_ml.explain.evidence import Evidence
from csql_ml.handoff.lead import Dossier, lead_of
from csql_ml.metrics.compiler import TREND_LENGTH, TRENDS
from csql_ml.metrics.definition import Feature, Metric
from csql_ml.model.bundle import Champion
from csql_ml.own_features.table import OwnTable, open_table
from csql_ml.own_features.training import ASSUMED_TYPE
from csql_ml.own_features.writing import CHUNK, LeadsOnDisk, write_parts
from csql_ml.pipeline import Run, skew_of, trained_champion
from csql_ml.run_files import write_folder
from csql_ml.scoring import NOT_YET, QUALIFIED, SCORE_COLUMNS, Scored, ranked, typical_values
from csql_ml.snapshots import Snapshot

_SHOWN = ("name", "ae_id", "segment", "industry", "region")
_FACTS = ("plan_in_force", "main_product", "licensed_seats", "tenure")


def score(
    config: Config,
    path: Path,
    as_of: date | None,
    out: Path,
    model: str | None = None,
    on_progress: Progress | None = None,
) -> Run:
    """Score, explain and hand over the accounts of one as-of date; the folder appears whole or not at all.

    Parameters
    ----------
    path
        Parquet or CSV file.
    as_of
        Only the rows of this date are read; None: of the newest one.
    out
        Folder of the run.
    model
        Bundle folder or MLflow address; default: the newest champion.

    Raises
    ------
    FeatureError
        The table cannot be used, has no rows of that date, or lacks a column the model was trained with.
    BundleError
        There is no champion yet.
    """
    table = open_table(path, config)
    as_of = as_of or table.dates[-1]
    if as_of not in table.dates:
        raise FeatureError(f"feature table {path} has no rows as of {as_of.isoformat()}; it has {_dates(table)}")
    champion = _champion(config, model)
    snapshot, potential = snapshot_of(table, champion, as_of)
    metrics = as_metrics(table, champion)
    del table
    total = digest_sum(digest for part in _parts(snapshot) for digest in account_digests(part_of(snapshot, part)))
    inputs = inputs_of(len(snapshot.features), total, config, {"own_features": True})
    run_id = run_id_of(as_of, champion.model_version, inputs)
    scores = _scores(snapshot, potential, champion, config, run_id)
    about = {**about_run(snapshot, champion, config, run_id, inputs, {}), "own_features": True}
    dossiers = _dossiers(snapshot, scores, potential, champion, metrics, config, on_progress)
    manifest: dict[str, Any] = {}

    def write(folder: Path) -> None:
        found = write_parts(
            folder, scores, dossiers, lambda record: lead_of(record, champion, run_id, config, snapshot), about
        )
        manifest.update(found)

    write_folder(out, write)
    leads = LeadsOnDisk(out / "leads.jsonl", manifest["rows"]["leads.jsonl"])
    return Run(out, manifest, scores, leads, skew_of(champion, snapshot.features))


def _parts(snapshot: Snapshot) -> Iterator[range]:
    """Places of the accounts that are handled together; one empty part where there are none."""
    count = len(snapshot.features)
    return (range(start, min(start + CHUNK, count)) for start in range(0, max(count, 1), CHUNK))


def _champion(config: Config, model: str | None) -> Champion:
    champion = trained_champion(config, model)
    if champion is None:
        raise BundleError(
            f"there is no champion in {config.models_path}; run csql train with --features first, or name a bundle "
            "with --model"
        )
    return champion


def snapshot_of(table: OwnTable, champion: Champion, as_of: date) -> tuple[Snapshot, pd.Series]:
    """The rows of one date as a snapshot whose features are the table's columns, and what each win would bring.

    Returns
    -------
    Snapshot, Series
        Expected amount: the row's own ``amount`` while its label is open, else its ``arr`` times the share usual for
        an expansion, else missing.
    """
    today = (table.rows["as_of"] == as_of).to_numpy()
    rows = table.rows[today].reset_index(drop=True)
    features = pd.concat(
        [rows[["account_id", "as_of"]], _columns(table, champion)[today].reset_index(drop=True)], axis=1
    )
    shown = {name: table.attribute(name)[today].reset_index(drop=True) for name in _SHOWN}
    owner = rows["portfolio"].where(rows["portfolio"] != "", None)
    empty = dict.fromkeys([*_FACTS, *(f"trend.{t}.{i}" for t in TRENDS for i in range(TREND_LENGTH))], np.nan)
    by_share = rows["arr"] * champion.arr_share[ASSUMED_TYPE]
    potential = rows["amount"].where(rows["label"].isna()).fillna(by_share)
    snapshot = Snapshot(
        as_of=as_of,
        features=features,
        facts=pd.DataFrame({"arr_in_force": rows["arr"], "potential_arr": potential, **empty}),
        accounts=pd.DataFrame({**shown, "csm_id": owner}),
        contacts=pd.DataFrame(columns=["account_id", "contact_id", "role", "since_days_ago"]),
        without_contract=0,
    )
    return snapshot, potential


def _columns(table: OwnTable, champion: Champion) -> pd.DataFrame:
    """The champion's columns, and each feature once more under the name it has in the file."""
    known = {f.name for f in champion.features}
    extra = [Feature(t.feature, t.feature) for t in champion.terms if t.feature not in known]
    frame = table.frame([*champion.features, *dict.fromkeys(extra)])
    named = {f.metric: frame[f.name] for f in champion.features if f.metric not in frame}
    return pd.concat([frame, pd.DataFrame(named)], axis=1) if named else frame


def _scores(snapshot: Snapshot, potential: pd.Series, champion: Champion, config: Config, run_id: str) -> pd.DataFrame:
    """Scores and ranks of all accounts."""
    features = snapshot.features
    propensity, baseline = champion.propensity(features), champion.baseline_score(features)
    over = (baseline if champion.kind == "rules" else propensity) >= champion.threshold
    scores = pd.DataFrame(
        {
            "account_id": features["account_id"],
            "as_of": snapshot.as_of,
            "run_id": run_id,
            "model_version": champion.model_version,
            "propensity": propensity,
            "baseline_score": baseline,
            "expected_arr": propensity * potential,
            "status": np.where(over, QUALIFIED, NOT_YET),
            "lead_type": None,
            "risk_flags": "",
            "failed_gates": "",
            "csm_id": snapshot.accounts["csm_id"],
        }
    )
    return ranked(scores, config)[list(SCORE_COLUMNS)]


def _dossiers(
    snapshot: Snapshot,
    scores: pd.DataFrame,
    potential: pd.Series,
    champion: Champion,
    metrics: dict[str, Metric],
    config: Config,
    on_progress: Progress | None,
) -> Iterator[Dossier]:
    """All that the files say of the accounts, some accounts at a time."""
    by_column, count = typical_values(champion), len(scores)
    typical = {f.metric: by_column[f.name] for f in champion.features if f.name in by_column}
    # A feature table does not say of which type its wins were.
    money = {**(champion.training.get("money") or {"shares": {}}), "types": None}
    for part in _parts(snapshot):
        if on_progress is not None:
            on_progress("scoring and explaining", part.start, max(count, 1))
        some = part_of(snapshot, part)
        rows = slice(part.start, part.stop)
        scored = _explained(some, scores[rows].reset_index(drop=True), potential[rows].reset_index(drop=True), champion)
        evidence = Evidence(
            metrics=metrics,
            columns=scored.points.metrics,
            points=scored.points.points,
            features=some.features,
            facts=some.facts,
            typical=typical,
            thresholds={},
            sources={},
            as_of=some.as_of,
            peers=champion.reference.peers,
        )
        evidence, stability = with_stability(evidence, champion)
        yield Dossier(some, scored, evidence, metrics, (), config, stability, money=money)


def _explained(some: Snapshot, scores: pd.DataFrame, potential: pd.Series, champion: Champion) -> Scored:
    """Accounts that are scored already, with their points."""
    explained = points(champion, some.features)
    count, nothing = len(scores), pd.DataFrame(index=some.features.index)
    return Scored(
        scores=scores,
        explanations=explain(champion, some.features, found=explained),
        points=explained,
        sub_scores=nothing,
        risks=nothing,
        gates=GateResults(nothing, nothing, {}),
        hypotheses=[None] * count,
        potential_arr=potential,
        barred=[()] * count,
    )


def as_metrics(table: OwnTable, champion: Champion) -> dict[str, Metric]:
    """The champion's columns as metrics; each speaks the way it went with expansions when the score was learned."""
    rises = {t.feature: 1 if t.full_at > t.zero_at else -1 for t in champion.terms}
    return {
        f.metric: Metric(
            name=f.metric,
            part="profile",
            direction=rises.get(f.name, 0),
            unit=_unit(f, table),
            formula=lambda at: None,
            label=f.metric,
            description="a column of the feature table",
            sentence="{value}",
        )
        for f in champion.features
    }


def _unit(feature: Feature, table: OwnTable) -> Any:
    """How values are written, where the table tells; None: a plain number, or what a model learned as a category."""
    if feature.categorical:
        return None
    return "flag" if feature.metric in table.yes_or_no else "money" if feature.metric == "arr" else None


def _dates(table: OwnTable) -> str:
    """The dates of the table; the newest of many."""
    found = [d.isoformat() for d in table.dates]
    return ", ".join(found) if len(found) <= 6 else f"{len(found)} dates, the newest {', '.join(found[-5:])}"
