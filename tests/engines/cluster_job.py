"""Builds all metrics on a Spark cluster; a program of its own, because a process can have one Spark application.

    python -m tests.engines.cluster_job FOLDER MASTER

reads the CSV files of FOLDER and writes features.parquet, facts.parquet and report.txt there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyspark

from csql_ml.activity import rollup
from csql_ml.config import Config
from csql_ml.contract.report import Inputs
from csql_ml.contract.validate import validate
from csql_ml.snapshots import SnapshotBuilder
from csql_ml.sources import open_warehouse
from tests.engines.test_equal_engines import AS_OF
from tests.small_company import SETTINGS


def cluster_config(folder: Path, master: str) -> Config:
    """DuckDB where the master is empty, else Spark."""
    tables = {path.stem: path.name for path in sorted(folder.glob("*.csv"))}
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.executorEnv.SPARK_HOME": str(Path(pyspark.__file__).parent),
    }
    return Config.model_validate(
        {
            **SETTINGS,
            "engine": "spark" if master else "duckdb",
            "spark": {"master": master or None, "settings": settings if master else {}},
            "company": {"time_zone": "America/New_York"},
            "data": {"folder": folder, "tables": tables},
            "activity_folder": folder / "activity",
        }
    )


def build(folder: Path, master: str) -> tuple[SnapshotBuilder, Inputs, set[str]]:
    """Validate, roll up and build one snapshot; write it beside the data."""
    config = cluster_config(folder, master)
    with open_warehouse(config) as warehouse:
        inputs = validate(warehouse, config)
        inputs.stop_if_broken()
        activity = warehouse.materialise("activity", rollup(inputs.tables["events"], config), large=True)
        builder = SnapshotBuilder(inputs, activity, config)
        snapshot = builder.build(AS_OF)
        hosts = _workers(warehouse) if master else set()
    out = folder / (config.engine)
    out.mkdir()
    snapshot.features.to_parquet(out / "features.parquet")
    snapshot.facts.to_parquet(out / "facts.parquet")
    (out / "report.txt").write_text("\n".join(map(str, inputs.reports)) + "\n", encoding="utf-8")
    return builder, inputs, hosts


def _workers(warehouse: object) -> set[str]:
    """The processes that computed something, besides the driver."""
    session = warehouse.session  # type: ignore[attr-defined]
    statuses = session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    return {f"{one.host()}:{one.port()}" for one in statuses}


if __name__ == "__main__":
    _, _, found = build(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.write(f"{len(found)}\n")
