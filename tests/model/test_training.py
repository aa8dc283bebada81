"""From snapshots to champion and verdict, on worlds whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.errors import TrainingError
from csql_ml.model import validation
from csql_ml.model.assembly import arr_shares, newest_rows, threshold_for
from csql_ml.model.bundle import load, save
from csql_ml.model.training import Trained, label_funnel, train
from csql_ml.model.training_data import TrainingData
from tests.model.training_world import CONFIG, FEATURES, QUARTERS, TERMS, WEIGHTS, labels, world

# The trained worlds are shared; one worker trains each of them once.


def config(**sections) -> Config:
    given = CONFIG.model_dump()
    for section, values in sections.items():
        given[section] = {**given[section], **values}
    return Config.model_validate(given)


@pytest.fixture(scope="module")
def promoted() -> tuple[Trained, TrainingData]:
    """Half of what drives outcomes is unknown to the rules."""
    data = world(accounts=300, snapshots=5, hidden=1.2)
    return train(data, CONFIG), data


@pytest.fixture(scope="module")
def kept() -> tuple[Trained, TrainingData]:
    """The rules know all there is to know."""
    data = world(accounts=200, snapshots=5)
    return train(data, CONFIG), data


def test_a_truly_better_model_is_promoted(promoted):
    trained, data = promoted
    assert trained.verdict.promoted
    assert trained.champion.kind == "stack"
    assert trained.challenger is None
    assert trained.champion.trained_as_of == data.now
    unseen = world(accounts=2000, snapshots=1, hidden=1.2, seed=77)
    said, truth = trained.champion.propensity(unseen.frame), unseen.truth["truth"].to_numpy()
    assert np.corrcoef(said, truth)[0, 1] > 0.9
    assert abs(said.mean() - truth.mean()) < 0.05


def test_the_rules_stay_where_they_are_as_good(kept):
    trained, _ = kept
    assert (trained.verdict.outcome, trained.verdict.reason) == ("keep", "cannot_tell")
    assert trained.champion.kind == "rules"
    assert trained.champion.threshold == CONFIG.baseline.threshold
    assert trained.challenger.kind == "stack"


def test_pure_noise_is_no_usable_signal():
    trained = train(world(accounts=250, snapshots=5, score=0.0), CONFIG)
    assert (trained.verdict.outcome, trained.verdict.reason) == ("keep", "no_usable_signal")
    assert trained.champion.kind == "rules"


def test_one_snapshot_is_judged_but_not_in_time(monkeypatch):
    monkeypatch.setattr(validation, "REPEATS", ((2000, 1),))
    trained = train(world(accounts=250, snapshots=1, hidden=1.5), CONFIG)
    assert trained.verdict.figures is not None
    assert not trained.verdict.in_time
    assert "not validated in time" in trained.verdict.paragraph()


def test_day_one_without_any_label():
    data = world(accounts=40, snapshots=1, now=QUARTERS[0])
    trained = train(replace(data, mature_from=date(2023, 7, 1)), CONFIG)
    assert (trained.verdict.outcome, trained.verdict.reason) == ("keep", "no_labels")
    assert "Outcomes are complete from 2023-07-01 on" in trained.verdict.paragraph()
    assert trained.champion.kind == "rules"
    assert trained.champion.trained_as_of is None
    assert trained.challenger is None
    assert trained.label_funnel.loc[0, "open"] == 40
    said = trained.champion.propensity(data.frame)
    assert ((said > 0) & (said < 1)).all()


def test_wins_alone_are_not_learned_from():
    """Two weeks before the horizon ends many wins are known and no loss is."""
    data = world(accounts=200, snapshots=1, now=date(2023, 6, 15))
    trained = train(data, CONFIG)
    assert trained.label_funnel.loc[0, "positive"] > 20
    assert pd.isna(trained.label_funnel.loc[0, "positive_rate"])
    assert trained.verdict.reason == "no_labels"


@pytest.mark.parametrize(
    ("rate", "reason"), [(-5.0, "too_few_positives"), (3.0, "too_few_negatives"), (30.0, "too_few_negatives")]
)
def test_too_few_of_one_kind_keep_the_rules(rate, reason):
    trained = train(world(accounts=60, snapshots=1, rate=rate), CONFIG)
    assert (trained.verdict.outcome, trained.verdict.reason) == ("keep", reason)
    assert trained.champion.kind == "rules"
    assert trained.champion.trained_as_of is None


def test_the_model_lets_through_as_many_accounts_as_the_rules_would(promoted):
    trained, data = promoted
    newest = data.frame[data.frame["as_of"] == data.snapshots[-1]]
    by_rules = (trained.champion.baseline_score(newest) >= CONFIG.baseline.threshold).sum()
    by_model = (trained.champion.propensity(newest) >= trained.champion.threshold).sum()
    assert 0 < by_model < len(newest)
    assert by_model == by_rules


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(0, 30))
def test_threshold_comes_as_near_as_any_cut_can(twentieths, passing):
    said = np.array(twentieths) / 20
    cut = threshold_for(said, passing)
    possible = [(said >= value).sum() for value in (*said, 2.0)]
    assert abs((said >= cut).sum() - passing) == min(abs(p - passing) for p in possible)


def test_own_wins_replace_the_configured_arr_share_once_there_are_enough():
    data = world(accounts=120, snapshots=2)
    wins = data.truth[data.truth["won"] & data.truth["covered"]]
    found = arr_shares(data, CONFIG)
    assert found["upsell"] == pytest.approx(wins["share"].median())
    assert (found["cross_sell"], found["referral"]) == (0.25, 0.10)
    assert arr_shares(data, config(handoff={"min_wins_for_arr": 10_000}))["upsell"] == 0.20


def test_a_win_seen_by_two_snapshots_counts_once():
    data = world(accounts=4, snapshots=2)
    wins = pd.DataFrame(
        {
            "account_id": ["A0000", "A0000", "A0001", "A0002"],
            "as_of": [QUARTERS[0], QUARTERS[1], QUARTERS[0], QUARTERS[0]],
            "state": "positive",
            "reason": "reached",
            "label": 1.0,
            "amount": [30.0, 30.0, 10.0, 20.0],
            "lead_type": "upsell",
        }
    )
    frame = data.frame.assign(arr=100.0)
    twice = TrainingData(frame, lambda day: wins, data.now, FEATURES, TERMS, WEIGHTS)
    assert arr_shares(twice, config(handoff={"min_wins_for_arr": 3}))["upsell"] == pytest.approx(0.2)
    assert arr_shares(twice, config(handoff={"min_wins_for_arr": 4}))["upsell"] == 0.20


def test_the_reference_set_is_drawn_from_the_newest_snapshots():
    data = world(accounts=30, snapshots=4)
    assert set(newest_rows(data, 1)["as_of"]) == {QUARTERS[3]}
    assert set(newest_rows(data, 31)["as_of"]) == {QUARTERS[3], QUARTERS[2]}
    assert len(newest_rows(data, 10_000)) == 120
    trained = train(data, config(model={"min_positives": 500}))
    assert len(trained.champion.reference.margin) == CONFIG.model.reference_size


def test_the_funnel_counts_every_account_once_per_snapshot():
    data = world(accounts=80, snapshots=3, now=QUARTERS[3])
    funnel = label_funnel(data)
    assert funnel["as_of"].tolist() == list(QUARTERS[:3])
    assert (funnel[["positive", "negative", "open", "unobserved"]].sum(axis=1) == funnel["accounts"]).all()
    assert funnel["positive_rate"].isna().tolist() == [False, False, True]


def test_the_same_data_in_any_order_gives_the_same_champion_to_the_byte(promoted, tmp_path):
    trained, data = promoted
    mixed = data.frame.sample(frac=1, random_state=11)
    mixed_labels = lambda day: data.labels_known(day).sample(frac=1, random_state=3)  # noqa: E731
    again = train(TrainingData(mixed, mixed_labels, data.now, FEATURES, TERMS, WEIGHTS), CONFIG)
    assert again.champion.model_version == trained.champion.model_version
    one, two = json.dumps(trained.verdict.to_dict()), json.dumps(again.verdict.to_dict())
    assert one == two


def test_a_champion_survives_its_bundle(promoted, tmp_path):
    trained, data = promoted
    back = load(save(trained.champion, tmp_path / "bundle"))
    assert np.array_equal(back.propensity(data.frame), trained.champion.propensity(data.frame))
    assert back.threshold == trained.champion.threshold
    assert back.training["outcome"] == "promote"


def test_a_table_without_score_terms_learns_a_plain_score():
    data = world(accounts=250, snapshots=5)
    own = TrainingData(data.frame, data.labels_known, data.now, FEATURES, (), WEIGHTS)
    trained = train(own, CONFIG)
    assert trained.verdict.figures.of["baseline"]["roc_auc"].low > 0.5
    learned = {t.feature for t in trained.champion.terms}
    assert {"saturation", "intent"} <= learned
    assert "segment" not in learned


def test_neither_terms_nor_outcomes_is_an_error_that_says_what_to_do():
    data = world(accounts=40, snapshots=1, now=QUARTERS[0])
    own = TrainingData(data.frame, data.labels_known, data.now, FEATURES, (), WEIGHTS)
    with pytest.raises(TrainingError, match="wait for more outcomes, or name the score's terms"):
        train(own, CONFIG)


def test_an_empty_table_is_an_error():
    data = world(accounts=5, snapshots=1)
    empty = TrainingData(data.frame.head(0), data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)
    with pytest.raises(TrainingError, match="has no rows"):
        train(empty, CONFIG)


def test_labels_of_accounts_outside_the_table_are_ignored():
    data = world(accounts=60, snapshots=2)
    fewer = data.frame[data.frame["account_id"] < "A0030"]
    half = TrainingData(fewer, lambda day: labels(data.truth, day), data.now, FEATURES, TERMS, WEIGHTS)
    assert label_funnel(half)["accounts"].tolist() == [30, 30]
