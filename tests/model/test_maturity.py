from __future__ import annotations

import json

import pytest

from csql_ml.model.maturity import Maturity
from csql_ml.model.stack_weights import StackWeights


def at(score: float, trees: float, labels: int = 500) -> Maturity:
    weights = {"score": score, "sub_scores": 0.0, "ridge": 0.0, "trees": trees}
    return Maturity(labels, 100, weights, StackWeights((score, 0.0, 0.0, trees), 0.0, 0.01, 0.004, 0.9))


def test_it_says_what_the_model_is_made_of_and_how_far_it_is():
    assert str(at(0.71, 0.29, labels=312)) == (
        "rules 71%, logistic regression 0%, LightGBM 29% after 312 labels (100 positive); "
        "about 460 more outcomes until what was learned weighs as much as the rules"
    )


@pytest.mark.parametrize(
    ("score", "stage", "more", "words"),
    [
        (1.0, "rules", None, "too early to tell"),
        (0.96, "rules", None, "too early to tell"),
        (0.8, "learning", 1500, "about 1,500 more outcomes"),
        (0.5, "learned", None, "weighs more than the rules"),
        (0.1, "learned", None, "weighs more than the rules"),
    ],
)
def test_the_stage_follows_from_the_share_of_the_rules(score, stage, more, words):
    maturity = at(score, 1.0 - score)
    assert (maturity.stage, maturity.more_outcomes) == (stage, more)
    assert words in str(maturity)


@pytest.mark.parametrize("half_way", [300, 1_000, 3_000])
def test_the_outcomes_foretold_are_those_until_half_way(half_way):
    labels = 200
    share = half_way / (half_way + labels)  # what a pull of fixed strength leaves to the rules
    assert at(share, 1 - share, labels).more_outcomes == half_way - labels


def test_everything_is_there_for_machines():
    told = json.loads(json.dumps(at(0.8, 0.2).to_dict()))
    assert told["shares"]["trees"] == pytest.approx(0.2)
    assert (told["gain"], told["gain_error"], told["trust"]) == (0.01, 0.004, 0.9)
    read = Maturity(500, 100, at(0.8, 0.2).weights)
    assert (read.to_dict()["gain"], read.to_dict()["trust"]) == (None, None)
    assert read == at(0.8, 0.2)
