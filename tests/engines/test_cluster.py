"""Two worker processes compute what DuckDB computes alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyspark
import pytest

from tests.engines.cluster_job import build
from tests.engines.random_company import random_company
from tests.engines.test_equal_engines import differences
from tests.small_company import write_tables

pytestmark = [pytest.mark.engines, pytest.mark.usefixtures("java")]


def test_all_metrics_on_two_worker_processes(tmp_path: Path, project_root: Path) -> None:
    write_tables(tmp_path, {name: rows for name, rows in random_company(seed=11, accounts=12).items() if rows})
    build(tmp_path, "")
    command = [sys.executable, "-m", "tests.engines.cluster_job", str(tmp_path), "local-cluster[2,1,1024]"]
    environment = {**os.environ, "SPARK_HOME": str(Path(pyspark.__file__).parent), "PYTHONPATH": str(project_root)}
    done = subprocess.run(command, cwd=project_root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == "3", "two workers and the driver"
    reports = [(tmp_path / engine / "report.txt").read_text(encoding="utf-8") for engine in ("spark", "duckdb")]
    assert reports[0] == reports[1]
    for part in ("features", "facts"):
        found, expected = (
            pd.read_parquet(tmp_path / engine / f"{part}.parquet").set_index("account_id").add_prefix(f"{part}.")
            for engine in ("spark", "duckdb")
        )
        assert len(expected) > 3
        assert differences(found, expected) == {}
