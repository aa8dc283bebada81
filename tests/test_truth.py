"""Where the true propensities are known, the model comes close to them on later quarters and beats the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.truth import compare


@pytest.mark.slow
@pytest.mark.parametrize(("accounts", "seed"), [(2000, 7), (1200, 11)])
def test_the_model_is_near_the_truth_and_above_the_rules(tmp_path: Path, accounts: int, seed: int) -> None:
    found = compare(tmp_path, accounts, 8, seed)
    assert found["gap"] <= 0.03
    assert found["model"] > found["baseline"]
    assert found["model"] > found["logistic"]
