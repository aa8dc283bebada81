"""Tables as other people have them: telco churn, bank marketing, credit; their spellings, gaps and oddities."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from csql_ml import own_features
from csql_ml.errors import FeatureError
from csql_ml.own_features.table import open_table
from csql_ml.own_features.training import training_data
from tests.own_features.world import settings

DAY, LATER = date(2025, 1, 1), date(2025, 7, 1)


def telco(rows: int, day: date, seed: int = 3) -> pd.DataFrame:
    """Mixed case, spaces and brackets in names, yes and no as text, money as text, a blank where there was no month."""
    rng = np.random.default_rng(seed)
    tenure = rng.integers(0, 72, rows)
    monthly = rng.uniform(18, 120, rows).round(2)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], rows)
    margin = -0.5 + 1.5 * (contract == "Two year") + 0.03 * (tenure - 36)
    won = rng.random(rows) < 1 / (1 + np.exp(-margin))
    return pd.DataFrame(
        {
            "Account_ID": [f"{i:04d}-ABCDE" for i in range(rows)],
            "As_Of": day.isoformat(),
            "SeniorCitizen": rng.integers(0, 2, rows),
            "Partner": rng.choice(["Yes", "No"], rows),
            "tenure": tenure,
            "Contract": contract,
            "Tech Support (24/7), paid": rng.choice(["Yes", "No", "No internet service"], rows),
            "MonthlyCharges": [f"$ {m:,.2f}" for m in monthly],
            "TotalCharges": [" " if t == 0 else f"{t * m * 10:,.2f}" for t, m in zip(tenure, monthly, strict=True)],
            "Signed": [(pd.Timestamp(day) - pd.Timedelta(days=int(t) * 30 + 1)).date().isoformat() for t in tenure],
            "Customer e-mail": [f"user{i}@example.com" for i in range(rows)],
            "Country": "Austria",
            "Fax": None,
            "Größe": rng.choice(["klein", "groß", None], rows),
            "Label": np.where(won, "Yes", "No"),
        }
    )


def test_a_telco_table_is_read_as_its_owner_means_it(tmp_path: Path):
    path = tmp_path / "telco.csv"
    telco(300, DAY).to_csv(path, index=False, encoding="utf-8-sig")
    table = open_table(path, settings(tmp_path))
    kinds = {f.metric: f.categorical for f in table.features}
    assert {n for n, text in kinds.items() if text} == {
        "Contract",
        "Tech Support (24/7), paid",
        "Customer e-mail",
        "Country",
        "Größe",
    }
    assert (table.empty, table.constant, table.identifiers) == (("Fax",), ("Country",), ("Customer e-mail",))
    assert table.yes_or_no == {"Partner"}
    frame = table.frame(table.features)
    assert set(frame["Partner"]) == {0.0, 1.0}
    assert frame["MonthlyCharges"].between(18, 120).all()
    assert frame["TotalCharges"].isna().sum() == (frame["tenure"] == 0).sum() > 0
    assert frame["TotalCharges"].max() > 1000
    assert (frame["Signed"] == frame["tenure"] * 30 + 1).all(), "a date is days before the as-of date"
    assert set(table.rows["label"]) == {0.0, 1.0}
    assert len(table.notes) == 3
    learned = {f.metric for f in training_data(table, settings(tmp_path), LATER).features}
    assert not {"Fax", "Country", "Customer e-mail"} & learned


def test_semicolons_and_decimal_commas(tmp_path: Path):
    path = tmp_path / "bank.csv"
    path.write_text("account_id;as_of;label;euribor;balance\na;2025-01-01;no;4,857;1.200,5\nb;2025-01-01;yes;0,64;-3\n")
    frame = (table := open_table(path, settings(tmp_path))).frame(table.features)
    assert frame.to_numpy().tolist() == [[4.857, 1200.5], [0.64, -3.0]]
    assert table.rows["label"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("YES", "no"), ("y", "N"), ("won", "lost"), ("1.0", "0")])
def test_labels_may_be_words(tmp_path: Path, yes: str, no: str):
    path = tmp_path / "t.csv"
    path.write_text(f"account_id,as_of,label,x\na,2025-01-01,{yes},1\nb,2025-01-01,{no},2\nc,2025-01-01,,3\n")
    labels = open_table(path, settings(tmp_path)).rows["label"]
    np.testing.assert_array_equal(labels, [1.0, 0.0, np.nan])


def test_labels_of_parquet_may_be_booleans(tmp_path: Path):
    frame = pd.DataFrame({"account_id": ["a", "b"], "as_of": DAY, "label": [True, False], "x": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert open_table(tmp_path / "t.parquet", settings(tmp_path)).rows["label"].tolist() == [1.0, 0.0]


def test_infinity_reads_as_missing_and_is_told(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("account_id,as_of,x,y\na,2025-01-01,inf,1e300\nb,2025-01-01,2,-1e300\n")
    table = open_table(path, settings(tmp_path))
    assert table.infinite == {"x": 1}
    assert table.frame(table.features)["x"].isna().tolist() == [True, False]
    assert any("infinite" in note and "x" in note for note in table.notes)


def test_dates_ahead_are_counted_among_labelled_rows(tmp_path: Path):
    frame = pd.DataFrame(
        {
            "account_id": list("abcd"),
            "as_of": DAY,
            "label": [1.0, 0.0, 0.0, None],
            "closed": pd.to_datetime(["2025-03-01", None, "2024-03-01", "2025-03-01"]),
            "x": [1.0, 2.0, 3.0, 4.0],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet", settings(tmp_path))
    assert table.ahead == {"closed": 0.5}
    assert table.frame(table.features)["closed"].tolist()[0] == -59.0


def test_parquet_is_read_as_the_same_table_in_csv_is(tmp_path: Path):
    """A blank makes pandas read money as text; yes and no are texts or categories there."""
    frame = telco(300, DAY).drop(columns="Fax").astype({"Partner": "category"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    csv, parquet = (open_table(tmp_path / name, settings(tmp_path)) for name in ("t.csv", "t.parquet"))
    assert parquet.numeric == csv.numeric
    assert parquet.yes_or_no == csv.yes_or_no == {"Partner"}
    pd.testing.assert_frame_equal(parquet.frame(parquet.features), csv.frame(csv.features), check_dtype=False)


def test_whole_numbers_that_are_texts_in_parquet_stay_codes(tmp_path: Path):
    frame = pd.DataFrame({"account_id": ["a", "b"], "as_of": DAY, "region": ["10", "20"], "price": ["1.50", "2.00"]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert open_table(tmp_path / "t.parquet", settings(tmp_path)).numeric == {"price"}


@pytest.mark.parametrize(
    ("name", "left_out"),
    [("customerID", True), ("rownames", True), ("Invoice No", True), ("id", True), ("visits", False), ("paid", False)],
)
def test_numbers_that_name_the_row_are_left_out(tmp_path: Path, name: str, left_out: bool):
    rows = 150
    frame = pd.DataFrame({"account_id": [f"a{i}" for i in range(rows)], "as_of": DAY, name: range(rows), "x": 1.5})
    frame.assign(x=np.arange(rows) % 7).to_csv(tmp_path / "t.csv", index=False)
    table = open_table(tmp_path / "t.csv", settings(tmp_path))
    assert table.identifiers == ((name,) if left_out else ())
    assert any("identifiers" in note for note in table.notes) is left_out


def test_two_columns_of_one_name_are_refused_by_name(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("account_id,as_of,Usage,usage\na,2025-01-01,1,2\n")
    with pytest.raises(FeatureError, match="'usage' twice"):
        open_table(path, settings(tmp_path))


@pytest.mark.slow
def test_a_telco_table_trains_and_scores_and_a_leak_is_left_out(tmp_path: Path):
    config, train, score = settings(tmp_path), tmp_path / "train.csv", tmp_path / "score.csv"
    frame = telco(800, DAY)
    closed = np.where(frame["Label"] == "Yes", "2025-02-15", "")
    frame.assign(closed_on=closed).to_csv(train, index=False)
    telco(300, LATER, seed=4).assign(closed_on="").to_csv(score, index=False)
    suspected = own_features.train_champion(config, train, strict=True).trained
    assert {s.feature for s in suspected.suspects} == {"closed_on"}
    assert {"known_after", "missing_by_label"} <= {s.kind for s in suspected.suspects}
    assert suspected.excluded == ("closed_on",)
    run = own_features.score(config, score, LATER, tmp_path / "run")
    assert run.skew is not None
    assert run.skew.calibration_holds
    assert run.scores["propensity"].between(0, 1).all()
