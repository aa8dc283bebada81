"""Everything a page says in one language: messages and formatted values (CLDR rules through Babel)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import copy
from datetime import date
from decimal import Decimal
from functools import lru_cache
from math import floor, log10
from typing import Any

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.numbers import format_compact_currency, format_compact_decimal, get_currency_precision

from csql_ml.metrics.definition import Unit
from csql_ml.reports.catalogue import PSEUDO_LANGUAGE, Catalogue

_MINUS = "\N{MINUS SIGN}"
_DIGITLESS = re.compile(r"\D")
_QUARTER = re.compile(r"([1-9]\d{3})Q([1-4])")
_CACHED = 1 << 15
#: Amounts from here on are written without cents.
_WHOLE_FROM = 1
#: Numbers from here on are shortened where there is little room.
_SHORTENED_FROM = 1000
#: CLDR's ``minimumGroupingDigits`` where it is 2: numbers below 10,000 are written without separator. Babel lacks it.
_UNGROUPED_BELOW = {"es": 10_000}


class Texts:
    """Messages and values in one language.

    Parameters
    ----------
    catalogue
        The language's messages; see `csql_ml.reports.catalogue.load`.
    currency
        ISO code amounts are written in.
    """

    def __init__(self, catalogue: Catalogue, currency: str) -> None:
        self._catalogue = catalogue
        self.language = catalogue.language
        self._pseudo = catalogue.language == PSEUDO_LANGUAGE
        self._locale = "en" if self._pseudo else catalogue.language
        self.currency = currency

    def gettext(self, message: str, **values: Any) -> str:
        """The message in this language with its ``{names}`` filled in."""
        text = self._catalogue.singular(message)
        return text.format(**values) if values else text

    def ngettext(self, singular: str, plural: str, count: float, **values: Any) -> str:
        """The plural form for ``count``, which ``{n}`` shows as a whole number."""
        text = self._catalogue.plural(singular, plural, round(count))
        return text.format(n=self.number(count), **values)

    def template(self, message: str, count: float | None = None) -> str:
        """The message in this language with its ``{names}`` left open, in the plural form for ``count`` if given.

        A count is taken as `value` writes it, with at most one decimal: what reads "1" is a singular.
        """
        if count is None:
            return self._catalogue.singular(message)
        return self._catalogue.plural(message, message, round(count, 1))

    def joined(self, parts: Iterable[str]) -> str:
        """Statements side by side, parted as the language does it; empty where there are none."""
        told = ""
        for part in parts:
            told = self.gettext("{told}; {more}", told=told, more=part) if told else part
        return told

    def number(self, value: float, digits: int = 0) -> str:
        """A number with at most ``digits`` decimals."""
        return self._mark(_decimal(self._locale, value, 0, digits))

    def decimals(self, value: float, digits: int) -> str:
        """A number with exactly ``digits`` decimals, for columns of figures."""
        return self._mark(_decimal(self._locale, value, digits, digits))

    def signed_decimals(self, value: float, digits: int) -> str:
        """A difference with its sign and exactly ``digits`` decimals."""
        return self._mark(_sign(value) + _decimal(self._locale, abs(value), digits, digits))

    def short_number(self, value: float) -> str:
        """A number for axes: 12K instead of 12,000."""
        if abs(value) < _SHORTENED_FROM:
            return self.number(value, 1)
        short = format_compact_decimal(value, locale=self._locale, fraction_digits=1)
        return self._shorter(value, short, self.number(value))

    def percent(self, share: float | Decimal, digits: int = 0) -> str:
        """A share (0 to 1) as a percentage with exactly ``digits`` decimals."""
        return self._mark(_percent(self._locale, share, digits))

    def signed_percent(self, change: float) -> str:
        """A relative change as a percentage with its sign."""
        return self._mark(_sign(change) + _percent(self._locale, abs(change), 0))

    def signed_number(self, value: float, digits: int = 1) -> str:
        """A difference with its sign and at most ``digits`` decimals."""
        return self._mark(_sign(value) + _decimal(self._locale, abs(value), 0, digits))

    def signed_money(self, amount: float) -> str:
        """A difference of amounts in whole units of the currency, with its sign."""
        return self._mark(_sign(amount) + _money(self._locale, self.currency, abs(amount)))

    def tenths(self, tenths: int) -> str:
        """Tenths of a percentage point as a percentage: 342 is 34.2 %."""
        return self.percent(Decimal(tenths) / 1000, 1)

    def signed_tenths(self, tenths: int) -> str:
        """Tenths of a percentage point as signed points: 142 is +14.2."""
        return self._mark(_sign(tenths) + _decimal(self._locale, Decimal(abs(tenths)) / 10, 1, 1))

    def money(self, amount: float) -> str:
        """An amount in whole units of the currency."""
        return self._mark(_money(self._locale, self.currency, amount))

    def short_money(self, amount: float) -> str:
        """An amount for headlines: 1.2M instead of 1,234,567."""
        if abs(amount) < _SHORTENED_FROM:
            return self.money(amount)
        digits = 1 if abs(amount) >= _SHORTENED_FROM**2 else 0
        short = format_compact_currency(amount, self.currency, locale=self._locale, fraction_digits=digits)
        return self._shorter(amount, short, self.money(amount))

    def _shorter(self, value: float, short: str, full: str) -> str:
        """The short form, or the full one where the language has none: there Babel does not even round."""
        shortened = _is_shortened(self._locale, len(str(int(abs(value)))))
        return self._mark(short.replace("-", _MINUS)) if shortened else full

    def date(self, day: date) -> str:
        """A calendar day."""
        return self._mark(_date(self._locale, day))

    def quarter(self, name: str) -> str:
        """A calendar quarter such as 2026Q3, as the language writes it."""
        day = _first_day(name)
        return name if day is None else self._mark(format_skeleton("yQQQ", day, locale=self._locale))

    def short_quarter(self, name: str) -> str:
        """A calendar quarter without its year."""
        day = _first_day(name)
        return name if day is None else self._mark(format_date(day, "QQQ", locale=self._locale))

    def days(self, count: float) -> str:
        """A length in days."""
        return self.ngettext("{n} day", "{n} days", count)

    def months(self, count: float) -> str:
        """A length in months."""
        return self.ngettext("{n} month", "{n} months", count)

    def value(self, value: Any, unit: Unit | None) -> str:
        """A metric's value, written as its unit asks for; None is named as missing."""
        if value is None:
            return self.missing
        if isinstance(value, bool) or unit == "flag":
            return self.gettext("yes") if value else self.gettext("no")
        if not isinstance(value, int | float):
            return str(value)
        return self._number_by_unit(value, unit)

    def _number_by_unit(self, value: float, unit: Unit | None) -> str:
        if unit == "ratio":
            return self.percent(value)
        if unit == "change":
            return self.signed_percent(value)
        if unit == "money":
            return self.money(value)
        return self.number(value, 1 if unit else _three_digits(value))

    def quantity(self, value: Any, unit: Unit | None) -> str:
        """A metric's value standing alone, with the word for its unit."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            if unit == "days":
                return self.days(value)
            if unit == "months":
                return self.months(value)
        return self.value(value, unit)

    @property
    def missing(self) -> str:
        """What stands where a value is missing."""
        return self.gettext("missing")

    def _mark(self, formatted: str) -> str:
        return f"⟦{formatted}⟧" if self._pseudo else formatted


def _first_day(quarter: str) -> date | None:
    """The first day of a quarter such as 2026Q3; None for another text."""
    found = _QUARTER.fullmatch(quarter)
    return date(int(found[1]), 3 * int(found[2]) - 2, 1) if found else None


def _three_digits(value: float) -> int:
    """Decimals that show three significant digits of a number whose unit is not known."""
    return 0 if value == 0 else min(max(2 - floor(log10(abs(value))), 0), 6)


def _sign(value: float) -> str:
    return "+" if value > 0 else _MINUS if value < 0 else "±"


@lru_cache(maxsize=8)
def _locale_of(identifier: str) -> Locale:
    return Locale.parse(identifier)


@lru_cache(maxsize=256)
def _pattern(locale: str, kind: str, digits: tuple[int, int]) -> Any:
    """The language's number pattern of a kind with the least and most decimals wanted."""
    patterns = getattr(_locale_of(locale), f"{kind}_formats")
    pattern = copy(patterns["standard" if kind == "currency" else None])
    pattern.frac_prec = digits
    return pattern


