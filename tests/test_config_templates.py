"""The templates of configs/sources and configs/warehouses: they load, run, and export what the contract needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pytest
import sqlglot
import yaml

from csql_ml.activity.rollup import rollup
from csql_ml.as_of import cut, cut_activity
from csql_ml.config import Config, load
from csql_ml.contract.parsing import declared_type
from csql_ml.contract.tables import TABLES
from csql_ml.contract.validate import validate
from csql_ml.dated_rows import dated
from csql_ml.errors import ConfigError
from csql_ml.metrics import registry
from csql_ml.metrics.compiler import Available, Compiler
from csql_ml.sources import open_warehouse

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
TEMPLATES = sorted([*CONFIGS.glob("sources/*.yaml"), *CONFIGS.glob("warehouses/*.yaml")])
EXPORTS = sorted(CONFIGS.glob("warehouses/*.sql"))
REQUIRED = {"accounts", "contracts", "events"}
NAMES = [path.stem for path in TEMPLATES]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSQL_DATABASE", "postgres://reader@127.0.0.1/analytics")


@pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)
def test_a_template_loads_and_says_what_is_tested(path: Path) -> None:
    config = load(path)
    assert set(config.data.tables) >= REQUIRED
    assert config.signals.core_features
    header = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert "Tested" in header
    if path.stem in ("snowflake", "bigquery", "databricks"):
        assert "Not tested: anything against" in header
        assert config.data.database is None, "there is no driver for it"


def test_there_is_a_template_for_every_kind_of_source() -> None:
    assert NAMES == ["duckdb", "files", "spark", "bigquery", "databricks", "postgres", "snowflake"]
    readme = (CONFIGS / "README.md").read_text(encoding="utf-8")
    for path in TEMPLATES:
        assert f"`{path.relative_to(CONFIGS).as_posix()}`" in readme


def test_other_databases_are_refused_with_the_way_to_take() -> None:
    for url in ("snowflake://account/db", "bigquery://project", "databricks://host"):
        config = Config.model_validate({"data": {"database": url}})
        with pytest.raises(ConfigError, match="Snowflake, BigQuery and Databricks export to Parquet first"):
            open_warehouse(config)


# ---------------------------------------------------------------- templates that run here


def checked(config: Config) -> dict[str, tuple[int, int]]:
    """Rows read and kept of every mapped table."""
    with open_warehouse(config) as warehouse:
        inputs = validate(warehouse, config)
    return {report.name: (report.read, report.kept) for report in inputs.reports}


def moved(path: Path, folder: Path, **data: Any) -> Config:
    """A template with its data in another folder."""
    content = yaml.safe_load(path.read_text(encoding="utf-8").replace("${CSQL_DATABASE}", "unused"))
    content["data"] |= {"folder": str(folder), **data}
    return Config.model_validate(content)


ACCOUNT = "SELECT 'a1' AS account_id, 'Alpha' AS name, TIMESTAMP '2025-01-01' AS created_at"
CONTRACT = """SELECT 'a1' AS account_id, 'Platform' AS product, 5 AS seats, 900 AS arr, DATE '2025-01-01' AS start_date,
    DATE '2027-01-01' AS end_date"""
EVENT = "SELECT 'a1' AS account_id, 'u1' AS user_id, TIMESTAMP '2026-01-01' AS {}, 'login' AS {}"
USER = "SELECT 'u1' AS user_id, 'a1' AS account_id, TIMESTAMP '2025-01-01' AS created_at"
TICKET = "SELECT 't1' AS ticket_id, 'a1' AS account_id, TIMESTAMP '2026-01-01' AS opened_at, 'high' AS severity"


def test_the_files_template_runs_over_csv_files(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    rows = {
        "accounts": ACCOUNT,
        "contracts": CONTRACT,
        "events/2026-01": EVENT.format("timestamp", "event"),
        "users": USER,
        "tickets": TICKET,
    }
    for name, select in rows.items():
        duckdb.sql(select).write_csv(str(tmp_path / f"{name}.csv"))
    found = checked(moved(CONFIGS / "sources/files.yaml", tmp_path))
    assert found == dict.fromkeys(("accounts", "contracts", "users", "events", "tickets"), (1, 1))


def test_the_duckdb_template_runs(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "company.duckdb")) as database:
        database.execute("CREATE SCHEMA crm")
        database.execute(f"CREATE TABLE crm.customers AS SELECT account_id AS id, name, created_at FROM ({ACCOUNT})")
        database.execute(f"CREATE TABLE crm.contracts AS {CONTRACT}")
        database.execute(f"CREATE TABLE product_events AS {EVENT.format('ts', 'name')}")
    (tmp_path / "owners.csv").write_text("account,csm\na1,c1\n", encoding="utf-8")
    found = checked(moved(CONFIGS / "sources/duckdb.yaml", tmp_path))
    assert found == dict.fromkeys(("accounts", "contracts", "events"), (1, 1))


@pytest.mark.parametrize("name", ["snowflake", "bigquery"])
def test_exported_files_are_read(tmp_path: Path, name: str) -> None:
    rows = {
        "accounts/data_0": ACCOUNT,
        "contracts/data_0": CONTRACT,
        "events/loaded=2026-01-01/data_0": EVENT.format("occurred_at", "event_name"),
        "events/loaded=2026-01-02/data_0": EVENT.format("occurred_at", "event_name"),
        "users/data_0": USER,
        "tickets/data_0": TICKET,
    }
    for file, select in rows.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql(select).write_parquet(str(tmp_path / f"{file}.parquet"))
    found = checked(moved(CONFIGS / f"warehouses/{name}.yaml", tmp_path))
    assert found == {"accounts": (1, 1), "contracts": (1, 1), "users": (1, 1), "tickets": (1, 1), "events": (2, 2)}


# ---------------------------------------------------------------- exports


def exported(path: Path) -> dict[str, list[str]]:
    """The columns that the statements of a file export, by the folder they go to."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    found = {}
    for statement in text.split(";"):
        folder = re.search(r"(?:@csql_export|gs://your-bucket/csql|/Volumes/main/csql/export)/(\w+)", statement)
        if folder and "SELECT" in statement:
            if path.stem == "databricks":  # sqlglot does not know Databricks' INSERT OVERWRITE DIRECTORY
                statement = statement[statement.index("SELECT") :]
            parsed = sqlglot.parse_one(statement, dialect=path.stem)
            select = parsed.find(sqlglot.exp.Select)
            assert select is not None
            found[folder.group(1)] = select.named_selects
    return found


