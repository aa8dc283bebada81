"""Who follows a model in force: on worlds whose truth is known, and on hand-made figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.metrics.definition import Feature
from csql_ml.model.bundle import Champion
from csql_ml.model.figures import FIGURES, Estimate, Figures
from csql_ml.model.succession import CHALLENGER, CHAMPION, RULES, _decision, hold_trial
from csql_ml.model.training import Trained, fitters, train
from csql_ml.model.training_data import KEYS, TrainingData
from tests.model.training_world import CONFIG, FEATURES, HORIZON, labels, world

NOW = date(2024, 10, 1)  # the snapshot of 2024-04-01 is the newest that is complete


def until(data: TrainingData, now: date) -> TrainingData:
    """What was there on an earlier day."""
    return replace(data, frame=data.frame[data.frame["as_of"] < now], now=now)


@pytest.fixture(scope="module")
def company() -> TrainingData:
    """Half of what drives outcomes is unknown to the rules; the law never changes."""
    return replace(world(accounts=250, snapshots=6, hidden=1.2), now=NOW)


@pytest.fixture(scope="module")
def champion(company) -> Champion:
    """The model that won on 1 January 2024: it knew nothing of the snapshot of April."""
    trained = train(until(company, date(2024, 1, 1)), CONFIG)
    assert trained.champion.kind == "stack"
    return trained.champion


@pytest.fixture(scope="module")
def unaided(company) -> Trained:
    """The training that knows of no champion."""
    return train(company, CONFIG)


def turned(data: TrainingData) -> TrainingData:
    """The same company, in which the hidden signal once meant the opposite."""
    frame = data.frame.assign(hidden=-data.frame["hidden"])
    return replace(data, frame=frame)


def stack_of(trained: Trained) -> Champion:
    """The model of a training, whether or not it was promoted: somebody may have put it in force all the same."""
    made = trained.champion if trained.champion.kind == "stack" else trained.challenger
    assert made is not None
    return made


# --- worlds -----------------------------------------------------------------------------------------------------------


def test_an_earlier_promotion_outlives_a_challenger_that_proves_nothing(champion):
    """The rules stay in this training's verdict; without knowing the champion they would have come back."""
    few = replace(world(accounts=60, snapshots=6, hidden=0.5, seed=3), now=NOW)
    alone = train(few, CONFIG)
    assert (alone.verdict.outcome, alone.champion.kind) == ("keep", "rules")
    knowing = train(few, CONFIG, previous=champion)
    assert knowing.champion.model_version == champion.model_version
    assert knowing.kept
    assert not knowing.promoted
    assert knowing.succession.reason in ("cannot_tell", "worse")
    assert knowing.challenger.kind == "stack"


def test_a_model_that_has_gone_stale_is_replaced(company):
    stale = stack_of(train(until(turned(company), date(2024, 1, 1)), CONFIG))
    found = train(company, CONFIG, previous=stale)
    assert found.succession.outcome == "promote"
    assert found.promoted
    assert found.champion.model_version != stale.model_version
    assert found.challenger is None
    loss = found.succession.trial.figures[CHAMPION].gain[CHALLENGER]["log_loss"]
    assert loss.high < 0
    assert "replaces the champion" in found.paragraph()


def test_the_rules_come_back_where_the_champion_failed_and_no_challenger_is_better():
    past = replace(world(accounts=250, snapshots=6, hidden=-1.8, seed=3), now=NOW)
    failed = stack_of(train(until(past, date(2024, 1, 1)), CONFIG))
    today = replace(world(accounts=250, snapshots=6, seed=4), now=NOW)
    found = train(today, CONFIG, previous=failed)
    assert (found.succession.outcome, found.succession.reason) == ("fall_back", "rules_better")
    assert found.champion.kind == "rules"
    assert found.challenger.kind == "stack"
    assert "The rules come back" in found.paragraph()


def test_the_same_data_give_the_same_model_and_nothing_follows(company, unaided):
    again = train(company, CONFIG, previous=unaided.champion)
    assert again.succession.reason == "same_model"
    assert again.kept
    assert again.challenger is None


def test_a_rolled_back_model_does_not_come_back_by_itself(company, champion, unaided):
    version = unaided.champion.model_version
    found = train(company, CONFIG, previous=champion, refused=[version])
    assert (found.succession.outcome, found.succession.reason) == ("keep", "rolled_back")
    assert found.champion.model_version == champion.model_version


def test_a_champion_whose_metrics_are_gone_gives_way(company, champion):
    names = {f.name: "sunk" if f.name == "hidden" else f.name for f in FEATURES}
    data = replace(
        company,
        frame=company.frame.rename(columns=names),
        features=tuple(Feature(names[f.name], names[f.metric], f.direction, f.categorical) for f in FEATURES),
    )
    found = train(data, CONFIG, previous=champion)
    assert found.succession.reason == "cannot_score"
    assert found.champion.model_version != champion.model_version
    assert "cannot score any more" in found.paragraph()


# --- what is left to judge on -----------------------------------------------------------------------------------------


def test_a_champion_from_before_the_quarter_is_judged_on_all_of_it(company, champion):
    trial = hold_trial(company, CONFIG, champion, fitters(company, CONFIG), None)
    assert trial.quarter == trial.known_on == date(2024, 4, 1)
    known = company.labelled(NOW)
    assert trial.judged == trial.outcomes == (known["as_of"] == trial.quarter).sum()
    assert list(trial.figures) == [RULES, CHAMPION]
    assert list(trial.figures[RULES].of) == [CHAMPION, CHALLENGER, RULES]


