"""One batch run between the snapshot and its files: its identity, its records and its manifest, on every engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from csql_ml import __version__
from csql_ml.explain.evidence import Evidence
from csql_ml.explain.stability import Stability, stability
from csql_ml.explain.what_is_missing import comparables
from csql_ml.handoff.lead import Dossier, thresholds
from csql_ml.metrics.definition import Metric
from csql_ml.metrics.row_counts import Read
from csql_ml.run_files import (
    EXPLANATIONS_SCHEMA,
    MANIFEST,
    SCORES_SCHEMA,
    file_sha256,
    fingerprint,
    json_text,
    write_jsonl,
    write_parquet,
)
from csql_ml.scoring import NOT_YET, Scored, typical_values
from csql_ml.snapshots import Snapshot

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.model.bundle import Champion

#: What says where a run is computed and kept, not what is computed.
_NOT_SETTINGS = {
    "data",
    "tracking",
    "models_folder",
    "activity_folder",
    "metric_files",
    "snapshots",
    "model",
    "delivery",
    "monitoring",
    "outcomes",
    "engine",
    "spark",
}
_DIGEST_RANGE = 1 << 256


# --- identity ---------------------------------------------------------------------------------------------------------


def account_digests(snapshot: Snapshot) -> Iterator[bytes]:
    """SHA-256 of all that a snapshot knows of each account, in its order.

    Numbers count by their value as float64 and texts as JSON, so that an engine's own types do not matter.
    """
    people: dict[str, list[bytes]] = {}
    for account, person in zip(snapshot.contacts["account_id"], _row_digests(snapshot.contacts), strict=True):
        people.setdefault(str(account), []).append(person)
    frames = [_row_digests(f) for f in (snapshot.features, snapshot.facts, snapshot.accounts)]
    for account, *parts in zip(snapshot.features["account_id"], *frames, strict=True):
        yield hashlib.sha256(b"".join([*parts, *sorted(people.get(str(account), []))])).digest()


def _row_digests(frame: pd.DataFrame) -> Iterator[bytes]:
    numbers = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c].dtype)]
    texts = [c for c in frame.columns if c not in numbers]
    names = hashlib.sha256(json_text([numbers, texts]).encode()).digest()
    matrix = frame[numbers].to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # one zero, and below one NaN
    matrix = np.where(np.isnan(matrix), np.nan, matrix)
    words = zip(*(frame[c].tolist() for c in texts), strict=True) if texts else iter([()] * len(frame))
    for row, values in zip(matrix, words, strict=True):
        text = json_text([None if pd.isna(v) else str(v) for v in values])
        yield hashlib.sha256(names + row.tobytes() + text.encode()).digest()


def digest_sum(digests: Iterable[bytes]) -> int:
    """Sum of digests modulo 2**256: the same in any order, so that parts of a run can be added up."""
    return sum(int.from_bytes(d) for d in digests) % _DIGEST_RANGE


def input_fingerprint(snapshot: Snapshot, config: Config, noted: Mapping[str, Any]) -> str:
    """SHA-256 of all that a run's files are made of: what the snapshot knew, the settings, what was noted of inputs."""
    return inputs_of(len(snapshot.features), digest_sum(account_digests(snapshot)), config, noted)


def inputs_of(accounts: int, total: int, config: Config, noted: Mapping[str, Any]) -> str:
    """As `input_fingerprint`, from the number of accounts and the `digest_sum` of their `account_digests`."""
    parts = {
        "accounts": [accounts, f"{total % _DIGEST_RANGE:064x}"],
        "settings": config.model_dump(mode="json", exclude=_NOT_SETTINGS),
        "noted": noted,
        "version": __version__,
    }
    return fingerprint(parts)


def run_id_of(as_of: date, model_version: str, inputs: str) -> str:
    """16 hexadecimal digits: the same date, model and inputs give the same run."""
    return fingerprint({"as_of": as_of.isoformat(), "model": model_version, "inputs": inputs})[:16]


def about_run(
    snapshot: Snapshot, champion: Champion, config: Config, run_id: str, inputs: str, quarantined: dict[str, int]
) -> dict[str, Any]:
    """What the manifest says of a run besides its files; of the snapshot it needs no rows."""
    return {
        "run_id": run_id,
        "as_of": snapshot.as_of.isoformat(),
        "csql_ml_version": __version__,
        "model_version": champion.model_version,
        "champion_kind": champion.kind,
        "champion_threshold": champion.threshold,
        "labels_seen": champion.trained_as_of is not None,
        "input_fingerprint": inputs,
        "company": config.company.name,
        "currency": config.company.currency,
        "accounts_without_contract": snapshot.without_contract,
        "newest_event": snapshot.newest_event.isoformat() if snapshot.newest_event else None,
        "quarantined_rows": quarantined,
    }


