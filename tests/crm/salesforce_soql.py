"""A small reader of SOQL, as far as the sink uses it; everything else is an error, so that nothing slips through."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_][\w.]*)|(?P<sign>!=|>=|<=|[=<>(),]))"
)
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t"}

Row = dict[str, Any]
#: Value of a (dotted) field of a row.
Value = Callable[[Row, str], Any]


class MalformedQueryError(Exception):
    """The query cannot be read."""


class Query:
    """A parsed query: ``columns``, ``source``, ``matches(row)``, ``order``, ``limit``."""

    def __init__(self, text: str, rows_of: Callable[[str], list[Row]], value: Value) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._rows_of = rows_of
        self._value = value
        self._word("SELECT")
        self.columns = self._names()
        self._word("FROM")
        self.source = self._next("word")
        self.matches: Callable[[Row], bool] = lambda row: True
        self.order: list[str] = []
        self.limit: int | None = None
        if self._skip("WHERE"):
            self.matches = self._all()
        if self._skip("ORDER"):
            self._word("BY")
            self.order = self._names()
        if self._skip("LIMIT"):
            self.limit = int(self._next("number"))

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise MalformedQueryError(f"unexpected token: {self._tokens[self._at][1]}")

    def rows(self) -> list[Row]:
        found = [row for row in self._rows_of(self.source) if self.matches(row)]
        for name in reversed(self.order):
            found.sort(key=lambda row: str(self._value(row, name) or ""))
        return found[: self.limit]

    # conditions

    def _all(self) -> Callable[[Row], bool]:
        """AND binds; OR must stand in parentheses, as SOQL wants it."""
        first = self._one()
        if self._skip("OR"):
            second = self._one()
            return lambda row: first(row) or second(row)
        parts = [first]
        while self._skip("AND"):
            parts.append(self._one())
        return lambda row: all(part(row) for part in parts)

    def _one(self) -> Callable[[Row], bool]:
        if self._skip("("):
            inner = self._all()
            self._word(")")
            return inner
        name = self._next("word")
        if self._skip("IN"):
            return self._membership(name)
        sign, wanted = self._next("sign"), self._literal()
        compare = {
            "=": lambda a: _same(a, wanted),
            "!=": lambda a: not _same(a, wanted),
            ">": lambda a: a is not None and str(a) > str(wanted),
            ">=": lambda a: a is not None and str(a) >= str(wanted),
        }[sign]
        return lambda row: compare(self._value(row, name))

    def _membership(self, name: str) -> Callable[[Row], bool]:
        self._word("(")
        if self._tokens[self._at][1].upper() == "SELECT":
            values = self._subselect()
        else:
            values = [self._literal()]
            while self._skip(","):
                values.append(self._literal())
        self._word(")")
        among = {str(v).casefold() for v in values if v is not None}
        return lambda row: str(self._value(row, name)).casefold() in among

    def _subselect(self) -> list[Any]:
        inner = Query.__new__(Query)
        inner._tokens, inner._at, inner._rows_of, inner._value = self._tokens, self._at, self._rows_of, self._value
        inner._word("SELECT")
        (column,) = inner._names()
        inner._word("FROM")
        source = inner._next("word")
        inner._word("WHERE")
        matches = inner._all()
        self._at = inner._at
        return [self._value(row, column) for row in self._rows_of(source) if matches(row)]

    # tokens

    def _literal(self) -> Any:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return re.sub(r"\\(.)", lambda m: _UNESCAPED.get(m[1], m[1]), text[1:-1], flags=re.DOTALL)
        if kind == "time":
            return text.replace("Z", "+0000")
        words = {"null": None, "true": True, "false": False}
        if kind == "word" and text.lower() in words:
            return words[text.lower()]
        raise MalformedQueryError(f"unexpected token: {text}")

    def _names(self) -> list[str]:
        found = [self._next("word")]
        while self._skip(","):
            found.append(self._next("word"))
        return found

    def _next(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise MalformedQueryError("unexpected end or token")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _word(self, word: str) -> None:
        if not self._skip(word):
            raise MalformedQueryError(f"expected {word}")

    def _skip(self, word: str) -> bool:
        there = self._at < len(self._tokens) and self._tokens[self._at][1].upper() == word
        self._at += there
        return there


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, str) and isinstance(b, str):
        return a.casefold() == b.casefold()
    return a in (None, "") if b is None else a == b


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise MalformedQueryError(f"unexpected character at {at}")
        found.append((str(match.lastgroup), match[0].strip()))
        at = match.end()
    return found
