"""Drift: chance raises few alarms at any size, a real shift is caught, and what is small or of the calendar is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from csql_ml.config.monitoring import Monitoring
from csql_ml.model.distributions import Distributions, distribution
from csql_ml.monitoring import drift
from csql_ml.monitoring.drift import Drift, compare
from csql_ml.monitoring.run_values import SCORES, RunValues

DAY = date(2026, 7, 1)
SETTINGS = Monitoring()


def run(**columns: Any) -> RunValues:
    """A run with these metrics; columns of text hold texts."""
    count = len(next(iter(columns.values())))
    scores = {name: columns.pop(name, np.linspace(0, 1, count)) for name in SCORES}
    text = {m: any(isinstance(v, str) for v in values) for m, values in columns.items()}
    nothing, no_word = np.full(count, np.nan), np.full(count, None, dtype=object)
    return RunValues(
        folder=Path(),
        manifest={"model_version": "m1", "run_id": "r1"},
        as_of=DAY,
        accounts=count,
        scores=pd.DataFrame({"account_id": [f"a{i}" for i in range(count)], **scores}),
        numbers={m: nothing if text[m] else np.asarray(v, dtype=float) for m, v in columns.items()},
        texts={m: np.array(v, dtype=object) if text[m] else no_word for m, v in columns.items()},
    )


def compared(before: RunValues, now: RunValues, settings: Monitoring = SETTINGS) -> dict[str, Drift]:
    return {d.name: d for d in compare(before.as_reference(), now, settings)}


def some(seed: int, count: int, **moved: float) -> RunValues:
    """A sample of a population with ties, tails and holes; ``moved`` adds to columns."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "smooth": rng.normal(size=count),
        "skewed": rng.lognormal(size=count),
        "counted": rng.poisson(0.5, size=count).astype(float),
        "flag": (rng.random(count) < 0.1).astype(float),
        "holes": np.where(rng.random(count) < 0.3, np.nan, rng.random(count)),
        "plan": rng.choice(["Basic", "Pro", "Enterprise"], size=count, p=[0.6, 0.3, 0.1]).tolist(),
        "propensity": rng.beta(2, 8, size=count),
        "baseline_score": rng.normal(40, 10, size=count),
    }
    return run(**{name: v + moved[name] if name in moved else v for name, v in columns.items()})


@pytest.mark.parametrize("count", [60, 600, 6000])
def test_two_samples_of_one_distribution_raise_few_alarms_at_any_size(count: int) -> None:
    runs = 16
    settings = Monitoring(false_alarms=0.25)  # so that few runs can show that the rate is kept
    alarms = [
        any(d.level == "alarm" for d in compared(some(2 * s, count), some(2 * s + 1, count), settings).values())
        for s in range(runs)
    ]
    # 0.8 of the rate belongs to drift; more alarms than this have a chance below 1 % at a rate of 0.2.
    assert sum(alarms) <= stats.binom.ppf(0.99, runs, 0.2)


def test_p_values_of_like_samples_are_as_small_as_they_say() -> None:
    found = [compared(some(2 * s, 80), some(2 * s + 1, 300)) for s in range(12)]
    values = np.array([d.p_value for one in found for d in one.values() if d.p_value is not None])
    for limit in (0.05, 0.2, 0.5):
        assert abs((values <= limit).mean() - limit) < 3.5 * np.sqrt(limit * (1 - limit) / len(values))


@pytest.mark.parametrize("column", ["smooth", "skewed", "counted", "holes", "propensity"])
def test_a_shift_of_three_tenths_of_a_deviation_is_caught_at_600(column: str) -> None:
    population = some(99, 20_000)
    values = population.scores[column] if column in SCORES else population.numbers[column]
    by = 0.3 * float(np.nanstd(values))
    for seed in range(2):
        found = compared(some(2 * seed, 600), some(2 * seed + 1, 600, **{column: by}))
        assert found[column].level == "alarm"
        assert found[column].shift == pytest.approx(0.3, abs=0.2)
        assert [n for n, d in found.items() if d.level == "alarm"] == [column]


def test_the_limit_that_chance_stays_below_shrinks_with_the_size() -> None:
    limits = [compared(some(1, n), some(2, n))["smooth"].chance for n in (60, 600, 6000)]
    expected = [stats.kstwobign.ppf(0.95) * np.sqrt(2 / n) for n in (60, 600, 6000)]
    assert limits == pytest.approx(expected, rel=0.12)


