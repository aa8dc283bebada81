"""Days by arithmetic between clock changes are those of the engine's calendar."""

from __future__ import annotations

from datetime import date

import ibis
import pandas as pd
import pytest

from csql_ml.contract.tables import TABLES
from csql_ml.dated_rows import ZoneArithmetic, dated
from csql_ml.days import known_day, local_day
from tests.properties.typed_inputs import typed_inputs

#: Whole hours and their neighbours around every clock change, from before the changes that are written down to 2045.
INSTANTS = """
SELECT TIMESTAMP '1989-12-30' + INTERVAL (i * 6) HOUR + INTERVAL (i % 3 - 1) MICROSECOND AS at FROM range(80000) AS t(i)
UNION ALL SELECT TIMESTAMP '2018-01-01' + INTERVAL (i * 30) MINUTE FROM range(200000) AS t(i)
UNION ALL SELECT NULL
"""


@pytest.mark.parametrize("newest", [date(2026, 6, 30), date(2019, 3, 10), date(1980, 1, 1), date(2060, 1, 1)], ids=str)
@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Kathmandu", "UTC"]
)
def test_arithmetic_gives_the_calendars_days(zone: str, newest: date) -> None:
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    at = connection.sql(INSTANTS).at
    days = ZoneArithmetic(connection, zone).days(newest)
    pairs = at.as_table().select(at, one=days(at), other=local_day(at, zone))
    wrong = pairs.filter(~pairs.one.identical_to(pairs.other))
    assert connection.to_pandas(wrong).to_dict("records") == []
    assert connection.to_pandas(pairs.count()) == 280_001


def test_a_row_is_known_from_the_day_that_the_contract_says() -> None:
    tickets = [
        {"ticket_id": "t1", "account_id": "a", "opened_at": "2025-01-01 04:00", "severity": "high"},
        {"ticket_id": "t2", "account_id": "a", "opened_at": "2025-01-01 06:00", "recorded_at": "2025-02-01 03:00"},
        {"ticket_id": "t3", "account_id": "a", "opened_at": "2025-01-01 06:00", "recorded_at": "2024-02-01 03:00"},
    ]
    inputs = typed_inputs({"tickets": tickets})
    rows, zone = inputs.tables["tickets"], "America/New_York"
    found = dated(TABLES["tickets"], rows, zone)
    expected = inputs.con.to_pandas(rows.select("ticket_id", day=known_day("tickets", rows, zone)))
    days = inputs.con.to_pandas(found.select("ticket_id", day=found.known_day))
    pd.testing.assert_frame_equal(days, expected)
    assert [str(day)[:10] for day in days.sort_values("ticket_id")["day"]] == ["2024-12-31", "2025-01-31", "2025-01-01"]
    assert "recorded_at" not in dated(TABLES["tickets"], rows, zone, versions=False).columns
