"""Rows that numbers cannot decide, put aside in a table and judged by the contract's rules.

The expressions are compiled once: only what is in the table changes from one group of days to the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from csql_ml.activity.checked_rows import CheckedRows, timed_rows
from csql_ml.activity.event_rows import KIND, PERSON, SHORT_KEY, EventRows, is_among
from csql_ml.activity.source import Day, Finding
from csql_ml.days import local_day
from csql_ml.source_files import identifier, literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from csql_ml.activity.event_keys import Keys
    from csql_ml.source_duckdb import DuckDBWarehouse

_ASIDE, _JUDGED, _CROSSING, _KEYS = "csql_aside", "csql_judged", "csql_crossing", "csql_crossing_keys"


class CloserLook:
    """Judges rows.

    Parameters
    ----------
    view
        The view of events that is open, whatever rows it has; see `EventRows.view`.
    """

    def __init__(self, warehouse: DuckDBWarehouse, rows: EventRows, view: ir.Table) -> None:
        self._warehouse, self._rows = warehouse, rows
        con, zone = warehouse.connection, warehouse.config.company.time_zone
        dated = timed_rows(view)
        self._dated = con.compile(dated.mutate(day=local_day(dated.time, zone)))
        self._columns = ", ".join(map(identifier, (*rows.present, PERSON, KIND, "day")))
        self._checked = CheckedRows(self._table(_ASIDE, f"{self._of_view()} LIMIT 0"), rows.present, (PERSON, KIND))
        self._judge = con.compile(self._checked.judged())
        judged = self._table(_JUDGED, self._judge)
        self._good, self._kept = con.compile(self._checked.good(judged)), con.compile(self._checked.kept(judged))
        self._problems = con.compile(self._checked.problems(judged))
        self._crossing = self._table(_CROSSING, self._good)

    def _table(self, name: str, query: str) -> ir.Table:
        self._warehouse.run(f"CREATE OR REPLACE TABLE {name} AS {query}")
        return self._warehouse.connection.table(name)

    def _of_view(self) -> str:
        return f"SELECT {self._columns} FROM ({self._dated})"

    # ------------------------------------------------------------ what is looked at

    def undated(self) -> None:
        """Judge the rows of the view that have no usable time."""
        self._table(_ASIDE, f"{self._of_view()} WHERE day IS NULL")
        self._table(_JUDGED, self._judge)

    def collect_crossing(self, keys: Keys, *, first: bool) -> None:
        """Put the rows of the view that have one of these keys aside, beside those of other views."""
        if first:
            self._table(_ASIDE, f"{self._of_view()} LIMIT 0")
        with self._rows.lists({_KEYS: keys}):
            self._warehouse.run(f"INSERT INTO {_ASIDE} {self._of_view()} WHERE {is_among(SHORT_KEY, _KEYS)}")

    def settle_crossing(self, days: Collection[date]) -> None:
        """Judge what was collected, over all days, and keep the good rows of some."""
        self._table(_JUDGED, self._judge)
        self._table(_CROSSING, f"SELECT * FROM ({self._good}) WHERE {_among(days)}")

    def judge(self, aside: list[pa.RecordBatch], days: Collection[date]) -> bool:
        """Judge rows that were put aside, and add the crossing ones of some days; false if there are none."""
        judged = [f"SELECT * FROM {_CROSSING} WHERE {_among(days)}"]
        if aside:
            con = self._warehouse.connection.con
            con.register("csql_batches", pa.Table.from_batches(aside))
            self._table(_ASIDE, f"SELECT {self._columns} FROM csql_batches")
            con.unregister("csql_batches")
            judged.append(f"SELECT * FROM ({self._judge})")
        self._table(_JUDGED, " UNION ALL ".join(judged))
        return bool(self._warehouse.rows(f"SELECT 1 FROM {_JUDGED} LIMIT 1"))

    # ------------------------------------------------------------ what was found

    def findings(self) -> dict[Day, list[Finding]]:
        """What is wrong with the rows that were judged last, by day."""
        return self._checked.findings(self._warehouse.rows(self._problems))

    def kept(self, columns: str) -> Iterator[pa.RecordBatch]:
        """SQL expressions over the columns of `CheckedRows.kept`, of the rows that were judged last."""
        return self._rows.stream(f"SELECT {columns} FROM ({self._kept})")


def _among(days: Collection[date]) -> str:
    named = ", ".join(f"DATE {literal(day.isoformat())}" for day in days)
    return f"day IN ({named})" if named else "false"
