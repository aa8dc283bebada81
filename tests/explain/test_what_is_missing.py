"""What the most similar account that got there had: the nearest one, and only what a CSM can work on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from csql_ml.explain.what_is_missing import MOST, comparables
from csql_ml.metrics import registry
from csql_ml.metrics.definition import Feature, Metric, ScoreTerm
from csql_ml.model.bundle import Champion
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.peers import Exemplars
from csql_ml.model.reference import ReferenceSet

#: Two that a CSM can work on, one that nobody can, one without a direction, one without a column of its own.
NAMES = ("seat_saturation", "feature_adoption", "open_high_severity_tickets", "tickets", "workflow_completion_rate")
COLUMNS = NAMES[:4]
DEFINED = {name: registry()[name] for name in NAMES}
REFERENCE = np.array([[0.1, 0.1, 0.0, 1.0], [0.5, 0.5, 1.0, 3.0], [0.9, 0.9, 2.0, 5.0], [0.5, 0.5, 1.0, 3.0]])
#: Near the accounts below in everything; near in nothing; the first again with more tickets.
EXEMPLARS = np.array([[0.8, 0.6, 0.0, 2.0], [0.1, 0.1, 2.0, 5.0], [0.8, 0.9, 2.0, 2.0]])


@pytest.fixture(scope="module")
def champion() -> Champion:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.random((120, 4)), columns=list(COLUMNS))
    features = tuple(Feature(n, n, DEFINED[n].direction) for n in COLUMNS)
    terms = (ScoreTerm("seat_saturation", "engagement", 0.2, 0.9, 1.0),)
    model = PropensityClassifier(features, terms, bags=1).fit(frame, rng.random(120) < frame["seat_saturation"])
    exemplars = Exemplars("expanded", date(2026, 1, 1), 31, EXEMPLARS)
    reference = ReferenceSet(np.zeros((4, 4)), np.zeros(4), REFERENCE, exemplars=exemplars)
    return Champion("stack", features, terms, {}, 0.5, {}, None, {}, model, reference)


def accounts(*rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def test_the_nearest_is_told_with_what_it_had_more_of_largest_difference_first(champion: Champion) -> None:
    found = comparables(champion, accounts([0.7, 0.1, 0.0, 2.0], [0.6, 0.5, 0.0, 2.0]), DEFINED, [0, 1])
    about = {"kind": "expanded", "accounts": 31, "as_of": "2026-01-01"}
    assert found[0] == {
        **about,
        "metrics": [
            {"metric": "feature_adoption", "value": 0.1, "theirs": 0.6, "unit": "ratio"},
            {"metric": "seat_saturation", "value": 0.7, "theirs": 0.8, "unit": "ratio"},
        ],
    }
    assert [m["metric"] for m in found[1]["metrics"]] == ["seat_saturation", "feature_adoption"]


def test_only_the_accounts_asked_for(champion: Champion) -> None:
    frame = accounts([0.7, 0.1, 0.0, 2.0], [0.6, 0.5, 0.0, 2.0])
    assert list(comparables(champion, frame, DEFINED, [1])) == [1]
    assert comparables(champion, frame, DEFINED, []) == {}


def test_what_nobody_can_work_on_is_never_told(champion: Champion) -> None:
    """The nearest had fewer open tickets and fewer tickets; neither is told, and an account ahead has no entry."""
    assert comparables(champion, accounts([0.9, 0.7, 1.0, 4.0]), DEFINED, [0]) == {}
    hidden = {n: replace(m, actionable=m.actionable, shown=False) for n, m in DEFINED.items()}
    assert comparables(champion, accounts([0.1, 0.1, 0.0, 2.0]), hidden, [0]) == {}


def test_a_missing_value_is_not_compared_and_counts_as_typical(champion: Champion) -> None:
    found = comparables(champion, accounts([float("nan"), 0.1, 0.0, 2.0]), DEFINED, [0])
    assert [m["metric"] for m in found[0]["metrics"]] == ["feature_adoption"]


def test_without_exemplars_there_is_nothing_to_tell(champion: Champion) -> None:
    bare = replace(champion, reference=replace(champion.reference, exemplars=None))
    assert comparables(bare, accounts([0.1, 0.1, 0.0, 2.0]), DEFINED, [0]) == {}


def test_parts_of_the_accounts_give_the_same_as_all_of_them(champion: Champion) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.random((5_000, 4)) * [1, 1, 3, 6], columns=list(COLUMNS))
    whole = comparables(champion, frame, DEFINED, range(5_000))
    part = comparables(champion, frame.iloc[4_000:].reset_index(drop=True), DEFINED, range(1_000))
    assert {row: whole[row + 4_000] for row in part} == part
    assert len(part) > 500


def test_what_is_actionable_counts_one_way_and_there_are_not_too_many_lines() -> None:
    actionable: list[Metric] = [m for m in registry().values() if m.actionable]
    assert len(actionable) >= MOST
    assert all(m.direction == 1 and m.shown and m.in_model for m in actionable)
