"""Contract tables with days instead of instants: the part of an as-of cut that does not depend on the date."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date, timedelta
from itertools import count, pairwise
from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.contract.tables import Table
from csql_ml.days import local_day

#: Turns an instant into the company's day.
ToDay = Callable[[Any], Any]
#: Clock changes that are written into SQL; instants before and after them ask the engine's calendar.
_MOST_CHANGES = 12
_NUMBERS = count()
_FROM, _UNTIL = date(1990, 1, 1), date(2040, 1, 1)


def dated(table: Table, rows: ir.Table, zone: str, versions: bool = True, to_day: ToDay | None = None) -> ir.Table:
    """Rows of a contract table with the company's days in the place of instants, and ``known_day``.

    The day a row became known is what `csql_ml.days.known_day` says.

    Parameters
    ----------
    versions
        Whether the source has ``recorded_at``, which then stays an instant: it orders the versions of a row. Without
        it every key has one row.
    to_day
        How an instant becomes a day; default: `csql_ml.days.local_day`.
    """
    day = to_day or (lambda instant: local_day(instant, zone))
    columns = {
        c.name: day(rows[c.name]) if c.dtype == "timestamp" and c.name != "recorded_at" else rows[c.name]
        for c in table.columns
        if c.name != "recorded_at"
    }
    known = own = ibis.coalesce(*(columns[c] for c in table.own_time))
    if versions:
        columns["recorded_at"] = rows.recorded_at
        known = ibis.coalesce(day(rows.recorded_at), own)
        known = ibis.greatest(known, own) if table.happens else known
    return rows.select(**columns, known_day=known)


class ZoneArithmetic:
    """Days of one zone by arithmetic between clock changes: on DuckDB, a tenth of the time its calendar takes.

    Parameters
    ----------
    connection
        The Ibis DuckDB backend, in UTC; its calendar is asked once for every day of fifty years, so that the answers
        are its own. On a day on which clocks change, and outside of the years that are written down, it is asked again.
    """

    def __init__(self, connection: Any, zone: str) -> None:
        self._connection, self._zone = connection, zone
        begin, end = (f"TIMESTAMP '{day.isoformat()}'" for day in (_FROM, _UNTIL))
        local = f"timezone('{zone}', CAST(day AS TIMESTAMPTZ))"
        offset = f"CAST(epoch({local}) - epoch(day) AS BIGINT)"
        sql = f"SELECT CAST(day AS DATE), {offset} FROM range({begin}, {end}, INTERVAL 1 DAY) AS t(day) ORDER BY 1"
        offsets = connection.con.execute(sql).fetchall()
        found = [(day, after) for (day, before), (_, after) in pairwise(offsets) if before != after]
        self._changes: list[tuple[date, int]] = [(_FROM, offsets[0][1]), *found]

    def days(self, newest: date) -> ToDay:
        """How an instant becomes a day, fastest in the years before ``newest``; a macro, which Ibis need not build."""
        last = bisect_right(self._changes, (newest + timedelta(days=366), 0))
        chosen = self._changes[max(0, last - _MOST_CHANGES) : last]
        end = self._changes[last][0] if last < len(self._changes) else _UNTIL

        calendar = f"CAST(timezone('{self._zone}', CAST(instant AS TIMESTAMPTZ)) AS DATE)"
        cases = [f"WHEN instant >= TIMESTAMP '{end}' THEN {calendar}"]
        for day, after in reversed(chosen):
            shifted = f"CAST(instant + INTERVAL ({after}) SECOND AS DATE)"
            cases.append(f"WHEN instant >= TIMESTAMP '{day + timedelta(days=1)}' THEN {shifted}")
            cases.append(f"WHEN instant >= TIMESTAMP '{day}' THEN {calendar}")
        name = f"csql_local_day_{next(_NUMBERS)}"
        macro = f"CREATE TEMP MACRO {name}(instant) AS CASE {' '.join(cases)} ELSE {calendar} END"
        self._connection.con.execute(macro)

        @ibis.udf.scalar.builtin(name=name, signature=(("timestamp",), "date"))  # type: ignore[untyped-decorator]
        def to_day(instant: Any) -> Any:
            """The macro's day."""

        result: ToDay = to_day
        return result