@lru_cache(maxsize=_CACHED)
def _decimal(locale: str, value: float | Decimal, least: int, most: int) -> str:
    return _applied(_pattern(locale, "decimal", (least, most)), locale, value)


@lru_cache(maxsize=_CACHED)
def _percent(locale: str, value: float | Decimal, digits: int) -> str:
    return _applied(_pattern(locale, "percent", (digits, digits)), locale, value)


@lru_cache(maxsize=_CACHED)
def _money(locale: str, currency: str, amount: float) -> str:
    digits = 0 if amount == round(amount) or abs(amount) >= _WHOLE_FROM else get_currency_precision(currency)
    pattern = _pattern(locale, "currency", (digits, digits))
    return _applied(pattern, locale, amount, currency=currency, currency_digits=False)


@lru_cache(maxsize=64)
def _is_shortened(locale: str, digits: int) -> bool:
    """Whether the language has a short form for numbers of so many digits; German has none for thousands."""
    short = format_compact_decimal(10 ** (digits - 1), locale=locale)
    return len(_DIGITLESS.sub("", short)) < digits


@lru_cache(maxsize=1024)
def _date(locale: str, day: date) -> str:
    return format_date(day, "medium", locale=locale)


def _applied(pattern: Any, locale: str, value: float | Decimal, **more: Any) -> str:
    """The number in the pattern, with a real minus sign, and none before a number that is rounded to zero."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    grouped = abs(round(exact, pattern.frac_prec[1])) >= _UNGROUPED_BELOW.get(locale, 0)
    text: str = pattern.apply(exact, locale, group_separator=grouped, **more)
    return text.replace("-", _MINUS if any(c in "123456789" for c in text) else "")
