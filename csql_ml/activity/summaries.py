"""Two summaries of the rollup, which snapshots read in place of its days.

Most users do little: a company's rollup may have nearly as many rows as it has events. Sums and feature sets of an
account need no users, and distinct users need no more than the days on which each was active. With 54 million rows of
1.1 million users, the passes of one snapshot took a third of the time over these two (measured).

=============  ======================================================================================================
account_days   the rollup without ``user_id``: one row per account, day and day it became known
user_months    one row per account, user and month: ``active``, a bit per day on which the user was active, the first
               day of the month lowest; what became known later than on its day stands in rows of its own, one per
               ``known_day``, which is empty in all others
=============  ======================================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
_GRAIN = ("account_id", "day", "known_day")
#: Sums below this are safe in 64 bits.
_LARGEST = 1 << 62


def account_days(rows: pa.Table) -> pa.Table:
    """Add up one day's rows over the users of each account.

    Parameters
    ----------
    rows
        One day of the rollup.

    Returns
    -------
    pyarrow.Table
        The same columns without ``user_id``, in the order in which accounts first appear.
    """
    accounts = rows["account_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    known = rows["known_day"].combine_chunks().cast(pa.int32()).to_numpy().astype(np.int64)
    key = (accounts << 32) | (known - known.min(initial=0))
    runs = np.flatnonzero(np.diff(key, prepend=-1))  # users stand in their account's order, late rows among them
    in_order = np.argsort(key[runs], kind="stable")
    starts = np.flatnonzero(np.diff(key[runs][in_order], prepend=-1))
    columns = {name: rows[name].combine_chunks().take(pa.array(runs[in_order][starts])) for name in _GRAIN}
    for name in rows.column_names:
        if name not in (*_GRAIN, "user_id"):
            partly = _added(rows[name].combine_chunks(), name, runs)
            columns[name] = _added(partly.take(pa.array(in_order)), name, starts)
    return pa.table(columns)


def _added(values: pa.Array, name: str, starts: Ints) -> pa.Array:
    """One column added up from each start to the next; feature sets are united."""
    if pa.types.is_decimal(values.type):
        return _added_decimals(values, starts)
    numbers = values.to_numpy()
    add: Any = np.bitwise_or if name.endswith("_mask") else np.add
    return pa.array(add.reduceat(numbers, starts) if len(starts) else numbers)


def _added_decimals(values: pa.Array, starts: Ints) -> pa.Array:
    """Exact sums: in 64 bits where they surely fit, else with Python's own numbers."""
    halves = np.frombuffer(values.buffers()[1], np.int64)[2 * values.offset :][: 2 * len(values)]
    low, high = halves[::2], halves[1::2]
    if (high == low >> 63).all() and int(np.abs(low).max(initial=0)) * len(low) < _LARGEST:
        sums = np.add.reduceat(low, starts) if len(starts) else low
        content = np.stack((sums, sums >> 63), axis=1).tobytes()
    else:
        whole = [(above << 64) + below % (1 << 64) for below, above in zip(low.tolist(), high.tolist(), strict=True)]
        ends = [*starts[1:].tolist(), len(whole)]
        added = [sum(whole[first:end]) for first, end in zip(starts.tolist(), ends, strict=True)]
        content = b"".join(number.to_bytes(16, "little", signed=True) for number in added)
    return pa.Array.from_buffers(values.type, len(starts), [None, pa.py_buffer(content)])


def no_user_months() -> pa.Table:
    """``user_months`` without rows."""
    types = {"account_id": pa.string(), "user_id": pa.string(), "known_day": pa.date32(), "active": pa.int64()}
    return pa.schema([*types.items(), ("month", pa.date32())]).empty_table()


def user_months_sql(rows: str, month: str) -> str:
    """SQL of one month's ``user_months`` without ``month`` itself, in DuckDB.

    Parameters
    ----------
    rows
        A relation: the rollup's rows of all days of the month.
    month
        ``YYYY-MM``.
    """
    first = f"DATE '{month}-01'"
    return (
        "SELECT account_id, user_id, CASE WHEN known_day > day THEN known_day END AS known_day, "
        f"bit_or((1 << (day - {first}))::BIGINT) AS active FROM {rows} WHERE user_id IS NOT NULL "
        "GROUP BY ALL ORDER BY ALL"
    )
