"""Rank churn on lists small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.config import Config
from csql_ml.errors import FeatureError
from csql_ml.explain.contributions import points
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.bundle import Champion, reference_set
from csql_ml.retraining.churn import rank_churn
from csql_ml.retraining.words import churn_sentence
from csql_ml.snapshots import Snapshot

FEATURES = (Feature("use", "use", 1), Feature("intent", "intent", 1))
WEIGHTS = {"engagement": 0.5, "fit": 0.0, "intent": 0.5}
CONFIG = Config()
OLD, NEW = date(2026, 1, 1), date(2026, 4, 1)


def listed(day: date, use: list[float], intent: list[float], in_work: tuple[int, ...] = ()) -> Snapshot:
    """Accounts a, b, c ... with two metrics; those in work cannot be a lead."""
    n = len(use)
    names = [chr(ord("a") + i) for i in range(n)]
    features = pd.DataFrame({"account_id": names, "as_of": day, "use": use, "intent": intent})
    facts = pd.DataFrame(
        {
            "tenure": 400,
            "open_leads": [int(i in in_work) for i in range(n)],
            "open_expansions": 0,
            "days_since_failed_lead": np.nan,
        },
        index=range(n),
    )
    accounts = pd.DataFrame({"account_id": names, "csm_id": "csm1"})
    return Snapshot(day, features, facts, accounts, pd.DataFrame(), 0)


def champion(full_use: float, full_intent: float) -> Champion:
    """Rules that give full points from these values on."""
    terms = (ScoreTerm("use", "engagement", 0.0, full_use, 1.0), ScoreTerm("intent", "intent", 0.0, full_intent, 1.0))
    score = WeightedScore.from_prior(terms, WEIGHTS, 0.1)
    rows = listed(OLD, list(np.linspace(0, 1, 20)), list(np.linspace(0, 9, 20))).features
    return Champion(
        kind="rules",
        features=FEATURES,
        terms=terms,
        weights=WEIGHTS,
        threshold=50.0,
        arr_share={},
        trained_as_of=None,
        training={},
        estimator=score,
        reference=reference_set(score, FEATURES, rows),
    )


#: Counts use only; counts intent only.
USE, INTENT = champion(1.0, 1e9), champion(1e9, 10.0)
#: Twelve accounts: a, b and c lead; three in twelve are the top.
FIRST = listed(OLD, [0.9, 0.8, 0.7, *[0.1] * 9], [0.0] * 12)


def test_nothing_changed():
    again = replace(FIRST, as_of=NEW)
    found = rank_churn(FIRST, again, USE, USE, CONFIG)
    assert (found.top, found.changed) == (3, 0)
    assert found.moved == {"data": {}, "model": {}}
    assert churn_sentence(found) == "0 of the top 3 changed from 2026-01-01 to 2026-04-01."


def test_new_data_brought_one_in():
    second = listed(NEW, [0.9, 0.8, 0.2, 0.1, 0.85, *[0.1] * 7], [0.0] * 12)
    found = rank_churn(FIRST, second, USE, USE, CONFIG)
    (came,) = found.entered
    assert (came.account_id, came.cause, came.rank, came.old_rank, came.metric) == ("e", "data", 2, 5, "use")
    moved = points(USE, second.features).points[4, 0] - points(USE, FIRST.features).points[4, 0]
    assert came.points == pytest.approx(moved)
    assert found.moved["model"] == {}
    lost = points(USE, second.features).points[2, 0] - points(USE, FIRST.features).points[2, 0]
    assert found.moved["data"]["use"] == pytest.approx((abs(moved) + abs(lost)) / 2), "of e that came and c that went"
    assert churn_sentence(found) == "1 of the top 3 changed from 2026-01-01 to 2026-04-01: 1 by new data."


def test_the_new_model_brought_others_in():
    """Intent was there before; only the new model counts it."""
    first = replace(FIRST, features=FIRST.features.assign(intent=[0, 0, 0, 9.0, 8.0, *[0.0] * 7]))
    found = rank_churn(first, replace(first, as_of=NEW), USE, INTENT, CONFIG)
    assert [(e.account_id, e.cause, e.metric) for e in found.entered] == [
        ("d", "model", "intent"),
        ("e", "model", "intent"),
    ]
    assert found.moved["data"] == {}
    assert next(iter(found.moved["model"])) in ("intent", "use")


def test_who_could_not_be_a_lead_is_neither_listed_nor_blamed_on_the_model():
    busy = listed(OLD, [0.9, 0.8, 0.7, 0.95, *[0.1] * 8], [0.0] * 12, in_work=(3,))
    free = listed(NEW, [0.9, 0.8, 0.7, 0.95, *[0.1] * 8], [0.0] * 12)
    found = rank_churn(busy, free, USE, USE, CONFIG)
    assert found.top == 2, "one in four of the eleven that could be a lead on both days"
    (came,) = found.entered
    assert (came.account_id, came.cause, came.old_rank, came.metric) == ("d", "new", None, None)
    assert churn_sentence(found).endswith("1 could not be a lead then.")


def test_a_new_customer_is_new():
    second = listed(NEW, [0.9, 0.8, 0.7, *[0.1] * 9, 0.99], [0.0] * 13)
    (came,) = rank_churn(FIRST, second, USE, USE, CONFIG).entered
    assert (came.account_id, came.cause, came.rank) == ("m", "new", 1)


def test_causes_add_up_and_as_many_go_as_come():
    rng = np.random.default_rng(5)
    first = listed(OLD, list(rng.random(26)), list(rng.integers(0, 10, 26).astype(float)), in_work=(1, 7))
    second = listed(NEW, list(rng.random(26)), list(rng.integers(0, 10, 26).astype(float)), in_work=(2, 9))
    found = rank_churn(first, second, USE, INTENT, CONFIG)
    assert found.changed == found.count("data") + found.count("model") + found.count("new") > 0
    assert [e.rank for e in found.entered] == sorted(e.rank for e in found.entered)
    assert max(e.rank for e in found.entered) <= found.top == 6


def test_a_model_whose_metrics_are_gone_says_so():
    second = replace(FIRST, as_of=NEW, features=FIRST.features.drop(columns="intent"))
    with pytest.raises(FeatureError, match="intent"):
        rank_churn(FIRST, second, USE, USE, CONFIG)
