"""Training and scoring on a feature table of one's own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml import own_features, pipeline, printing
from csql_ml.config import Config, load
from csql_ml.errors import BundleError, FeatureError, NotMatureError
from csql_ml.own_features.columns import kind_of, numbers, texts
from csql_ml.own_features.table import open_table
from csql_ml.own_features.training import default_now, training_data
from csql_ml.quarters import horizon_end
from csql_ml.reports import report
from csql_ml.run_files import RUN_FILES
from csql_ml.scoring import SCORE_COLUMNS

DATES = [date(2025, 1, 1), date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1), date(2026, 4, 1)]
NEWEST = DATES[-1]
CONFIG = """
model: {bags: 1, bootstrap: 40}
tracking: {enabled: false}
models_folder: models
"""


def world(accounts: int = 160, dates: list[date] | None = None, seed: int = 5) -> pd.DataFrame:
    """Expansions follow an interaction that no weighted score of single columns holds."""
    rng = np.random.default_rng(seed)
    frames = []
    for as_of in DATES if dates is None else dates:
        usage, plan = rng.normal(size=accounts), rng.choice(["Básico", "Größe L", "プロ"], accounts)
        chance = np.where((plan == "プロ") & (usage > 0), 0.85, np.where(plan == "Größe L", 0.35, 0.08))
        frames.append(
            pd.DataFrame(
                {
                    "account_id": [f"{i:05d}" for i in range(accounts)],
                    "as_of": as_of,
                    "label": (rng.random(accounts) < chance).astype(float),
                    "usage": usage.round(4),
                    "plan": plan,
                    "trial": rng.random(accounts) < 0.4,
                    "noise": rng.normal(size=accounts).round(4),
                    "state": rng.choice(["CA", "NY"], accounts),
                    "nothing": np.nan,
                    "csm_id": [f"csm{i % 4}" for i in range(accounts)],
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    newest = frame["as_of"] == max(frame["as_of"])
    return frame.assign(label=frame["label"].mask(newest)) if frame["as_of"].nunique() > 1 else frame


def settings(folder: Path, **sections: Any) -> Config:
    quick = {"model": {"bags": 1, "bootstrap": 20}, "tracking": {"enabled": False}, "models_folder": "models"}
    return Config(**{**quick, **sections, "home": folder})


@dataclass(frozen=True)
class Trained:
    folder: Path
    config: Config
    table: Path
    training: pipeline.Training
    said: list[str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("own")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    config, table, said = load(folder / "config.yaml"), folder / "features.csv", []
    world().to_csv(table, index=False)
    training = own_features.train_champion(config, table, None, lambda step, done, of: said.append(step))
    return Trained(folder, config, table, training, said)


def text_table(folder: Path, text: str, name: str = "features.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# training


def test_a_model_that_sees_more_than_a_score_is_promoted(trained: Trained):
    result = trained.training.trained
    assert result.verdict.in_time
    assert result.verdict.promoted
    figures = result.verdict.figures
    assert figures is not None
    assert figures.of["model"]["roc_auc"].value > figures.of["baseline"]["roc_auc"].value + 0.1
    assert result.champion.kind == "stack"
    assert "nothing" not in [f.name for f in result.champion.features]
    assert any("nothing" in step for step in trained.said), "a column that is dropped is named"
    assert "state" in {f.metric for f in result.champion.features}


def test_noise_keeps_the_learned_score(tmp_path: Path):
    frame = world(dates=DATES[:3])
    rng = np.random.default_rng(0)
    labels = pd.Series(rng.random(len(frame)) < 0.3).astype(float).where(frame["label"].notna())
    path = tmp_path / "features.parquet"
    frame.assign(label=labels).to_parquet(path)
    result = own_features.train_champion(settings(tmp_path), path).trained
    assert not result.verdict.promoted
    assert result.champion.kind == "rules"
    assert result.champion.terms
    assert result.challenger is not None


def test_one_snapshot_is_validated_by_accounts_and_says_so(tmp_path: Path):
    path = tmp_path / "features.csv"
    world(200, dates=DATES[:1]).to_csv(path, index=False)
    verdict = own_features.train_champion(settings(tmp_path), path).trained.verdict
    assert verdict.figures is not None
    assert not verdict.in_time
    assert "not validated in time" in verdict.paragraph()


def test_a_table_of_categories_alone_still_qualifies_accounts(tmp_path: Path):
    path = tmp_path / "features.csv"
    frame = world(dates=DATES[:3])
    label = (frame["plan"] == "プロ").astype(float).where(np.arange(len(frame)) % 7 > 0, 0.0)
    frame.assign(label=label.where(frame["label"].notna()))[["account_id", "as_of", "label", "plan"]].to_csv(
        path, index=False
    )
    config = settings(tmp_path)
    assert own_features.train_champion(config, path).trained.champion.kind == "stack"
    scores = own_features.score(config, path, DATES[2], tmp_path / "run").scores
    plan = frame[frame["as_of"] == DATES[2]].set_index("account_id")["plan"]
    qualified = scores.set_index("account_id")["status"] == "qualified"
    assert qualified.any()
    assert set(plan[qualified[qualified].index]) == {"プロ"}


@pytest.mark.parametrize(("quarters", "first_month"), [(0, 1), (1, 1), (1, 2), (3, 1)])
def test_labels_are_known_from_the_end_of_their_horizon_on(tmp_path: Path, quarters: int, first_month: int):
    path = tmp_path / "features.csv"
    world(20).to_csv(path, index=False)
    config = settings(tmp_path, labels={"horizon_quarters": quarters}, company={"fiscal_year_start_month": first_month})
    table = open_table(path, config)
    data = training_data(table, config, default_now(table, config))
    for as_of in DATES[:-1]:
        end = horizon_end(as_of, quarters, first_month)
        for day, complete in ((end, True), (date.fromordinal(end.toordinal() - 1), False)):
            labels = data.labels_known(day)
            found = labels[labels["as_of"] == as_of]
            assert found["label"].notna().all() if complete else (found["state"] == "open").all()
    assert (data.labels_known(date(2100, 1, 1)).query("as_of == @NEWEST")["state"] == "open").all()


def test_now_is_the_day_when_all_labels_are_complete(tmp_path: Path):
    path = tmp_path / "features.csv"
    frame = world(10, dates=DATES[:3])
    frame.to_csv(path, index=False)
    assert default_now(open_table(path, settings(tmp_path)), settings(tmp_path)) == date(2025, 10, 1)
    frame.assign(label=np.nan).to_csv(path, index=False)
    assert default_now(open_table(path, settings(tmp_path)), settings(tmp_path)) == DATES[2]


def test_rows_after_now_are_not_seen(tmp_path: Path):
    path = tmp_path / "features.csv"
    world(30).to_csv(path, index=False)
    data = training_data(open_table(path, settings(tmp_path)), settings(tmp_path), date(2025, 7, 1))
    assert data.snapshots == tuple(DATES[:3])


def test_order_and_format_of_the_file_do_not_matter(trained: Trained, tmp_path: Path):
    shuffled = world().sample(frac=1.0, random_state=3)[::-1].assign(as_of=lambda f: pd.to_datetime(f["as_of"]))
    path = tmp_path / "features.parquet"
    shuffled.to_parquet(path)
    again = own_features.train_champion(trained.config.model_copy(update={"models_folder": tmp_path}), path)
    assert again.trained.champion.model_version == trained.training.trained.champion.model_version


# scoring


@pytest.fixture(scope="module")
def run(trained: Trained) -> pipeline.Run:
    return own_features.score(trained.config, trained.table, NEWEST, trained.folder / "run")


def test_a_run_has_the_files_and_columns_of_any_other(run: pipeline.Run):
    assert {p.name for p in run.out.iterdir()} == set(RUN_FILES)
    scores = pd.read_parquet(run.out / "scores.parquet")
    assert tuple(scores.columns) == SCORE_COLUMNS
    assert list(scores["account_id"]) == sorted(scores["account_id"])
    assert set(scores["status"]) == {"qualified", "not_yet"}
    assert scores["lead_type"].isna().all()
    assert scores["expected_arr"].isna().all()
    assert (scores["failed_gates"] == "").all()
    assert (scores["risk_flags"] == "").all()
    assert set(scores["csm_id"]) == {"csm0", "csm1", "csm2", "csm3"}
    assert sorted(scores.loc[scores["csm_id"] == "csm1", "rank_in_portfolio"]) == list(range(1, 41))
    assert len(run.leads) == (scores["status"] == "qualified").sum() > 0
    assert run.manifest["own_features"] is True


def test_points_add_up(run: pipeline.Run):
    explanations = pd.read_parquet(run.out / "explanations.parquet")
    sums = explanations.groupby("account_id")["points"].sum()
    propensity = run.scores.set_index("account_id")["propensity"]
    assert np.abs(sums - propensity).max() < 1e-9
    assert {"usage", "plan", "trial", "noise", "state", "reference"} == set(explanations["metric"])
    assert explanations.loc[explanations["metric"] == "state", "value_text"].isin(["CA", "NY"]).all()


def test_accounts_can_be_explained_and_reported(run: pipeline.Run, trained: Trained, tmp_path: Path):
    account = run.leads[0]["account_id"]
    manifest, record = pipeline.account_record(run.out, account)
    assert record["gates"] == []
    assert record["hypothesis"] is None
    told = record["reference"] + sum(r["points"] for r in record["reasons"]) + record["other_points"]
    assert told == pytest.approx(record["propensity"], abs=1e-9)
    assert printing.account(record, manifest, trained.config).text
    assert json.loads((run.out / "leads.jsonl").read_text(encoding="utf-8").splitlines()[0])["account_id"] == account
    summary = report(run.out, tmp_path / "site", language="en", config=trained.config)
    assert summary.accounts == len(run.scores)


def test_ids_keep_their_leading_zeros(run: pipeline.Run):
    assert run.scores["account_id"].iloc[7] == "00007"


def test_another_process_writes_the_same_bytes(run: pipeline.Run, trained: Trained, tmp_path: Path):
    """Through the command line, from training on."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    common = ["--config", str(tmp_path / "config.yaml"), "--features", str(trained.table), "--json"]
    commands = (["train", *common], ["score", *common, "--as-of", NEWEST.isoformat(), "--out", str(tmp_path / "run")])
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "csql_ml", *command],
            check=True,
            capture_output=True,
            cwd=Path(__file__).parent.parent,
        )
    assert digests(tmp_path / "run") == digests(run.out)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_expected_arr_is_the_open_amount_else_the_share_of_arr(trained: Trained, tmp_path: Path):
    frame = world()
    won = frame["label"] == 1
    arr = pd.Series(np.where(frame.index % 2 == 0, 20_000.0, 40_000.0))
    amount = (0.3 * arr).where(won)
    newest = frame.index[frame["as_of"] == NEWEST]
    amount[newest[0]] = 999.0
    path = tmp_path / "features.csv"
    frame.assign(amount=amount, arr=arr).to_csv(path, index=False)
    config = settings(tmp_path)
    champion = own_features.train_champion(config, path).trained.champion
    assert champion.arr_share["upsell"] == pytest.approx(0.3), "the company's own wins say better than the default"
    scores = own_features.score(config, path, NEWEST, tmp_path / "run").scores
    per_win = (scores["expected_arr"] / scores["propensity"]).round(6).tolist()
    assert per_win[:3] == [999.0, 12_000.0, 6_000.0]


