"""The feature table from Spark: executors compute and sort, the driver passes their part files on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from csql_ml.run_files import ParquetStream, feature_schema, write_file
from csql_ml.spark_scoring.failures import plain_failures
from csql_ml.spark_scoring.staging import Staging
from csql_ml.spark_scoring.wide_rows import quoted, some_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from csql_ml.company import Company, Progress
    from csql_ml.metrics.compiler import Compiled


def features_on_spark(
    company: Company, as_of: Sequence[date], out: Path, on_progress: Progress | None = None
) -> dict[date, int]:
    """Write the feature table of one or more dates to a Parquet file, as `csql_ml.pipeline.features` does.

    The driver holds a few thousand rows, and one row group, at a time.

    Parameters
    ----------
    company
        Opened with ``engine: spark``.
    out
        A Parquet file; it appears whole or not at all.

    Returns
    -------
    dict
        Accounts per date.

    Raises
    ------
    ContractError
        At one of the dates nothing was known, or no account had a contract in force.
    OutputError
        The file, or the folder between Spark and the driver, cannot be written.
    """
    dates, counts = sorted(set(as_of)), {}
    with plain_failures(), Staging(company.inputs.con.session, company.config) as staging:
        schemas = []
        for i, day in enumerate(dates):
            if on_progress is not None:
                on_progress(f"metrics as of {day.isoformat()}", i, len(dates))
            plan = company.builder.plan(day)
            staging.write(_feature_rows(company, plan, day), day.isoformat())
            counts[day] = some_rows(staging.rows(day.isoformat()), company, day)
            schemas.append(feature_schema(plan.feature_columns, plan.categories))

        def write(path: Path) -> None:
            with ParquetStream(path, schemas[0]) as stream:
                for day in dates:
                    for table in staging.batches(day.isoformat()):
                        stream.write(table)
                    stream.flush()

        write_file(out, write)
    return counts


def _feature_rows(company: Company, plan: Compiled, as_of: date) -> DataFrame:
    from pyspark.sql import functions as F

    rows: DataFrame = company.inputs.con.frame(plan.table)
    columns = [F.col(quoted(name)) for name in plan.feature_columns]
    return rows.select("account_id", F.lit(as_of).alias("as_of"), *columns).orderBy("account_id")