def test_a_sure_but_small_shift_is_told_and_raises_no_alarm() -> None:
    found = compared(some(1, 20_000), some(2, 20_000, smooth=0.08))["smooth"]
    assert (found.level, found.adjusted < 0.001) == ("watch", True)
    assert compared(some(1, 20_000), some(2, 20_000, smooth=0.2))["smooth"].level == "alarm"


def test_metrics_of_the_calendar_are_told_only() -> None:
    before = run(tenure_days=np.arange(600.0), smooth=np.arange(600.0))
    now = run(tenure_days=np.arange(600.0) + 90, smooth=np.arange(600.0))
    assert compared(before, now)["tenure_days"].level == "watch"
    assert compared(before, now, Monitoring(calendar=()))["tenure_days"].level == "alarm"


def test_what_goes_missing_is_an_alarm_of_its_own() -> None:
    values = np.random.default_rng(1).normal(size=600)
    gone = np.where(np.arange(600) % 4 == 0, np.nan, values)
    found = compared(run(nps=values), run(nps=gone))["nps"]
    assert (found.level, found.what, found.missing) == ("alarm", "missing", (0.0, 0.25))
    assert found.p_missing == pytest.approx(stats.fisher_exact([[0, 600], [150, 450]]).pvalue)


def test_a_column_that_vanishes_is_caught_and_one_that_never_was_is_not_judged() -> None:
    values = np.arange(200.0)
    found = compared(run(x=values, y=values * np.nan), run(x=values * np.nan, y=values * np.nan))
    assert (found["x"].level, found["x"].what, found["x"].p_value) == ("alarm", "missing", None)
    assert (found["y"].level, found["y"].p_value, found["y"].p_missing) == ("fine", None, 1.0)


def test_a_constant_column_that_comes_to_life_and_a_new_word_are_caught() -> None:
    found = compared(
        run(flag=np.zeros(300), plan=["Basic"] * 300),
        run(flag=np.arange(300) % 5 == 0, plan=["Basic"] * 240 + ["Free"] * 60),
    )
    assert {n: d.level for n, d in found.items() if n in ("flag", "plan")} == {"flag": "alarm", "plan": "alarm"}
    assert found["plan"].distance == pytest.approx(0.2)


def test_metrics_that_only_one_side_has_are_left_out() -> None:
    assert set(compared(run(a=[1.0, 2.0], b=[1.0, 2.0]), run(b=[1.0, 2.0], c=[1.0, 2.0]))) == {*SCORES, "b"}


def test_the_same_run_gives_the_same_result() -> None:
    one, two = (compare(some(1, 100).as_reference(), some(2, 100), SETTINGS) for _ in range(2))
    assert [(d.name, d.p_value, d.chance, d.adjusted) for d in one] == [
        (d.name, d.p_value, d.chance, d.adjusted) for d in two
    ]


def test_distances_equal_those_of_scipy_where_every_value_has_its_bin() -> None:
    rng = np.random.default_rng(3)
    samples = [(rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 70).astype(float)) for _ in range(6)]
    ours, theirs = [], []
    for before, now in samples:
        reference = distribution(before)
        spread = reference.again(now)
        pooled = reference.counts + spread.counts
        distance = drift._distance(spread.counts[None], pooled, True)[0]
        assert distance == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic)
        ours.append(drift._anderson_darling(spread.counts[None], pooled)[0] * 40 * 70 / 110)
        # Scholz and Stephens, equation 6, written out over the distinct values.
        total = 0.0
        for z in np.unique(np.r_[before, now])[:-1]:
            below, at = (np.r_[before, now] <= z).mean(), (np.r_[before, now] == z).mean()
            total += at * ((now <= z).mean() - (before <= z).mean()) ** 2 / (below * (1 - below))
        theirs.append(total * 40 * 70 / 110)
    assert ours == pytest.approx(theirs)


def test_p_values_agree_with_scipys_permutation_test() -> None:
    rng = np.random.default_rng(4)
    before, now = rng.normal(size=40), rng.normal(0.5, size=40)
    method = stats.PermutationMethod(n_resamples=4_000, rng=np.random.default_rng(1))
    theirs = stats.anderson_ksamp([before, now], variant="right", method=method).pvalue
    reference: Distributions = run(x=before).as_reference()
    (found,) = [d for d in compare(reference, run(x=now), SETTINGS) if d.name == "x"]
    assert found.p_value == pytest.approx(theirs, abs=0.02)
