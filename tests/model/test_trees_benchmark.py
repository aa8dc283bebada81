"""The benchmark of explainers compares values for real, and says who does not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import tree_speed
from benchmarks.contenders.explain_trees import EXPLAINERS
from benchmarks.tree_speed import CONTENDERS, difference, notes, table, world


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bag, explained by the toolkit and by LightGBM; woodelf is off by a hair."""
    monkeypatch.setattr(tree_speed, "LABELS", 200)
    monkeypatch.setattr(tree_speed, "DIFFERENT", 50)
    monkeypatch.setattr(tree_speed, "BAGS", 2)
    models = [path.read_text() for path in tree_speed.make_world(tmp_path, "categories")]
    rows = np.load(tmp_path / "categories.npy")
    for name in ("toolkit", "pred_contrib"):
        np.save(tmp_path / f"categories-{name}.npy", EXPLAINERS[name].prepared(models)(rows))
    np.save(tmp_path / "categories-woodelf.npy", np.load(tmp_path / "categories-toolkit.npy") + 0.002)
    return tmp_path


def test_differences_are_those_of_the_values(work: Path) -> None:
    assert difference(work, "toolkit", "categories") < 1e-13  # type: ignore[operator]
    assert difference(work, "woodelf", "categories") == pytest.approx(0.002)
    assert difference(work, "shap", "categories") is None


def test_the_table_has_ratios_and_names_who_does_not_run(work: Path) -> None:
    measured = {"predict": (100, 1.0), "toolkit": (300, 1.0), "woodelf": (50, 2.0)}
    found = [
        {"contender": name, "world": "categories", "rows": rows, "cpu": cpu, "version": f"{name} 1"}
        for name, (rows, cpu) in measured.items()
    ]
    found.append({"contender": "fasttreeshap v2", "world": "categories", "stopped": "ValueError: no categories"})
    lines = {line.split(" | ")[0]: line for line in table(work, found, ["categories"])}
    assert "| 300 | 0.33 | " in lines["| csql_ml, predict and explain"]
    assert lines["| woodelf"] == "| woodelf | 25 | 4.00 | 2e-03 |"
    assert lines["| fasttreeshap, v2"] == "| fasttreeshap, v2 | does not run | | |"
    said = list(notes(work, found, 2))
    assert "fasttreeshap v2 does not run on gaps, categories: `ValueError: no categories`." in said


def test_rows_to_explain_have_gaps_and_codes_that_training_did_not_see() -> None:
    trained, explained = world("categories", 500, 0)[0], world("categories", 500, 1)[0]
    unseen = set(explained[~np.isnan(explained[:, 5]), 5]) - set(trained[~np.isnan(trained[:, 5]), 5])
    assert unseen == {11.0}
    assert np.isnan(explained).any(axis=0).all()
    assert {c.name for c in CONTENDERS} == set(EXPLAINERS)