def test_group_columns_are_portfolios_and_not_features(tmp_path: Path):
    path = tmp_path / "features.csv"
    world(12).rename(columns={"csm_id": "team"}).to_csv(path, index=False)
    table = open_table(path, settings(tmp_path, model={"group": ["team", "plan"]}))
    assert set(table.rows["portfolio"]) == {"csm0", "csm1", "csm2", "csm3"}
    assert table.names == ("usage", "trial", "noise", "state")
    assert table.yes_or_no == {"trial"}


def test_a_score_reads_only_its_own_date(trained: Trained, tmp_path: Path):
    frame, day = world(), DATES[1]
    frame.loc[frame["as_of"] != day, "usage"] += 1.0
    path = tmp_path / "features.csv"
    frame.to_csv(path, index=False)
    before = own_features.score(trained.config, trained.table, day, tmp_path / "before")
    after = own_features.score(trained.config, path, day, tmp_path / "after")
    assert len(after.scores) == 160
    assert digests(after.out) == digests(before.out)


def test_scoring_reads_columns_as_the_model_learned_them(trained: Trained, tmp_path: Path):
    """A category whose newest values happen to look like numbers stays a category; an empty number stays missing."""
    frame = world(dates=[NEWEST]).assign(plan="7", usage=np.nan)
    path = tmp_path / "features.csv"
    frame.to_csv(path, index=False)
    scores = own_features.score(trained.config, path, NEWEST, tmp_path / "run").scores
    assert np.isfinite(scores["propensity"]).all()


