"""Types add up with the headline; expected ARR has an interval as soon as the company's own wins give one."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.model.money import HYPOTHESIS, account_money, money_facts, rules_types, total_expected
from csql_ml.model.training_data import TrainingData

DAY, NOW = date(2025, 1, 1), date(2026, 1, 1)


def facts(wins: int, actual: str = "cross_sell", said: str = "upsell", share: float = 0.3) -> dict[str, Any]:
    """Facts from wins of one type where the rules said another, and as many losses."""
    rows, rng = 2 * wins, np.random.default_rng(1)
    frame = pd.DataFrame(
        {"account_id": [f"a{i:04d}" for i in range(rows)], "as_of": DAY, "portfolio": "", "arr": 1000.0, "x": 0.0}
    ).assign(**{HYPOTHESIS: said})
    won = np.arange(rows) < wins
    labels = frame[["account_id", "as_of"]].assign(
        state=np.where(won, "positive", "negative"),
        label=won.astype(float),
        amount=np.where(won, 1000 * share * np.exp(rng.normal(0, 0.4, rows)), np.nan),
        lead_type=np.where(won, actual, None),
    )
    return money_facts(TrainingData(frame, lambda day: labels, NOW, (), (), {"engagement": 1.0}), Config())


def of_account(found: dict[str, Any] | None, **other: Any) -> dict[str, Any]:
    given = {"propensity": 0.4, "interval": None, "arr": 1000.0, "hypothesis": "upsell", "expected_arr": 120.0}
    return account_money(found, **{**given, **other})


@given(st.floats(0, 1), st.sampled_from([*LEAD_TYPES, None, "unheard of"]), st.booleans())
def test_types_add_up_to_the_headline(propensity: float, hypothesis: str | None, old_bundle: bool):
    found = None if old_bundle else FEW
    types = of_account(found, propensity=propensity, hypothesis=hypothesis)["types"]
    assert sum(types.values()) == pytest.approx(propensity, abs=1e-12)
    assert tuple(types) == LEAD_TYPES


FEW = facts(5)


def test_types_are_the_rules_until_own_wins_outweigh_them():
    assert rules_types("upsell")[LEAD_TYPES.index("upsell")] == pytest.approx(0.8)
    few, many = of_account(facts(5)), of_account(facts(200))
    assert few["types_from"] == "rules"
    assert few["types"]["upsell"] > few["types"]["cross_sell"]
    assert many["types_from"] == "own_wins"
    assert many["types"]["cross_sell"] > 0.9 * 0.4
    assert of_account(None)["types_from"] == "rules"


def test_expected_arr_has_an_interval_once_there_are_wins():
    few, many = facts(5, "upsell"), facts(400, "upsell")
    assert of_account(few)["expected_arr"] == {"value": 120.0, "low": None, "high": None}
    assert of_account(few)["if_won"] is None
    found = of_account(many)["expected_arr"]
    assert found["low"] < 120.0 < found["high"]
    assert found["high"] - found["low"] < 20
    single = of_account(many)["if_won"]
    assert single["low"] < 300 < single["high"], "a single win spreads far more than what is expected of many"
    assert single["high"] - single["low"] > 200


def test_the_interval_of_the_propensity_widens_that_of_the_money():
    many = facts(400, "upsell")
    plain, wide = of_account(many), of_account(many, interval={"low": 0.2, "high": 0.6})
    assert wide["expected_arr"]["low"] == pytest.approx(plain["expected_arr"]["low"] / 2)
    assert wide["expected_arr"]["high"] == pytest.approx(plain["expected_arr"]["high"] * 1.5)


def test_without_arr_nothing_is_said_of_money():
    found = of_account(facts(400, "upsell"), arr=None, expected_arr=None)
    assert found["expected_arr"] == {"value": None, "low": None, "high": None}
    assert found["if_won"] is None


def test_where_types_are_not_known_none_are_claimed():
    found = of_account({**FEW, "types": None}, hypothesis=None)
    assert (found["types"], found["types_from"]) == (None, "not_known")


def test_a_total_is_surer_than_its_parts():
    p, potential = np.full(400, 0.25), np.full(400, 100.0)
    found = total_expected(None, p, potential, ["upsell"] * 400)
    assert found["accounts"] == 400
    assert found["value"] == pytest.approx(10_000.0)
    spread = 100 * np.sqrt(400 * 0.25 * 0.75) * 1.645
    assert found["low"] == pytest.approx(10_000 - spread, rel=0.03)
    assert found["high"] == pytest.approx(10_000 + spread, rel=0.03)
    nothing = total_expected(None, p, np.full(400, np.nan), [None] * 400)
    assert nothing == {"accounts": 0, "value": None, "low": None, "high": None}
