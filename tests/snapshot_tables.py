"""Snapshots and a rule-based champion made from small text tables, without a company behind them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.config import Config
from csql_ml.metrics import registry
from csql_ml.metrics.compiler import TREND_LENGTH, TRENDS, periods_of
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.bundle import Champion, reference_set
from csql_ml.snapshots import Snapshot
from tests.small_company import SETTINGS, rows

AS_OF = date(2025, 8, 15)
CONFIG = Config(**SETTINGS)
METRICS = tuple(registry().values())
#: Two terms, so that scores can be told in the head: half of each account's points come from either.
TERMS = (
    ScoreTerm("seat_saturation", "engagement", 0.0, 1.0, 1.0),
    ScoreTerm("upgrade_attempts", "intent", 0.0, 4.0, 1.0),
)
WEIGHTS = {"engagement": 0.5, "fit": 0.0, "intent": 0.5}
FEATURES = (Feature("seat_saturation", "seat_saturation", 1), Feature("upgrade_attempts", "upgrade_attempts", 1))

_TEXT_FACTS = ("main_product", "plan_in_force")
_FACTS: Mapping[str, Any] = {
    "tenure": 400.0,
    "open_leads": np.nan,
    "open_expansions": np.nan,
    "days_since_failed_lead": np.nan,
    "plan_rank": np.nan,
    "plan_in_force": None,
    "main_product": "Platform",
    "modules_mask": 0.0,
    "wanted_mask": np.nan,
    "gated_mask": np.nan,
    "licensed_seats": 10.0,
    "arr_in_force": 1000.0,
}
_ACCOUNT = {"name": None, "csm_id": "c1", "ae_id": "e1", "segment": None, "industry": None, "region": None}


def _columns() -> list[str]:
    """Every feature column of a company with all tables."""
    names = []
    for metric in METRICS:
        names += [*periods_of(metric), *([f"{metric.name}_change"] if metric.compare else [])]
    return names


def _cell(text: str) -> Any:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def features(text: str) -> pd.DataFrame:
    """Feature rows: columns of the table, everything else missing; sorted by ``account_id``."""
    return _features([{k: _cell(v) for k, v in row.items()} for row in rows(text)])


def _features(lines: list[dict[str, Any]]) -> pd.DataFrame:
    lines = sorted(lines, key=lambda line: str(line["account_id"]))
    columns: dict[str, Any] = {"account_id": [line["account_id"] for line in lines], "as_of": AS_OF}
    for name in _columns():
        kind = "object" if name in ("plan", "segment", "industry") else "float64"
        columns[name] = pd.Series([line.get(name) for line in lines], dtype=kind)
    return pd.DataFrame(columns)


def snapshot(text: str, contacts: str = "") -> Snapshot:
    """A snapshot; a column is a feature, a fact or an attribute of the account, by its name."""
    lines = sorted(({k: _cell(v) for k, v in row.items()} for row in rows(text)), key=lambda line: line["account_id"])
    ids = {"account_id": [line["account_id"] for line in lines]}
    quoted = {name: np.nan for line in lines for name in line if "." in name}
    trends = {f"trend.{name}.{i}": float(i) for name in TRENDS for i in range(TREND_LENGTH)}
    facts = {
        name: pd.Series(
            [line.get(name) if name in line else default for line in lines],
            dtype="object" if name in _TEXT_FACTS else "float64",
        )
        for name, default in {**_FACTS, **quoted, **trends}.items()
    }
    accounts = {name: [line.get(name, default) for line in lines] for name, default in _ACCOUNT.items()}
    return Snapshot(
        as_of=AS_OF,
        features=_features(lines),
        facts=pd.DataFrame({**ids, **facts}),
        accounts=pd.DataFrame({**ids, **accounts}, dtype="object"),
        contacts=_contacts(contacts),
        without_contract=0,
    )


def _contacts(text: str) -> pd.DataFrame:
    names = ("contact_id", "account_id", "role", "name", "since_days_ago", "last_engaged_days_ago")
    lines = [{k: _cell(v) for k, v in row.items()} for row in rows(text)] if text else []
    return pd.DataFrame(lines, columns=list(names), dtype="object")


def champion(threshold: float = 50.0, reference: str | None = None) -> Champion:
    """The weighted score of `TERMS` with its prior probability; compared with the accounts of ``reference``."""
    frame = features(reference or "account_id | seat_saturation | upgrade_attempts\nr1 | 0.2 | 0\nr2 | 0.6 | 1")
    estimator = WeightedScore.from_prior(TERMS, WEIGHTS)
    return Champion(
        kind="rules",
        features=FEATURES,
        terms=TERMS,
        weights=WEIGHTS,
        threshold=threshold,
        arr_share={"upsell": 0.2, "cross_sell": 0.25, "referral": 0.1},
        trained_as_of=None,
        training={},
        estimator=estimator,
        reference=reference_set(estimator, FEATURES, frame),
    )
