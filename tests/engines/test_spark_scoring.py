"""Scoring on Spark: the run of one machine, on workers that may die, without rows on the driver."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml import config as configuration
from csql_ml.config import Config
from csql_ml.errors import ContractError, OutputError, SourceError
from csql_ml.model import bundle as bundles
from csql_ml.model.bundle import Champion
from csql_ml.run_files import read_manifest, write_parquet_parts
from csql_ml.scoring import ranked
from csql_ml.simulate import END
from csql_ml.spark_scoring import batch, features_on_spark, score_on_spark
from csql_ml.spark_scoring.staging import Staging
from csql_ml.spark_scoring.standings import standings
from tests.engines.kept_company import day_one, keep, opened, run_on_one_machine, small_reference
from tests.engines.killed_scoring import ACCOUNTS_PER_TASK

if TYPE_CHECKING:
    from csql_ml.company import Company

pytestmark = [pytest.mark.engines]
#: More rows than this in one piece on the driver would be somebody's accounts.
MOST_ON_DRIVER = 25


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A company of some hundred accounts with a contract in force."""
    return small_reference(configuration.load(keep(tmp_path_factory.mktemp("company"))))


@pytest.fixture(scope="module")
def on_duckdb(config: Config) -> Iterator[Company]:
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    yield opened(config, connection)
    connection.disconnect()


@pytest.fixture(scope="module")
def on_spark(config: Config, spark_connection: Any) -> Iterator[Company]:
    """The same company, scored in several tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "ACCOUNTS_PER_TASK", ACCOUNTS_PER_TASK)
        # Spark takes the name of its workers' Python from the environment of whoever has started it.
        patch.setattr(spark_connection.session.sparkContext, "pythonExec", sys.executable)
        yield opened(config, spark_connection)


@pytest.fixture(scope="module")
def trained(config: Config, on_duckdb: Company) -> Path:
    """The bundle of a trained model, whether or not it would be promoted on so few accounts."""
    from csql_ml.model.training import train
    from csql_ml.pipeline import training_data

    made = train(training_data(on_duckdb, END), config)
    stack = next(c for c in (made.champion, made.challenger) if c is not None and c.kind == "stack")
    return bundles.save(stack, config.home / "bundle")


@pytest.fixture(autouse=True)
def driver_collects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever brings rows to the driver must bring few."""
    from pyspark.sql.classic.dataframe import DataFrame

    def few(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **more: Any) -> Any:
            found = real(self, *args, **more)
            assert len(found) <= MOST_ON_DRIVER, f"{real.__name__} brought {len(found)} rows to the driver"
            return found

        return call

    for name in ("collect", "toPandas", "toArrow", "_collect_as_arrow"):
        monkeypatch.setattr(DataFrame, name, few(getattr(DataFrame, name)))
    monkeypatch.setattr(DataFrame, "toLocalIterator", lambda self, *_: pytest.fail("rows were sent to the driver"))


def no_champion_needed(*_: Any) -> Champion:
    raise AssertionError("a champion is given")


# --- the run ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spark_run(on_spark: Company, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("spark") / "run"
    score_on_spark(on_spark, END, out, bundles.load(trained), no_champion_needed)
    return out


def test_a_trained_model_scores_as_on_one_machine(
    on_duckdb: Company, spark_run: Path, trained: Path, tmp_path: Path
) -> None:
    run_on_one_machine(on_duckdb, tmp_path / "run", bundles.load(trained))
    assert_same_run(spark_run, tmp_path / "run")


def test_the_rules_score_as_on_one_machine(on_duckdb: Company, on_spark: Company, tmp_path: Path) -> None:
    """The champion of day one is made from a draw of accounts: the same ones on both engines."""
    score_on_spark(on_spark, END, tmp_path / "spark", None, lambda snapshot: day_one(on_spark, snapshot))
    run_on_one_machine(on_duckdb, tmp_path / "run", None)
    assert json.loads((tmp_path / "spark/manifest.json").read_text())["champion_kind"] == "rules"
    assert_same_run(tmp_path / "spark", tmp_path / "run")