# --- rows -------------------------------------------------------------------------------------------------------------


def reference_places(accounts: int, config: Config) -> list[int]:
    """Places, in the order of account ids, of the accounts that a champion without labels is compared with.

    These are the ones that `csql_ml.model.reference.reference_set` would draw from all of them.
    """
    rng = np.random.default_rng(config.model.seed)
    size = min(config.model.reference_size, accounts)
    return sorted(int(i) for i in rng.choice(accounts, size=size, replace=False))


def part_of(snapshot: Snapshot, places: Sequence[int]) -> Snapshot:
    """Some accounts of a snapshot."""
    features, facts, accounts = (
        frame.iloc[list(places)].reset_index(drop=True)
        for frame in (snapshot.features, snapshot.facts, snapshot.accounts)
    )
    theirs = snapshot.contacts["account_id"].isin(features["account_id"])
    contacts = snapshot.contacts[theirs].reset_index(drop=True)
    return replace(snapshot, features=features, facts=facts, accounts=accounts, contacts=contacts)


def dossier_of(
    snapshot: Snapshot,
    scored: Scored,
    metrics: Sequence[Metric],
    sources: Mapping[str, Sequence[Read]],
    champion: Champion,
    absent: Sequence[str],
    config: Config,
) -> Dossier:
    """All that account records are made of.

    Parameters
    ----------
    sources
        What is read for each metric, as `csql_ml.explain.evidence.source_of` gives it.
    absent
        Optional input tables that there are not.
    """
    by_name = {m.name: m for m in metrics}
    evidence = Evidence(
        metrics=by_name,
        columns=scored.points.metrics,
        points=scored.points.points,
        features=snapshot.features,
        facts=snapshot.facts,
        typical=typical_values(champion),
        thresholds=thresholds(metrics, config, snapshot),
        sources=sources,
        as_of=snapshot.as_of,
        peers=champion.reference.peers,
    )
    evidence, found = with_stability(evidence, champion)
    waiting = np.flatnonzero((scored.scores["status"] == NOT_YET).to_numpy()).tolist()
    alike = comparables(champion, snapshot.features, by_name, waiting)
    money = champion.training.get("money")
    return Dossier(snapshot, scored, evidence, by_name, absent, config, found, alike, money)


def with_stability(evidence: Evidence, champion: Champion) -> tuple[Evidence, Stability | None]:
    """The evidence with those reasons alone that stand in most refits; as it was where the champion has none."""
    found = stability(champion, evidence.features, evidence.agreement)
    if found is None:
        return evidence, None
    return replace(evidence, shares=found.shares, least_share=found.least_share), found


# --- files ------------------------------------------------------------------------------------------------------------


def write_run(
    folder: Path, scored: Scored, records: list[dict[str, Any]], leads: list[dict[str, Any]], about: dict[str, Any]
) -> dict[str, Any]:
    """Write a run's files into a folder; returns the manifest."""
    write_parquet(scored.scores, folder / "scores.parquet", SCORES_SCHEMA)
    write_parquet(scored.explanations, folder / "explanations.parquet", EXPLANATIONS_SCHEMA)
    rows = {
        "scores.parquet": len(scored.scores),
        "explanations.parquet": len(scored.explanations),
        "leads.jsonl": write_jsonl(leads, folder / "leads.jsonl"),
        "accounts.jsonl": write_jsonl(records, folder / "accounts.jsonl"),
    }
    return write_manifest(
        folder, rows, {str(k): int(v) for k, v in scored.scores["status"].value_counts().items()}, about
    )


def write_manifest(
    folder: Path, rows: Mapping[str, int], counts: Mapping[str, int], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the manifest of a folder whose other files are complete; returns it.

    Parameters
    ----------
    rows
        Rows per file.
    counts
        Accounts per status.
    """
    manifest = {
        **about,
        "rows": dict(rows),
        "counts": {status: counts[status] for status in sorted(counts)},
        "sha256": {name: file_sha256(folder / name) for name in rows},
    }
    (folder / MANIFEST).write_text(json_text(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest
