from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from csql_ml.reports.catalogue import Catalogue
from csql_ml.reports.texts import Texts


def texts(language: str = "en", currency: str = "USD", messages: Mapping[str, tuple[str, ...]] | None = None) -> Texts:
    return Texts(Catalogue(language, messages or {}, lambda n: int(n != 1)), currency)


EN, DE, FR, ES = texts(), texts("de", "EUR"), texts("fr", "EUR"), texts("es", "EUR")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (EN.number(1234567), "1,234,567"),
        (EN.number(12.34, 1), "12.3"),
        (EN.number(12.0, 1), "12"),
        (EN.number(-3), "−3"),
        (EN.number(-0.2), "0"),
        (EN.number(-0.0), "0"),
        (EN.percent(0.925), "92%"),
        (EN.percent(0.342, 1), "34.2%"),
        (EN.percent(Decimal("0.3"), 1), "30.0%"),
        (EN.signed_percent(0.25), "+25%"),
        (EN.signed_percent(-0.31), "−31%"),
        (EN.tenths(342), "34.2%"),
        (EN.signed_tenths(142), "+14.2"),
        (EN.signed_tenths(-5), "−0.5"),
        (EN.signed_tenths(0), "±0.0"),
        (EN.signed_number(-31.5), "−31.5"),
        (EN.money(48000.4), "$48,000"),
        (EN.money(12.5), "$12"),
        (EN.money(0.5), "$0.50"),
        (EN.short_money(591.52999), "$592"),
        (EN.short_number(591.52999), "591.5"),
        (EN.short_money(1234567), "$1.2M"),
        (EN.short_money(940400), "$940K"),
        (EN.short_number(12000), "12K"),
        (EN.short_number(7.5), "7.5"),
        (EN.date(date(2026, 7, 1)), "Jul 1, 2026"),
        (EN.days(1), "1 day"),
        (EN.days(34), "34 days"),
        (EN.months(1), "1 month"),
        (DE.number(1234567), "1.234.567"),
        (DE.percent(0.342, 1), "34,2\u00a0%"),
        (DE.money(48000), "48.000\u00a0€"),
        (DE.date(date(2026, 7, 1)), "01.07.2026"),
        (FR.number(1234567), "1\u202f234\u202f567"),
        (FR.signed_tenths(142), "+14,2"),
        (EN.signed_money(-500), "−$500"),
        (EN.signed_number(0.126, 2), "+0.13"),
        (DE.signed_money(1500), "+1.500\u00a0€"),
        (DE.short_number(12345), "12.345"),
        (DE.short_money(12345), "12.345\u00a0€"),
        (DE.short_money(68627.3835878804), "68.627\u00a0€"),
        (DE.short_money(-999999.6), "−1.000.000\u00a0€"),
        (DE.short_number(1234.56), "1.235"),
        (DE.short_money(-1234567), "−1,2\u00a0Mio.\u00a0€"),
        (FR.short_money(12345), "12\u00a0k\u00a0€"),
        (FR.date(date(2026, 7, 1)), "1 juil. 2026"),
        (ES.number(1234), "1234"),
        (ES.number(9999.4), "9999"),
        (ES.number(9999.6), "10.000"),
        (ES.money(-1234), "−1234\u00a0€"),
        (ES.percent(0.342, 1), "34,2\u00a0%"),
        (ES.short_number(12345), "12,3\u00a0mil"),
        (ES.date(date(2026, 7, 1)), "1 jul 2026"),
        (EN.quarter("2026Q3"), "Q3 2026"),
        (DE.quarter("2026Q3"), "Q3 2026"),
        (FR.quarter("2026Q3"), "T3 2026"),
        (ES.short_quarter("2026Q4"), "T4"),
        (EN.quarter("unknown"), "unknown"),
        (EN.quarter("0000Q1"), "0000Q1"),
    ],
)
def test_values_are_written_as_the_language_does(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (None, "ratio", "missing"),
        (0.92, "ratio", "92%"),
        (0.25, "change", "+25%"),
        (0, "count", "0"),
        (12.34, "count", "12.3"),
        (34, "days", "34"),
        (72.26, "score", "72.3"),
        (1e6, "money", "$1,000,000"),
        (1, "flag", "yes"),
        (0.0, "flag", "no"),
        (True, None, "yes"),
        ("Business", "category", "Business"),
        (3, None, "3"),
    ],
)
def test_a_value_is_written_by_its_unit(value: Any, unit: Any, expected: str) -> None:
    assert EN.value(value, unit) == expected


def test_a_quantity_carries_the_word_for_its_unit() -> None:
    assert [EN.quantity(1, "days"), EN.quantity(5, "months"), EN.quantity(0.5, "ratio")] == ["1 day", "5 months", "50%"]


def test_a_message_is_translated_and_filled() -> None:
    german = texts("de", messages={"As of {date}": ("Stand {date}",)})
    assert german.gettext("As of {date}", date="heute") == "Stand heute"
    assert german.gettext("No entry {x}", x=1) == "No entry 1"


def test_braces_in_a_value_stay_text() -> None:
    assert EN.gettext("Run {run}", run="{0} {evil}") == "Run {0} {evil}"


def test_the_plural_form_follows_the_count() -> None:
    german = texts("de", messages={"{n} day": ("{n} Tag", "{n} Tage")})
    assert (german.days(1), german.days(2)) == ("1 Tag", "2 Tage")


@pytest.mark.parametrize(("count", "told"), [(1.2, "1 day"), (0.6, "1 day"), (1.6, "2 days"), (0, "0 days")])
def test_what_reads_one_is_a_singular(count: float, told: str) -> None:
    assert EN.days(count) == told


def test_a_metric_sentence_takes_the_form_of_the_number_it_shows() -> None:
    german = texts("de", messages={"{value} seats": ("{value} Lizenz", "{value} Lizenzen")})
    assert german.template("{value} seats", 1.04) == "{value} Lizenz"
    assert german.template("{value} seats", 1.1) == "{value} Lizenzen"
