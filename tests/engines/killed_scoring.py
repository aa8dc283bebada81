"""Run as a process of its own: score on a Spark cluster of two worker processes, and kill one while it works.

python -m tests.engines.killed_scoring CONFIG BUNDLE OUT
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from csql_ml import config as configuration
from csql_ml.model import bundle as bundles
from csql_ml.simulate import END
from csql_ml.spark_scoring import batch, score_on_spark
from csql_ml.spark_scoring.tasks import score_task
from tests.engines.kept_company import WORKERS, opened, small_reference

#: More tasks than one, so that some are done, some under way and some to come when a worker dies.
ACCOUNTS_PER_TASK = 40
_WAIT = 120.0


def slow_score_task(place: str, payload: Any, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The first task to come by names its executor, and waits until that is killed."""
    marker = Path(place) / "executor"
    try:
        with marker.open("x", encoding="utf-8") as file:
            file.write(str(_java_above()))
    except FileExistsError:
        yield from score_task(payload, batches)
        return
    time.sleep(_WAIT)
    raise RuntimeError("nobody has killed the executor")


def _java_above() -> int:
    """The executor's process: the parent of the daemon that forks Python workers."""
    pid = os.getpid()
    while "java" not in Path(f"/proc/{pid}/comm").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def kill_when_named(place: Path) -> None:
    """SIGKILL the executor that a task has named."""
    marker, begun = place / "executor", time.monotonic()
    while not marker.exists() or not marker.read_text(encoding="utf-8"):
        if time.monotonic() - begun > _WAIT * 4:
            return
        time.sleep(0.05)
    time.sleep(0.5)  # its neighbour may finish some tasks meanwhile
    os.kill(int(marker.read_text(encoding="utf-8")), signal.SIGKILL)
    (place / "killed").touch()


def main(config_path: str, bundle: str, out: str) -> None:
    """Score; fails if no worker was killed."""
    from pyspark.sql import SparkSession

    from csql_ml.source_spark import own_session
    from csql_ml.spark_backend import SETTINGS, SparkBackend
    from tests.engines.conftest import SPARK_SETTINGS

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for key, value in {**SPARK_SETTINGS, **WORKERS, "spark.executor.memory": "1g"}.items():
        builder = builder.config(key, value)
    application = builder.getOrCreate()
    connection = SparkBackend()
    connection.do_connect(own_session(application, SETTINGS))
    config = small_reference(configuration.load(config_path)).model_copy(update={"activity_folder": Path(out).parent})
    batch.ACCOUNTS_PER_TASK = ACCOUNTS_PER_TASK
    with tempfile.TemporaryDirectory() as folder:
        batch.score_task = partial(slow_score_task, folder)  # type: ignore[attr-defined, assignment]
        threading.Thread(target=kill_when_named, args=(Path(folder),), daemon=True).start()
        company = opened(config, connection)
        score_on_spark(company, END, Path(out), bundles.load(bundle), lambda snapshot: sys.exit("a champion is given"))
        if not (Path(folder) / "killed").exists():
            sys.exit("no executor was killed")
    application.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
