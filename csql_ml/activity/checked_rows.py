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
from csql_ml.days import local_day


def usable(time: Any) -> Any:
    """A time if it is one that the contract allows, else null."""
    first, end = (ibis.literal(day, type="timestamp") for day in (EARLIEST, LATEST))
    return ibis.ifelse((time >= first) & (time < end), time, None)


def timed_rows(rows: ir.Table) -> ir.Table:
    """Rows as they are in the source, with their ``time`` if it is usable."""
    return rows.mutate(time=usable(parse(rows.occurred_at, EVENTS.column("occurred_at")).value))


class CheckedRows:
    """Rows of the source after the rules that look at one row alone.

    Parameters
    ----------
    rows
        The source's columns under their contract names, and ``beside``.
    present
        The contract's columns among them.
    zone
        The company's time zone.
    """

    def __init__(self, rows: ir.Table, present: Collection[str], zone: str, beside: Collection[str] = ()) -> None:
        self._present, self._zone = tuple(present), zone
        typed = typed_rows(EVENTS, rows, beside)
        self._row_rules = row_rules(EVENTS, present, typed)
        self.rules: list[Rule] = self._row_rules + duplicate_rules(EVENTS, present)
        judged = judged_rows(EVENTS, present, typed, self._row_rules, beside=beside)
        self.rows = judged.mutate(time=usable(judged.occurred_at))
        self._typed, self._beside = typed, tuple(beside)

    def numbers(self, judged_elsewhere: Collection[str]) -> ir.Table:
        """``time``, ``recorded``, ``quantity`` and ``beside``; ``bad`` by the rules of all but some columns."""
        rules = [r.bad for r in self._row_rules if r.column not in judged_elsewhere and r.bad is not None]
        return self._numbers(self._typed, bad=reduce(or_, rules, ibis.literal(False)).fill_null(False))

    def as_numbers(self, rows: ir.Table) -> ir.Table:
        """The same of rows that are known to be good."""
        return self._numbers(rows)

    def _numbers(self, rows: ir.Table, **more: Any) -> ir.Table:
        one = ibis.literal(1).cast("decimal(18, 6)")
        times = {"time": usable(rows.occurred_at), "recorded": usable(rows.recorded_at)}
        return rows.select(*self._beside, **times, quantity=rows.quantity.fill_null(one), **more)

    def bad(self) -> ir.Table:
        """Rows that break a rule, with the position of the first one in ``problem``."""
        return self.rows.filter(self.rows.problem.notnull())

    def settled(self) -> ir.Table:
        """Good rows, where ``problem`` says which of them repeat another's ``event_id``."""
        good = self.rows.filter(self.rows.problem.isnull())
        return mark_duplicates(EVENTS, good, len(self._row_rules), len(self._row_rules) + 1)

    def on_days(self, rows: ir.Table, days: Collection[Day]) -> ir.Table:
        """Those of some days, with their ``day``; a table that is computed already, since days take long to ask for."""
        dated = rows.mutate(day=local_day(rows.time, self._zone))
        known = [ibis.literal(day) for day in days if day is not None]
        wanted = dated.day.isin(known) if known else ibis.literal(False)
        return dated.filter(wanted.fill_null(False) | (dated.day.isnull() if None in days else ibis.literal(False)))

    def findings(self, rows: ir.Table) -> dict[Day, list[Finding]]:
        """What is wrong with rows that have a ``day`` and a ``problem``, by day and in the order of the rules."""
        text = with_text(rows, self._present)
        keyed = text.select("day", "problem", shown=shown_key(EVENTS, text))
        counted = keyed.group_by(["day", "problem", "shown"]).aggregate(rows=keyed.count())
        of_rule = ibis.window(group_by=[counted.day, counted.problem])
        by_key = ibis.window(
            group_by=[counted.day, counted.problem], order_by=ibis.asc(counted.shown, nulls_first=False)
        )
        ranked = counted.mutate(total=counted.rows.sum().over(of_rule), place=ibis.row_number().over(by_key))
        first = ranked.filter(ranked.place < EXAMPLES).order_by(["day", "problem", "place"])
        found: dict[Day, dict[int, Finding]] = {}
        for row in first.to_pyarrow().to_pylist():
            self._add(found.setdefault(_as_day(row["day"]), {}), row)
        return {day: list(findings.values()) for day, findings in found.items()}

    def _add(self, found: dict[int, Finding], row: dict[str, Any]) -> None:
        rule, i = self.rules[row["problem"]], row["problem"]
        examples = (*(found[i].examples if i in found else ()), *([row["shown"]] if row["shown"] is not None else []))
        found[i] = Finding(i, rule.column, rule.kind, rule.message, int(row["total"]), examples)


def _as_day(value: Any) -> Day:
    assert value is None or isinstance(value, date)
    return value
