"""A database as the place: its tables are found, and its password stays out of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from csql_ml import config as configuration
from csql_ml.company import open_inputs
from csql_ml.errors import SourceError
from csql_ml.proposing import propose

TABLES = """
CREATE SCHEMA crm;
CREATE TABLE crm.customers (customer_id TEXT, customer_name TEXT, signup_date DATE, note TEXT);
INSERT INTO crm.customers VALUES ('c-1', 'Alpha', '2024-01-01', 'x'), ('c-2', 'Beta', '2024-02-01', NULL);
CREATE TABLE crm.subscriptions (
    "SubscriptionId" INT, customer_id TEXT, licences INT, annual_value NUMERIC(12, 2), starts_on TIMESTAMP, ends_on DATE
);
INSERT INTO crm.subscriptions VALUES
    (1, 'c-1', 5, 900.5, '2024-01-01 08:00', NULL), (2, 'c-2', 8, 1200, '2024-02-01 09:30', '2025-02-01');
CREATE TABLE usage_log ("SubscriptionId" INT, "user" TEXT, ts BIGINT, action TEXT);
INSERT INTO usage_log VALUES (1, 'u1', 1714557600, 'login'), (2, 'u2', 1714557700, 'export')
"""
KEPT = {"accounts": (2, 0), "contracts": (2, 0), "events": (2, 0)}


def rows_kept(out: Path) -> dict[str, tuple[int, int]]:
    with open_inputs(configuration.load(out)) as inputs:
        inputs.stop_if_broken()
        users = inputs.tables["events"].user_id.to_pyarrow().to_pylist()
        assert sorted(users) == ["u1", "u2"]
        return {report.name: (report.kept, report.quarantined) for report in inputs.reports}


def test_a_duckdb_file(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        for statement in TABLES.split(";"):
            connection.execute(statement)
    result = propose(str(tmp_path / "warehouse.duckdb"), tmp_path / "configs" / "own.yaml")
    assert result.ready
    assert configuration.load(result.out).data.database == "warehouse.duckdb"
    assert rows_kept(result.out) == KEPT


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from tests.engines.postgres_server import PostgresMissingError, postgres_server

    try:
        with postgres_server() as server:
            for statement in TABLES.split(";"):
                server.execute(statement)
            server.execute("CREATE TABLE crm.secret (customer_id TEXT)")
            server.execute("CREATE ROLE reader LOGIN PASSWORD 'p4ss-w0rd'")
            server.execute("GRANT USAGE ON SCHEMA crm TO reader")
            server.execute("GRANT SELECT ON crm.customers, crm.subscriptions, usage_log TO reader")
            yield server.url.replace(server.url.split("//")[1].split("@")[0], "reader:p4ss-w0rd")
    except PostgresMissingError as error:
        pytest.fail(str(error))


@pytest.mark.engines
@pytest.mark.parametrize("place", ["address", "${OWN_DATABASE}"])
def test_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, place: str) -> None:
    variable = "CSQL_DATABASE" if place == "address" else "OWN_DATABASE"
    if place != "address":
        monkeypatch.setenv(variable, address)
    result = propose(address if place == "address" else place, tmp_path / "own.yaml")
    text = result.out.read_text(encoding="utf-8")
    assert (result.ready, result.variable) == (True, variable)
    assert f"database: ${{{variable}}}" in text
    assert "p4ss" not in text
    assert "127.0.0.1" not in text
    assert "secret" not in text
    monkeypatch.setenv(variable, address)
    assert rows_kept(result.out) == KEPT


@pytest.mark.engines
def test_a_wrong_password_is_not_repeated(tmp_path: Path, address: str) -> None:
    with pytest.raises(SourceError, match="cannot be opened") as refused:
        propose(address.replace("p4ss-w0rd", "wr0ng-one"), tmp_path / "own.yaml")
    assert "wr0ng" not in str(refused.value)
    assert not (tmp_path / "own.yaml").exists()
