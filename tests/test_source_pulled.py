"""Mapped rows and rows that `csql pull` brought are read as one table, whatever types either has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from csql_ml.config import Config
from csql_ml.contract.tables import OPPORTUNITIES
from csql_ml.contract.validate import validate
from csql_ml.errors import SourceError
from csql_ml.handoff.pulled_rows import merged, read_rows, version_of, write_rows
from csql_ml.handoff.sink import OutcomeChange
from csql_ml.sources import open_warehouse

PULLED = {
    "opportunity_id": "crm:1",
    "account_id": "A1",
    "type": "expansion",
    "created_at": "2026-07-01T08:00:00Z",
    "arr": 1234.5,
    "closed_at": "2026-08-01T12:30:00.250000Z",
    "won": True,
    "recorded_at": "2026-08-01T12:30:00.250000Z",
}


def pulled_into(folder: Path) -> None:
    """One closed opportunity, as a pull leaves it."""
    path = folder / "pulled" / "opportunities.parquet"
    path.parent.mkdir()
    came = [version_of(OutcomeChange("opportunities", "1", None, PULLED), "crm")]
    seen = datetime.fromisoformat(str(PULLED["recorded_at"]))
    rows, _ = merged(read_rows(path, OPPORTUNITIES), OPPORTUNITIES, "crm", came, seen)
    write_rows(rows, OPPORTUNITIES, path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    pulled_into(tmp_path)
    return tmp_path


def kept(home: Path, mapping: Any = None, engine: str = "duckdb") -> list[dict[str, Any]]:
    """The opportunities after the contract's checks; none may be set aside."""
    tables = {} if mapping is None else {"opportunities": mapping}
    data = {"folder": home, "tables": tables, "pulled": "pulled"}
    config = Config.model_validate({"engine": engine, "data": data})
    config = config.model_copy(update={"home": home})
    with open_warehouse(config) as warehouse:
        inputs = validate(warehouse, config)
        (report,) = [r for r in inputs.reports if r.name == "opportunities"]
        assert report.quarantined == 0, report.problems
        names = ["opportunity_id", "created_at", "arr", "won", "closed_at"]
        rows: list[dict[str, Any]] = inputs.con.to_pyarrow(inputs.tables["opportunities"].select(names)).to_pylist()
        return sorted(rows, key=lambda row: str(row["opportunity_id"]))


CRM_ROW = ("crm:1", "2026-07-01T08:00:00", 1234.5, True, "2026-08-01T12:30:00.250000")
OWN_ROW = ("own", "2026-01-05T00:00:00", 10.0, False, "2026-02-01T00:00:00")


def values(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The rows with times as text in UTC."""
    times = [[r[name].isoformat() for name in ("created_at", "closed_at")] for r in rows]
    return [(r["opportunity_id"], c, float(r["arr"]), r["won"], e) for r, (c, e) in zip(rows, times, strict=True)]


def test_pulled_rows_alone_are_the_table(home: Path) -> None:
    assert values(kept(home)) == [CRM_ROW]


SELECTS = {
    "text": "'own' AS opportunity_id, 'A1' AS account_id, 'expansion' AS type, '2026-01-05' AS created_at, "
    "'10.00' AS arr, '2026-02-01' AS closed_at, 'no' AS won",
    "numbers and dates": "'own' AS opportunity_id, 'A1' AS account_id, 'expansion' AS type, DATE '2026-01-05' AS "
    "created_at, 10 AS arr, DATE '2026-02-01' AS closed_at, 0 AS won",
    "the same types": "'own' AS opportunity_id, 'A1' AS account_id, 'expansion' AS type, TIMESTAMP '2026-01-05' AS "
    "created_at, 10.0::DOUBLE AS arr, TIMESTAMPTZ '2026-02-01 00:00:00+00' AS closed_at, false AS won",
    "columns of their own": "'own' AS opportunity_id, 'A1' AS account_id, 'expansion' AS type, '2026-01-05' AS "
    "created_at, 10.0 AS arr, '2026-02-01' AS closed_at, false AS won, 'event' AS source, now() AS exported_at",
}


@pytest.mark.parametrize("select", SELECTS.values(), ids=SELECTS)
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_whatever_types_the_mapped_rows_have(home: Path, select: str, ending: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {select}) TO '{home}/opportunities.{ending}'")
    assert values(kept(home, f"opportunities.{ending}")) == [CRM_ROW, OWN_ROW]


def test_a_query_and_renamed_columns_concern_the_mapped_rows_only(home: Path) -> None:
    query = (
        "SELECT 'own' AS number, 'A1' AS account_id, 'expansion' AS type, DATE '2026-01-05' AS created_at, 10 AS arr"
    )
    mapping = {"query": query, "columns": {"opportunity_id": "number"}}
    assert [r["opportunity_id"] for r in kept(home, mapping)] == ["crm:1", "own"]


def test_a_damaged_file_is_named(home: Path) -> None:
    (home / "pulled" / "opportunities.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"opportunities: .*pulled/opportunities\.parquet"):
        kept(home)


def test_nothing_was_pulled_yet(tmp_path: Path) -> None:
    config = Config.model_validate({"data": {"folder": tmp_path, "pulled": "nowhere"}})
    with open_warehouse(config) as warehouse:
        assert warehouse.read("csqls") is None
