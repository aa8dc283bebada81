"""Guards find planted leaks, leave clean columns alone, and say so with figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.guards import guard
from csql_ml.model.guards.sample import sample_of
from csql_ml.model.guards.single import auc_error, single_columns
from csql_ml.model.training_data import TrainingData

DAYS = [date(2024, 1, 1), date(2024, 4, 1), date(2024, 7, 1)]


def world(rows: int = 600, seed: int = 1, days: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    """Eight honest columns, keys beside them, and the outcomes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 7)), columns=[f"x{i}" for i in range(7)])
    frame["plan"] = rng.choice(["a", "b", "c"], rows)
    margin = -0.5 + 0.8 * frame["x0"] + 0.5 * frame["x1"] + 0.6 * (frame["plan"] == "a")
    won = rng.random(rows) < 1 / (1 + np.exp(-margin))
    frame["x2"] = frame["x2"].mask(rng.random(rows) < 0.3)
    keys = pd.DataFrame(
        {
            "account_id": [f"a{i // days}" for i in range(rows)],
            "as_of": [DAYS[i % days] for i in range(rows)],
            "portfolio": "",
            "arr": np.nan,
        }
    )
    return pd.concat([keys, frame], axis=1), won


def data_of(frame: pd.DataFrame, won: np.ndarray) -> TrainingData:
    names = [c for c in frame if c not in ("account_id", "as_of", "portfolio", "arr")]
    labels = frame[["account_id", "as_of"]].assign(
        state=np.where(won, "positive", "negative"), reason=None, label=won.astype(float), amount=np.nan, lead_type=None
    )
    features = tuple(Feature(n, n, categorical=n == "plan") for n in names)
    weights = {"engagement": 1.0, "fit": 0.0, "intent": 0.0}
    return TrainingData(frame, lambda day: labels, date(2026, 1, 1), features, (), weights)


@pytest.mark.parametrize("rows", [60, 300, 2000])
def test_clean_columns_are_not_suspected(rows: int):
    assert [guard(data_of(*world(rows, seed))).suspects for seed in range(3)] == [()] * 3


def test_a_copy_of_the_outcome_is_named_with_its_figure_and_limit():
    frame, won = world()
    rng = np.random.default_rng(2)
    leak = np.where(rng.random(len(won)) < 0.95, won, ~won) + rng.normal(0, 0.1, len(won))
    found = guard(data_of(frame.assign(leak=leak), won)).suspects
    (suspect,) = [s for s in found if s.kind == "predicts_too_well"]
    assert suspect.feature == "leak"
    assert suspect.figure >= suspect.limit > 0.8
    assert f"{suspect.figure:.3f}" in suspect.sentence
    assert f"{suspect.limit:.3f}" in suspect.sentence
    assert suspect.to_dict()["kind"] == "predicts_too_well"


def test_two_copies_do_not_hide_each_other():
    frame, won = world()
    rng = np.random.default_rng(3)
    copies = {n: np.where(rng.random(len(won)) < 0.95, won, ~won).astype(float) for n in ("one", "other")}
    found = guard(data_of(frame.assign(**copies), won)).suspects
    assert {s.feature for s in found if s.kind == "predicts_too_well"} == {"one", "other"}


def test_a_category_that_knows_the_outcome_is_found():
    frame, won = world()
    stage = np.where(won, "closed", np.random.default_rng(4).choice(["new", "open"], len(won)))
    data = data_of(frame.assign(plan=stage), won)
    assert {s.feature for s in guard(data).suspects} >= {"plan"}


def test_where_outcomes_are_easy_strong_columns_are_no_leaks():
    """Ten noisy views of one thing that decides: each ranks well, all together rank better."""
    rng = np.random.default_rng(5)
    frame, _ = world()
    cause = rng.normal(size=len(frame))
    won = cause > 0
    views = {f"view{i}": cause + rng.normal(0, 0.5, len(frame)) for i in range(10)}
    data = data_of(frame.assign(**views), won)
    alone = single_columns(sample_of(data.labelled(data.now), data.features, 7)).auc
    assert alone.max() > 0.9
    assert [s for s in guard(data).suspects if s.kind == "predicts_too_well"] == []


