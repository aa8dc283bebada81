"""Run folders of a few leads, as `csql score` writes them, and a config to hand them over with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from csql_ml.config import Config
from csql_ml.config.delivery import Delivery
from csql_ml.handoff.lead import lead_key
from csql_ml.run_files import SCORES_SCHEMA, write_parquet

AS_OF = "2026-07-01"
REASON = {
    "metric": "seat_saturation",
    "value": 0.92,
    "previous_value": 0.62,
    "unit": "ratio",
    "side": "for",
    "points": 0.12,
    "facts": {
        "active_users": 46,
        "licensed_seats": 50,
        "active_users_previous": 31,
        "licensed_seats_previous": 50,
    },
}


def lead(account: str = "A1", **values: Any) -> dict[str, Any]:
    """A lead record; ``values`` replace its entries, ``trigger`` names the trigger's metric."""
    kind, product = values.get("lead_type", "upsell"), values.get("product", "Pro")
    trigger = values.pop("trigger", "upgrade_attempts")
    csm, ae, as_of = values.pop("csm_id", "CSM-1"), values.pop("ae_id", "AE-1"), values.get("as_of", AS_OF)
    found = {
        "lead_key": lead_key(account, kind, product, trigger),
        "run_id": "run-1",
        "model_version": "model-1",
        "as_of": as_of,
        "account_id": account,
        "account_name": f"Account {account}",
        "lead_source": "CSQL",
        "lead_type": kind,
        "product": product,
        "propensity": 0.412345,
        "baseline_score": 61.23,
        "band": "high",
        "expected_arr": 4123.45,
        "potential_arr": 10_000.0,
        "currency": "EUR",
        "proof_of_value": [REASON],
        "value_proven_by": ["seat_saturation"],
        "trigger_event": {
            "metric": trigger,
            "value": 2,
            "previous_value": 0,
            "unit": "count",
            "facts": {"upgrade_attempts": 2, "upgrade_attempts_previous": 0},
        },
        "expansion_hypothesis": {
            "type": kind,
            "product": product,
            "because": trigger,
            "potential_arr": 10_000.0,
            "expected_arr": 4123.45,
        },
        "stakeholders": [
            {
                "contact_id": "P1",
                "role": "buyer",
                "name": "Ines Okafor",
                "since_days_ago": 30,
                "last_engaged_days_ago": 3,
            }
        ],
        "owner": ae,
        "route": {"ae_id": ae, "csm_id": csm, "answer_due": "2026-07-06"},
    }
    return {**found, **values}


def account(account_id: str, **values: Any) -> dict[str, Any]:
    """An account record as far as handing over reads it."""
    found = {"account_id": account_id, "status": "not_yet", "region": None, "segment": None, "ineligible_because": []}
    return {**found, **values}


def score(account_id: str, **values: Any) -> dict[str, Any]:
    found = {
        "account_id": account_id,
        "as_of": date.fromisoformat(values.pop("as_of", AS_OF)),
        "run_id": "run-1",
        "model_version": "model-1",
        "propensity": 0.1234,
        "baseline_score": 40.0,
        "percentile": 0.5,
        "band": "low",
        "rank": 1,
        "rank_in_portfolio": 1,
        "expected_arr": 100.0,
        "status": "not_yet",
        "lead_type": None,
        "risk_flags": "",
        "failed_gates": "timing",
        "csm_id": "CSM-1",
    }
    return {**found, **values}


def write_run(
    folder: Path,
    leads: Iterable[Mapping[str, Any]],
    *,
    accounts: Iterable[Mapping[str, Any]] = (),
    scores: Iterable[Mapping[str, Any]] = (),
    **manifest: Any,
) -> Path:
    """Write a run folder; ``manifest`` replaces entries, such as ``as_of`` and ``run_id``."""
    folder.mkdir(parents=True, exist_ok=True)
    leads = list(leads)
    known = {a["account_id"] for a in accounts}
    rest = [account(one["account_id"], status="qualified") for one in leads if one["account_id"] not in known]
    for name, rows in (("leads.jsonl", leads), ("accounts.jsonl", [*accounts, *rest])):
        lines = [json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    frame = pd.DataFrame(list(scores), columns=list(SCORES_SCHEMA.names))
    write_parquet(frame, folder / "scores.parquet", SCORES_SCHEMA)
    files = ("leads.jsonl", "accounts.jsonl", "scores.parquet")
    entries = {
        "run_id": "run-1",
        "as_of": AS_OF,
        "model_version": "model-1",
        "champion_kind": "stack",
        "company": "Example & Co",
        "currency": "EUR",
        "labels_seen": True,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "manifest.json").write_text(json.dumps(entries | manifest), encoding="utf-8")
    return folder


def config(home: Path, *, capacity: int = 1000, **delivery: Any) -> Config:
    """A company that counts in EUR; ``delivery`` as in the configuration file."""
    settings = Delivery(outbox=Path("outbox.sqlite"), files={"folder": "handoff"}, **delivery)
    base = Config.model_validate({"company": {"currency": "EUR"}, "scoring": {"capacity_per_portfolio": capacity}})
    return base.model_copy(update={"home": home, "delivery": settings})
