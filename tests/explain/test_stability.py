"""What the refits of a champion say of single accounts, and what of it reaches the records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.batch_run import with_stability
from csql_ml.explain import stability as module
from csql_ml.explain.contributions import points
from csql_ml.explain.evidence import Evidence
from csql_ml.explain.stability import stability
from csql_ml.metrics import registry
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.bundle import Champion, reference_set
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.refits import LEAST_SHARE, LEVEL, refit

NAMES = ("seat_saturation", "feature_adoption", "active_user_ratio", "usage_growth", "nps_score", "active_days")
FEATURES = tuple(Feature(n, n, registry()[n].direction) for n in NAMES)
TERMS = tuple(ScoreTerm(n, "engagement", 0.0, 1.0, 1.0) for n in NAMES[:3])


def table(n: int, seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((n, len(NAMES)))
    return pd.DataFrame(values, columns=list(NAMES)).assign(account_id=[f"a{i}" for i in range(n)])


@pytest.fixture(scope="module")
def champion() -> Champion:
    rng, frame = np.random.default_rng(2), table(250, 1)
    chance = 0.1 + 0.5 * frame["seat_saturation"] * frame["usage_growth"] + 0.2 * frame["nps_score"]
    won = rng.random(250) < chance
    model = PropensityClassifier(FEATURES, TERMS, bags=1).fit(frame, won)
    found = refit(model, frame, won.astype(float), np.arange(250), 6, 7)
    reference = reference_set(model, FEATURES, table(80, 3), size=50)
    return Champion("stack", FEATURES, TERMS, {}, 0.5, {}, None, {}, model, reference, found)


def evidence(champion: Champion, frame: pd.DataFrame) -> Evidence:
    typical = dict(zip(NAMES, np.median(champion.reference.rows, axis=0).tolist(), strict=True))
    return Evidence(
        metrics={n: registry()[n] for n in NAMES},
        columns=champion.metrics,
        points=points(champion, frame).points,
        features=frame,
        facts=pd.DataFrame(index=frame.index),
        typical=typical,
        thresholds={},
        sources={},
    )


def test_reasons_printed_stand_in_most_refits_and_the_sum_still_closes(champion: Champion) -> None:
    frame = table(60, 5)
    plain = evidence(champion, frame)
    steady, found = with_stability(plain, champion)
    assert found is not None
    assert (found.level, found.least_share) == (LEVEL, LEAST_SHARE)
    left_out = 0
    for row in range(60):
        reasons, other, unsteady = steady.told(row)
        assert all(r["stability"] >= LEAST_SHARE for r in reasons)
        assert sum(r["points"] for r in reasons) + other == pytest.approx(plain.points[row].sum(), abs=1e-12)
        before = {r["metric"] for r in plain.reasons(row)[0]}
        assert unsteady == len(before - {r["metric"] for r in reasons})
        left_out += unsteady
    assert left_out, "refits that agree in everything prove nothing"


def test_rules_and_bundles_without_refits_have_neither_intervals_nor_shares(champion: Champion) -> None:
    frame = table(10, 5)
    older = replace(champion, refits=None)
    rules = WeightedScore.from_prior(TERMS)
    reference = reference_set(rules, FEATURES, frame, size=10)
    of_rules = Champion("rules", FEATURES, TERMS, {}, 50.0, {}, None, {}, rules, reference)
    for without in (older, of_rules):
        plain = evidence(without, frame) if without is older else None
        agree = np.ones((10, len(without.metrics)), dtype=np.int8)
        assert stability(without, frame, agree) is None
        if plain is not None:
            assert with_stability(plain, without) == (plain, None)


def test_the_answer_does_not_depend_on_how_many_are_asked_at_a_time(
    champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table(100, 6)
    agree = evidence(champion, frame).agreement
    whole = stability(champion, frame, agree)
    monkeypatch.setattr(module, "CHUNK", 7)
    parts = stability(champion, frame, agree)
    assert whole is not None
    assert parts is not None
    for name in ("low", "high", "shares"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