@pytest.mark.usefixtures("spark_run")
def test_no_step_compares_every_row_with_every_other(spark_connection: Any) -> None:
    """Such a join is nothing on a small company and everything on a large one; only sums over all are joined so."""
    store = spark_connection.session._jsparkSession.sharedState().statusStore()
    plans = [store.execution(number).get().physicalPlanDescription() for number in _executions(store)]
    assert max(plan.count("HashJoin") + plan.count("SortMergeJoin") for plan in plans) > 20, "metrics are among them"
    for plan in plans:
        assert set(re.findall(r"NestedLoopJoin (\w+)", plan)) <= {"Inner"}, plan
        assert "CartesianProduct" not in plan, plan


def _executions(store: Any) -> list[int]:
    return [found.executionId() for found in (store.executionsList().apply(i) for i in range(store.executionsCount()))]


def assert_same_run(found: Path, expected: Path) -> None:
    """Everything exact, numbers to 1e-9; in particular the run's id and with it the inputs' fingerprint."""
    manifests = [read_manifest(run) for run in (found, expected)]
    said = [{k: v for k, v in m.items() if k != "sha256"} for m in manifests]
    assert said[0] == said[1]
    assert said[0]["rows"]["scores.parquet"] > 100
    assert said[0]["rows"]["leads.jsonl"] > 0
    for name in ("scores.parquet", "explanations.parquet"):
        assert pq.read_schema(found / name) == pq.read_schema(expected / name)
        pd.testing.assert_frame_equal(
            pd.read_parquet(found / name), pd.read_parquet(expected / name), rtol=0, atol=1e-9
        )
    for name in ("accounts.jsonl", "leads.jsonl"):
        mine, theirs = ([json.loads(x) for x in (run / name).read_text().splitlines()] for run in (found, expected))
        assert mine == [near(record) for record in theirs]


def near(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: near(v) for k, v in value.items()}
    if isinstance(value, list):
        return [near(v) for v in value]
    return pytest.approx(value, abs=1e-9, rel=0) if isinstance(value, float) else value