@pytest.mark.parametrize("path", EXPORTS, ids=[path.stem for path in EXPORTS])
def test_the_export_statements_have_every_column_of_the_contract(path: Path) -> None:
    assert exported(path) == {name: list(table.column_names) for name, table in TABLES.items()}


# ---------------------------------------------------------------- dialects


def compiled(name: str, expressions: Mapping[str, Any]) -> dict[str, str]:
    """What of these expressions Ibis translates into a dialect that sqlglot then reads back."""
    rules = import_module(f"ibis.backends.sql.compilers.{name}").compiler
    found = {}
    for step, expression in expressions.items():
        sql = rules.to_sqlglot(expression).sql(dialect=rules.dialect)
        again = sqlglot.parse_one(sql, dialect=name)
        found[step] = again.sql(dialect=name)
        assert {*again.find_all(sqlglot.exp.Select)}
    return found


@pytest.fixture(scope="module")
def plans() -> dict[str, Any]:
    """The rollup and every step of a snapshot with all metrics, over declared tables."""
    config = load(CONFIGS / "demo.yaml")
    declared = {
        table.name: ibis.table(
            {**{c.name: declared_type(c) for c in table.columns}, "known_at": "timestamp"}, name=table.name
        )
        for table in TABLES.values()
    }
    activity = rollup(declared["events"], config)
    as_of = date(2026, 4, 1)
    zone = config.company.time_zone
    cuts = {
        name: cut(TABLES[name], dated(TABLES[name], rows, zone), as_of)
        for name, rows in declared.items()
        if name != "events"
    }
    kept = ibis.table(activity.schema(), name="activity")
    cuts |= {"activity": cut_activity(kept, as_of), "recent_activity": cut_activity(kept, as_of, reach=400)}
    present = {name: frozenset(table.column_names) for name, table in TABLES.items()}
    plan = Compiler(tuple(registry().values()), config).compile(cuts, Available(present, config, {"activity": 800}))
    return {"rollup": activity, **plan.steps}


@pytest.mark.parametrize("name", ["bigquery", "databricks", "postgres"])
def test_rollup_and_metrics_compile_to_sql_that_reads_back(name: str, plans: dict[str, Any]) -> None:
    assert set(compiled(name, plans)) == set(plans)


def test_snowflake_has_the_metrics_but_not_the_rollup(plans: dict[str, Any]) -> None:
    metrics = {step: plan for step, plan in plans.items() if step != "rollup"}
    assert set(compiled("snowflake", metrics)) == set(metrics)
    with pytest.raises(ValueError, match="BitwiseOr"):
        compiled("snowflake", {"rollup": plans["rollup"]})
