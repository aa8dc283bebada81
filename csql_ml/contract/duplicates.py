"""Which of several rows of one thing is kept.

The row that became known first, so that no later row ever changes what was known before; among rows known at the same
instant the smallest in the order of the columns, so that the order of the input does not matter.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from csql_ml.contract.tables import Table


def own_time(table: Table, rows: ir.Table) -> ir.TimestampValue:
    """When a row happened, as naive UTC; a date counts as its midnight."""
    return ibis.coalesce(*(rows[column].cast("timestamp") for column in table.own_time))


def known_at(table: Table, rows: ir.Table) -> ir.TimestampValue:
    """When a row became known, as naive UTC; an occurrence is never known before it happened."""
    own = own_time(table, rows)
    known = ibis.coalesce(rows.recorded_at, own)
    return ibis.greatest(known, own) if table.happens else known


def partition(table: Table) -> tuple[str, ...]:
    """The columns that tell rows apart; an event counts once however often it is recorded."""
    return table.key if table.name == "events" or not table.key else (*table.key, "recorded_at")


def repeated(table: Table, rows: ir.Table) -> ir.Table:
    """The keys that more than one row has, of a table with a key of one column; empty keys are left out."""
    (key,) = table.key
    counts = rows.filter(rows[key].notnull()).group_by(key).aggregate(rows_of_key=ibis._.count())
    return counts.filter(counts.rows_of_key > 1).select(key)


def some_repeated(table: Table, rows: ir.Table) -> bool:
    """Whether any two rows are of one thing; counting keys costs a tenth of ranking all rows."""
    counts = rows.group_by(list(partition(table))).aggregate(rows_of_key=ibis._.count())
    return int(counts.filter(counts.rows_of_key > 1).count().execute()) > 0


def mark_duplicates(table: Table, rows: ir.Table, copy: int, conflict: int) -> ir.Table:
    """Set ``problem`` of every row but the kept one of each key.

    Parameters
    ----------
    rows
        Good rows with the table's columns and ``problem``.
    copy, conflict
        The problems of a row that equals the kept one, and of one that does not.
    """
    content = [name for name in table.column_names if name not in partition(table) and name != "recorded_at"]
    order = [ibis.asc(known_at(table, rows), nulls_first=True)]
    texts = [name for name in rows.columns if name.endswith("__raw")]
    order += [ibis.asc(rows[name], nulls_first=True) for name in (*table.column_names, *texts)]
    window = ibis.window(group_by=[rows[name] for name in partition(table)], order_by=order)
    values = ibis.struct({name: rows[name] for name in content})
    equal = values.first(include_null=True).over(window).identical_to(values)
    problem = ibis.cases((ibis.row_number().over(window) == 0, None), (equal, copy), else_=conflict)
    return rows.mutate(problem=problem.cast("int64"))
