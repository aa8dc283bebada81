"""Bootstrap refits: drawn by account, the same every time, kept in the bundle; intervals and stable reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csql_ml.errors import BundleError
from csql_ml.labelled_rows import labelled_rows
from csql_ml.model.bundle import Champion, load, reference_set, save
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.peers import Exemplars, peers_of
from csql_ml.model.reference import metrics_of
from csql_ml.model.refits import (
    TOP,
    Refits,
    _draws,
    needed_refits,
    refit,
    stability_figures,
    strongest,
    with_figures,
)
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts

NUMBER = 5


def refitted(seed: int = 3) -> tuple[PropensityClassifier, Refits]:
    frame, won = accounts(240)
    owners = np.repeat(np.arange(120), 2)
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(frame, won, groups=owners)
    found = refit(model, frame, won.astype(float), owners, NUMBER, seed)
    assert found is not None
    return model, found


@pytest.fixture(scope="module")
def champion() -> Champion:
    model, found = refitted()
    frame, _ = accounts(400, seed=4)
    reference = reference_set(model, FEATURES, frame, size=60)
    days = frame.assign(
        as_of=np.datetime64("2026-04-01").astype(object), segment=np.where(frame.index % 2, "smb", "large")
    )
    exemplars = Exemplars("expanded", days["as_of"].iloc[0], 3, reference.rows[:3])
    reference = replace(reference, peers=peers_of(days, metrics_of(model, FEATURES)[0]), exemplars=exemplars)
    made = Champion("stack", FEATURES, TERMS, WEIGHTS, 0.3, {"upsell": 0.2}, None, {}, model, reference)
    return replace(made, refits=with_figures(found, model, *metrics_of(model, made.features), reference.rows))


def test_the_same_seed_gives_the_same_refits_and_another_one_others() -> None:
    matrix = accounts(50, seed=9)[0]
    margins = []
    for seed in (3, 3, 4):
        model, found = refitted(seed)
        margins.append(np.stack([r.stack.margin(model.encoder_.matrix(matrix)) for r in found.refits]))
    np.testing.assert_array_equal(margins[0], margins[1])
    assert not np.array_equal(margins[0], margins[2])


def test_accounts_are_drawn_whole_and_with_replacement() -> None:
    frame, won = accounts(90)
    owners = np.repeat(np.arange(30), 3)
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(frame, won, groups=owners)
    rows = labelled_rows(model.encoder_.matrix(frame), won.astype(float), None, owners)
    drawn = _draws(rows, 20, 7)
    assert len(drawn) == 20
    for draw in drawn:
        places = draw.places
        assert len(places) == 90
        assert np.bincount(draw.units).tolist() == [3] * 30, "an account drawn twice counts as two"
        times = np.bincount(places, minlength=90).reshape(30, 3)
        assert (times == times[:, :1]).all(), "a row of an account was drawn more often than another"
        assert (times == 0).any()
        assert (times > 1).any()
        assert 0 < rows.positive[places].sum() < 90


def test_no_refits_where_none_are_asked_for() -> None:
    frame, won = accounts(100)
    model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=1).fit(frame, won)
    assert refit(model, frame, won.astype(float), np.arange(100), 0, 7) is None


def test_a_draw_without_both_classes_is_drawn_again() -> None:
    frame, _ = accounts(40)
    won = np.zeros(40)
    won[0] = 1.0
    rows = labelled_rows(frame[["seat_saturation"]].to_numpy(), won, None, np.arange(40))
    assert all(rows.positive[draw.places].any() for draw in _draws(rows, 20, 1))


def test_the_propensity_lies_inside_its_interval(champion: Champion) -> None:
    frame, _ = accounts(300, seed=11)
    model = champion.estimator
    matrix = model.encoder_.matrix(frame)
    low, high = champion.refits.interval(model.stack_, matrix, model.stack_.margin(matrix))
    propensity = champion.propensity(frame)
    assert ((low > 0) & (low < propensity) & (propensity < high) & (high < 1)).all()


def test_an_interval_does_not_depend_on_the_rows_beside_it(champion: Champion) -> None:
    frame, _ = accounts(300, seed=11)
    model, place = champion.estimator, metrics_of(champion.estimator, champion.features)[1]
    matrix = model.encoder_.matrix(frame)
    agree = np.ones((300, len(champion.metrics)), dtype=np.int8)
    whole = champion.refits.interval(model.stack_, matrix, model.stack_.margin(matrix))
    shares = champion.refits.shares(matrix, agree, place, champion.reference.rows)
    for part in (slice(0, 2), slice(7, 107), slice(250, 300)):
        some = champion.refits.interval(model.stack_, matrix[part], model.stack_.margin(matrix[part]))
        np.testing.assert_array_equal(some[0], whole[0][part])
        np.testing.assert_array_equal(some[1], whole[1][part])
        theirs = champion.refits.shares(matrix[part], agree[part], place, champion.reference.rows)
        np.testing.assert_array_equal(theirs, shares[part])


def test_the_strongest_are_the_first_of_each_side_among_facts_that_agree() -> None:
    away = np.array([[5.0, 4.0, 3.0, 2.0, -1.0, -9.0, 0.0]])
    agree = np.array([[1, 0, 1, 1, -1, 1, 1]], dtype=np.int8)
    #                 5      agrees with none   3     2     against  points against its side   no points
    assert strongest(away, agree).tolist() == [[True, False, True, True, True, False, False]]
    crowded = np.array([[4.0, 3.0, 2.0, 1.0]])
    assert strongest(crowded, np.ones((1, 4), dtype=np.int8)).tolist() == [[True] * TOP + [False]]
    assert strongest(np.zeros((0, 4)), np.ones((0, 4), dtype=np.int8)).shape == (0, 4)


def test_shares_count_the_refits_in_which_a_metric_is_strong(champion: Champion) -> None:
    frame, _ = accounts(30, seed=12)
    model, (names, place) = champion.estimator, metrics_of(champion.estimator, champion.features)
    matrix, agree = model.encoder_.matrix(frame), np.ones((30, len(names)), dtype=np.int8)
    found = champion.refits.shares(matrix, agree, place, champion.reference.rows)
    expected = np.zeros_like(found)
    for one in champion.refits.refits:
        by_metric, typical = np.zeros((30, len(names))), np.zeros(len(names))
        for column, metric in enumerate(place):
            by_metric[:, metric] += one.stack.parts(matrix)[:, column]
            typical[metric] += one.stack.parts(champion.reference.rows)[:, column].mean()
        for row, away in enumerate(by_metric - typical):
            for metric in np.argsort(-away)[:TOP]:
                expected[row, metric] += (away[metric] > 0) / NUMBER
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert 0 < found.mean() < 1


def test_stability_is_told_beside_what_chance_gives() -> None:
    agree = np.ones((1, 6), dtype=np.int8)
    top = np.array([[True, True, True, False, False, False]])
    shares = np.array([[1.0, 1.0, 0.4, 0.6, 0.0, 0.0]])
    found = stability_figures(shares, top, agree, refits=10)
    assert found["stability"] == pytest.approx(0.8)
    assert found["stability_chance"] == pytest.approx(3 / 6)
    assert found["printed"] == pytest.approx(2 / 3)
    at_random = sum((1, 10, 45)) / 2**10  # 8, 9 or 10 of 10 refits, each with a chance of one half
    assert found["printed_chance"] == pytest.approx(at_random)
    assert stability_figures(shares, np.zeros_like(top), agree, 10) == {"refits": 10.0}


@pytest.mark.parametrize(("refits", "needed"), [(20, 16), (5, 4), (3, 3), (1, 1)])
def test_four_fifths_of_the_refits_are_needed(refits: int, needed: int) -> None:
    assert needed_refits(refits) == needed


def test_a_bundle_keeps_refits_peers_and_exemplars_to_the_last_bit(champion: Champion, tmp_path: Path) -> None:
    loaded = load(save(champion, tmp_path / "bundle"))
    assert loaded.model_version == champion.model_version
    assert loaded.files == champion.files
    assert loaded.refits.figures == champion.refits.figures
    assert {"refits", "stability", "stability_chance", "printed", "printed_chance"} == set(loaded.refits.figures)
    matrix = champion.estimator.encoder_.matrix(accounts(60, seed=5)[0])
    for mine, theirs in zip(champion.refits.refits, loaded.refits.refits, strict=True):
        np.testing.assert_array_equal(mine.stack.parts(matrix), theirs.stack.parts(matrix))
        np.testing.assert_array_equal(mine.free.margin(matrix), theirs.free.margin(matrix))
    assert loaded.reference.peers.to_plain() == champion.reference.peers.to_plain()
    np.testing.assert_array_equal(loaded.reference.exemplars.rows, champion.reference.exemplars.rows)


def test_a_bundle_without_refits_is_read_and_has_none(champion: Champion, tmp_path: Path) -> None:
    bare = replace(champion.reference, peers=None, exemplars=None)
    older = replace(champion, refits=None, reference=bare)
    assert not {"refits.json", "peers.json", "exemplars.json"} & set(older.files)
    loaded = load(save(older, tmp_path / "bundle"))
    assert (loaded.refits, loaded.reference.peers, loaded.reference.exemplars) == (None, None, None)


def test_a_refit_with_a_byte_changed_is_refused(champion: Champion, tmp_path: Path) -> None:
    folder = save(champion, tmp_path / "bundle")
    path = folder / "refit_00_00.txt"
    path.write_bytes(path.read_bytes().replace(b"num_leaves=4", b"num_leaves=3", 1))
    with pytest.raises(BundleError, match="refit_00_00"):
        load(folder)
