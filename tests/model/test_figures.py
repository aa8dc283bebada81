"""Figures against scikit-learn, against tables computed by hand, and their intervals against repeated worlds."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.model import figures
from csql_ml.model.figures import ScoredSet, measure


def scored_set(label, propensity, *, account=None, block=None, amount=None) -> ScoredSet:
    rows = len(label)
    models = propensity if isinstance(propensity, dict) else {"baseline": propensity}
    return ScoredSet(
        label=np.asarray(label, dtype=float),
        account=np.arange(rows) if account is None else np.asarray(account, dtype=np.int64),
        block=np.zeros(rows, dtype=np.int64) if block is None else np.asarray(block, dtype=np.int64),
        amount=np.full(rows, np.nan) if amount is None else np.asarray(amount, dtype=float),
        propensity={name: np.asarray(p, dtype=float) for name, p in models.items()},
    )


def value(scored: ScoredSet, figure: str, capacity: int = 10, model: str = "baseline") -> float:
    return measure(scored, capacity, repetitions=20, seed=1).of[model][figure].value


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 9)),
        min_size=2,
        max_size=60,
    ).filter(lambda rows: len({label for label, _ in rows}) == 2)
)
def test_figures_equal_those_of_scikit_learn_with_ties(rows):
    label = np.array([float(y) for y, _ in rows])
    said = np.array([tenth / 10 for _, tenth in rows])
    of = measure(scored_set(label, said), 10, repetitions=20, seed=1).of["baseline"]
    assert of["roc_auc"].value == pytest.approx(sklearn.metrics.roc_auc_score(label, said))
    assert of["average_precision"].value == pytest.approx(sklearn.metrics.average_precision_score(label, said))
    assert of["log_loss"].value == pytest.approx(sklearn.metrics.log_loss(label, said))
    assert of["brier"].value == pytest.approx(sklearn.metrics.brier_score_loss(label, said))
    assert figures.roc_auc(label, said) == pytest.approx(of["roc_auc"].value)
    assert figures.log_loss(label, said) == pytest.approx(of["log_loss"].value)


@given(st.integers(0, 10_000))
def test_a_resample_is_worth_what_its_repeated_rows_are(seed):
    """Weights are only a fast way to write rows several times."""
    rng = np.random.default_rng(seed)
    rows = 40
    label, said = (rng.random(rows) < 0.4).astype(float), np.round(rng.random(rows), 1)
    label[:2] = 0, 1
    block, amount = rng.integers(0, 3, rows), np.where(label == 1, rng.integers(1, 9, rows) * 100.0, np.nan)
    weight = rng.integers(1, 4, rows)
    repeated = np.repeat(np.arange(rows), weight)
    view = figures._View(scored_set(label, said, block=block, amount=amount), said)
    by_weight = view.figures(weight[None, :].astype(float), 4)
    written_out = scored_set(
        label[repeated], said[repeated], account=repeated, block=block[repeated], amount=amount[repeated]
    )
    by_rows = figures._View(written_out, said[repeated]).figures(np.ones((1, len(repeated))), 4)
    for figure in ("roc_auc", "average_precision", "log_loss", "brier", "precision_at_k", "arr_at_k"):
        assert by_weight[figure][0] == pytest.approx(by_rows[figure][0]), figure


#   portfolio  account  propensity  expanded  ARR won      k = 2 per portfolio takes
TABLE = [
    ("anna", "a1", 0.90, 1, 1000.0),  # taken
    ("anna", "a2", 0.70, 0, np.nan),  # taken: equal to a3, but first by id
    ("anna", "a3", 0.70, 1, 5000.0),
    ("anna", "a4", 0.10, 0, np.nan),
    ("ben", "b1", 0.20, 1, 3000.0),  # taken: the best of a weak portfolio
    ("ben", "b2", 0.15, 0, np.nan),  # taken
    ("ben", "b3", 0.05, 1, np.nan),  # won, but the ARR is not known
    ("cleo", "c1", 0.60, 1, 500.0),  # taken: fewer accounts than capacity
]


def table_set() -> ScoredSet:
    portfolio, account, said, label, amount = zip(*TABLE, strict=True)
    ids = np.unique(account, return_inverse=True)[1]
    return scored_set(label, said, account=ids, block=np.unique(portfolio, return_inverse=True)[1], amount=amount)


def test_capacity_is_spent_within_each_portfolio():
    of = measure(table_set(), 2, repetitions=20, seed=1).of["baseline"]
    assert of["precision_at_k"].value == pytest.approx(3 / 5)
    assert of["arr_at_k"].value == pytest.approx(1000 + 3000 + 500)
    assert of["arr_share_at_k"].value == pytest.approx(4500 / 9500)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    rows = 300
    base = scored_set(
        rng.random(rows) < 0.3,
        rng.random(rows).round(1),
        account=rng.integers(0, 90, rows),
        block=rng.integers(0, 4, rows),
    )
    order = rng.permutation(rows)
    # An account has one row per block in real data; here the pair must be unique for the order to be defined.
    unique = np.unique(np.c_[base.account, base.block], axis=0, return_index=True)[1]
    order = order[np.isin(order, unique)]
    shuffled, sorted_ = (
        scored_set(base.label[o], base.propensity["baseline"][o], account=base.account[o], block=base.block[o])
        for o in (order, np.sort(order))
    )
    for figure in ("roc_auc", "average_precision", "precision_at_k", "ece"):
        assert value(shuffled, figure, 3) == pytest.approx(value(sorted_, figure, 3), abs=1e-12)


def test_without_any_amount_there_is_no_arr_figure():
    of = measure(scored_set([1, 0, 1], [0.5, 0.4, 0.3]), 2, repetitions=20, seed=1).of["baseline"]
    assert np.isnan(of["arr_at_k"].value)
    assert of["arr_share_at_k"].to_dict() == {"value": None, "low": None, "high": None, "error": None}


def test_one_class_has_no_auc_but_a_log_loss():
    of = measure(scored_set([0, 0, 0], [0.1, 0.2, 0.3]), 2, repetitions=20, seed=1).of["baseline"]
    assert np.isnan(of["roc_auc"].value)
    assert of["log_loss"].value == pytest.approx(-np.log([0.9, 0.8, 0.7]).mean())


def test_lift_by_decile_adds_up_to_all_positives():
    rng = np.random.default_rng(5)
    said = rng.random(207)
    label = rng.random(207) < said
    rows = measure(scored_set(label, said), 10, repetitions=20, seed=1).lift["baseline"]
    assert [r["decile"] for r in rows] == list(range(1, 11))
    assert sum(r["rows"] for r in rows) == 207
    assert sum(r["positives"] for r in rows) == label.sum()
    assert sum(r["lift"] * r["rows"] for r in rows) / 207 == pytest.approx(1)
    assert rows[0]["lift"] > 1.5 > 0.5 > rows[-1]["lift"]


def test_ece_of_a_table_by_hand():
    """Two bins of five rows: said .2, came .4; said .8, came .6. Equal propensities are never split over bins."""
    scored = scored_set([1, 1, 0, 0, 0, 1, 1, 1, 0, 0], [0.2] * 5 + [0.8] * 5)
    assert value(scored, "ece") == pytest.approx(0.2)


def test_ece_of_a_calibrated_forecast_is_within_its_noise_and_of_a_shifted_one_is_not():
    rng = np.random.default_rng(8)
    true = rng.beta(2, 6, 4000)
    scored = scored_set(rng.random(4000) < true, {"baseline": true, "model": np.clip(true + 0.06, 0, 1)})
    found = measure(scored, 10, repetitions=20, seed=1)
    assert found.of["baseline"]["ece"].value <= found.ece_noise["baseline"].high
    assert found.of["model"]["ece"].value > 1.5 * found.ece_noise["model"].high


def test_same_seed_same_numbers_and_chunks_do_not_show(monkeypatch):
    scored = table_set()
    whole = measure(scored, 2, repetitions=50, seed=4)
    monkeypatch.setattr(figures, "_CELLS", 24)  # three resamples at a time
    assert measure(scored, 2, repetitions=50, seed=4) == whole
    assert measure(scored, 2, repetitions=50, seed=5) != whole


def test_rows_of_one_account_go_together():
    """Four copies of each row are no new information, so the interval must not get narrower."""
    rng = np.random.default_rng(2)
    said = rng.random(150)
    label = (rng.random(150) < said).astype(float)
    once = measure(scored_set(label, said), 10, 400, seed=1).of["baseline"]["roc_auc"]
    copies = scored_set(np.tile(label, 4), np.tile(said, 4), account=np.tile(np.arange(150), 4))
    four = measure(copies, 10, 400, seed=1).of["baseline"]["roc_auc"]
    assert four.error == pytest.approx(once.error, rel=1e-6)


def test_paired_intervals_cover_the_true_difference():
    """120 worlds of 250 accounts with two like snapshots each: a 90 % interval must hold the truth in most of them."""
    large = _world(200_000, np.random.default_rng(99))
    model, rough = large.propensity["model"], large.propensity["baseline"]
    truth = {
        "log_loss": figures.log_loss(large.label, model) - figures.log_loss(large.label, rough),
        "average_precision": sklearn.metrics.average_precision_score(large.label, model)
        - sklearn.metrics.average_precision_score(large.label, rough),
    }
    covered = dict.fromkeys(truth, 0)
    for seed in range(120):
        gain = measure(_world(250, np.random.default_rng(1000 + seed)), 10, 200, seed).gain["model"]
        for figure, true in truth.items():
            covered[figure] += gain[figure].low <= true <= gain[figure].high
    assert all(0.82 <= count / 120 <= 0.98 for count in covered.values()), covered


def _world(accounts: int, rng: np.random.Generator) -> ScoredSet:
    signal, noise = rng.normal(size=(2, accounts))
    twice = np.repeat(np.arange(accounts), 2)
    true = 1 / (1 + np.exp(1 - signal - noise))[twice]
    rough = 1 / (1 + np.exp(0.9 - 0.8 * signal))[twice]
    shared = rng.random(accounts)[twice]  # both snapshots mostly share the account's fate
    label = np.where(rng.random(len(twice)) < 0.7, shared, rng.random(len(twice))) < true
    return scored_set(label, {"model": true, "baseline": rough}, account=twice, block=np.zeros(len(twice)))
