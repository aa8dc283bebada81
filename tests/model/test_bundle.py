from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.errors import BundleError, FeatureError, OutputError, TrainingError
from csql_ml.metrics.definition import ScoreTerm
from csql_ml.model.bundle import Champion, load, reference_set, save
from csql_ml.model.champion import Kind
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.reference import Estimator
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts


def champion_of(kind: Kind, estimator: Estimator, **more: object) -> Champion:
    frame, _ = accounts(80)
    facts = {
        "threshold": 0.3,
        "arr_share": {"upsell": 0.2},
        "trained_as_of": date(2026, 4, 1),
        "training": {"outcomes": np.int64(300), "loss": float("nan"), "note": "späte Verträge"},
        **more,
    }
    reference = reference_set(estimator, FEATURES, frame, size=40)
    return Champion(kind, FEATURES, TERMS, WEIGHTS, estimator=estimator, reference=reference, **facts)


@pytest.fixture(scope="module")
def stack() -> Champion:
    return champion_of("stack", PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(*accounts(300)))


@pytest.fixture(scope="module")
def rules() -> Champion:
    return champion_of("rules", WeightedScore.from_prior(TERMS, WEIGHTS), trained_as_of=None)


@pytest.fixture(scope="module")
def saved(stack: Champion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(stack, tmp_path_factory.mktemp("models") / "champion")


@pytest.mark.parametrize("kind", ["stack", "rules"])
def test_a_loaded_champion_is_the_saved_one_to_the_last_bit(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    champion: Champion = request.getfixturevalue(kind)
    loaded = load(save(champion, tmp_path / "bundle"))
    frame, _ = accounts(500, seed=2)
    np.testing.assert_array_equal(loaded.propensity(frame), champion.propensity(frame))
    np.testing.assert_array_equal(loaded.baseline_score(frame), champion.baseline_score(frame))
    np.testing.assert_array_equal(loaded.contributions(frame).phi, champion.contributions(frame).phi)
    for name in ("phi", "margin", "rows"):
        np.testing.assert_array_equal(getattr(loaded.reference, name), getattr(champion.reference, name))
    for name in ("kind", "features", "terms", "weights", "threshold", "arr_share", "trained_as_of", "model_version"):
        assert getattr(loaded, name) == getattr(champion, name)
    assert loaded.estimator.get_params()["terms"] == TERMS
    assert loaded.training == {"outcomes": 300, "loss": None, "note": "späte Verträge"}


def test_a_loaded_stack_knows_its_maturity_and_baseline(stack: Champion, saved: Path) -> None:
    loaded = load(saved)
    assert loaded.estimator.maturity_ == stack.estimator.maturity_
    frame, _ = accounts(50, seed=3)
    np.testing.assert_array_equal(
        loaded.weighted_score.predict_proba(frame), stack.estimator.weighted_score_.predict_proba(frame)
    )


def test_rules_of_day_one_stay_uncalibrated(rules: Champion, tmp_path: Path) -> None:
    assert load(save(rules, tmp_path / "bundle")).weighted_score.calibrated_ is False


def test_equal_champions_give_equal_bytes_in_another_process_too(saved: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from tests.model.company import *\n"
        "from tests.model.test_bundle import champion_of\n"
        "from csql_ml.model.bundle import save\n"
        "from csql_ml.model.estimator import PropensityClassifier\n"
        "model = PropensityClassifier(FEATURES, TERMS, WEIGHTS, bags=2).fit(*accounts(300))\n"
        "save(champion_of('stack', model), sys.argv[1])\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "123"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "again")], check=True, env=environment, cwd=root)
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()} == {
        p.name: p.read_bytes() for p in saved.iterdir()
    }


def test_the_version_follows_the_content(stack: Champion) -> None:
    same = champion_of("stack", stack.estimator)
    other = champion_of("stack", stack.estimator, threshold=0.31)
    assert stack.model_version == same.model_version != other.model_version
    assert len(stack.model_version) == 12


def test_a_bundle_is_text_without_paths(saved: Path) -> None:
    for file in saved.iterdir():
        text = file.read_text(encoding="utf-8")
        assert str(saved.parent) not in text
        assert str(Path.cwd()) not in text
        assert file.suffix in {".json", ".txt"}


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_found(data: st.DataObject, saved: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
    folder = Path(shutil.copytree(saved, tmp_path / "damaged"))
    file = folder / data.draw(st.sampled_from(sorted(p.name for p in saved.iterdir())))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(bytes(content))
    with pytest.raises(BundleError):
        load(folder)


def _foreign_name(folder: Path) -> None:
    sums = json.loads((folder / "CHECKSUMS.json").read_text())
    sums["files"]["../bundle.json"] = sums["files"].pop("bundle.json")
    (folder / "CHECKSUMS.json").write_text(json.dumps(sums))


def _newer_format(folder: Path) -> None:
    sums = json.loads((folder / "CHECKSUMS.json").read_text())
    (folder / "CHECKSUMS.json").write_text(json.dumps({**sums, "format": 99}))


def _link(folder: Path) -> None:
    (folder / "bundle.json").rename(folder.parent / "elsewhere.json")
    (folder / "bundle.json").symlink_to(folder.parent / "elsewhere.json")


def _pipe(folder: Path) -> None:
    (folder / "bundle.json").unlink()
    (folder / "bundle.json").mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "trees_01.txt").unlink(), "trees_01.txt is missing"),
        (lambda f: (f / "CHECKSUMS.json").unlink(), "CHECKSUMS.json is missing"),
        (lambda f: (f / "CHECKSUMS.json").write_text("[" * 100_000), "CHECKSUMS.json is damaged"),
        (lambda f: (f / "CHECKSUMS.json").write_text("{}"), "CHECKSUMS.json is damaged"),
        (_newer_format, "format 99, this version of csql_ml reads format 1"),
        (_foreign_name, "a file that a bundle cannot have"),
        (_link, "plain file"),
        (_pipe, "plain file"),
        (shutil.rmtree, "no model bundle"),
    ],
)
def test_what_is_no_bundle_is_refused(
    spoil: Callable[[Path], object], message: str, saved: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "bundle"))
    spoil(folder)
    with pytest.raises(BundleError, match=message):
        load(folder)


