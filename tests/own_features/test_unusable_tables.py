"""What cannot be used of a feature table is one clear line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from csql_ml import own_features
from csql_ml.errors import BundleError, FeatureError, NotMatureError
from csql_ml.own_features.table import open_table
from tests.own_features.world import HEAD, NEWEST, ROW, Trained, settings, text_table, world

BROKEN = {
    "no account_id": ("account,as_of,x\na1,2025-01-01,1\n", "no column account_id"),
    "no as_of": ("account_id,x\na1,1\n", "no column as_of"),
    "neither": ("x,y\n1,2\n", "no column account_id, as_of"),
    "twice": (HEAD + ROW + ROW, "account a1 has more than one row for 2025-01-01 (1 rows too many"),
    "label 2": (HEAD + ROW + "a7,2025-01-01,2,1\n", "neither 0 nor 1 in 1 rows (the first: account a7, 2025-01-01)"),
    "label text": (HEAD + "a1,2025-01-01,maybe,1\n", "column label of the feature table holds text in 1 rows"),
    "no feature": ("account_id,as_of,label,amount,csm_id\na1,2025-01-01,1,5,c\n", "has no feature column"),
    "empty features": (HEAD + "a1,2025-01-01,1,\n", "has no feature column (1 without any value)"),
    "infinite only": (HEAD + "a1,2025-01-01,1,inf\na2,2025-01-01,0,-inf\n", "has no feature column"),
    "one value": (HEAD + "a1,2025-01-01,1,7\na2,2025-01-01,0,7\n", "no feature column to learn from: x have one value"),
    "no date": (HEAD + "a1,01.02.2025,1,1\n", "as_of of the feature table is no date in 1 of 1 rows"),
    "no such day": (HEAD + "a1,2025-02-30,1,1\n", "as_of of the feature table is no date in 1 of 1 rows"),
    "empty date": (HEAD + ROW + "a2,,1,1\n", "as_of of the feature table is empty in 1 of 2 rows"),
    "time": (HEAD + "a1,2025-01-01 08:30:00,1,1\n", "as_of of the feature table has a time of day in 1 rows"),
    "no id": (HEAD + ",2025-01-01,1,1\n", "account_id of the feature table is empty in 1 of 1 rows"),
    "no rows": (HEAD, "has no rows"),
    "empty file": ("", "has no header"),
    "ragged": (HEAD + "a1,2025-01-01,1\n", "cannot be read as CSV"),
    "column twice": ("account_id,as_of,x,x\na1,2025-01-01,1,2\n", "'x' twice"),
    "no label": ("account_id,as_of,x\na1,2025-01-01,1\n", "has no labels"),
    "another label": (
        "account_id,as_of,sex,bought\na1,2025-01-01,f,Yes\na2,2025-01-01,m,No\n",
        "rename the column with the outcome to label (bought, sex look like it)",
    ),
    "an outcome called churn": (
        "account_id,as_of,Churn,paperless,phone,tv\na1,2025-01-01,Yes,1,0,1\na2,2025-01-01,No,0,1,0\n",
        "rename the column with the outcome to label (Churn, tv, phone ... look like it)",
    ),
    "a lone carriage return": (HEAD + "a1,2025-01-01,1,x\r\ry\n", "a lone carriage return"),
    "another id": (
        "Customer ID,as_of,label,x\nc1,2025-01-01,1,0.5\nc2,2025-01-01,0,1.5\n",
        "rename the column with the customer's id to account_id (Customer ID looks like it)",
    ),
    "one class": (HEAD + ROW + "a2,2025-01-01,1,3\n", "all 2 complete labels of"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_one_clear_line(tmp_path: Path, case: str):
    text, expected = BROKEN[case]
    path = text_table(tmp_path, text)
    with pytest.raises(FeatureError) as raised:
        own_features.train_champion(settings(tmp_path), path)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("absent.csv", "does not exist"), (".", "is a folder"), ("features.xlsx", "neither Parquet nor CSV")],
)
def test_a_file_that_is_no_table(tmp_path: Path, name: str, expected: str):
    text_table(tmp_path, HEAD + ROW, "features.xlsx")
    with pytest.raises(FeatureError, match=expected):
        open_table(tmp_path / name, settings(tmp_path))


def test_a_damaged_parquet_file_and_a_foreign_encoding(tmp_path: Path):
    damaged = text_table(tmp_path, "PAR1 no", "features.parquet")
    with pytest.raises(FeatureError, match="not a readable Parquet file"):
        open_table(damaged, settings(tmp_path))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("account_id,as_of,größe\na,2025-01-01,1\n".encode("latin-1"))
    with pytest.raises(FeatureError, match="UTF-8"):
        open_table(latin, settings(tmp_path))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[1, 2]]), "is list"),
        (pa.array([b"x"]), "is binary"),
        (pa.array([float("inf")]), "has no feature column"),
    ],
)
def test_parquet_types_that_are_no_features(tmp_path: Path, column: pa.Array, expected: str):
    table = pa.table({"account_id": ["a"], "as_of": [date(2025, 1, 1)], "x": column})
    pq.write_table(table, tmp_path / "f.parquet")
    with pytest.raises(FeatureError, match=expected):
        open_table(tmp_path / "f.parquet", settings(tmp_path))


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (pa.array([0], pa.timestamp("us", tz="Europe/Berlin")), "time with a zone"),
        (pa.array([3_600_000_000], pa.timestamp("us")), "time of day in 1 rows"),
        (pa.array([1], pa.timestamp("ns")), "time of day in 1 rows"),
        (pa.array([20250101]), "is no date"),
    ],
)
def test_parquet_types_that_are_no_as_of_date(tmp_path: Path, as_of: pa.Array, expected: str):
    pq.write_table(pa.table({"account_id": ["a"], "as_of": as_of, "x": [1.0]}), tmp_path / "f.parquet")
    with pytest.raises(FeatureError, match=expected):
        open_table(tmp_path / "f.parquet", settings(tmp_path))


def test_an_unknown_date_names_those_there_are(trained: Trained, tmp_path: Path):
    with pytest.raises(FeatureError, match=r"has no rows as of 2026-05-01; it has 2025-01-01, .*2026-04-01"):
        own_features.score(trained.config, trained.table, date(2026, 5, 1), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_of_other_columns_names_what_is_missing(trained: Trained, tmp_path: Path):
    path = tmp_path / "features.csv"
    world().drop(columns=["usage", "state"]).to_csv(path, index=False)
    with pytest.raises(FeatureError, match="has no column usage, state, which the model was trained with"):
        own_features.score(trained.config, path, NEWEST, tmp_path / "run")


def test_text_where_the_model_learned_a_number(trained: Trained, tmp_path: Path):
    path = tmp_path / "features.csv"
    world().assign(usage="much").to_csv(path, index=False)
    with pytest.raises(
        FeatureError, match="column usage of the feature table holds text in 800 rows, expected numbers"
    ):
        own_features.score(trained.config, path, NEWEST, tmp_path / "run")


def test_without_a_champion_there_is_nothing_to_score_with(trained: Trained, tmp_path: Path):
    with pytest.raises(BundleError, match=r"no champion in .*; run csql train with --features"):
        own_features.score(settings(tmp_path), trained.table, NEWEST, tmp_path / "run")


def test_too_early_says_which_day_to_wait_for(trained: Trained):
    with pytest.raises(NotMatureError, match="from 2025-07-01 on"):
        own_features.train_champion(trained.config, trained.table, date(2025, 6, 30))


def test_a_group_column_that_is_not_there(tmp_path: Path):
    with pytest.raises(FeatureError, match=r"no column team, which model\.group"):
        open_table(text_table(tmp_path, HEAD + ROW), settings(tmp_path, model={"group": "team"}))