@pytest.mark.slow
def test_a_worker_killed_while_it_scores_changes_no_byte(
    config: Config, spark_run: Path, trained: Path, tmp_path: Path, project_root: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "tests.engines.killed_scoring", str(config.home / "config.yaml"), str(trained)]
    done = subprocess.run(
        [*command, str(out)],
        cwd=project_root,
        env={**os.environ, "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {p.name: p.read_bytes() for p in spark_run.iterdir()}


def test_a_failed_run_leaves_the_earlier_one_alone(
    on_spark: Company, spark_run: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.read_bytes() for p in spark_run.iterdir()}

    def damaged(*_: Any) -> bytes:
        return b'{"version": "9.9.9"}'

    monkeypatch.setattr("csql_ml.spark_scoring.job.Job.to_bytes", damaged)
    with pytest.raises(SourceError, match=r"9\.9\.9 on the driver; install the same version"):
        score_on_spark(on_spark, END, spark_run, bundles.load(trained), no_champion_needed)
    assert {p.name: p.read_bytes() for p in spark_run.iterdir()} == before
    assert [p.name for p in spark_run.parent.iterdir()] == ["run"]


def test_before_the_first_contract_there_is_nobody_to_score(on_spark: Company, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no account with a contract in force is known"):
        score_on_spark(on_spark, date(2010, 1, 1), tmp_path / "run", bundles.load(trained), no_champion_needed)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_refused_before_anything_is_computed(
    on_spark: Company, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"holds 'notes\.txt'"):
        score_on_spark(on_spark, END, tmp_path, bundles.load(trained), no_champion_needed)


# --- features ---------------------------------------------------------------------------------------------------------


def test_the_feature_table_is_the_one_of_one_machine(on_duckdb: Company, on_spark: Company, tmp_path: Path) -> None:
    dates = [date(2026, 4, 1), END]
    counts = features_on_spark(on_spark, [END, *dates], tmp_path / "spark.parquet")
    snapshots = list(on_duckdb.snapshots(dates))
    write_parquet_parts((s.features for s in snapshots), tmp_path / "duckdb.parquet")
    assert counts == {s.as_of: len(s.features) for s in snapshots}
    found, expected = (pq.read_table(tmp_path / f"{engine}.parquet") for engine in ("spark", "duckdb"))
    assert found.schema == expected.schema
    pd.testing.assert_frame_equal(found.to_pandas(), expected.to_pandas(), rtol=0, atol=1e-9)


# --- ranks ------------------------------------------------------------------------------------------------------------

ids = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=3)
account = st.tuples(
    st.sampled_from([0.0, 0.1, 0.1 + 1e-17, 0.25, 0.5, 0.9, 1.0]),
    st.sampled_from([0.0, 50.0, 99.5]),
    st.sampled_from([None, "", "c1", "C1", "ü", "\U0001f600", "\ufffd"]),
    st.sampled_from(["qualified", "ineligible", "not_yet"]),
)


@settings(max_examples=6)
@given(st.dictionaries(ids, account, min_size=1, max_size=20), st.integers(1, 9))
def test_ranks_are_those_of_pandas_however_accounts_are_cut(
    spark_connection: Any, accounts: dict[str, Any], in_one_range: int
) -> None:
    columns = ["propensity", "baseline_score", "csm_id", "status"]
    frame = pd.DataFrame(accounts.values(), columns=columns).assign(account_id=list(accounts))
    frame["csm_id"] = [values[2] for values in accounts.values()]
    known = frame["csm_id"].astype(object).where(frame["csm_id"].notna(), None)
    schema = "propensity double, baseline_score double, csm_id string, status string, account_id string"
    rows = spark_connection.session.createDataFrame(
        list(frame.assign(csm_id=known).itertuples(index=False, name=None)), schema
    )
    found = (
        standings(rows, len(frame), in_one_range).toArrow().to_pandas().set_index("account_id").loc[frame["account_id"]]
    )
    expected = ranked(frame, Config())
    assert found["rank"].tolist() == expected["rank"].tolist()
    assert found["rank_in_portfolio"].tolist() == expected["rank_in_portfolio"].tolist()
    np.testing.assert_array_equal(1.0 - found["ahead"].to_numpy() / len(frame), expected["percentile"].to_numpy())


# --- staging ----------------------------------------------------------------------------------------------------------


def test_parts_that_the_driver_does_not_see_are_noticed(spark_connection: Any, config: Config) -> None:
    """Executors and driver without storage in common."""
    session = spark_connection.session
    with Staging(session, config) as staging:
        staging.write(session.range(10, numPartitions=2), "numbers")
        place = Path("/" + staging.address.removeprefix("file:").lstrip("/"))
        next((place / "numbers").glob("part-00001*")).unlink()
        with pytest.raises(OutputError, match=r"sees 5 of the 10 rows .* set spark\.checkpoint\.dir"):
            list(staging.batches("numbers"))
    assert not place.exists()


def test_parts_come_through_sparks_own_file_systems(
    spark_connection: Any, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from an object store: each part is copied to the driver's disk and deleted there again."""
    monkeypatch.setattr("csql_ml.spark_scoring.staging._FILE", "neverfile:")
    session = spark_connection.session
    with Staging(session, config) as staging:
        monkeypatch.setattr(staging, "_on_hadoop", _with_real_scheme(staging._on_hadoop))
        staging.write(session.range(10, numPartitions=3), "numbers")
        found = [n for table in staging.batches("numbers") for n in table.column("id").to_pylist()]
        assert found == list(range(10))
        assert list(Path(staging._local.name).glob("*.parquet")) == []


def _with_real_scheme(real: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda address: real(address.replace("neverfile:", "file:"))