# what cannot be used

HEAD = "account_id,as_of,label,x\n"
ROW = "a1,2025-01-01,1,2.5\n"
BROKEN = {
    "no account_id": ("account,as_of,x\na1,2025-01-01,1\n", "no column account_id"),
    "no as_of": ("account_id,x\na1,1\n", "no column as_of"),
    "neither": ("x,y\n1,2\n", "no column account_id, as_of"),
    "twice": (HEAD + ROW + ROW, "account a1 has more than one row for 2025-01-01 (1 rows too many"),
    "label 2": (HEAD + ROW + "a7,2025-01-01,2,1\n", "neither 0 nor 1 in 1 rows (the first: account a7, 2025-01-01)"),
    "label text": (HEAD + "a1,2025-01-01,won,1\n", "column label of the feature table holds text in 1 rows"),
    "no feature": ("account_id,as_of,label,amount,csm_id\na1,2025-01-01,1,5,c\n", "has no feature column"),
    "empty features": (HEAD + "a1,2025-01-01,1,\n", "has no feature column (1 without any value)"),
    "infinite": (
        HEAD + "a1,2025-01-01,1,inf\na2,2025-01-01,0,-inf\n",
        "column x of the feature table holds 2 infinite",
    ),
    "infinite amount": (
        "account_id,as_of,amount,x\na1,2025-01-01,inf,1\n",
        "column amount of the feature table holds 1",
    ),
    "no date": (HEAD + "a1,01.02.2025,1,1\n", "as_of of the feature table is no date in 1 of 1 rows"),
    "no such day": (HEAD + "a1,2025-02-30,1,1\n", "as_of of the feature table is no date in 1 of 1 rows"),
    "empty date": (HEAD + ROW + "a2,,1,1\n", "as_of of the feature table is empty in 1 of 2 rows"),
    "time": (HEAD + "a1,2025-01-01 08:30:00,1,1\n", "as_of of the feature table has a time of day in 1 rows"),
    "no id": (HEAD + ",2025-01-01,1,1\n", "account_id of the feature table is empty in 1 of 1 rows"),
    "date feature": (HEAD + "a1,2025-01-01,1,2024-05-05\n", "column x of the feature table is a date"),
    "no rows": (HEAD, "has no rows"),
    "empty file": ("", "has no header"),
    "ragged": (HEAD + "a1,2025-01-01,1\n", "cannot be read as CSV"),
    "column twice": ("account_id,as_of,x,x\na1,2025-01-01,1,2\n", "'x' twice"),
    "no label": ("account_id,as_of,x\na1,2025-01-01,1\n", "has no labels"),
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
        (pa.array([date(2025, 1, 1)]), "is date32"),
        (pa.array([[1, 2]]), "is list"),
        (pa.array([b"x"]), "is binary"),
        (pa.array([float("inf")]), "1 infinite values"),
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


# columns

KINDS = [
    (["1", "2.5", None, "NA"], "number", [1.0, 2.5, np.nan, np.nan]),
    (["+2", " 1e3 ", "-.5"], "number", [2.0, 1000.0, -0.5]),
    (["TRUE", "false", None], "yes_or_no", [1.0, 0.0, np.nan]),
    (["007", "12"], "category", ["007", "12"]),
    (["0.7", "0"], "number", [0.7, 0.0]),
    (["NA", "EMEA", " "], "category", ["NA", "EMEA", None]),
    (["1", "2", "x"], "category", ["1", "2", "x"]),
    (["1,5", "2"], "category", ["1,5", "2"]),
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
