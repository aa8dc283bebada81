"""Files that are cut, mixed, of another encoding or enormous: a clear stop, or rows set aside and counted."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csql_ml import config as configuration
from csql_ml.company import open_company
from csql_ml.config import Config
from csql_ml.contract.validate import validate
from csql_ml.errors import ConfigError, CsqlError, FeatureError
from csql_ml.own_features.reading import read as read_features
from csql_ml.sources import open_warehouse
from tests.small_company import ACCOUNTS, rows, settings_for, written_company
from tests.tally import Tally

TEXT = 'account_id,name,created_at\r\nA1,Größe,2025-01-01\r\nA2,"B, ""x""",2025-01-02\r\n'


def said(path: Path) -> str:
    """What reading a file of accounts says; its rows are all kept, set aside, or the job stops in one line."""
    with TemporaryDirectory() as home:
        config = Config.model_validate(
            {"data": {"folder": path.parent, "tables": {"accounts": path.name}}, "home": Path(home)}
        )
        try:
            with open_warehouse(config) as warehouse:
                (report, *_) = validate(warehouse, config).reports
            assert report.read == report.kept + report.quarantined
            return f"{report.kept} kept"
        except CsqlError as error:
            words = str(error)
    assert "\n" not in words
    assert len(words) < 2_000
    return words


def parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(ACCOUNTS)), target)
    return target.getvalue()


