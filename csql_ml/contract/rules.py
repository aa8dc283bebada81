"""Row rules of an input table: which rows are bad, and why.

A bad row has exactly one recorded problem: the first of the table's rules in their order (columns as declared, then
checks over several columns, then the account, then duplicates).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from csql_ml.contract.parsing import EARLIEST, LATEST, Parsed
from csql_ml.contract.tables import Column, Table

_EXPECTED = {
    "integer": "not a whole number",
    "number": "not a number",
    "boolean": "not one of true, false, yes, no, 1, 0",
    "date": "not a date such as 2024-03-31",
    "timestamp": "not a time such as 2024-03-31T12:00:00+02:00",
}


@dataclass(frozen=True)
class Rule:
    """One reason for which a row is quarantined.

    Attributes
    ----------
    column
        The column, or several with commas between them.
    kind
        Short name of the problem, for machines.
    message
        What is wrong, for people.
    bad
        Whether a row breaks the rule; None where it is decided otherwise (duplicates).
    """

    column: str
    kind: str
    message: str
    bad: ir.BooleanValue | None = None


def column_rules(column: Column, parsed: Parsed) -> list[Rule]:
    """The rules a single column's declaration makes."""
    name, value = column.name, parsed.value
    rules = [
        Rule(name, "not_finite", "NaN or infinite", parsed.filled & ~parsed.finite),
        Rule(name, "wrong_type", _EXPECTED.get(column.dtype, ""), parsed.filled & ~parsed.recognised),
    ]
    if column.dtype not in ("integer", "number"):
        rules = rules[1:] if column.dtype != "string" else []
    if column.required and not column.nullable:
        rules.insert(0, Rule(name, "missing", "a value is required", ~parsed.filled))
    if column.values is not None:
        rules.append(Rule(name, "not_allowed", f"not one of {', '.join(column.values)}", value.notin(column.values)))
    if column.dtype in ("integer", "number"):
        rules.append(_bounds(column, parsed))
    if column.dtype in ("date", "timestamp"):
        first, end = (ibis.literal(day, type=value.type()) for day in (EARLIEST, LATEST))
        outside = (value < first) | (value >= end)
        rules.append(Rule(name, "impossible_date", f"before {EARLIEST} or not before {LATEST}", outside))
    return rules


def _bounds(column: Column, parsed: Parsed) -> Rule:
    low, high, value = column.minimum, column.maximum, parsed.value
    bad = parsed.recognised & value.isnull()
    if low is not None:
        bad = bad | (value < low).fill_null(False)
    if high is not None:
        bad = bad | (value > high).fill_null(False)
    limits = [f"at least {low:g}"] if low is not None else []
    limits.append(f"at most {high:g}" if high is not None else "at most 18 digits")
    expected = " and ".join(limits)
    return Rule(column.name, "out_of_bounds", f"out of bounds; expected {expected}", bad)


def check_rules(table: Table, rows: ir.Table, action: str) -> list[Rule]:
    """The declared checks over several columns, of one action."""
    return [
        Rule(", ".join(check.needs), check.name, check.message, (~check.ok(rows)).fill_null(False))
        for check in table.checks
        if check.action == action
    ]


def account_rule(rows: ir.Table, accounts: ir.Table) -> Rule:
    """Rows of accounts that are not among the kept ones.

    Not ``NOT IN``: Spark would compare every row with every account, in case one of them is null.
    """
    known = rows.account_id.isin(accounts.account_id).fill_null(False)
    unknown = rows.account_id.notnull() & ~known
    return Rule("account_id", "unknown_account", "no such account in the kept rows of accounts", unknown)


def duplicate_rules(table: Table, present: Collection[str]) -> list[Rule]:
    """What the later rows of one key are called; see `csql_ml.contract.duplicates`."""
    key = ", ".join(name for name in table.key if name in present)
    versioned = table.name != "events" and "recorded_at" in present
    which = f"{key}, recorded_at" if versioned else key
    return [
        Rule(key, "duplicate", f"a copy of a row with the same {which}; one is kept"),
        Rule(key, "conflicting_duplicate", f"not the same as another row with its {which}; the first known is kept"),
    ]


def first_problem(rules: list[Rule]) -> ir.IntegerValue:
    """Position of the first rule a row breaks; null for a good row."""
    cases = [(rule.bad, i) for i, rule in enumerate(rules) if rule.bad is not None]
    return ibis.cases(*cases, else_=None).cast("int64") if cases else ibis.null("int64")
