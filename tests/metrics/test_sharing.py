"""What formulas share is computed once, and to the same value."""

from __future__ import annotations

import ibis
import pandas as pd

from csql_ml.metrics.sharing import with_shared_parts

ROWS = ibis.memtable(pd.DataFrame({"key": ["x", "y"], "a": [1.0, 7.0], "b": [3.0, 0.0]}))


def test_columns_have_the_same_values_with_shared_parts() -> None:
    score = (ROWS.a + 2.0) * 3.0 / (ROWS.b.nullif(0.0) + 1.0)
    grade = ibis.ifelse(score > 2.0, score * score, score - 1.0) + (ROWS.a - ROWS.b) * 2.0
    columns = {"score": score, "change": score - score / 2.0, "grade": grade, "twice": grade * 2.0, "plain": ROWS.a}
    steps, moved = with_shared_parts(ROWS, columns)
    connection = ibis.duckdb.connect()
    expected = connection.to_pandas(ROWS.select("key", **columns).order_by("key"))
    found = connection.to_pandas(steps[-1].select("key", **moved).order_by("key"))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert expected["score"].isna().tolist() == [False, True]


def test_a_shared_part_stands_in_the_sql_once() -> None:
    score = (ROWS.a + 2.0) * 3.0 / (ROWS.b.nullif(0.0) + 1.0)
    columns = {f"c{i}": score + float(i) for i in range(5)}
    steps, moved = with_shared_parts(ROWS, columns)
    assert ibis.duckdb.connect().compile(ROWS.select(**columns)).count("NULLIF") == 5
    assert ibis.duckdb.connect().compile(steps[-1].select(**moved)).count("NULLIF") == 1


def test_what_is_not_shared_stays_where_it_is() -> None:
    steps, moved = with_shared_parts(ROWS, {"one": ROWS.a + 1.0, "other": ROWS.b + 1.0})
    assert steps == []
    assert moved["one"].equals(ROWS.a + 1.0)
