"""Starting Spark, and saying in one line why something on it failed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from csql_ml.errors import SourceError
from csql_ml.source_files import first_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LEAST_JAVA = 17
#: What a session started here is set to unless ``spark.settings`` says otherwise.
_DEFAULTS = {"spark.app.name": "csql_ml", "spark.ui.showConsoleProgress": "false"}
#: Conditions (Spark's error classes) whose messages quote values of rows, and what is said instead.
_REASONS = {
    "CAST_": "a value cannot be converted; use try_cast in the query",
    "CANNOT_PARSE_": "a value cannot be converted; use the try_ variant of the function in the query",
    "NUMERIC_VALUE_OUT_OF_RANGE": "a number is too large for its type; use try_cast in the query",
    "ARITHMETIC_OVERFLOW": "a number is too large for its type; use the try_ variant of the operation in the query",
    "DIVIDE_BY_ZERO": "a division by zero; use try_divide in the query",
    "MALFORMED_": "a row is malformed: too few or too many values, or a quote that is not closed",
    "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH": "its files give one column different types",
    "FAILED_READ_FILE": "a file is damaged, truncated or of another format",
    "CANNOT_READ_FILE_FOOTER": "a file is damaged, truncated or not Parquet",
    "PARQUET_TYPE_ILLEGAL": "a column has a Parquet type that Spark cannot read (times must be in microseconds)",
    "CANNOT_MERGE_SCHEMAS": "its files give one column different types",
}
_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]")


def start_session(master: str | None, settings: Mapping[str, str]) -> tuple[SparkSession, bool]:
    """The active Spark session, else a new one.

    Parameters
    ----------
    master, settings
        How a new one is started; an existing one is used as it is.

    Returns
    -------
    session, bool
        Whether it was started here.

    Raises
    ------
    SourceError
        Spark does not start.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active, False
    if os.environ.get("JAVA_HOME") is None and shutil.which("java") is None:
        raise SourceError(_java_wanted("none was found"))
    builder = SparkSession.builder
    if master is not None:
        builder = builder.master(master)
    for key, value in {**_DEFAULTS, **settings}.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        version = _java_version()
        if version is None or version < _LEAST_JAVA:
            found = "none was found" if version is None else f"found Java {version}"
            raise SourceError(_java_wanted(found)) from error
        raise SourceError(f"engine: spark: Spark does not start: {first_line(error)}") from error
    session.sparkContext.setLogLevel("ERROR")
    _use_this_python(session)
    return session, True


def _use_this_python(session: SparkSession) -> None:
    """On one machine workers run this Python, which has what they need; a cluster says itself where its Python is.

    The setting ``spark.pyspark.python`` is read by spark-submit only.
    """
    context = session.sparkContext
    if "PYSPARK_PYTHON" not in os.environ and context.master.startswith("local"):
        context.pythonExec = context.getConf().get("spark.pyspark.python", sys.executable)


def _java_wanted(found: str) -> str:
    return (
        f"engine: spark needs Java {_LEAST_JAVA} or newer, {found}; install it (on Debian and Ubuntu: "
        "apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
    )


def _java_version() -> int | None:
    """Major version of the Java that Spark would use."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        return None
    try:
        text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def spark_errors() -> tuple[type[Exception], ...]:
    """What Spark and its bridge to Java raise."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError


def reason(error: BaseException) -> str:
    """Why something failed, in one line and without values of rows."""
    text = str(error)
    if "OutOfMemoryError" in text:
        return "more memory is needed; raise spark.driver.memory or spark.executor.memory under spark.settings"
    conditions = _CONDITION.findall(text)
    for condition in reversed(conditions):  # the innermost one says what happened
        for start, words in _REASONS.items():
            if condition.startswith(start):
                return words
    if type(error).__name__ in ("AnalysisException", "ParseException") or not conditions:
        return first_line(error)
    return f"Spark says {conditions[-1]}"
