"""Columns whose values, when scoring, are not those of training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from csql_ml.model.distributions import Distributions, distribution
from csql_ml.model.guards import Skew, skewed

RNG = np.random.default_rng(1)


def learned(carried: float = 0.6) -> Any:
    """A champion that learned from 2,000 accounts; ``usage`` carries so much of it."""
    columns = {
        "usage": RNG.normal(size=2000),
        "plan": RNG.choice(["a", "b", "c"], 2000).astype(object),
        "seats": np.where(RNG.random(2000) < 0.2, np.nan, RNG.poisson(20, 2000)),
    }
    spread = Distributions(2000, None, {n: distribution(v) for n, v in columns.items()}, {})  # type: ignore[arg-type]
    phi = RNG.normal(size=(300, 3)) * [carried, (1 - carried) / 2, (1 - carried) / 2]
    return SimpleNamespace(metrics=tuple(columns), reference=SimpleNamespace(phi=phi, distributions=spread))


def scored(rows: int = 500, **other: Any) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    plain = {
        "usage": rng.normal(size=rows),
        "plan": rng.choice(["a", "b", "c"], rows).astype(object),
        "seats": np.where(rng.random(rows) < 0.2, np.nan, rng.poisson(20, rows)),
    }
    return {**plain, **other}


@pytest.mark.parametrize("rows", [30, 500, 5000])
def test_the_same_world_raises_no_suspicion(rows: int):
    champion = learned()
    for seed in range(10):
        rng = np.random.default_rng([seed, rows])
        table = scored(rows, usage=rng.normal(size=rows), plan=rng.choice(["a", "b", "c"], rows).astype(object))
        assert skewed(champion, table) == Skew((), 0.0, True)


def test_a_shift_of_the_main_column_spoils_the_calibration():
    found = skewed(learned(), scored(usage=np.random.default_rng(3).normal(2, 1, 500)))
    (suspect,) = found.suspects
    assert (suspect.feature, suspect.kind) == ("usage", "skew")
    assert suspect.figure > 0.5
    assert not found.calibration_holds
    assert found.sentence is not None
    assert "1 column has other values" in found.sentence
    assert found.to_dict()["carried"] == pytest.approx(found.carried, abs=1e-6)


def test_a_shift_of_a_column_that_carries_little_is_named_only():
    found = skewed(learned(0.9), scored(seats=np.random.default_rng(3).poisson(60, 500).astype(float)))
    assert {s.feature for s in found.suspects} == {"seats"}
    assert found.calibration_holds
    assert found.sentence is None


def test_new_texts_are_named():
    (suspect,) = skewed(learned(), scored(plan=np.array(["d"] * 500, dtype=object))).suspects
    assert "100% of them with texts that training did not have" in suspect.sentence


def test_values_that_are_gone_are_named():
    (suspect,) = skewed(learned(), scored(usage=np.full(500, np.nan))).suspects
    assert "is missing in 100.0% now" in suspect.sentence


def test_another_type_is_named():
    (suspect,) = skewed(learned(), scored(plan=np.arange(500.0))).suspects
    assert suspect.sentence == "plan was text in training and is numbers now"


def test_old_bundles_without_distributions_say_nothing():
    champion = SimpleNamespace(reference=SimpleNamespace(distributions=None))
    assert skewed(champion, scored()) == Skew((), 0.0, True)  # type: ignore[arg-type]
