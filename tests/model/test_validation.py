"""Validation in time: what is trained on, what is judged, and what is said when time cannot be respected."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from csql_ml.errors import TrainingError
from csql_ml.model import account_folds
from csql_ml.model.training_data import TrainingData, periods
from csql_ml.model.validation import validate
from tests.model.training_world import CONFIG, FEATURES, HORIZON, QUARTERS, TERMS, WEIGHTS, labels, world


class Recorder:
    """A judged model that remembers what it was trained on and says the same of everybody."""

    def __init__(self) -> None:
        self.trained_on: list[tuple[pd.DataFrame, np.ndarray, np.ndarray]] = []

    def __call__(self, table, y, accounts, weight=None):
        self.trained_on.append((table, y, accounts))
        self.rate = float(y.mean())
        return self

    def predict_proba(self, table):
        return np.full((len(table), 2), [1 - self.rate, self.rate])


def recorded(data: TrainingData, config=CONFIG, **more):
    recorder = Recorder()
    return validate(data, config, {"model": recorder, "baseline": Recorder()}, **more), recorder


def test_each_newest_snapshot_is_judged_by_what_was_complete_on_its_day():
    data = world(accounts=120, snapshots=7)
    found, recorder = recorded(data)
    assert found.in_time
    assert [f.name for f in found.folds] == ["2024-01-01", "2024-04-01", "2024-07-01"]
    for fold, (table, y, accounts) in zip(found.folds, recorder.trained_on, strict=True):
        day = date.fromisoformat(fold.name)
        complete = data.frame[[d + HORIZON <= day for d in data.frame["as_of"]]]
        assert len(y) == fold.train_rows <= len(complete)
        assert set(accounts) <= set(complete["account_id"])
        values = set(map(tuple, complete[["saturation", "noise"]].to_numpy()))
        assert set(map(tuple, table[["saturation", "noise"]].to_numpy())) <= values


def test_a_label_known_only_after_the_test_day_never_reaches_its_training():
    """Flip every outcome that was still open on the day: the training set must not change by a single value."""
    data = world(accounts=120, snapshots=7)
    day = date(2024, 7, 1)
    before, after = data.truth, data.truth.copy()
    open_then = np.array([d + HORIZON > day for d in after["as_of"]])
    assert open_then.any()
    after.loc[open_then, "won"] = ~after.loc[open_then, "won"]
    other = TrainingData(data.frame, lambda d: labels(after, d), data.now, FEATURES, TERMS, WEIGHTS)
    (_, one), (_, two) = recorded(data), recorded(other)
    for (t1, y1, a1), (t2, y2, a2) in zip(one.trained_on[:3], two.trained_on[:3], strict=True):
        pd.testing.assert_frame_equal(t1, t2)
        assert np.array_equal(y1, y2)
        assert np.array_equal(a1, a2)
    assert not before["won"].equals(after["won"])


def test_early_wins_do_not_make_a_snapshot_complete():
    data = world(accounts=120, snapshots=3)
    day = QUARTERS[2]  # the second snapshot has wins by now, but its quiet accounts are open
    known = data.with_labels(day)
    second = known[known["as_of"] == QUARTERS[1]]
    assert set(second["state"]) == {"positive", "open"}
    assert set(data.labelled(day)["as_of"]) == {QUARTERS[0]}


def test_a_snapshot_without_training_data_is_left_out_and_named():
    found, _ = recorded(world(accounts=120, snapshots=4))
    assert [f.name for f in found.folds] == ["2023-07-01", "2023-10-01"]
    assert len(found.left_out) == 1
    assert found.left_out[0].startswith("2023-04-01: 0 outcomes")


def test_accounts_not_in_training_are_scored_apart():
    data = world(accounts=300, snapshots=5)
    new = data.frame["account_id"] >= "A0150"
    frame = data.frame[~new | (data.frame["as_of"] == QUARTERS[4])]
    later = TrainingData(frame, data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)
    found, _ = recorded(later)
    last = found.scored[found.scored["as_of"] == QUARTERS[4]]
    assert set(last.loc[~last["seen"], "account_id"]) == set(last["account_id"][last["account_id"] >= "A0150"])
    unseen = found.scored[~found.scored["seen"]]
    expected = roc_auc_score(unseen["label"].astype(float), unseen["p_model"])
    assert found.unseen_auc() == pytest.approx({"model": expected, "baseline": expected})
    assert recorded(world(accounts=60, snapshots=5))[0].unseen_auc() == {}


@pytest.mark.parametrize("snapshots", [1, 5])
def test_of_very_many_rows_drawn_accounts_are_learned_from_and_all_judged(snapshots, monkeypatch):
    data = world(accounts=120, snapshots=snapshots)
    whole, _ = recorded(data)
    monkeypatch.setattr(account_folds, "ENOUGH_TAUGHT", 60)
    found, recorder = recorded(data)
    judged = ["account_id", "as_of", "label"]
    assert found.scored[judged].equals(whole.scored[judged])
    assert max(f.train_rows for f in whole.folds) > 60
    for fold, (table, _, accounts) in zip(found.folds, recorder.trained_on, strict=True):
        assert 40 < fold.train_rows == len(table) <= 60
        of_account = data.labelled(data.now)["account_id"].isin(set(accounts)).sum()
        assert fold.train_rows <= of_account
    for fold, part in found.scored.groupby(["repetition", "as_of"]):
        assert part["seen"].mean() < 0.6, fold
    assert recorded(data)[0].scored.equals(found.scored)


def test_of_very_many_accounts_a_draw_is_looked_at(monkeypatch):
    data = world(accounts=120, snapshots=3)
    assert data.drawn(1) is data
    monkeypatch.setattr(account_folds, "ENOUGH_TAUGHT", 50)
    some = data.drawn(1)
    assert some.frame.groupby("as_of").size().tolist() == [50, 50, 50]
    kept = data.frame[data.frame["account_id"].isin(set(some.frame["account_id"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.frame, kept)
    assert some.frame["account_id"].tolist() == data.drawn(1).frame["account_id"].tolist()
    assert set(some.frame["account_id"]) != set(data.drawn(2).frame["account_id"])


def test_one_snapshot_falls_back_to_folds_by_account_and_says_so():
    data = world(accounts=200, snapshots=1)
    found, recorder = recorded(data)
    assert not found.in_time
    assert len(found.folds) == 15
    assert found.scored["repetition"].value_counts().nunique() == 1
    assert len(found.outcomes) == len(data.labelled(data.now))
    assert found.scored["seen"].sum() == 0
    assert all(len(accounts) == len(set(accounts)) for *_, accounts in recorder.trained_on)


def test_folds_by_account_keep_all_rows_of_an_account_together():
    """Two snapshots in one quarter: neither is complete on the other's day."""
    data = world(accounts=150, snapshots=2)
    found, recorder = recorded(data)
    assert not found.in_time
    for fold in range(5):
        trained = set(recorder.trained_on[fold][2])
        tested = found.scored[(found.scored["repetition"] == 0) & ~found.scored["account_id"].isin(trained)]
        assert tested.groupby("account_id").size().max() == 2
    assert found.scored["seen"].sum() == 0


