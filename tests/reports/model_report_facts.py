"""Trainings of the small made-up company with the facts of their model reports, computed once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from csql_ml.model.checked_training import checked_training
from csql_ml.model.training import Trained
from csql_ml.model.training_data import TrainingData
from csql_ml.model_report import facts
from tests.model.training_world import CONFIG, FEATURES, QUARTERS, world

SCRIPT = "<script>alert(1)</script>"
LONG = "Donaudampfschifffahrtsgesellschaftskapitaen" * 3


@cache
def promoted() -> tuple[Trained, TrainingData, dict[str, Any]]:
    """A model that replaces the rules; metrics and accounts have hostile names."""
    data = hostile(world(accounts=160, snapshots=4, hidden=1.5))
    trained, data = checked_training(data, CONFIG)
    return trained, data, plain(facts(trained, data, CONFIG))


@cache
def day_one() -> dict[str, Any]:
    """No outcome yet: the rules, and nothing else."""
    data = world(accounts=40, snapshots=1, now=QUARTERS[0])
    trained, data = checked_training(data, CONFIG)
    return plain(facts(trained, data, CONFIG))


def hostile(data: TrainingData) -> TrainingData:
    """Account ids and names of metrics that are markup, or long."""
    names = {"A0000": SCRIPT, "A0001": LONG}
    rename = {"hidden": SCRIPT, "noise": LONG}
    known = data.labels_known

    def labels(day: Any) -> pd.DataFrame:
        return known(day).replace({"account_id": names})

    features = tuple(replace(f, name=rename.get(f.name, f.name), metric=rename.get(f.name, f.name)) for f in FEATURES)
    frame = data.frame.replace({"account_id": names}).rename(columns=rename)
    return replace(data, frame=frame, labels_known=labels, features=features)


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """Through JSON and back: facts hold nothing else."""
    read: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return read
