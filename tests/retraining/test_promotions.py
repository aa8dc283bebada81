"""What is in force, the history, and changes that are interrupted at any step. No MLflow here."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from csql_ml.config import Config
from csql_ml.errors import BundleError, OutputError
from csql_ml.model import bundle, promotions
from csql_ml.model.promotions import Change, Promotions, finish, in_force, only_one, put_in_force, read
from csql_ml.model.training import train
from csql_ml.retraining.retrain import rollback
from tests.model.training_world import CONFIG, world


class CrashError(Exception):
    """The process ends here."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bundles that can be loaded: two rules and a model."""
    folder = tmp_path_factory.mktemp("bundles")
    trained = train(world(accounts=150, snapshots=4), CONFIG)
    rules = trained.champion
    bundle.save(rules, folder / "rules-a")
    bundle.save(replace(rules, threshold=51.0), folder / "rules-b")
    bundle.save(trained.challenger, folder / "stack-c")
    return folder


@pytest.fixture
def config(bundles: Path, tmp_path: Path) -> Config:
    models = tmp_path / "models"
    models.mkdir()
    for made in bundles.iterdir():
        (models / made.name).symlink_to(made)
    return Config.model_validate({"models_folder": str(models), "tracking": {"enabled": False}})


def change(before: str | None, after: str, **other) -> Change:
    given = {
        "action": "promote",
        "before": before,
        "after": after,
        "challenger": None,
        "as_of": "2026-01-01",
        "quarter": "2025-07-01",
        "reason": "better",
        "sentence": "It is better.",
        "inputs": "f",
    }
    return Change(**(given | other))


def files(config: Config) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(config.models_path.glob("*.json"))}


def test_a_change_puts_a_bundle_in_force_and_is_recorded(config):
    assert in_force(config.models_path) is None
    assert put_in_force(config, change(None, "rules-a"))
    assert put_in_force(config, change("rules-a", "stack-c", as_of="2026-04-01"))
    assert in_force(config.models_path) == "stack-c"
    pointer = json.loads((config.models_path / "champion.json").read_text())
    assert pointer == {
        "bundle": "stack-c",
        "model_version": bundle.load(config.models_path / "stack-c").model_version,
    }
    known = read(config.models_path)
    assert [(e.before, e.after) for e in known.entries] == [(None, "rules-a"), ("rules-a", "stack-c")]
    assert known.under_way is None
    assert known.last.as_of == "2026-04-01"


def test_the_same_again_writes_nothing(config):
    put_in_force(config, change(None, "rules-a"))
    before = files(config)
    assert not put_in_force(config, change("rules-a", "rules-a", action="keep"))
    assert files(config) == before
    assert put_in_force(config, change("rules-a", "rules-a", action="keep", inputs="g"))
    assert len(read(config.models_path).entries) == 2


@pytest.mark.parametrize("step", ["_point_at", "_carry_out"])
@pytest.mark.parametrize("after", [False, True])
def test_a_change_interrupted_anywhere_is_finished_by_the_next_command(config, monkeypatch, step, after):
    put_in_force(config, change(None, "rules-a"))
    whole = getattr(promotions, step)

    def crash(*arguments):
        if after:
            whole(*arguments)
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(promotions, step, crash)
        with pytest.raises(CrashError):
            put_in_force(config, change("rules-a", "stack-c"))
    assert in_force(config.models_path) in ("rules-a", "stack-c")
    finish(config)
    assert in_force(config.models_path) == "stack-c"
    known = read(config.models_path)
    assert [e.after for e in known.entries] == ["rules-a", "stack-c"]
    assert known.under_way is None
    assert finish(config) is None


def test_every_write_of_a_change_may_be_the_last(config, monkeypatch):
    """Cut after the first, second, third file: afterwards always whole, and the same files as without a cut."""
    put_in_force(config, change(None, "rules-a"))
    begin = files(config)
    put_in_force(config, change("rules-a", "stack-c"))
    end = files(config)
    real = promotions.write_file
    for survive in range(4):
        for name, content in begin.items():
            (config.models_path / name).write_bytes(content)
        count = iter(range(10))

        def cut(path, write, count=count, survive=survive):
            if next(count) >= survive:
                raise CrashError
            real(path, write)

        with monkeypatch.context() as patch:
            patch.setattr(promotions, "write_file", cut)
            if survive < 3:
                with pytest.raises(CrashError):
                    put_in_force(config, change("rules-a", "stack-c"))
            else:
                put_in_force(config, change("rules-a", "stack-c"))
        assert bundle.load(config.models_path / in_force(config.models_path))
        finish(config)
        assert files(config) == (begin if survive == 0 else end), survive


