"""Random companies as files, and the configuration that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from csql_ml.activity import rollup
from csql_ml.as_of import cut, cut_activity
from csql_ml.config import Data, MetricSettings, TableMapping
from csql_ml.contract.tables import TABLES
from csql_ml.dated_rows import dated
from csql_ml.leak_check.worlds import Rows
from csql_ml.metrics import metrics_of
from csql_ml.metrics.compiler import measures_of
from csql_ml.metrics.definition import Metric

if TYPE_CHECKING:
    from csql_ml.config import Config

_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


_IBIS_TYPES = {"number": "decimal(18, 6)", "integer": "int64"}


def as_of_schemas(config: Config) -> dict[str, ibis.Schema]:
    """The columns of every as-of table, as metrics see them; no engine is asked."""
    day, zone = date(2025, 12, 1), config.company.time_zone
    empty = {
        name: ibis.table({c.name: _IBIS_TYPES.get(c.dtype, c.dtype) for c in table.columns}, name=name)
        for name, table in TABLES.items()
    }
    schemas = {
        n: cut(TABLES[n], dated(TABLES[n], rows, zone), day).schema() for n, rows in empty.items() if n != "events"
    }
    return {**schemas, "activity": cut_activity(rollup(empty["events"], config), day).schema()}


def write_world(rows: Rows, folder: Path) -> None:
    """One Parquet file per table, with every column of the contract."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        schema = pa.schema([(c.name, _TYPES[c.dtype]) for c in table.columns])
        pq.write_table(pa.Table.from_pylist(rows[name], schema=schema), folder / f"{name}.parquet")


def checked_config(config: Config, metrics: Sequence[Metric], folder: Path) -> Config:
    """The configuration with the tables of a folder, on DuckDB, and only the metrics and tables that are checked."""
    sources = {measure.source for metric in metrics for measure, _ in measures_of(metric, config)}
    wanted = {m.name for m in metrics} | {m.also for m in metrics if m.also is not None}
    left_out = {name: MetricSettings(exclude=True) for name in metrics_of(config) if name not in wanted}
    kept = {
        name: settings.model_copy(update={"exclude": False})
        for name, settings in config.metrics.items()
        if name not in left_out
    }
    mapped = {
        name: TableMapping(file=f"{name}.parquet") for name, t in TABLES.items() if not t.optional or name in sources
    }
    return config.model_copy(
        update={
            "data": Data(folder=folder, tables=mapped, memory_limit=config.data.memory_limit),
            "metrics": {**kept, **left_out},
            "engine": "duckdb",
            "activity_folder": folder / "activity",
            "models_folder": folder / "models",
        }
    )