def test_the_propensities_of_the_validation_are_those_of_a_training_of_its_own(company, champion, unaided):
    reused = hold_trial(company, CONFIG, champion, fitters(company, CONFIG), unaided.validation)
    own = hold_trial(company, CONFIG, champion, fitters(company, CONFIG), None)
    assert reused.table() == own.table()


def test_a_champion_trained_later_is_judged_on_accounts_it_had_not_learned_from(company, champion):
    """Trained on 1 July: outcomes of January's snapshot, complete on 30 June, reach into April's quarter."""
    later = replace(champion, trained_as_of=date(2024, 7, 1))
    trial = hold_trial(company, CONFIG, later, fitters(company, CONFIG), None)
    assert trial.known_on == date(2024, 7, 1)
    april, july = company.labelled(date(2024, 4, 1)), company.labelled(date(2024, 7, 1))
    fresh = {tuple(r) for r in july[KEYS].to_numpy()} - {tuple(r) for r in april[KEYS].to_numpy()}
    assert {day for _, day in fresh} == {date(2024, 1, 1)}
    assert all(day + HORIZON <= date(2024, 7, 1) for _, day in fresh)
    quarter = company.labelled(NOW)
    quarter = quarter[quarter["as_of"] == date(2024, 4, 1)]
    learned = {account for account, _ in fresh}
    assert trial.judged == (~quarter["account_id"].isin(learned)).sum()
    assert 0 < trial.judged < trial.outcomes


def test_a_champion_that_has_seen_everything_cannot_be_judged_and_stays(company, champion):
    seen = replace(champion, trained_as_of=NOW)
    found = train(company, CONFIG, previous=seen)
    assert found.succession.reason == "too_few_left"
    assert found.succession.trial.judged == 0
    assert found.succession.trial.table() == []
    assert found.kept
    assert f"It was trained on {NOW}" in found.paragraph()
    assert found.succession.to_dict()["trial"]["outcomes"] == found.succession.trial.outcomes


def test_outcomes_that_are_not_complete_yet_change_nothing(champion):
    """Turned around, all of them: the trial of that day stays the same to the last digit."""
    whole = world(accounts=250, snapshots=6, hidden=1.2)
    day = date(2024, 7, 1)
    truth = whole.truth
    ahead = np.array([as_of + HORIZON > day for as_of in truth["as_of"]])
    assert ahead.any()
    other = truth.assign(won=truth["won"] ^ ahead)
    early = until(whole, day)
    turned_around = replace(early, labels_known=lambda known_on: labels(other, known_on))
    trials = [hold_trial(d, CONFIG, champion, fitters(d, CONFIG), None) for d in (early, turned_around)]
    assert trials[0].quarter == date(2024, 1, 1)
    assert trials[0].figures
    assert trials[0].table() == trials[1].table()


# --- the decision -----------------------------------------------------------------------------------------------------


def gains(loss: tuple[float, float], precision: tuple[float, float] = (-0.1, 0.1)) -> dict[str, Estimate]:
    of = dict.fromkeys(FIGURES, Estimate(0.0, -1.0, 1.0, 0.5))
    return of | {
        "log_loss": Estimate(sum(loss) / 2, *loss, 0.01),
        "precision_at_k": Estimate(sum(precision) / 2, *precision, 0.01),
    }


def figures(over_champion: dict, over_rules: dict) -> dict[str, Figures]:
    return {
        CHAMPION: Figures(of={}, gain=over_champion, lift={}, ece_noise={}),
        RULES: Figures(of={}, gain=over_rules, lift={}, ece_noise={}),
    }


BETTER, WORSE, OPEN = (-0.03, -0.01), (0.01, 0.03), (-0.01, 0.01)


@pytest.mark.parametrize(
    ("challenger_champion", "rules_champion", "challenger_rules", "expected"),
    [
        (BETTER, WORSE, BETTER, ("promote", "better")),
        (BETTER, OPEN, OPEN, ("promote", "better")),
        (BETTER, OPEN, WORSE, ("keep", "cannot_tell")),
        (OPEN, WORSE, BETTER, ("keep", "cannot_tell")),
        (OPEN, OPEN, OPEN, ("keep", "cannot_tell")),
        (WORSE, WORSE, WORSE, ("keep", "worse")),
        (BETTER, BETTER, BETTER, ("promote", "champion_failed")),
        (BETTER, BETTER, OPEN, ("fall_back", "rules_better")),
        (OPEN, BETTER, WORSE, ("fall_back", "rules_better")),
    ],
)
def test_decision(challenger_champion, rules_champion, challenger_rules, expected):
    over_champion = {CHALLENGER: gains(challenger_champion), RULES: gains(rules_champion)}
    over_rules = {CHALLENGER: gains(challenger_rules), CHAMPION: gains(OPEN)}
    assert _decision(figures(over_champion, over_rules)) == expected


def test_a_proven_loss_at_the_top_of_the_list_vetoes():
    over_champion = {CHALLENGER: gains(BETTER, precision=(-0.2, -0.05)), RULES: gains(OPEN)}
    over_rules = {CHALLENGER: gains(BETTER), CHAMPION: gains(OPEN)}
    assert _decision(figures(over_champion, over_rules)) == ("keep", "worse")


interval = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted).map(tuple)


@given(interval, interval, interval, interval)
def test_nobody_comes_into_force_who_is_proven_worse_than_the_rules(one, two, three, precision):
    over_champion = {CHALLENGER: gains(one), RULES: gains(two)}
    over_rules = {CHALLENGER: gains(three, precision), CHAMPION: gains(OPEN)}
    outcome, _ = _decision(figures(over_champion, over_rules))
    if outcome == "promote":
        assert three[0] <= 0
        assert precision[1] >= 0
    if outcome == "keep":
        assert not two[1] < 0
