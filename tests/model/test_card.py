"""The model card says what the results say."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace
from datetime import date

import pytest

from csql_ml.config import Config
from csql_ml.model import validation
from csql_ml.model.card import model_card
from csql_ml.model.training import Trained, train
from csql_ml.model.training_data import TrainingData
from tests.model.training_world import QUARTERS, world

CONFIG = Config.model_validate(
    {"model": {"bootstrap": 20, "bags": 1, "test_snapshots": 1, "min_positives": 20, "reference_size": 30}}
)


@pytest.fixture(scope="module")
def promoted() -> tuple[Trained, TrainingData]:
    data = world(accounts=200, snapshots=4, hidden=1.5)
    return train(data, CONFIG), data


@pytest.fixture(scope="module")
def card(promoted) -> str:
    trained, data = promoted
    return model_card(trained, CONFIG, data)


def test_it_has_every_section_in_order(card):
    assert re.findall(r"^##? (.+)$", card, re.MULTILINE)[1:] == [
        "What it is for, and what not",
        "Verdict",
        "Data",
        "Calibration",
        "Lift",
        "How far the model has moved from the rules",
        "Features",
        "Suspicious columns",
        "Stability of reasons",
        "Limits",
        "How to go back",
    ]


def test_every_table_is_whole(card):
    tables = re.findall(r"(?:^\|.*\|\n?)+", card, re.MULTILINE)
    assert len(tables) == 7
    for table in tables:
        lines = table.strip().split("\n")
        assert len(lines) > 2
        assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_its_numbers_are_those_of_the_results(promoted, card):
    trained, data = promoted
    verdict = trained.verdict
    assert trained.champion.model_version in card
    assert verdict.paragraph() in card
    assert data.fingerprint() in card
    loss = verdict.figures.of["model"]["log_loss"]
    assert f"| {loss.value:.4f} ({loss.low:.4f} to {loss.high:.4f}) |" in card
    gain = verdict.figures.gain["model"]["precision_at_k"]
    assert f"| {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}) |" in card
    first = trained.label_funnel.iloc[0]
    assert f"| {first['as_of']} | {first['accounts']} | {first['positive']} |" in card
    assert f"upsell {trained.champion.arr_share['upsell']:.0%}" in card


def test_it_names_features_with_their_directions_and_the_score(card):
    assert "| `hidden` | hidden | more speaks for |" in card
    assert "| `segment` | segment | category |" in card
    assert "| `noise` | noise | none claimed |" in card
    assert "| `saturation` | engagement | 0.4 | 0.9 | 1 |" in card


def test_of_a_wide_table_it_names_the_columns_that_are_used(promoted, card):
    trained, data = promoted
    assert "columns of the table the model reads" not in card
    few = copy(trained.champion)
    object.__setattr__(few, "features", few.features[:1])  # as of an estimator that chose one column
    text = " ".join(model_card(replace(trained, champion=few), CONFIG, data).split())
    assert f"Of the {len(data.features)} columns of the table the model reads 1: those that say most" in text
    assert f"| `{few.features[0].name}` |" in text
    assert "| `noise` | noise |" not in text


def test_it_says_how_to_go_back(card):
    assert "`csql score --model FOLDER`" in card
    assert "`csql retrain --rollback`" in card


def test_the_same_results_give_the_same_bytes(promoted, card):
    trained, data = promoted
    assert model_card(trained, CONFIG, data) == card


def test_day_one_says_that_probabilities_are_assumed():
    data = replace(world(accounts=40, snapshots=1, now=QUARTERS[0]), mature_from=date(2023, 7, 1))
    card = model_card(train(data, CONFIG), CONFIG, data)
    assert "**Probabilities are an assumption**" in card
    assert "Outcomes are complete from 2023-07-01 on" in card
    assert "Nothing was judged" in card
    assert "## Calibration" not in card


def test_rules_that_were_kept_are_the_ones_described():
    data = world(accounts=150, snapshots=4)
    trained = train(data, CONFIG)
    card = model_card(trained, CONFIG, data)
    assert "Champion: the rules (weighted score)." in card
    assert "The rules (weighted score) on held-out rows" in card
    assert "The challenger: " in card


def test_a_single_snapshot_is_said_not_to_be_validated_in_time(monkeypatch):
    monkeypatch.setattr(validation, "REPEATS", ((2000, 1),))
    data = world(accounts=100, snapshots=1, hidden=1.5)
    card = model_card(train(data, CONFIG), CONFIG, data)
    assert "**Not validated in time.**" in card
    assert "It has not been validated on a later snapshot" in card