def test_a_bundle_with_honest_checksums_and_senseless_content_is_refused(stack: Champion, tmp_path: Path) -> None:
    changed = champion_of("stack", stack.estimator)
    main = json.loads(changed.files["bundle.json"])
    for senseless in ({**main, "kind": "neural"}, {**main, "features": [{"nome": "x"}]}, [], {**main, "estimator": {}}):
        changed.files["bundle.json"] = json.dumps(senseless).encode()
        with pytest.raises(BundleError, match="does not hold a model"):
            load(save(changed, tmp_path / "bundle"))


def test_a_bundle_replaces_an_older_one_and_leaves_nothing_else(
    stack: Champion, rules: Champion, tmp_path: Path
) -> None:
    save(stack, tmp_path / "models" / "champion")
    save(rules, tmp_path / "models" / "champion")
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["champion"]
    assert load(tmp_path / "models" / "champion").kind == "rules"


def test_a_folder_with_something_else_is_left_alone(rules: Champion, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a model bundle"):
        save(rules, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_failed_write_leaves_the_older_bundle(
    stack: Champion, rules: Champion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(rules, tmp_path / "champion")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save(stack, tmp_path / "champion")
    assert [p.name for p in tmp_path.iterdir()] == ["champion"]
    assert load(tmp_path / "champion").kind == "rules"


def test_a_loaded_champion_names_the_column_that_is_missing(saved: Path) -> None:
    frame, _ = accounts(3)
    with pytest.raises(FeatureError, match="no column open_tickets"):
        load(saved).propensity(frame.drop(columns="open_tickets"))
    with pytest.raises(FeatureError, match="column tenure_days"):
        load(saved).propensity(frame.assign(tenure_days="x"))


def test_features_of_one_metric_are_added_up(stack: Champion) -> None:
    frame, _ = accounts(50, seed=3)
    found = stack.contributions(frame)
    assert found.metrics == ("seat_saturation", "intent_events", "open_tickets", "plan", "tenure_days", "icp_fit")
    by_column = stack.estimator.contributions(frame)
    np.testing.assert_allclose(found.phi[:, 0], by_column[:, 0] + by_column[:, 1], atol=1e-15)


def test_a_champion_takes_its_score_from_its_estimator() -> None:
    other = (ScoreTerm("tenure_days", "fit", 0, 1000, 1.0),)
    assert champion_of("rules", WeightedScore.from_prior(other)).terms == other


def test_a_kind_that_is_not_the_estimators_is_refused(rules: Champion) -> None:
    with pytest.raises(TrainingError, match="needs a PropensityClassifier"):
        champion_of("stack", rules.estimator)


def test_hostile_names_survive_a_round_trip(tmp_path: Path) -> None:
    frame, won = accounts(100)
    names = {"tenure_days": 'a"b\\{}[]:,\n=1', "open_tickets": "<script>é 漢字"}
    table = frame[[*names]].rename(columns=names)
    model = PropensityClassifier(bags=1).fit(table, won)
    model.features = model.features_
    reference = reference_set(model, model.features_, table, 20)
    champion = Champion("stack", model.features_, model.terms_, {}, 0.5, {}, None, {}, model, reference)
    loaded = load(save(champion, tmp_path / "bundle"))
    np.testing.assert_array_equal(loaded.propensity(table), champion.propensity(table))
