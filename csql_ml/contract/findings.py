"""Count problems and name some of their rows by key."""

from __future__ import annotations

from typing import Literal

import ibis
import ibis.expr.types as ir

from csql_ml.contract.parsing import as_text
from csql_ml.contract.report import Problem
from csql_ml.contract.rules import Rule
from csql_ml.contract.tables import Table

#: How many keys a problem names.
EXAMPLES = 5
LONGEST_EXAMPLE = 80


def find_problems(
    table: Table, rows: ir.Table, rules: list[Rule], action: Literal["quarantine", "warn"]
) -> list[Problem]:
    """The problems of rows that have one, in one query.

    Parameters
    ----------
    rows
        Bad rows; their column ``problem`` is the position of a rule.
    """
    shown = shown_key(table, rows)
    keyed = rows.select("problem", shown=shown)
    counted = keyed.group_by(["problem", "shown"]).aggregate(rows=keyed.count())
    order = ibis.asc(counted.shown, nulls_first=False)
    ranked = counted.mutate(
        total=counted.rows.sum().over(ibis.window(group_by="problem")),
        place=ibis.row_number().over(ibis.window(group_by="problem", order_by=order)),
    )
    first = ranked.filter(ranked.place < EXAMPLES).order_by(["problem", "place"]).to_pyarrow().to_pylist()
    found: dict[int, Problem] = {}
    for row in first:
        rule, i = rules[row["problem"]], row["problem"]
        problem = found.get(i) or Problem(table.name, rule.column, rule.kind, row["total"], action, rule.message)
        examples = (*problem.examples, row["shown"]) if row["shown"] is not None else problem.examples
        found[i] = Problem(problem.table, rule.column, rule.kind, problem.rows, action, rule.message, examples)
    return list(found.values())


def shown_key(table: Table, rows: ir.Table) -> ir.StringValue:
    """The key of a row as examples show it."""
    return _key_text(table, rows).substr(0, LONGEST_EXAMPLE)


def _key_text(table: Table, rows: ir.Table) -> ir.StringValue:
    """The key as it stands in the source; the account where rows have none."""
    parts = [_as_it_stands(rows, name) for name in table.key]
    account = _as_it_stands(rows, "account_id")
    key = ibis.literal(" / ").join(parts) if len(parts) > 1 else parts[0] if parts else account
    return ibis.coalesce(key.nullif(""), account)


def _as_it_stands(rows: ir.Table, name: str) -> ir.StringValue:
    typed = rows[name].cast("string")
    return ibis.coalesce(as_text(rows[f"{name}__raw"]), typed) if f"{name}__raw" in rows.columns else typed
