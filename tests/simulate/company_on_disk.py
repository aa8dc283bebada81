"""A small simulated company, written once per test run, and its tables as data frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd

from csql_ml.simulate import Summary, simulate
from csql_ml.simulate.history import History, unfold

ARGUMENTS = {"accounts": 300, "events": 400_000, "quarters": 5, "seed": 11}


@dataclass(frozen=True)
class Simulated:
    """The files, and the history they were laid out from."""

    folder: Path
    summary: Summary
    history: History

    def sql(self, query: str) -> pd.DataFrame:
        """Rows of a query over tables by name."""
        return _connection(self.folder).sql(query).to_arrow_table().to_pandas()

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table."""
        return self.sql(f"select * from {name}")


@cache
def _connection(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for file in folder.glob("*.parquet"):
        connection.execute(f"create view {file.stem} as from '{file}'")
    connection.execute(f"create view events as from '{folder}/events/*.parquet'")
    return connection


def simulated(folder: Path) -> Simulated:
    """Simulate with `ARGUMENTS` into a folder."""
    summary = simulate(folder, **ARGUMENTS)
    return Simulated(folder, summary, unfold(**ARGUMENTS, on_progress=lambda what, share: None))
