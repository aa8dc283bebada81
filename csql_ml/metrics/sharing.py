"""Parts that several formulas have in common, computed once.

A formula is written as if it stood alone, so what formulas share (a score and its change, a value and whether it
reaches its threshold) would be computed, and printed, once for each of them. Ibis keeps formulas as graphs in which
equal parts are equal: what occurs more than once becomes a column of a step before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

#: A part is kept if that saves this many operations; each step costs Ibis and the engine some time, too.
_LEAST_SAVED = 12


def with_shared_parts(rows: ir.Table, columns: Mapping[str, ir.Value]) -> tuple[list[ir.Table], dict[str, ir.Value]]:
    """Move what several columns share into steps of its own.

    Parameters
    ----------
    rows
        The table that the columns are made of, row by row.
    columns
        Expressions over ``rows``, without aggregates or windows.

    Returns
    -------
    tuple
        The steps, each one made of the one before (the first of ``rows``), and the columns over the last of them.
    """
    parts = _shared(columns)
    steps: list[ir.Table] = []
    moved: dict[Any, Any] = {}
    table = rows
    for level in sorted(set(parts.values())):
        chosen = [part for part, its_level in parts.items() if its_level == level]
        start = len(moved)
        made = {f"shared_{start + i}": _moved(part, rows, table, moved) for i, part in enumerate(chosen)}
        table = table.mutate(**made)
        steps.append(table)
        moved |= {part: f"shared_{start + i}" for i, part in enumerate(chosen)}
    return steps, {name: _moved(value.op(), rows, table, moved) for name, value in columns.items()}


def _moved(part: Any, rows: ir.Table, table: ir.Table, moved: Mapping[Any, str]) -> Any:
    """A part over ``table`` instead of ``rows``, with what stands there already taken from there."""
    if table is rows:
        return part.to_expr()
    new = {old: table[name].op() for old, name in moved.items()}
    if part in new:
        return new[part].to_expr()
    fields = [part] if isinstance(part, ops.Field) else part.find(ops.Field, filter=ops.Value)
    new |= {field: table[field.name].op() for field in fields if field.rel == rows.op()}
    return part.replace(new, filter=ops.Value).to_expr()


def _shared(columns: Mapping[str, ir.Value]) -> dict[Any, int]:
    """Parts that occur more than once -> 1 for those that contain no other, 2 for those that contain one of 1, ..."""
    uses: Counter[Any] = Counter()
    order: dict[Any, None] = {}
    for value in columns.values():
        uses[value.op()] += 1
        _walk(value.op(), uses, order)
    sizes: dict[Any, int] = {}
    levels: dict[Any, int] = {}
    shared: dict[Any, int] = {}
    for part in order:  # arguments first
        arguments = _arguments(part)
        sizes[part] = 1 + sum(sizes[a] for a in arguments)
        level = max((levels[a] for a in arguments), default=0)
        if (uses[part] - 1) * sizes[part] >= _LEAST_SAVED:
            level += 1
            shared[part] = level
            sizes[part] = 1
        levels[part] = level
    return shared


def _walk(part: Any, uses: Counter[Any], order: dict[Any, None]) -> None:
    """Note each part once, its arguments before it, and how many parts it is an argument of."""
    if part in order:
        return
    for argument in _arguments(part):
        uses[argument] += 1
        _walk(argument, uses, order)
    order[part] = None


def _arguments(part: Any) -> list[Any]:
    """The values that a value is made of."""
    return (
        [] if isinstance(part, (ops.Field, ops.Literal)) else [a for a in part.__children__ if isinstance(a, ops.Value)]
    )
