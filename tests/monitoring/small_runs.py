"""Run folders as `csql score` writes them, as small as a test wants them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from csql_ml.batch_run import write_manifest
from csql_ml.run_files import EXPLANATIONS_SCHEMA, SCORES_SCHEMA, write_jsonl, write_parquet

Values = Mapping[str, Any]


def write_run(
    folder: Path,
    as_of: date,
    metrics: Values,
    *,
    propensity: Any = None,
    points: Mapping[str, Any] | None = None,
    accounts: list[str] | None = None,
    qualified: Collection[str] = (),
    in_work: Collection[str] = (),
    **about: Any,
) -> Path:
    """Write a run; ``metrics`` and ``points`` have one value per account."""
    count = len(next(iter(metrics.values())))
    names = accounts or [f"a{i + 1:05d}" for i in range(count)]
    chance = np.linspace(0.05, 0.4, count) if propensity is None else np.asarray(propensity, dtype=float)
    folder.mkdir(parents=True)
    scores = pd.DataFrame(dict.fromkeys(SCORES_SCHEMA.names), index=range(count)).assign(
        account_id=names, as_of=as_of, run_id="r1", model_version=about.get("model_version", "m1"), propensity=chance
    )
    scores["baseline_score"] = chance * 100
    scores["status"] = ["qualified" if n in qualified else "not_yet" for n in names]
    scores["csm_id"] = "c1"
    for column in ("percentile", "expected_arr"):
        scores[column] = 0.5
    scores["rank"] = scores["rank_in_portfolio"] = np.arange(1, count + 1)
    write_parquet(scores, folder / "scores.parquet", SCORES_SCHEMA)
    write_parquet(_explanations(names, metrics, points or {}), folder / "explanations.parquet", EXPLANATIONS_SCHEMA)
    records = [{"account_id": n, "ineligible_because": ["lead_in_work"] if n in in_work else []} for n in names]
    write_jsonl(records, folder / "accounts.jsonl")
    write_jsonl([], folder / "leads.jsonl")
    said = {
        "run_id": "r1",
        "as_of": as_of.isoformat(),
        "model_version": "m1",
        "champion_kind": "stack",
        "labels_seen": True,
        "company": "Example",
        "currency": "EUR",
        **about,
    }
    rows = {"scores.parquet": count, "explanations.parquet": 0, "leads.jsonl": 0, "accounts.jsonl": count}
    write_manifest(folder, rows, {"not_yet": count}, said)
    return folder


def _explanations(names: list[str], metrics: Values, points: Mapping[str, Any]) -> pd.DataFrame:
    parts = []
    for metric, values in metrics.items():
        text = any(isinstance(v, str) for v in values)
        parts.append(
            pd.DataFrame(
                {
                    "account_id": names,
                    "metric": metric,
                    "value": np.full(len(names), np.nan) if text else np.asarray(values, dtype=float),
                    "previous_value": np.nan,
                    "points": np.asarray(points.get(metric, np.zeros(len(names))), dtype=float),
                    "value_text": list(values) if text else [None] * len(names),
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    rows["rank"] = (
        rows["points"].abs().groupby(rows["account_id"]).rank(ascending=False, method="first").astype("int32")
    )
    base = pd.DataFrame({"account_id": names, "metric": "reference", "points": 0.1, "rank": 0}).astype(
        {"rank": "int32"}
    )
    return pd.concat([base, rows], ignore_index=True)[EXPLANATIONS_SCHEMA.names]
