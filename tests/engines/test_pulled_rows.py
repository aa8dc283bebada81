"""Rows that were pulled from a CRM are the same table on Spark, whatever types the mapped rows have."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.test_source_pulled import SELECTS, kept, pulled_into, values

pytestmark = [pytest.mark.engines, pytest.mark.usefixtures("spark")]


@pytest.mark.parametrize("select", SELECTS.values(), ids=SELECTS)
def test_mapped_and_pulled_rows_are_one_table_on_spark_as_well(tmp_path: Path, select: str) -> None:
    pulled_into(tmp_path)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {select}) TO '{tmp_path}/opportunities.parquet'")
    found = values(kept(tmp_path, "opportunities.parquet", "spark"))
    assert len(found) == 2
    assert found == values(kept(tmp_path, "opportunities.parquet"))


def test_pulled_rows_alone_are_the_table_on_spark_as_well(tmp_path: Path) -> None:
    pulled_into(tmp_path)
    assert values(kept(tmp_path, engine="spark")) == values(kept(tmp_path))
