"""Configuration files: what is read, and the one line that is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from csql_ml.config import Config, json_schema, load
from csql_ml.errors import ConfigError


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Write a configuration file, return its path."""

    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "company.yaml"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_an_empty_file_is_the_defaults(written: Any) -> None:
    path = written("")
    assert load(path) == Config(home=path.parent)


@pytest.mark.parametrize("text", ["# nothing\n", "\ufeffcompany: {name: A}\n", "company:\n  name: Zoë GmbH 😀\n"])
def test_sound_files(written: Any, text: str) -> None:
    assert load(written(text)).company.currency == "USD"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("compny: {}", "compny: unknown key; allowed here: company, engine, spark,"),
        ("company: {nam: A}", "company.nam: unknown key; allowed here: name, time_zone, currency,"),
        ("baseline: {weights: {fitt: 1}}", "baseline.weights.fitt: unknown key; allowed here: engagement, fit, intent"),
        ("home: /", "home: unknown key"),
        ("company: 5", "company: Input should be a valid dictionary"),
        ("model: {bags: many}", "model.bags: Input should be a valid integer"),
        ("model: {bags: 2.5}", "model.bags: Input should be a valid integer"),
        ("model: {bags: 0}", "model.bags: Input should be greater than or equal to 1"),
        ("model: {bags: 0, seed: -1}", "(and 1 more)"),
        ("labels: {stage: signed}", "labels.stage: Input should be 'accepted', 'opportunity' or 'won'"),
        ("snapshots: [2024-13-01]", "month must be in 1..12"),
        ("company: {name: A}\ncompany: {name: B}", "key 'company' is given twice"),
        ("company: {name: A, name: B}", "key 'name' is given twice"),
        ("1: a", "key 1 is not text"),
        ("yes: a", "key True is not text"),
        ("- a\n- b", "must hold keys and values, found list"),
        ("just words", "must hold keys and values, found str"),
        ("company: {name: [", "is not valid YAML"),
        ("company: !!python/object:os.system {}", "is not valid YAML"),
        ("baseline: {threshold: .nan}", "baseline.threshold: "),
        ("risk: {usage_decline: -.inf}", "risk.usage_decline: Input should be a finite number"),
        ("company: {time_zone: Mars/Olympus}", "company.time_zone: unknown time zone 'Mars/Olympus'; use an IANA name"),
        ("company: {time_zone: ../../etc/passwd}", "company.time_zone: unknown time zone"),
        ("company: {currency: euro}", "company.currency: String should match pattern"),
        ("data: {memory_limit: lots}", "data.memory_limit: String should match pattern"),
        (
            "data: {tables: {acounts: a.csv}}",
            "data.tables: unknown table 'acounts'; the contract has accounts, contracts",
        ),
        (
            "data: {tables: {nps: {file: a.csv, columns: {points: p}}}}",
            "data.tables: table nps has no column 'points'; it has account_id, responded_at, score",
        ),
        ("data: {tables: {nps: {}}}", "data.tables.nps: give exactly one of file, table, query (found: none)"),
        (
            "data: {tables: {nps: {file: a.csv, query: SELECT 1}}}",
            "data.tables.nps: give exactly one of file, table, query (found: file, query)",
        ),
        ("scoring: {high_band: 0.5}", "scoring: high_band must not be below medium_band"),
        ("baseline: {weights: {engagement: 0, fit: 0, intent: 0}}", "at least one of engagement, fit, intent must be"),
        ("data: {database: '${CSQL_TEST_UNSET}'}", "the environment variable CSQL_TEST_UNSET is not set"),
    ],
)
def test_a_wrong_file_is_one_clear_line(written: Any, text: str, expected: str) -> None:
    path = written(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_file_says_where_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml does not exist; configs/default\.yaml is a start"):
        load(tmp_path / "gone.yaml")


def test_a_folder_or_a_file_of_another_encoding_cannot_be_read(written: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(written("company: {name: Zoë}", encoding="latin-1"))


def test_environment_variables_are_filled_in(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSQL_TEST_PASSWORD", "p: {w}")
    path = written("data:\n  database: postgres://me:${CSQL_TEST_PASSWORD}@host/db\n")
    assert load(path).data.database == "postgres://me:p: {w}@host/db"


def test_a_table_can_be_just_its_file(written: Any) -> None:
    mapping = load(written("data: {tables: {nps: a.csv}}")).data.tables["nps"]
    assert (mapping.file, mapping.query, mapping.columns) == ("a.csv", None, {})


def test_paths_start_from_the_configuration_file(written: Any, tmp_path: Path) -> None:
    config = load(written("data: {folder: in}\nmodels_folder: /models"))
    assert (config.data_folder, config.models_path) == (tmp_path / "in", Path("/models"))


# ---------------------------------------------------------------- configs/


def keys_of(section: type[BaseModel], path: str = "") -> set[str]:
    """Every key of a section and of the sections below, with dots."""
    keys = set()
    for name, field in section.model_fields.items():
        if not field.exclude:
            keys.add(f"{path}{name}")
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                keys |= keys_of(field.annotation, f"{path}{name}.")
    return keys


def keys_in(content: dict[str, Any], path: str = "") -> set[str]:
    below = {k for name, value in content.items() if isinstance(value, dict) for k in keys_in(value, f"{path}{name}.")}
    return {f"{path}{name}" for name in content} | below


def test_the_default_file_has_every_key_with_its_default_and_a_comment(project_root: Path) -> None:
    path = project_root / "configs/default.yaml"
    text = path.read_text(encoding="utf-8")
    assert load(path) == Config(home=path.parent)
    assert keys_in(yaml.safe_load(text)) == keys_of(Config)
    leaves = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    bare = [line for line in leaves if "#" not in line and not line.rstrip().endswith(":")]
    assert bare == []


def test_every_configuration_of_the_project_can_be_read(project_root: Path) -> None:
    paths = sorted((project_root / "configs").glob("*.yaml"))
    assert [load(path).home for path in paths] == [project_root / "configs"] * len(paths)


def test_the_readme_of_configs_names_every_configuration(project_root: Path) -> None:
    readme = (project_root / "configs/README.md").read_text(encoding="utf-8")
    names = {path.name for path in (project_root / "configs").glob("*.yaml")}
    assert {name for name in names if f"`{name}`" not in readme} == set()


def test_the_json_schema_names_the_sections_but_not_the_home() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Config.model_fields) - {"home"}
    assert schema["additionalProperties"] is False
