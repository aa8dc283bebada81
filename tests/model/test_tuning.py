from __future__ import annotations

import sys
import time

import pytest

from csql_ml.errors import MissingExtraError, UsageError
from csql_ml.model import tuning
from csql_ml.model.figures import Estimate
from csql_ml.model.training import train
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.tuning import Budget, Tuning, tune
from tests.model.training_world import CONFIG, world

BETTER, UNSURE = Estimate(-0.02, -0.03, -0.01, 0.005), Estimate(-0.02, -0.05, 0.01, 0.02)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90)),
        ("5m", Budget(seconds=300)),
        ("1.5h", Budget(seconds=5400)),
        ("30trials", Budget(trials=30)),
        ("1 trial", Budget(trials=1)),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_trials(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "5", "0m", "-5m", "5 minutes", "2.5trials", "m"])
def test_any_other_budget_is_refused_with_what_is_expected(text):
    with pytest.raises(UsageError, match="expected a time"):
        Budget.parse(text)


def test_a_budget_in_trials_gives_the_same_result_every_time():
    pytest.importorskip("optuna")
    company = world(accounts=150, hidden=1.5)
    first, again = (tune(company, CONFIG, Budget(trials=4)) for _ in range(2))
    assert first == again
    assert first.trials == 4
    assert first.found == TreeShape() or first.judged == 150


def test_the_search_sees_nothing_of_the_newest_quarter(monkeypatch):
    pytest.importorskip("optuna")
    company = world(accounts=150, hidden=1.5)
    newest = max(company.labelled(company.now)["as_of"])
    seen = []
    real = tuning._objective
    monkeypatch.setattr(
        tuning,
        "_objective",
        lambda optuna, data, config, rows, clock: seen.append(rows) or real(optuna, data, config, rows, clock),
    )
    tune(company, CONFIG, Budget(trials=1))
    assert max(seen[0]["as_of"]) < newest
    assert set(seen[0]["account_id"]) <= set(company.labelled(newest)["account_id"])


def test_a_single_quarter_is_parted_by_account():
    company = world(accounts=300, snapshots=1, hidden=1.5)
    seen, kept_back = tuning._parted(company, 7)
    assert not set(seen["account_id"]) & set(kept_back["account_id"])
    assert len(seen) + len(kept_back) == len(company.labelled(company.now))


def test_a_budget_in_time_is_kept():
    pytest.importorskip("optuna")
    began = time.monotonic()
    found = tune(world(accounts=150, hidden=1.5), CONFIG, Budget(seconds=0.5))
    # The fixed recipe is always tried and what was begun is judged: a few seconds on a busy machine.
    assert time.monotonic() - began < 20
    assert found.trials >= 1


def test_too_few_outcomes_are_said_and_not_searched():
    pytest.importorskip("optuna")
    found = tune(world(accounts=20, snapshots=2), CONFIG, Budget(trials=3))
    assert (found.trials, found.shape) == (0, None)
    assert "too few outcomes" in found.sentence()


def test_only_a_proven_gain_replaces_the_fixed_recipe():
    larger = TreeShape(leaves=8)
    assert Tuning("4 trials", 4, 0, larger, BETTER, 150).shape == larger
    assert Tuning("4 trials", 4, 0, larger, UNSURE, 150).shape is None
    assert "fixed recipe is used" in Tuning("4 trials", 4, 0, larger, UNSURE, 150).sentence()
    assert "Tuning paid" in Tuning("4 trials", 4, 0, larger, BETTER, 150).sentence()


def test_settings_that_pay_shape_the_trees_that_are_judged_and_kept():
    company = world(accounts=150, snapshots=4, hidden=1.5)
    stumps = Tuning("4 trials", 4, 0, TreeShape(leaves=2), BETTER, 150)
    trained = train(company, CONFIG, tuning=stumps)
    made = trained.champion if trained.champion.kind == "stack" else trained.challenger
    texts = made.estimator.stack_.members.trees.texts
    assert all("num_leaves=2" in text and "num_leaves=3" not in text for text in texts)


def test_without_optuna_the_install_command_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"csql-ml\[tune\]"):
        tune(world(), CONFIG, Budget(trials=1))
