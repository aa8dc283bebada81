"""Which columns of a feature table are numbers, categories or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.own_features.columns import kind_of, numbers, texts
from csql_ml.own_features.table import open_table
from tests.own_features.world import DATES, HEAD, settings, text_table, world

KINDS = [
    (["1", "2.5", None, "NA"], "number", [1.0, 2.5, np.nan, np.nan]),
    (["+2", " 1e3 ", "-.5"], "number", [2.0, 1000.0, -0.5]),
    (["TRUE", "false", None], "yes_or_no", [1.0, 0.0, np.nan]),
    (["Yes", "no ", None, "?"], "yes_or_no", [1.0, 0.0, np.nan, np.nan]),
    (["Y", "n"], "yes_or_no", [1.0, 0.0]),
    (["Yes", "No", "No internet service"], "category", ["Yes", "No", "No internet service"]),
    (["007", "12"], "category", ["007", "12"]),
    (["0.7", "0"], "number", [0.7, 0.0]),
    (["NA", "EMEA", " "], "category", ["NA", "EMEA", None]),
    (["1", "2", "x"], "category", ["1", "2", "x"]),
    (["1,5", "2"], "number", [1.5, 2.0]),
    (["1,250", "12", "1,000,000.5"], "number", [1250.0, 12.0, 1_000_000.5]),
    (["1.250,5", "2"], "number", [1250.5, 2.0]),
    (["$ 1,200", "-$99.50", None], "number", [1200.0, -99.5, np.nan]),
    (["12 %", "7.5%"], "number", [12.0, 7.5]),
    (["12,34,5", "2"], "category", ["12,34,5", "2"]),
    (["?", "3", "-", "#DIV/0!"], "number", [np.nan, 3.0, np.nan, np.nan]),
    (["?", "Tech"], "category", ["?", "Tech"]),
    (["2024-02-30", "2024-02-01 10:00"], "date", ["2024-02-30", "2024-02-01 10:00"]),
    (["2024-02-01", "n/a", "?"], "date", ["2024-02-01", "n/a", "?"]),
    ([" ", None], "empty", [None, None]),
]


@pytest.mark.parametrize(("cells", "kind", "values"), KINDS)
def test_csv_columns_are_judged_as_a_whole(cells: list[str | None], kind: str, values: list[Any]):
    column = pa.chunked_array([pa.array(cells, pa.string())])
    assert kind_of(column, "x", inferred=True) == kind
    found = (numbers if kind in ("number", "yes_or_no") else texts)(column, "x").tolist()
    assert found == pytest.approx(values, nan_ok=True) if kind in ("number", "yes_or_no") else found == values


def test_a_late_text_makes_the_whole_column_a_category(tmp_path: Path):
    """Twenty thousand numbers at the top do not decide what the column is."""
    body = "".join(f"a{i},2025-01-01,{i}\n" for i in range(20_000))
    path = text_table(tmp_path, "account_id,as_of,x\n" + body + "last,2025-01-01,many\n")
    (feature,) = open_table(path, settings(tmp_path)).features
    assert feature.categorical


def test_categories_of_parquet_stay_categories(tmp_path: Path):
    frame = pd.DataFrame(
        {"account_id": [7, 8], "as_of": pd.Timestamp("2025-01-01"), "tier": [1, 2], "big": [10**16, 1]}
    )
    frame.astype({"tier": "category"}).to_parquet(tmp_path / "f.parquet")
    table = open_table(tmp_path / "f.parquet", settings(tmp_path))
    assert table.rows["account_id"].tolist() == ["7", "8"]
    assert [f.categorical for f in table.features] == [True, False]
    assert table.frame(table.features)["tier"].tolist() == ["1", "2"]


@pytest.mark.parametrize("name", ["features.csv", "features.parquet"])
def test_an_index_written_by_pandas_is_no_feature(tmp_path: Path, name: str):
    frame = world(5, dates=DATES[:1])
    if name.endswith("csv"):
        frame.to_csv(tmp_path / name)
    else:
        frame.set_index(frame.index[::-1]).to_parquet(tmp_path / name)
    assert open_table(tmp_path / name, settings(tmp_path)).names == ("usage", "plan", "trial", "noise", "state")


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_survive_csv(values: list[float | None]):
    column = pa.chunked_array([pa.array([None if v is None else repr(v) for v in values], pa.string())])
    expected = [np.nan if v is None else v for v in values]
    np.testing.assert_array_equal(numbers(column, "x").to_numpy(), np.array(expected))
    assert kind_of(column, "x", inferred=True) == ("empty" if all(v is None for v in values) else "number")


def test_ten_thousand_columns(tmp_path: Path):
    rng = np.random.default_rng(1)
    wide = pd.DataFrame(rng.normal(size=(20, 10_000)).round(3), columns=[f"f{i}" for i in range(10_000)])
    wide.insert(0, "account_id", [f"a{i}" for i in range(20)])
    wide.insert(1, "as_of", "2025-01-01")
    wide.to_csv(tmp_path / "wide.csv", index=False)
    table = open_table(tmp_path / "wide.csv", settings(tmp_path))
    assert len(table.names) == 10_000
    assert table.frame(table.features).loc[table.rows["account_id"] == "a3", "f9999"].item() == wide["f9999"][3]


def test_unusual_types_of_parquet_are_read_as_usual_ones(tmp_path: Path):
    keys = {"account_id": ["a", "b"], "as_of": [DATES[0]] * 2}
    columns = {
        "view": pa.array(["x", "y"], pa.string_view()),
        "seconds": pa.array([60, 120], pa.duration("s")),
        "at": pa.array([0, 3_600_000_000], pa.time64("us")),
        "clock": pa.array([0, 3600], pa.time32("s")),
        "known": pa.array(["Yes", None]).dictionary_encode(),
    }
    pq.write_table(pa.table({**keys, **columns}), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet", settings(tmp_path))
    frame = table.frame(table.features)
    assert frame["view"].tolist() == ["x", "y"]
    assert frame["seconds"].tolist() == [60.0, 120.0]
    assert frame["at"].tolist() == [0.0, 3.6e9]
    assert frame["clock"].tolist() == [0.0, 3.6e6]
    assert frame["known"].tolist() == pytest.approx([1.0, np.nan], nan_ok=True)


def test_dates_in_an_order_of_their_own_are_kept_as_categories_and_named(tmp_path: Path):
    text = HEAD + "a1,2025-01-01,1,31.01.2025\na2,2025-01-01,0,02/03/25\na3,2025-01-01,0,\n"
    table = open_table(text_table(tmp_path, text), settings(tmp_path))
    assert table.notes == ("kept 1 column of dates not written YYYY-MM-DD, which read as categories: x",)
    versions = HEAD + "a1,2025-01-01,1,1.2\na2,2025-01-01,0,1.2.3\n"
    assert not open_table(text_table(tmp_path, versions), settings(tmp_path)).notes
