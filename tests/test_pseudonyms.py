"""User ids leave the source as hashes made with the company's key, and everything that is counted stays the same."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from csql_ml.company import open_company, open_inputs
from csql_ml.config import Config
from csql_ml.errors import ConfigError
from csql_ml.pseudonyms import VARIABLE, fingerprint
from csql_ml.sources import open_warehouse
from tests.small_company import written_company

KEY = "correct horse battery staple"
TABLES = {
    "users": """
user_id       | account_id | created_at
ada@a1.test   | a1         | 2025-01-01
bob@a1.test   | a1         | 2025-01-01
""",
    "events": """
account_id | user_id      | occurred_at      | event_name
a1         | ada@a1.test  | 2025-03-03T10:00 | login
a1         | ada@a1.test  | 2025-03-04T10:00 | login
a1         | bob@a1.test  | 2025-03-04T11:00 | login
a1         |              | 2025-03-04T12:00 | login
""",
    "nps": """
account_id | user_id     | responded_at | score
a1         | ada@a1.test | 2025-03-05   | 9
""",
}


def written(folder: Path, **data: Any) -> Config:
    config = written_company(folder, TABLES)
    return config.model_copy(update={"data": config.data.model_copy(update=data)})


def ids(config: Config, table: str) -> list[Any]:
    with open_warehouse(config) as warehouse:
        rows = warehouse.read(table)
        assert rows is not None
        return [value for value in rows["user_id"].to_pandas().tolist() if isinstance(value, str) and value]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


@pytest.mark.usefixtures("key")
def test_one_id_has_one_pseudonym_in_every_table(tmp_path: Path) -> None:
    config = written(tmp_path, hash_user_ids=True)
    ada, bob = ids(config, "users")
    assert [len(ada), len(bob), len({ada, bob})] == [32, 32, 2]
    assert ids(config, "nps") == [ada]
    assert ids(config, "events").count(ada) == 2
    assert len(ids(config, "events")) == 4, "an event of nobody stays one"


def test_another_key_makes_other_pseudonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, hash_user_ids=True)
    found = []
    for key in (KEY, f"{KEY}!"):
        monkeypatch.setenv(VARIABLE, key)
        found.append((*ids(config, "nps"), fingerprint(config)))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1], "the rollup is built again when the key changes"


@pytest.mark.usefixtures("key")
def test_snapshots_count_the_same_users(tmp_path: Path) -> None:
    from datetime import date

    features = []
    for hashes in (False, True):
        with open_company(written(tmp_path / str(hashes), hash_user_ids=hashes)) as company:
            features.append(company.builder.build(date(2025, 3, 6)).features)
    assert features[0].set_index("account_id").loc["a1", "seat_saturation"] == 0.2, "two of ten seats"
    assert features[0].equals(features[1])


@pytest.mark.usefixtures("key")
def test_nothing_behind_the_border_has_an_id(tmp_path: Path) -> None:
    config = written(tmp_path, hash_user_ids=True)
    with open_company(config), open_inputs(config, tmp_path / "quarantine"):
        pass
    kept = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".csv"]
    assert any(p.name.startswith("rollup-") for p in kept)
    for path in kept:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        assert b"@a1.test" not in content, path
        assert KEY.encode() not in content, path


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("in_users", "in_nps"),
    [(pa.array([7, 8]), pa.array([7.0, 8.0])), (pa.array(["7", " 8\t"]), pa.array([7, 8])), (pa.array([1.5, 2]), None)],
    ids=["integer and float", "padded text and integer", "fractions"],
)
def test_pseudonyms_are_made_of_the_id_as_the_contract_reads_it(
    tmp_path: Path, in_users: pa.Array, in_nps: pa.Array | None
) -> None:
    config = written(tmp_path, hash_user_ids=True)
    count, day = len(in_users), ["2025-01-01"] * len(in_users)
    accounts = ["a1"] * count
    pq.write_table(pa.table({"user_id": in_users, "account_id": accounts, "created_at": day}), tmp_path / "u.parquet")
    texts = pa.array(["1.5", "2"]) if in_nps is None else in_nps
    nps = {"user_id": texts, "account_id": accounts, "responded_at": day, "score": [9] * count}
    pq.write_table(pa.table(nps), tmp_path / "n.parquet")
    files = {"users": {"file": "u.parquet"}, "nps": {"file": "n.parquet"}}
    data = config.data.model_dump() | {"tables": config.data.model_dump()["tables"] | files}
    config = config.model_copy(update={"data": type(config.data).model_validate(data)})
    assert ids(config, "users") == ids(config, "nps")


@pytest.mark.parametrize(
    ("settings", "key", "expected"),
    [
        ({}, "", "no key for user ids is given; set the variable CSQL_USER_KEY, or data.user_key_file"),
        ({}, "short", "has 5 characters, at least 16"),
        ({"push_down": True}, KEY, "not possible with data.push_down"),
    ],
)
def test_without_a_usable_key_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], key: str, expected: str
) -> None:
    monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(ConfigError, match=expected) as error:
        ids(written(tmp_path, hash_user_ids=True, **settings), "users")
    assert not key or key not in str(error.value).split()


def test_with_spark_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    config = written(tmp_path, hash_user_ids=True).model_copy(update={"engine": "spark"})
    with pytest.raises(ConfigError, match="engine: spark"):
        ids(config, "users")


@pytest.mark.usefixtures("key")
def test_an_error_while_reading_shows_neither_key_nor_id(tmp_path: Path) -> None:
    config = written(tmp_path, hash_user_ids=True)
    with (tmp_path / "nps.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["account_id", "user_id", "responded_at", "score"], ["a1", "ada@a1.test"]])
    try:
        with open_inputs(config) as inputs:
            said = repr(inputs.reports)
    except Exception as error:  # noqa: BLE001 - whatever is said
        said = str(error)
    assert KEY not in said
    assert "ada@a1.test" not in said
