"""The few events that need a closer look: bad ones, and those whose key occurs more than once.

They go through the contract's own rules, row by row; see `csql_ml.contract.checking`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.activity.source import Day, Finding
from csql_ml.contract.checking import judged_rows, row_rules, typed_rows, with_text
from csql_ml.contract.duplicates import mark_duplicates
from csql_ml.contract.findings import EXAMPLES, shown_key
from csql_ml.contract.parsing import EARLIEST, LATEST, parse
from csql_ml.contract.rules import Rule, duplicate_rules
from csql_ml.contract.tables import EVENTS


def usable(time: Any) -> Any:
    """A time if it is one that the contract allows, else null."""
    first, end = (ibis.literal(day, type="timestamp") for day in (EARLIEST, LATEST))
    return ibis.ifelse((time >= first) & (time < end), time, None)


def timed_rows(rows: ir.Table) -> ir.Table:
    """Rows as they are in the source, with their ``time`` if it is usable."""
    return rows.mutate(time=usable(parse(rows.occurred_at, EVENTS.column("occurred_at")).value))


def numbers(
    rows: ir.Table, present: Collection[str], judged_elsewhere: Collection[str], beside: Collection[str]
) -> ir.Table:
    """What counts of every row, and ``bad`` by the rules of all but some columns; raw values as ``<column>__raw``.

    Parameters
    ----------
    rows
        The source's columns under their contract names, and ``beside``.
    present
        The contract's columns among them.
    beside
        Further columns to keep as they are.
    """
    typed = typed_rows(EVENTS, rows, beside)
    rules = [r.bad for r in row_rules(EVENTS, present, typed) if r.column not in judged_elsewhere and r.bad is not None]
    bad = reduce(or_, rules, ibis.literal(False)).fill_null(False)
    texts = {f"{name}__raw": typed[f"{name}__raw"] for name in EVENTS.column_names if name in present}
    return typed.select(*beside, **_numbers(typed), **texts, bad=bad)


def _numbers(rows: ir.Table) -> dict[str, Any]:
    quantity = rows.quantity.fill_null(ibis.literal(1).cast("decimal(18, 6)"))
    return {"time": usable(rows.occurred_at), "recorded": usable(rows.recorded_at), "quantity": quantity}


class CheckedRows:
    """Rows after all rules.

    Parameters
    ----------
    rows
        The source's columns under their contract names, ``day``, and ``beside``.
    present
        The contract's columns among them.
    beside
        Further columns to keep as they are.
    """

    def __init__(self, rows: ir.Table, present: Collection[str], beside: Collection[str]) -> None:
        self._present, self._beside = tuple(present), ("day", *beside)
        typed = typed_rows(EVENTS, rows, self._beside)
        self._row_rules = row_rules(EVENTS, present, typed)
        self.rules: list[Rule] = self._row_rules + duplicate_rules(EVENTS, present)
        self._rows = judged_rows(EVENTS, present, typed, self._row_rules, beside=self._beside)

    def judged(self) -> ir.Table:
        """Every row; where it does not count, ``problem`` is the position of the first rule that it breaks."""
        good = self._rows.filter(self._rows.problem.isnull())
        texts = {name: good[name].type() for name in good.columns if name.endswith("__raw")}  # all of them empty
        settled = mark_duplicates(EVENTS, good.drop(*texts), len(self._row_rules), len(self._row_rules) + 1)
        settled = settled.mutate(**{name: ibis.null(kind) for name, kind in texts.items()})
        return self._rows.filter(self._rows.problem.notnull()).union(settled.select(*self._rows.columns))

    def good(self, judged: ir.Table) -> ir.Table:
        """Rows that break no rule; some of them may repeat another's ``event_id``."""
        return judged.filter(judged.problem.isnull() | (judged.problem >= len(self._row_rules)))

    def kept(self, judged: ir.Table) -> ir.Table:
        """What counts of the rows that do."""
        rows = judged.filter(judged.problem.isnull())
        return rows.select(*self._beside, **_numbers(rows))

    def problems(self, judged: ir.Table) -> ir.Table:
        """By ``day`` and ``problem`` the number of rows (``total``), once for each of their smallest keys."""
        text = with_text(judged.filter(judged.problem.notnull()), self._present)
        keyed = text.select("day", "problem", shown=shown_key(EVENTS, text))
        counted = keyed.group_by(["day", "problem", "shown"]).aggregate(rows=keyed.count())
        of_rule = ibis.window(group_by=[counted.day, counted.problem])
        by_key = ibis.window(
            group_by=[counted.day, counted.problem], order_by=ibis.asc(counted.shown, nulls_first=False)
        )
        ranked = counted.mutate(
            total=counted.rows.sum().over(of_rule).cast("int64"), place=ibis.row_number().over(by_key)
        )
        first = ranked.filter(ranked.place < EXAMPLES).order_by(["day", "problem", "place"])
        return first.select("day", "problem", "total", "shown")

    def findings(self, problems: Collection[tuple[Any, ...]]) -> dict[Day, list[Finding]]:
        """The rows of `problems` as findings of each day, in the order of the rules."""
        found: dict[Day, dict[int, Finding]] = {}
        for day, problem, total, shown in problems:
            assert day is None or isinstance(day, date)
            of_day, rule = found.setdefault(day, {}), self.rules[problem]
            examples = of_day[problem].examples if problem in of_day else ()
            examples += (shown,) if shown is not None else ()
            of_day[problem] = Finding(problem, rule.column, rule.kind, rule.message, int(total), examples)
        return {day: list(findings.values()) for day, findings in found.items()}
