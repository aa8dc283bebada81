"""What is kept of a month, computed by DuckDB from files of the rollup's folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.activity.summaries import no_user_months, user_months_sql
from csql_ml.source_files import literal

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = "account_id, user_id, known_day, active"


def read_parquet(folder: Path, files: Iterable[str], options: str = ", hive_partitioning = false") -> str:
    """The relation of some files of the folder."""
    paths = ", ".join(literal((folder / file).as_posix()) for file in files)
    return f"read_parquet([{paths}]{options})"


class MonthTables:
    """See `csql_ml.activity.store.Summaries`.

    Parameters
    ----------
    connection
        DuckDB's; a cursor of it is used, since days are being built on the connection itself.
    """

    def __init__(self, connection: Any, folder: Path) -> None:
        self._connection, self._folder = connection, folder

    def accounts(self, files: Sequence[str]) -> pa.Table:
        """Events, first day and newest known day of each account, of days' ``accounts`` files."""
        return self._table(
            "SELECT account_id, sum(events)::BIGINT AS events, min(day) AS first_day, max(known_day) AS last_known_day "
            f"FROM {read_parquet(self._folder, files)} GROUP BY account_id ORDER BY account_id"
        )

    def users(self, month: str, files: Sequence[str]) -> pa.Table:
        """The month's ``user_months``, of days' ``rollup`` files."""
        return self._table(user_months_sql(read_parquet(self._folder, files), month))

    def united(self, kept: str | None, days: Collection[int], tables: Sequence[pa.Table]) -> pa.Table:
        """``user_months`` of some days of the month in a file, and of tables."""
        if kept is None and len(tables) == 1:
            return tables[0]
        empty = no_user_months().drop_columns("month")
        given = {f"csql_part_{i}": table for i, table in enumerate([empty, *tables])}
        parts = [f"SELECT {_COLUMNS} FROM {name}" for name in given]
        if kept is not None:
            bits = sum(1 << (day - 1) for day in days)
            file = read_parquet(self._folder, [kept])
            parts.append(f"SELECT * REPLACE (active & {bits} AS active) FROM {file} WHERE active & {bits} <> 0")
        together = f"SELECT account_id, user_id, known_day, bit_or(active) AS active FROM ({' UNION ALL '.join(parts)})"
        return self._table(f"{together} GROUP BY ALL ORDER BY ALL", given)

    def _table(self, query: str, given: dict[str, pa.Table] | None = None) -> pa.Table:
        with self._connection.cursor() as cursor:
            for name, table in (given or {}).items():
                cursor.register(name, table)
            return cursor.execute(query).to_arrow_reader().read_all()
