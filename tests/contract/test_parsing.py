"""What is accepted as which type: one line per value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.contract.parsing import parse
from csql_ml.contract.rules import column_rules, first_problem
from csql_ml.contract.tables import TABLES, Column
from csql_ml.sources import open_warehouse

STRING = Column("role", "string", "")
CHOICE = Column("kind", "string", "", values=("review", "referral"))
INTEGER = Column("score", "integer", "", minimum=0, maximum=10)
ANY_INTEGER = Column("employees", "integer", "")
MONEY = Column("arr", "number", "", minimum=0)
NUMBER = Column("quantity", "number", "")
BOOLEAN = Column("won", "boolean", "")
DATE = Column("start_date", "date", "")
TIME = Column("opened_at", "timestamp", "")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


SPEC: list[tuple[Column, str | None, Any]] = [
    # column, text, value or (for a bad one) the kind of problem
    (STRING, "plain", "plain"),
    (STRING, "  spaces \t", "spaces"),
    (STRING, 'Ünï "quoted" 😀, O\'Neill', 'Ünï "quoted" 😀, O\'Neill'),
    (STRING, "a\x00b", "a\x00b"),
    (STRING, "   ", "missing"),
    (STRING, "", "missing"),
    (STRING, None, "missing"),
    (CHOICE, "review", "review"),
    (CHOICE, " Review ", "review"),
    (CHOICE, "REFERRAL", "referral"),
    (CHOICE, "praise", "not_allowed"),
    (INTEGER, "7", 7),
    (INTEGER, " 7 ", 7),
    (INTEGER, "7.0", 7),
    (INTEGER, "1e1", 10),
    (INTEGER, "+3", 3),
    (INTEGER, "7.5", "wrong_type"),
    (INTEGER, "seven", "wrong_type"),
    (INTEGER, "0x7", "wrong_type"),
    (INTEGER, "1_0", "wrong_type"),
    (INTEGER, "\N{ARABIC-INDIC DIGIT SEVEN}", "wrong_type"),
    (INTEGER, "true", "wrong_type"),
    (INTEGER, "11", "out_of_bounds"),
    (INTEGER, "-1", "out_of_bounds"),
    (INTEGER, "NaN", "not_finite"),
    (INTEGER, "-inf", "not_finite"),
    (ANY_INTEGER, "9007199254740993", 9007199254740993),
    (ANY_INTEGER, "99999999999999999999", "out_of_bounds"),
    (MONEY, "12.345", Decimal("12.35")),
    (MONEY, "1e3", Decimal("1000.00")),
    (MONEY, ".5", Decimal("0.50")),
    (MONEY, "1,000", "wrong_type"),
    (MONEY, "$5", "wrong_type"),
    (MONEY, "-0.01", "out_of_bounds"),
    (MONEY, "1e30", "out_of_bounds"),
    (MONEY, "1e999", "not_finite"),
    (MONEY, "Infinity", "not_finite"),
    (NUMBER, "0.0000015", Decimal("0.000002")),
    (NUMBER, "-2", Decimal("-2.000000")),
    *[(BOOLEAN, text, True) for text in ("true", "True", "T", "YES", "1", "1.0", " true ")],
    *[(BOOLEAN, text, False) for text in ("false", "FALSE", "f", "no", "0")],
    (BOOLEAN, "2", "wrong_type"),
    (BOOLEAN, "maybe", "wrong_type"),
    (DATE, "2024-02-29", dt.date(2024, 2, 29)),
    (DATE, "2024-2-9", dt.date(2024, 2, 9)),
    (DATE, "2024-02-29 00:00:00", dt.date(2024, 2, 29)),
    (DATE, "2024-02-29T00:00:00+02:00", dt.date(2024, 2, 29)),
    (DATE, "2024-02-29T10:00:00", "wrong_type"),
    (DATE, "2024-02-29T22:00:00Z", "wrong_type"),
    (DATE, "2023-02-29", "wrong_type"),
    (DATE, "29.02.2024", "wrong_type"),
    (DATE, "02/29/2024", "wrong_type"),
    (DATE, "20240229", "wrong_type"),
    (DATE, "today", "wrong_type"),
    (DATE, "1969-12-31", "impossible_date"),
    (DATE, "2200-01-01", "impossible_date"),
    (DATE, "5000000-01-01", "wrong_type"),
    (TIME, "2024-03-31", at("2024-03-31")),
    (TIME, "2024-03-31T12:00:00", at("2024-03-31T12:00")),
    (TIME, "2024-03-31 3:00", at("2024-03-31T03:00")),
    (TIME, "2024-03-31T12:00:00Z", at("2024-03-31T12:00")),
    (TIME, "2024-03-31T12:00:00.123456Z", at("2024-03-31T12:00:00.123456")),
    (TIME, "2024-03-31T12:00:00+02:00", at("2024-03-31T10:00")),
    (TIME, "2024-03-31 12:00:00-0330", at("2024-03-31T15:30")),
    (TIME, "2024-03-31 12:00:00+02", at("2024-03-31T10:00")),
    (TIME, "2024-03-31 12:00:00 +0200", at("2024-03-31T10:00")),
    (TIME, "2024-03-31 12:00+02:00", at("2024-03-31T10:00")),
    (TIME, "2024-03-31 12:00 UTC", at("2024-03-31T12:00")),
    (TIME, "2024-03-31+02:00", "wrong_type"),
    (TIME, "2024-03-31 12:00:00 Europe/Berlin", "wrong_type"),
    (TIME, "2024-03-31 12:00:00+2", "wrong_type"),
    (TIME, "2024-03-31 12:00:00+19:00", "wrong_type"),
    (TIME, "2024-03-31 12:00:00 PM", "wrong_type"),
    (TIME, "2024-01-01T00:30:00+01:00", at("2023-12-31T23:30")),
    (TIME, "1711886400", "wrong_type"),
    (TIME, "epoch", "wrong_type"),
    (TIME, "now", "wrong_type"),
    (TIME, "2024-03-31T25:00:00", "wrong_type"),
    (TIME, "2024-03-31T24:00:00", "wrong_type"),
    (TIME, "2024-03-31T23:59:60", "wrong_type"),
    (TIME, "2024-03-31T12:00:00.1234567", at("2024-03-31T12:00:00.123456")),
    (TIME, "2024-03-31T12:00:00.9999999Z", at("2024-03-31T12:00:00.999999")),
    (TIME, "1900-02-29", "wrong_type"),
    (TIME, "infinity", "wrong_type"),
    (TIME, "1970-01-01T00:00:00+01:00", "impossible_date"),
    (TIME, "2199-12-31T23:59:59.999999", at("2199-12-31T23:59:59.999999")),
    (TIME, "9999-01-01", "impossible_date"),
]


@pytest.fixture(scope="module")
def backend() -> Any:
    with open_warehouse(Config()) as warehouse:
        yield warehouse.connection


def judge(backend: Any, column: Column, values: pa.Array) -> list[Any]:
    """Per value the typed value, or the kind of its first problem."""
    raw = ibis.memtable(pa.table({"raw": values}))
    parsed = parse(raw.raw, column)
    rules = column_rules(column, parsed)
    judged = raw.select(i=ibis.row_number(), value=parsed.value, problem=first_problem(rules)).order_by("i")
    rows = backend.to_pyarrow(judged).to_pylist()
    return [row["value"] if row["problem"] is None else rules[row["problem"]].kind for row in rows]


@pytest.mark.parametrize("column", [STRING, CHOICE, INTEGER, ANY_INTEGER, MONEY, NUMBER, BOOLEAN, DATE, TIME])
def test_text(backend: Any, column: Column) -> None:
    spec = [(text, expected) for which, text, expected in SPEC if which is column]
    got = judge(backend, column, pa.array([text for text, _ in spec], pa.string()))
    wrong = {
        repr(text): (value, expected) for (text, expected), value in zip(spec, got, strict=True) if value != expected
    }
    assert not wrong, f"text: (got, expected): {wrong}"
    assert [type(v) for v in got] == [type(e) for _, e in spec]


@pytest.mark.parametrize("column", [Column("x", dtype, "", required=False) for dtype in ("string", "integer", "date")])
def test_nothing_is_no_problem_where_it_is_not_required(backend: Any, column: Column) -> None:
    assert judge(backend, column, pa.array(["", "  ", None])) == [None, None, None]


NAN, INFINITY = float("nan"), float("inf")
NOON = at("2024-03-31T12:00")
DAY = NOON.date()


TYPED: list[tuple[Column, pa.Array, list[Any]]] = [
    (STRING, pa.array([12.0, 1.5, None]), ["12", "1.5", "missing"]),
    (STRING, pa.array([7, 8]), ["7", "8"]),
    (STRING, pa.array([True, False]), ["true", "false"]),
    (INTEGER, pa.array([7.0, 7.5, NAN, INFINITY]), [7, "wrong_type", "not_finite", "not_finite"]),
    (INTEGER, pa.array([Decimal("7.00"), Decimal("7.50")]), [7, "wrong_type"]),
    (INTEGER, pa.array([True]), ["wrong_type"]),
    (ANY_INTEGER, pa.array([1e300, 3.0]), ["out_of_bounds", 3]),
    (ANY_INTEGER, pa.array([2**64 - 1], pa.uint64()), ["out_of_bounds"]),
    (MONEY, pa.array([0.1, 7.0, NAN]), [Decimal("0.10"), Decimal("7.00"), "not_finite"]),
    (MONEY, pa.array([Decimal("0.125")]), [Decimal("0.13")]),
    (BOOLEAN, pa.array([True, False]), [True, False]),
    (BOOLEAN, pa.array([1, 0, 2]), [True, False, "wrong_type"]),
    (BOOLEAN, pa.array([1.0, 0.0]), [True, False]),
    (DATE, pa.array([DAY]), [DAY]),
    (DATE, pa.array([at("2024-03-31"), NOON]), [DAY, "wrong_type"]),
    (DATE, pa.array([20240331]), ["wrong_type"]),
    (TIME, pa.array([DAY]), [at("2024-03-31")]),
    (TIME, pa.array([1711886400]), ["wrong_type"]),
    (TIME, pa.array([NOON], pa.timestamp("us", "Europe/Berlin")), [NOON]),
    (TIME, pa.array([NOON], pa.timestamp("ns")), [NOON]),
    (TIME, pa.array([NOON], pa.timestamp("s")), [NOON]),
]


@pytest.mark.parametrize(("column", "values", "expected"), TYPED)
def test_typed_columns(backend: Any, column: Column, values: pa.Array, expected: list[Any]) -> None:
    assert judge(backend, column, values) == expected


def test_one_row_does_not_change_how_another_is_read(backend: Any) -> None:
    times = pa.array(["2024-01-01 12:00:00 Europe/Berlin", "2024-01-01 12:00:00", "2024-01-01T12:00:00+05:00"])
    assert judge(backend, TIME, times) == ["wrong_type", at("2024-01-01T12:00"), at("2024-01-01T07:00")]


COLUMNS = {column.dtype: column for table in TABLES.values() for column in table.columns}


@pytest.fixture(scope="module")
def queries(backend: Any) -> dict[str, str]:
    """Per type the query that judges the table ``texts``, compiled once."""
    backend.con.execute("CREATE TABLE texts (i BIGINT, raw VARCHAR)")
    raw = backend.table("texts")
    sql: dict[str, str] = {}
    for dtype, column in COLUMNS.items():
        parsed = parse(raw.raw, column)
        judged = raw.select("i", value=parsed.value, problem=first_problem(column_rules(column, parsed)))
        sql[dtype] = backend.compile(judged.order_by("i"))
    return sql


WORDS = st.sampled_from([text for _, text, _ in SPEC])
TEXTS = st.lists(st.none() | st.text(max_size=12) | WORDS | st.text("0123456789-:+.eTZ /", max_size=25))


@settings(max_examples=25)
@given(texts=TEXTS)
def test_arbitrary_text_never_raises_and_is_a_value_or_a_problem(
    backend: Any, queries: dict[str, str], texts: list[str | None]
) -> None:
    rows = pa.table({"i": range(len(texts)), "raw": pa.array(texts, pa.string())})
    backend.con.register("given_texts", rows)
    backend.con.execute("CREATE OR REPLACE TABLE texts AS FROM given_texts")
    for dtype, sql in queries.items():
        for text, (_, value, problem) in zip(texts, backend.con.execute(sql).fetchall(), strict=True):
            blank = text is None or not text.strip(" \t\r\n\v\f")
            assert (value is None) <= (blank or problem is not None), (dtype, text)
            assert not (blank and value is not None), (dtype, text)
