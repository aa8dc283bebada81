"""Views of some parts of the events, with what tells rows, people, kinds and ids apart as numbers of 64 bits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from csql_ml.activity.event_keys import DAY_BITS
from csql_ml.activity.event_parts import EventColumns
from csql_ml.activity.source import Day
from csql_ml.contract.parsing import parse
from csql_ml.contract.tables import EVENTS
from csql_ml.source_files import identifier

if TYPE_CHECKING:
    from csql_ml.source_duckdb import DuckDBWarehouse

#: Columns that the views add: who did it, what it was, its id's full key (0 without an id); a hash of the whole row.
PERSON, KIND, KEY = "csql_person", "csql_kind", "csql_key"
ROW = "csql_row"
ADDED = (PERSON, KIND, KEY)
#: Rows that come out of DuckDB at a time.
_BATCH = 250_000
#: Codes of the characters that surround a text without being part of it.
_SPACES = (32, 9, 10, 11, 12, 13)
_VIEW = "csql_some_events"


class EventRows:
    """Reads parts of the events.

    Parameters
    ----------
    columns
        The contract's columns of all parts.
    """

    def __init__(self, warehouse: DuckDBWarehouse, columns: EventColumns) -> None:
        self._warehouse, self._columns = warehouse, columns
        self.present = tuple(columns.types)

    @contextmanager
    def view(self, parts: Collection[str], days: Collection[Day] = (None,), salt: int = 0) -> Iterator[ir.Table]:
        """The contract's columns as they are in the source, and `ADDED`, of some parts.

        Parameters
        ----------
        days
            Rows that are certainly of other days may be left out; with None none is.
        salt
            Another one gives other numbers for people and kinds.
        """
        first, end = _span(days)
        columns = ", ".join(map(identifier, self.present))
        self._warehouse.view(
            _VIEW,
            f"SELECT {columns}, {ROW}, {self._hash('account_id', 'user_id', salt)} AS {PERSON}, "
            f"{self._hash('event_name', 'feature', salt)} AS {KIND}, {self._key} AS {KEY} "
            f"FROM ({self._with_id(self._columns.select(parts, ROW, first, end))})",
        )
        try:
            yield self._warehouse.connection.table(_VIEW)
        finally:
            self._warehouse.run(f"DROP VIEW IF EXISTS {_VIEW}")

    def _hash(self, one: str, other: str, salt: int) -> str:
        values = [identifier(name) if name in self.present else "NULL" for name in (one, other)]
        return salted_hash(values, salt)

    def _with_id(self, select: str) -> str:
        """Rows with ``csql_id``, the ``event_id`` as the contract reads it, unless that is a text as it is."""
        if self._columns.types.get("event_id", "VARCHAR") == "VARCHAR":
            return select
        raw = self._warehouse.connection.sql(select)
        value = parse(raw.event_id, EVENTS.column("event_id")).value
        return str(self._warehouse.connection.compile(raw.mutate(csql_id=value)))

    @property
    def _key(self) -> str:
        """SQL of a row's key. The contract's own test for spaces around a text takes five times as long."""
        if "event_id" not in self.present:
            return "0::UBIGINT"
        if self._columns.types["event_id"] != "VARCHAR":
            return f"CASE WHEN csql_id IS NULL THEN 0::UBIGINT ELSE {_key_of('csql_id')} END"
        ends = " OR ".join(f"suffix(event_id, chr({code}))" for code in _SPACES)
        trimmed = f"trim(event_id, {' || '.join(f'chr({code})' for code in _SPACES)})"
        return (
            f"CASE WHEN event_id IS NULL THEN 0::UBIGINT WHEN event_id < '!' OR {ends} "
            f"THEN CASE WHEN {trimmed} = '' THEN 0::UBIGINT ELSE {_key_of(trimmed)} END ELSE {_key_of('event_id')} END"
        )

    def combinations(self, name: str, one: str, other: str, number: str, salt: int) -> ir.Table:
        """Every combination of two columns of the view once, with its number."""
        present = [identifier(column) for column in (one, other) if column in self.present]
        different = f"SELECT DISTINCT {', '.join(present)} FROM {_VIEW}"
        self._warehouse.view(name, f"SELECT *, {self._hash(one, other, salt)} AS {number} FROM ({different})")
        return self._warehouse.connection.table(name)

    @contextmanager
    def lists(self, lists: Mapping[str, npt.NDArray[np.uint64]]) -> Iterator[None]:
        """Give lists of numbers names; see `is_among`."""
        for name, numbers in lists.items():
            self._warehouse.connection.con.register(name, pa.table({"number": numbers}))
        try:
            yield
        finally:
            for name in lists:
                self._warehouse.connection.con.unregister(name)

    def sql(self, rows: ir.Table) -> str:
        """The query of an expression over the view."""
        return str(self._warehouse.connection.compile(rows))

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query, in batches; meanwhile the connection runs no other one."""
        yield from self._warehouse.connection.con.execute(query).to_arrow_reader(_BATCH)


def is_among(value: str, name: str) -> str:
    """SQL of whether a number is in a list."""
    return f"{value} IN (SELECT number FROM {name})"


def salted_hash(values: Sequence[str], salt: int) -> str:
    """SQL of a number for some values; with another salt, values that had the same number have different ones.

    A salt beside the values would not do: what is the same before it is mixed in stays the same. It stands in front of
    the text of each.
    """
    if salt:
        values = [f"('{salt} ' || CAST({value} AS VARCHAR))" for value in values]
    return f"hash({', '.join(values)})"


#: SQL of a row's key without the bits that only tell equal keys apart.
SHORT_KEY = f"({KEY} >> {DAY_BITS})"


def _key_of(text: str) -> str:
    """SQL of the full key of a text; neither it nor its upper part is ever 0."""
    return f"(hash({text}) | {1 << DAY_BITS})"


def _span(days: Collection[Day]) -> tuple[str | None, str | None]:
    """A span of UTC instants that holds these days in any time zone."""
    known = [day for day in days if day is not None]
    if not known or len(known) < len(days):
        return None, None
    first, last = max(min(known), date(1970, 1, 2)), max(known)
    return (first - timedelta(days=1)).isoformat(), (last + timedelta(days=2)).isoformat()
