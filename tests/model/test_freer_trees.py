from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.datasets import load_digits

from csql_ml.model import freer_trees
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.freer_trees import FREER
from csql_ml.model.tree_shape import TreeShape


def digits() -> tuple[pd.DataFrame, np.ndarray]:
    """Pixels of handwritten digits, and whether the digit is 5 or more: nothing but interactions."""
    frame, digit = load_digits(return_X_y=True, as_frame=True)
    return frame.iloc[:, 10:42], (digit >= 5).to_numpy()


def test_deep_interactions_get_freer_trees():
    frame, won = digits()
    model = PropensityClassifier(bags=1).fit(frame[:1200], won[:1200])
    assert model.stack_.shape in FREER
    small = PropensityClassifier(bags=1, shape=TreeShape()).fit(frame[:1200], won[:1200])
    right = [(m.predict(frame[1200:]) == won[1200:]).mean() for m in (model, small)]
    assert right[0] > right[1] + 0.02
    fresh = frame[1200:1300]
    np.testing.assert_allclose(
        model.base_ + model.contributions(fresh).sum(axis=1), model.decision_function(fresh), atol=1e-9
    )


def test_what_adds_up_keeps_the_small_ones():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(1500, 6)), columns=[f"c{i}" for i in range(6)])
    won = rng.random(1500) < expit(frame["c0"] + frame["c1"])
    assert PropensityClassifier(bags=1).fit(frame, won).stack_.shape is None


def test_few_labels_and_tuned_settings_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(freer_trees, "_gain", lambda *_: (1.0, 0.1))  # freer trees would win
    frame, won = digits()
    few = freer_trees.FROM_LABELS - 1
    assert PropensityClassifier(bags=1).fit(frame[:few], won[:few]).stack_.shape is None
    tuned = TreeShape(leaves=5)
    assert PropensityClassifier(bags=1, shape=tuned).fit(frame[:1100], won[:1100]).stack_.shape == tuned
