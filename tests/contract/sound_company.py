"""A small sound company, whose tables are CSV text, and how tests read what validation says of it."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

from csql_ml.contract.report import Inputs

SOUND = {
    "accounts": """
        account_id,name,created_at
        A1,Alpha,2023-01-01
        A2,Beta,2023-02-01
    """,
    "contracts": """
        account_id,product,seats,arr,start_date,end_date
        A1,core,10,1000.00,2023-01-01,2024-01-01
        A2,core,5,500.00,2023-02-01,
    """,
    "events": """
        account_id,user_id,occurred_at,event_name
        A1,U1,2023-05-01T10:00:00Z,login
        A2,,2023-05-02T10:00:00Z,login
    """,
}

Check = Callable[..., Inputs]


def text_of(table: str) -> str:
    return dedent(table).strip() + "\n"


def kept(inputs: Inputs, table: str, *columns: str) -> list[Any]:
    """Kept values in order: of one column, or tuples of several."""
    rows = inputs.tables[table].select(*columns).order_by(list(columns)).to_pyarrow().to_pylist()
    return [tuple(row.values()) if len(columns) > 1 else row[columns[0]] for row in rows]


def problems(inputs: Inputs, table: str) -> dict[tuple[str, str], int]:
    """Rows by column and kind of problem."""
    report = next(r for r in inputs.reports if r.name == table)
    return {(p.column, p.kind): p.rows for p in report.problems}
