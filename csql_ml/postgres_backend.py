# ruff: noqa: N802 - Ibis finds its rules by these names
"""What Ibis lacks on PostgreSQL: translation rules for `csql_ml.contract` and the metrics.

PostgreSQL before 16 cannot ask whether a text has the form of a type, and a failed cast ends the query: `try_cast`
checks the text first. Nothing is created in the database; a read-only session is enough.
"""

from __future__ import annotations

from typing import Any

import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.postgres import PostgresCompiler

#: Numbers whose cast to ``numeric`` cannot fail.
_NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$"
_MOST_DIGITS = 1000
_NOT_FINITE = r"^(nan|[+-]?inf(inity)?)$"
_LARGEST, _SMALLEST = "1.7976931348623157e308", "1e-307"
_DAY = r"[0-9]{4}[-/](0?[1-9]|1[0-2])[-/](0?[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([T ](0?[0-9]|1[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9]([.][0-9]{1,9})?)?)?"
_TIMESTAMP = rf"^{_DAY}{_CLOCK}$"
#: Days that months do not have, whatever the year.
_NO_DAY = r"^[0-9]{4}[-/](0?2[-/]30|(0?[2469]|11)[-/]31)"
_LEAP_DAY = r"^[0-9]{4}[-/]0?2[-/]29"
_LEAP_YEAR = r"^([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#: Digits below a microsecond are cut off, as on the other engines; PostgreSQL would round.
_TOO_FINE = r"([.][0-9]{6})[0-9]+"


class PostgresRules(PostgresCompiler):  # type: ignore[misc] # Ibis has no types
    """Ibis' rules for PostgreSQL, completed where csql_ml's expressions need it."""

    __slots__ = ()

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """PostgreSQL casts a boolean to a 32-bit integer and to no other number."""
        if op.arg.dtype.is_boolean() and to.is_numeric() and not to.is_int32():
            arg = sge.cast(arg, sge.DataType.Type.INT)
        return super().visit_Cast(op, arg=arg, to=to)

    # ------------------------------------------------------------ casts that never raise

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:
        source = op.arg.dtype
        if source.is_string() and (to.is_numeric() or to.is_timestamp()):
            if to.is_floating():
                return self._text_as_float(arg, to)
            return self._text_as_time(arg, to) if to.is_timestamp() else self._text_as_exact(arg, to)
        if source.is_numeric() and (to.is_integer() or to.is_decimal()):
            return self._within(arg, to, source)
        return self.visit_Cast(op, arg=arg, to=to)

    def _text_as_exact(self, text: Any, to: Any) -> Any:
        """Integers and decimals; null where the text is no number or the type cannot hold it."""
        return self._when(self._is_number(text), self._within(self._numeric(text), to))

    def _within(self, number: Any, to: Any, source: Any = None) -> Any:
        """A number as an integer or decimal; null where it is too large, NaN or infinite."""
        digits, scale = (to.precision, to.scale) if to.is_decimal() else (0, 0)
        low, high = (f"{-(2**63)}", f"{2**63 - 1}") if to.is_integer() else (f"-{'9' * digits}e-{scale}", "")
        high = high or low.removeprefix("-")
        # A float has no exact text: compare what it would become.
        exact = self._numeric(number) if source is not None else number
        rounded = self.f.round(exact, scale)
        held = sge.Between(this=rounded, low=self._numeric(low), high=self._numeric(high))
        return self._when(held, self.cast(rounded, to))

    def _text_as_float(self, text: Any, to: Any) -> Any:
        size = self.f.abs(self._numeric(text))
        number = sge.Case(
            ifs=[
                self.if_(size > self._numeric(_LARGEST), self.POS_INF),
                self.if_(size < self._numeric(_SMALLEST), self.cast(0, to)),
            ],
            default=self.cast(text, to),
        )
        special = sge.RegexpILike(this=text, expression=sge.convert(_NOT_FINITE))
        return sge.Case(
            ifs=[self.if_(special, self.cast(text, to)), self.if_(self._is_number(text), number)], default=NULL
        )

    def _text_as_time(self, text: Any, to: Any) -> Any:
        """Times as `csql_ml.contract.parsing` admits them; null where the calendar or the clock has no such time."""
        exists = sge.and_(
            self._like(text, _TIMESTAMP),
            sge.not_(self._like(text, _NO_DAY)),
            sge.or_(sge.not_(self._like(text, _LEAP_DAY)), self._like(text, _LEAP_YEAR)),
        )
        cut = self.f.anon.regexp_replace(text, sge.convert(_TOO_FINE), sge.convert(r"\1"))
        first_year = self.f.anon.regexp_replace(cut, sge.convert("^0000"), sge.convert("0001"))  # there is no year 0
        return self._when(exists, self.cast(first_year, to))

    def _is_number(self, text: Any) -> Any:
        return sge.and_(self._like(text, _NUMBER), self.f.length(text) <= _MOST_DIGITS)

    def _numeric(self, value: Any) -> Any:
        return sge.cast(sge.convert(value), sge.DataType.Type.DECIMAL)

    def _like(self, text: Any, pattern: str) -> Any:
        return sge.RegexpLike(this=text, expression=sge.convert(pattern))

    def _when(self, condition: Any, value: Any) -> Any:
        """CASE, because PostgreSQL may evaluate the sides of AND in any order."""
        return sge.Case(ifs=[self.if_(condition, value)], default=NULL)

    # ------------------------------------------------------------ text in the order of its code points

    def visit_SortKey(self, op: Any, *, arg: Any, ascending: bool, nulls_first: bool) -> Any:
        ordered = _by_code_point(op.arg, arg)
        return super().visit_SortKey(op, arg=ordered, ascending=ascending, nulls_first=nulls_first)

    def visit_Min(self, op: Any, *, arg: Any, where: Any) -> Any:
        return self.agg.min(_by_code_point(op.arg, arg), where=where)

    def visit_Max(self, op: Any, *, arg: Any, where: Any) -> Any:
        return self.agg.max(_by_code_point(op.arg, arg), where=where)

    def visit_Less(self, op: Any, *, left: Any, right: Any) -> Any:
        return sge.LT(this=_by_code_point(op.left, left), expression=right)

    def visit_LessEqual(self, op: Any, *, left: Any, right: Any) -> Any:
        return sge.LTE(this=_by_code_point(op.left, left), expression=right)

    def visit_Greater(self, op: Any, *, left: Any, right: Any) -> Any:
        return sge.GT(this=_by_code_point(op.left, left), expression=right)

    def visit_GreaterEqual(self, op: Any, *, left: Any, right: Any) -> Any:
        return sge.GTE(this=_by_code_point(op.left, left), expression=right)


def _by_code_point(op: Any, sql: Any) -> Any:
    """Text compared as DuckDB and Spark do, whatever the database's collation."""
    if not op.dtype.is_string():
        return sql
    return sge.Collate(this=sge.paren(sql, copy=False), expression=sge.to_identifier("C", quoted=True))


def complete(connection: Any) -> Any:
    """An Ibis PostgreSQL backend, which translates with `PostgresRules` from now on."""
    connection.compiler = PostgresRules()
    return connection


def to_sql(expr: ir.Expr) -> str:
    """An expression as one SELECT in PostgreSQL's SQL."""
    rules = PostgresRules()
    return str(rules.to_sqlglot(expr).sql(dialect=rules.dialect))