FILES: dict[str, tuple[str, bytes, str]] = {
    "byte order mark": ("a.csv", TEXT.encode("utf-8-sig"), "2 kept"),
    "UTF-16": ("a.csv", TEXT.encode("utf-16"), "not UTF-8"),
    "UTF-16 without a mark": ("a.csv", TEXT.encode("utf-16-le"), "accounts"),
    "Latin-1": ("a.csv", TEXT.encode("latin-1"), "not UTF-8"),
    "two encodings": ("a.csv", TEXT.encode() + "A3,Größe,2025-01-01\r\n".encode("latin-1"), "not UTF-8"),
    "semicolons": ("a.csv", TEXT.replace("B, ", "B ").replace(",", ";").encode(), "2 kept"),
    "nothing but a mark": ("a.csv", b"\xef\xbb\xbf", "no header"),
    "zeros": ("a.csv", b"\0" * 4096, "accounts"),
    "an open quote": ("a.csv", (TEXT + 'A3,"open,2025-01-01\r\n').encode(), "quote"),
    "a row too long": ("a.csv", (TEXT + "A3,x,2025-01-01,more\r\n").encode(), "columns"),
    "a row too short": ("a.csv", (TEXT + "A3\r\n").encode(), "columns"),
    "mixed line ends": ("a.csv", TEXT.encode() + b"A3,x,2025-01-01\n", "line ends"),
    "a column twice": ("a.csv", b"account_id,NAME,name,created_at\nA1,x,y,2025-01-01\n", "twice"),
    "a header only": ("a.csv", TEXT.splitlines()[0].encode(), "0 kept"),
    "a cut Parquet file": ("a.parquet", parquet()[:-9], "accounts"),
    "half a Parquet file": ("a.parquet", parquet()[: len(parquet()) // 2], "accounts"),
    "Parquet with a damaged foot": ("a.parquet", parquet()[:-20] + b"\xff" * 12 + parquet()[-8:], "accounts"),
    "text called Parquet": ("a.parquet", TEXT.encode(), "accounts"),
    "a cut gzip file": ("a.csv.gz", gzip.compress(TEXT.encode())[:-6], "truncated"),
    "text called gzip": ("a.csv.gz", TEXT.encode(), "gzip"),
    "JSON that is none": ("a.jsonl", b'{"account_id": "A1"\n[1]\nnull\n', "accounts"),
    "JSON nested deeply": ("a.jsonl", b'{"a":' * 5000 + b"1" + b"}" * 5000, "accounts"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file(name: str, tmp_path: Path, tally: Tally) -> None:
    tally.of("input", "damaged files: encodings, cut Parquet and gzip, quotes, line ends, headers")
    file, content, expected = FILES[name]
    (tmp_path / file).write_bytes(content)
    tally.begin()
    assert expected in said(tmp_path / file)
    tally.survived()


@pytest.mark.slow
def test_a_row_of_100_megabytes(tmp_path: Path, tally: Tally) -> None:
    tally.of("input", "a row of 100 MB, plain and out of a small gzip file")
    header, row = b"account_id,name,created_at\n", b"A1," + b"x" * 100_000_000 + b",2025-01-01\n"
    for content in (header + row, header + b"A0,x,2025-01-01\n" + row, header + row + b"A2,y,2025-01-01\n"):
        for name, packed in (("a.csv", content), ("a.csv.gz", gzip.compress(content, 1))):
            tally.begin()
            (tmp_path / name).write_bytes(packed)
            assert "a.csv" in said(tmp_path / name)
            (tmp_path / name).unlink()
            tally.survived()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("millions", [3, 34])
def test_a_wide_last_row_is_not_left_out(name: str, millions: int, tmp_path: Path, tally: Tally) -> None:
    """From 32 MiB on DuckDB would read the other rows and say nothing of it."""
    tally.of("input", "a last row of 3 or 34 MB, plain and out of a small gzip file: a stop, never a row less")
    content = TEXT.encode() + b"A3," + b"x" * (millions * 1_000_000) + b",2025-01-01\r\n"
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    tally.begin()
    assert "kept" not in said(tmp_path / name)
    tally.survived()


def flipped(content: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(content)
    for place, value in changes:
        changed[place % len(changed)] = value
    return bytes(changed)


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.mark.parametrize("examples", [3, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", TEXT.encode()), ("a.parquet", parquet())], ids=["CSV", "Parquet"]
)
def test_bytes_at_random(name: str, content: bytes, examples: int, tally: Tally, tmp_path: Path) -> None:
    tally.of("input", "tables with bytes changed at random, CSV and Parquet: rows counted or a stop")

    @settings(max_examples=examples)
    @given(CHANGES)
    def some(changes: list[tuple[int, int]]) -> None:
        tally.begin()
        (tmp_path / name).write_bytes(flipped(content, changes))
        words = said(tmp_path / name)
        assert "kept" in words or name in words or "accounts" in words
        tally.survived()

    some()


FEATURES = b"account_id,as_of,label,x,plan\na1,2025-01-01,1,2.5,Pro\na2,2025-01-01,0,,Basic\n"


@pytest.mark.parametrize("examples", [20, pytest.param(2_000, marks=pytest.mark.slow)])
def test_feature_files_at_random(examples: int, tally: Tally, tmp_path: Path) -> None:
    tally.of("input", "feature files with bytes changed at random: read, or a stop in one line")

    @settings(max_examples=examples)
    @given(CHANGES)
    def some(changes: list[tuple[int, int]]) -> None:
        tally.begin()
        (tmp_path / "f.csv").write_bytes(flipped(FEATURES, changes))
        words = ""
        try:
            read_features(tmp_path / "f.csv")
        except FeatureError as error:
            words = str(error)
        assert "\n" not in words
        tally.survived()

    some()


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["${HOME}", "${NO_SUCH_VARIABLE}", "../..", "2025-13-01", "1e999", "", "\x00"]),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def test_configurations_at_random(tally: Tally, tmp_path: Path, project_root: Path) -> None:
    tally.of("input", "configurations with values replaced at random: read, or a stop in one line")
    base = yaml.safe_load((project_root / "configs/default.yaml").read_text(encoding="utf-8"))
    places = [(section, key) for section, inner in base.items() if isinstance(inner, dict) for key in inner]

    @settings(max_examples=40)
    @given(st.sampled_from(places), VALUES)
    @example(("data", "tables"), {"accounts": {"file": ["x"]}})
    def some(place: tuple[str, str], value: object) -> None:
        tally.begin()
        content = {**base, place[0]: {**base[place[0]], place[1]: value}}
        path = tmp_path / "c.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        words = ""
        try:
            configuration.load(path)
        except ConfigError as error:
            words = str(error)
        assert len(words) < 5_000
        tally.survived()

    some()


# ---------------------------------------------------------------- large


@pytest.mark.slow
def test_one_account_with_ten_million_events(tmp_path: Path, tally: Tally) -> None:
    tally.of("input", "one account with 10 million events")
    config = written_company(tmp_path, {})
    query = (
        "SELECT 'a1' AS account_id, 'u' || (i % 1000) AS user_id, 'login' AS event_name, "
        "TIMESTAMP '2025-01-02' + to_seconds(i) AS occurred_at FROM range(10000000) t(i)"
    )
    duckdb.execute(f"COPY ({query}) TO '{tmp_path}/events.parquet'")
    config = settings_for(tmp_path, ["accounts", "contracts"])
    tables = {**config.data.tables, "events": "events.parquet"}
    config = config.model_copy(update={"data": type(config.data)(folder=tmp_path, tables=tables)})
    tally.begin()
    with open_company(config) as company:
        rollup = company.builder._activity
        events = int(rollup.events.sum().to_pyarrow().as_py())
        report = next(r for r in company.inputs.reports if r.name == "events")
    assert (report.read, report.kept, report.quarantined, events) == (10_000_000, 10_000_000, 0, 10_000_000)
    tally.survived()


@pytest.mark.slow
def test_ten_thousand_feature_columns(tmp_path: Path, tally: Tally) -> None:
    tally.of("input", "a feature file of 10,000 columns")
    generator = np.random.default_rng(1)
    keys = pd.DataFrame({"account_id": [f"a{i}" for i in range(200)], "as_of": "2025-01-01"})
    wide = pd.DataFrame(generator.normal(size=(200, 10_000)).round(3), columns=[f"x{i}" for i in range(10_000)])
    pd.concat([keys, wide], axis=1).to_csv(tmp_path / "f.csv", index=False)
    tally.begin()
    table = read_features(tmp_path / "f.csv")
    assert (table.num_rows, table.num_columns) == (200, 10_002)
    assert float(table.column("x9999")[7].as_py()) == wide.iloc[7, -1]
    tally.survived()
