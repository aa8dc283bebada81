"""Whatever the rows say and in whatever order they come: nothing is lost, and the same rows are kept."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.contract.report import Inputs
from csql_ml.contract.tables import TABLES
from csql_ml.contract.validate import validate
from csql_ml.sources import open_warehouse

REQUIRED = ("accounts", "contracts", "events")
Rows = dict[str, list[list[str | None]]]


GOOD = {
    "string": ["A1", "A2", "Ünï", " A1 "],
    "integer": ["1", "1.0", "2"],
    "number": ["1", "1.001", "2.50"],
    "boolean": ["true", "no"],
    "date": ["2023-01-01", "2023-01-02T00:00:00Z"],
    "timestamp": ["2023-01-01", "2023-01-01T02:00:00+02:00", "2023-01-02 3:00"],
}
BAD = [None, None, "", "NaN", "-1", "1e99", "'", '"', "2023-02-30", "9999-12-31", "\x00", "😀"]


@st.composite
def companies(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """A company whose values are mostly good and few, so that keys repeat; and its rows in another order."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    bad = BAD + draw(st.lists(st.text(max_size=8), max_size=10))
    rows: Rows = {}
    for name in (*REQUIRED, draw(st.sampled_from([name for name in TABLES if name not in REQUIRED]))):
        good = [list(column.values or GOOD[column.dtype]) for column in TABLES[name].columns]
        rows[name] = [
            [str(generator.choice(g)) if generator.random() < 0.97 else bad[generator.integers(len(bad))] for g in good]
            for _ in range(100)
        ]
    rows["accounts"] += [["A1", "Alpha", "2023-01-01", *[None] * 8]]
    return rows, {name: [table[i] for i in generator.permutation(len(table))] for name, table in rows.items()}


def checked(rows: Rows, folder: Path) -> tuple[Inputs, dict[str, list[Any]], dict[str, list[Any]]]:
    """What validation says, the kept rows and the quarantined rows by table."""
    for name, table in rows.items():
        columns = list(zip(*table, strict=True))
        arrays = {c: pa.array(v, pa.string()) for c, v in zip(TABLES[name].column_names, columns, strict=True)}
        pq.write_table(pa.table(arrays), folder / f"{name}.parquet")
    data = {"folder": folder, "tables": {name: f"{name}.parquet" for name in rows}}
    config = Config.model_validate({"data": data})
    with open_warehouse(config) as warehouse:
        inputs = validate(warehouse, config, folder / "bad")
        kept = {n: sorted(map(repr, t.to_pyarrow().to_pylist())) for n, t in inputs.tables.items()}
    bad = {file.stem: pq.read_table(file).to_pylist() for file in (folder / "bad").glob("*")}
    return inputs, kept, bad


@settings(max_examples=3)
@given(companies())
def test_nothing_is_lost_and_order_does_not_matter(company: tuple[Rows, Rows]) -> None:
    rows, other = company
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        inputs, kept, bad = checked(rows, Path(one))
        again, kept_again, bad_again = checked(other, Path(two))
    for report in inputs.reports:
        set_aside = [p.rows for p in report.problems if p.action == "quarantine"]
        assert report.read == report.kept + report.quarantined == len(rows[report.name])
        assert report.quarantined == sum(set_aside) == len(bad.get(report.name, []))
        assert report.kept == len(kept.get(report.name, []))
    assert (inputs.reports, kept, bad) == (again.reports, kept_again, bad_again)