def test_the_same_data_in_another_order_gives_the_same_folds():
    data = world(accounts=100, snapshots=1)
    mixed = data.frame.sample(frac=1, random_state=5)
    other = TrainingData(mixed, data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)
    one, two = recorded(data)[0].scored, recorded(other)[0].scored
    pd.testing.assert_frame_equal(one, two)
    assert data.fingerprint() == other.fingerprint()


def test_the_fingerprint_sees_one_changed_cell():
    data = world(accounts=30, snapshots=2)
    frame = data.frame.copy()
    frame.loc[7, "noise"] += 1e-9
    other = TrainingData(frame, data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)
    assert data.fingerprint() != other.fingerprint()


def test_progress_counts_every_training():
    told: list[tuple[str, int, int]] = []
    recorded(world(accounts=120, snapshots=5), on_progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert {of for *_, of in told} == {len(told)} == {6}
    assert told[0][0] == "model 2023-07-01"


@given(st.lists(st.dates(date(2022, 1, 1), date(2023, 12, 31)), min_size=25, max_size=80, unique=True))
def test_many_as_of_dates_are_judged_by_quarter(days):
    found = periods(pd.Series(days))
    for day, period in zip(days, found, strict=True):
        assert period <= day
        assert period in days
        assert (period.year, (period.month - 1) // 3) == (day.year, (day.month - 1) // 3)
    assert found.nunique() == len({(d.year, (d.month - 1) // 3) for d in days})


def test_few_as_of_dates_are_judged_one_by_one():
    days = pd.Series([date(2024, 1, 1) + timedelta(days=d) for d in range(24)])
    assert periods(days).equals(days)


def test_an_account_twice_in_a_snapshot_is_refused():
    data = world(accounts=10, snapshots=1)
    frame = pd.concat([data.frame, data.frame.iloc[[3]]])
    with pytest.raises(TrainingError, match=r"account A0003 has more than one row for 2023-01-01"):
        TrainingData(frame, data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)


def test_a_missing_column_is_named():
    data = world(accounts=10, snapshots=1)
    with pytest.raises(TrainingError, match="lacks hidden"):
        TrainingData(data.frame.drop(columns="hidden"), data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)


def test_snapshots_as_timestamps_are_the_same_as_dates():
    data = world(accounts=10, snapshots=2)
    frame = data.frame.assign(as_of=pd.to_datetime(data.frame["as_of"]))
    other = TrainingData(frame, data.labels_known, data.now, FEATURES, TERMS, WEIGHTS)
    assert other.snapshots == QUARTERS[:2]
    assert other.fingerprint() == data.fingerprint()


def test_labels_that_are_always_known_still_come_from_earlier_snapshots_only():
    """A table of one's own may know all outcomes from the start; a snapshot never trains the model it judges."""
    data = world(accounts=100, snapshots=4)
    fixed = TrainingData(data.frame, lambda _: data.labels_known(data.now), data.now, FEATURES, TERMS, WEIGHTS)
    found, recorder = recorded(fixed)
    for fold, (table, *_) in zip(found.folds, recorder.trained_on, strict=True):
        earlier = data.frame[[d < date.fromisoformat(fold.name) for d in data.frame["as_of"]]]
        assert set(table["noise"]) <= set(earlier["noise"])