def test_a_change_that_somebody_overtook_by_hand_is_dropped(config, monkeypatch):
    put_in_force(config, change(None, "rules-a"))
    monkeypatch.setattr(promotions, "_carry_out", lambda *_: (_ for _ in ()).throw(CrashError))
    with pytest.raises(CrashError):
        put_in_force(config, change("rules-a", "stack-c"))
    monkeypatch.undo()
    pointer = config.models_path / "champion.json"
    pointer.write_text('{"bundle": "rules-b"}')
    assert finish(config) is None
    assert in_force(config.models_path) == "rules-b"
    assert read(config.models_path).under_way is None


def test_what_changed_in_the_meantime_is_not_overwritten(config):
    put_in_force(config, change(None, "rules-a"))
    with pytest.raises(OutputError, match="names rules-a and no longer rules-b"):
        put_in_force(config, change("rules-b", "stack-c"))


def test_only_one_at_a_time(config):
    said = rf"another training or rollback .*: process {os.getpid()} on .*, since 20"
    with only_one(config.models_path), pytest.raises(OutputError, match=said):
        put_in_force(config, change(None, "rules-a"))
    assert put_in_force(config, change(None, "rules-a"))


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2, "entries": [], "under_way": null}', '{"format": 1}'])
def test_a_damaged_history_is_named(config, content):
    (config.models_path / "promotions.json").write_text(content)
    with pytest.raises(OutputError, match=r"promotions\.json is damaged .*restore it from a backup, or move it away"):
        read(config.models_path)


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"bundle": "../elsewhere"}', '{"bundle": 7}'])
def test_a_damaged_pointer_is_named(config, content):
    (config.models_path / "champion.json").write_text(content)
    with pytest.raises(BundleError, match=r"champion\.json (is damaged|names)"):
        in_force(config.models_path)


# --- rollback ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def promoted(config: Config) -> Config:
    """Rules, newer rules, a model; kept once."""
    put_in_force(config, change(None, "rules-a", action="renew"))
    put_in_force(config, change("rules-a", "rules-b", action="renew", inputs="g"))
    put_in_force(config, change("rules-b", "stack-c", inputs="h"))
    put_in_force(config, change("stack-c", "stack-c", action="keep", inputs="i"))
    return config


def test_rollback_puts_the_previous_champion_back(promoted):
    done = rollback(promoted, "sales complained")
    assert (done.before, done.after, done.challenger) == ("stack-c", "rules-b", "stack-c")
    assert in_force(promoted.models_path) == "rules-b"
    known = read(promoted.models_path)
    assert known.entries[-1] == done
    assert done.sentence == "sales complained"
    assert known.rolled_back == {"stack-c"}
    assert known.last.action == "keep", "the last decision of a training is still known"


def test_rolling_back_again_goes_further_back_and_ends(promoted):
    rollback(promoted)
    assert rollback(promoted).after == "rules-a"
    before = files(promoted)
    with pytest.raises(BundleError, match="knows no champion before rules-a"):
        rollback(promoted)
    assert files(promoted) == before


def test_a_damaged_bundle_is_not_rolled_back_to(promoted):
    path = promoted.models_path / "rules-b"
    path.unlink()
    before = files(promoted)
    with pytest.raises(BundleError, match="no model bundle at"):
        rollback(promoted)
    assert files(promoted) == before
    assert in_force(promoted.models_path) == "stack-c"


def test_a_damaged_champion_can_be_rolled_back_from(promoted):
    (promoted.models_path / "stack-c").unlink()
    assert rollback(promoted).after == "rules-b"


def test_nothing_in_force_is_nothing_to_roll_back(config):
    with pytest.raises(BundleError, match="csql train comes first"):
        rollback(config)


def test_history_is_empty_where_nothing_happened(tmp_path):
    assert read(tmp_path) == Promotions()