def test_noise_ranks_like_chance_and_not_like_what_was_fitted_to_it():
    rng = np.random.default_rng(8)
    frame, won = world(60)
    noise = pd.DataFrame(rng.normal(size=(60, 60)), columns=[f"n{i}" for i in range(60)])
    data = data_of(pd.concat([frame[["account_id", "as_of", "portfolio", "arr"]], noise], axis=1), won)
    assert single_columns(sample_of(data.labelled(data.now), data.features, 7)).auc.mean() == pytest.approx(
        0.5, abs=0.04
    )


def test_the_limit_falls_as_outcomes_grow():
    assert auc_error(0.9, 20, 40) > 2 * auc_error(0.9, 200, 400) > 0


def test_gaps_that_know_the_outcome_are_found_and_chance_is_not():
    frame, won = world()
    gaps = np.random.default_rng(6).random(len(won)) < np.where(won, 0.6, 0.2)
    (suspect,) = guard(data_of(frame.assign(x3=frame["x3"].mask(gaps)), won)).suspects
    assert (suspect.feature, suspect.kind) == ("x3", "missing_by_label")
    assert suspect.figure == pytest.approx(0.4, abs=0.08)


def test_a_column_that_changes_only_with_the_label_is_found():
    frame, won = world(900, days=3)
    seats = pd.Series(np.where(won, 1.0, 0.0)).groupby(frame["account_id"]).cumsum()
    kinds = {s.kind for s in guard(data_of(frame.assign(seats=seats), won)).suspects if s.feature == "seats"}
    assert "known_after" in kinds


def test_one_column_that_carries_the_model_is_named():
    rng = np.random.default_rng(7)
    frame, _ = world()
    won = rng.random(len(frame)) < 1 / (1 + np.exp(-2.2 * frame["x0"]))
    found = {(s.feature, s.kind) for s in guard(data_of(frame, won)).suspects}
    assert ("x0", "importance") in found


def test_strict_leaves_out_every_column_of_the_metric_and_its_term():
    frame, won = world()
    data = data_of(frame.assign(leak=won.astype(float), leak_reached=won.astype(float)), won)
    features = tuple(replace(f, metric="leak") if f.name == "leak_reached" else f for f in data.features)
    terms = (ScoreTerm("leak_reached", "engagement", 0.0, 1.0, 1.0), ScoreTerm("x0", "engagement", -1.0, 1.0, 1.0))
    guarded = guard(replace(data, features=features, terms=terms), strict=True)
    assert guarded.excluded == ("leak",)
    assert not {"leak", "leak_reached"} & set(guarded.data.columns)
    assert [t.feature for t in guarded.data.terms] == ["x0"]
    lenient = guard(replace(data, features=features, terms=terms))
    assert lenient.data.columns == [f.name for f in features]
    assert lenient.suspects == guarded.suspects


def test_a_trusted_column_is_never_suspected():
    frame, won = world()
    data = data_of(frame.assign(leak=won.astype(float)), won)
    assert "leak" in {s.feature for s in guard(data).suspects}
    assert "leak" not in {s.feature for s in guard(data, strict=True, trusted=["leak"]).suspects}


def test_strict_never_leaves_nothing():
    frame, won = world()
    bare = frame[["account_id", "as_of", "portfolio", "arr"]].assign(leak=won.astype(float))
    guarded = guard(data_of(bare, won), strict=True)
    assert guarded.suspects
    assert guarded.excluded == ()
    assert guarded.data.columns == ["leak"]


def test_too_few_outcomes_say_nothing():
    frame, won = world(15)
    assert guard(data_of(frame.assign(leak=won.astype(float)), won)).suspects == ()


def test_many_rows_are_drawn_by_account_and_the_same_each_time():
    frame, won = world(90_000, days=3)
    known = data_of(frame, won).labelled(date(2026, 1, 1))
    features = (Feature("x0", "x0"),)
    one, other = (sample_of(known, features, 7) for _ in range(2))
    assert 39_000 < len(one.positive) <= 40_002
    assert set(np.bincount(one.account[one.account >= 0])) <= {0, 3}, "accounts are whole"
    np.testing.assert_array_equal(one.matrix, other.matrix)
