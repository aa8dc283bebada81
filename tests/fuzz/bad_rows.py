"""Rows that no company's table may have, for each of the twelve tables."""

from __future__ import annotations

from hypothesis import strategies as st

from csql_ml.contract.tables import TABLES, Column

GOOD = {
    "string": "Good",
    "integer": "3",
    "number": "12.50",
    "boolean": "true",
    "date": "2025-06-01",
    "timestamp": "2025-06-01T10:00:00Z",
}
WRONG = {
    "integer": ["ten", "1.5", "1e30", "NaN", "-inf", "0x1F", "1 000", "\u0663", "true", "--1", "5 seats"],
    "number": [
        "1.000,50 €",
        "$5",
        "12,5",
        "1e999",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "€",
        "1_000",
        "12 EUR",
        "\u0663",
    ],
    "boolean": ["maybe", "2", "-1", "ja"],
    "date": [
        "1900-01-01",
        "2999-01-01",
        "2025-02-30",
        "31.12.2025",
        "infinity",
        "now",
        "20250601",
        "45809",
        "0000-00-00",
    ],
    "timestamp": [
        "1900-01-01T00:00:00Z",
        "2999-12-31T23:59:59Z",
        "2025-03-30 02:30 Europe/Berlin",
        "2025-06-01T24:00:00",
        "2025-06-01T25:00:00",
        "2025-06-01T10:00:61",
        "2025-06-31",
        "1748772000",
        "infinity",
        "2025-06-01T10:00:00+99:00",
        "yesterday",
    ],
}


def wrong_values(column: Column) -> list[str]:
    """Values that this column must not have; empty where any text will do."""
    found = list(WRONG.get(column.dtype, ()))
    if column.values is not None:
        found += ["???", "\u202e", "=1+1"]
    if column.minimum is not None and column.minimum >= 0:
        found += ["-1", "-0.01" if column.dtype == "number" else "-2147483648"]
    if column.required and not column.nullable:
        found.append("")
    return found


def good_value(column: Column, number: int) -> str:
    if column.values is not None:
        return column.values[0]
    if column.name == "account_id":
        return "a1"
    if column.name.endswith("_id"):
        return f"{column.name}-{number}"
    return GOOD[column.dtype]


@st.composite
def bad_row(draw: st.DrawFn, table: str, number: int) -> dict[str, str]:
    """A row that is good but for one cell; its keys are nobody else's."""
    columns = TABLES[table].columns
    row = {column.name: good_value(column, number) for column in columns}
    if table == "accounts":
        row["account_id"] = f"new-{number}"
    if table == "coverage":
        row["csm_id"] = f"nobody-{number}"
    column = draw(st.sampled_from([c for c in columns if wrong_values(c) and c.name != "recorded_at"]))
    row[column.name] = draw(st.sampled_from(wrong_values(column)))
    return row


@st.composite
def bad_rows(draw: st.DrawFn) -> dict[str, list[dict[str, str]]]:
    """Some bad rows for some of the tables."""
    tables = draw(st.lists(st.sampled_from(list(TABLES)), min_size=3, max_size=len(TABLES), unique=True))
    return {t: [draw(bad_row(t, n)) for n in range(draw(st.integers(1, 4)))] for t in tables}
