"""SQL that is compiled once and run for any as-of date.

Ibis needs a second to build and compile the expression of a snapshot, whatever the data. The expression depends on the
date through literals only, so it is compiled for a day that no data has, and its literals are replaced in the text:
a date k days before that day becomes the day k days before the as-of date, a number that stands for a fact about the
date (`numbers`) becomes that fact. Engines other than DuckDB compile anew for each date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

#: Stands for the as-of date; dates up to `_FURTHEST` days from it stand for that many days from the as-of date.
PLACEHOLDER = date(8000, 1, 1)
_FURTHEST = 36500
_FIRST_NUMBER = 8_000_000_000_000_000_000
_DATE = re.compile(r"MAKE_DATE\((\d+), (\d+), (\d+)\)")
_NUMBER = re.compile(r"8000000000000000\d{3}")


def placeholders(names: Iterable[str]) -> dict[str, int]:
    """Numbers that stand for facts about the as-of date, by name."""
    return {name: _FIRST_NUMBER + i for i, name in enumerate(names)}


class DatedSql:
    """One query, compiled once.

    Parameters
    ----------
    connection
        The Ibis DuckDB backend.
    expression
        What to compute, built for `PLACEHOLDER` and `placeholders`.
    names
        The names given to `placeholders`.
    """

    def __init__(self, connection: Any, expression: ir.Table, names: Sequence[str] = ()) -> None:
        self._connection, self._names = connection, tuple(names)
        self._expression = expression  # keeps tables in memory alive
        self._template = connection.compile(expression)
        connection._run_pre_execute_hooks(expression)  # noqa: SLF001 - registers tables in memory, as execute does

    def text(self, as_of: date, facts: Mapping[str, int] | None = None) -> str:
        """The SQL for one date."""
        given = facts or {}

        def day(found: re.Match[str]) -> str:
            ahead = (date(*map(int, found.groups())) - PLACEHOLDER).days
            if abs(ahead) > _FURTHEST:
                return found.group()
            moved = as_of + timedelta(days=ahead)
            return f"MAKE_DATE({moved.year}, {moved.month}, {moved.day})"

        text = _DATE.sub(day, self._template)
        return _NUMBER.sub(lambda found: str(given[self._names[int(found.group()) - _FIRST_NUMBER]]), text)

    def keep(self, name: str, as_of: date, facts: Mapping[str, int] | None = None) -> None:
        """Compute the rows for one date into a temporary table, in the place of an earlier one."""
        self._connection.con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {self.text(as_of, facts)}')

    def run(self, as_of: date, facts: Mapping[str, int] | None = None, order_by: str | None = None) -> pd.DataFrame:
        """The rows for one date, as Ibis would return them.

        Parameters
        ----------
        order_by
            A column of texts that are all different; for rows of hundreds of columns a fifth of what DuckDB needs.
        """
        from ibis.backends.duckdb.converter import DuckDBPandasData

        rows = self._connection.con.execute(self.text(as_of, facts)).to_arrow_table()
        if order_by is not None:
            rows = rows.combine_chunks().sort_by(order_by)
        frame = pd.DataFrame({name: _values(rows[name]) for name in rows.column_names})
        converted: pd.DataFrame = DuckDBPandasData.convert_table(frame, self._expression.schema())
        return converted


def _values(column: pa.ChunkedArray) -> Any:
    """What Ibis makes a pandas column of; numbers by the faster of two ways to the same values."""
    return column.to_pylist() if column.null_count and not pa.types.is_floating(column.type) else column.to_pandas()
