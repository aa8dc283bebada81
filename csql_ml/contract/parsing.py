"""Raw values -> typed values: what is accepted as which type.

========== ===========================================================================================================
type       accepted
========== ===========================================================================================================
string     anything; surrounding white space is removed, an empty text is a missing value, a whole float loses its
           ``.0`` (identifiers that went through a spreadsheet)
integer    whole numbers, also as ``12.0`` or ``1e3``
number     finite numbers; rounded to the column's scale
boolean    true, false, yes, no, t, f, 1, 0 in any case
date       a date, or a time at midnight as written
timestamp  a date (its midnight) or a time from 0:00 to 23:59, with ``Z``, ``UTC`` or an offset; without one it is UTC
========== ===========================================================================================================

Epoch seconds are not guessed at, and zone names are not known. Every column is one vectorised Ibis expression that
never raises.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from csql_ml.contract.tables import Column

EARLIEST, LATEST = "1970-01-01", "2200-01-01"
_WHITE_SPACE = " \t\r\n\v\f"
_NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$"
_TRUE, _FALSE = ("true", "t", "yes", "1", "1.0"), ("false", "f", "no", "0", "0.0")
#: Year first; the hour may have one digit, as spreadsheets write it.
_DATE = r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}"
_CLOCK = r"[T ](?:[01]?[0-9]|2[0-3]):[0-9]{1,2}(?::[0-9]{1,2}(?:[.][0-9]{1,9})?)?"
_OFFSET = r" ?([+-])(0[0-9]|1[0-8]):?([0-5][0-9])?"
_TIME = rf"^{_DATE}(?:{_CLOCK}(?:Z| ?UTC|{_OFFSET})?)?$"
_AS_WRITTEN = rf"^({_DATE}(?:{_CLOCK})?)"
_ENDS_WITH_ZONE = "(?:Z|UTC|:[0-9.]+ ?[+-][0-9:]+)$"
_ENDS_WITH_OFFSET = rf":[0-9.]+{_OFFSET}$"
#: Holds every 64-bit integer.
_ANY_INTEGER = dt.Decimal(20, 0)
#: Below this, every whole number has an exact float.
_EXACT = 2.0**53


@dataclass(frozen=True)
class Parsed:
    """One raw column as its declared type.

    Attributes
    ----------
    value
        The typed value; null where there is none.
    filled
        Whether the raw value holds anything.
    recognised
        Whether it has the form of the type. A recognised value can still be too large to be held.
    finite
        False for NaN and the infinities.
    """

    value: ir.Value
    filled: ir.BooleanValue
    recognised: ir.BooleanValue
    finite: ir.BooleanValue


def declared_type(column: Column) -> dt.DataType:
    """The Ibis type a column has after validation; money and quantities are decimals, so that sums are exact."""
    if column.dtype == "number":
        return dt.Decimal(18, 2 if column.name == "arr" else 6)
    return {
        "string": dt.string,
        "integer": dt.int64,
        "boolean": dt.boolean,
        "date": dt.date,
        "timestamp": dt.Timestamp(),
    }[column.dtype]


def as_text(raw: ir.Value) -> ir.StringValue:
    """A raw value as trimmed text; empty text is missing."""
    if raw.type().is_floating():
        whole = (raw % 1 == 0) & (raw.abs() < _EXACT)
        raw = ibis.ifelse(whole, raw.try_cast("int64").cast("string"), raw.cast("string"))
    elif not raw.type().is_string():
        raw = raw.cast("string")
    padded = (raw.left(1) <= " ") | (raw.right(1) <= " ")  # stripping every row would take four times as long
    return ibis.ifelse(padded, raw.strip(), raw).nullif("")


def parse(raw: ir.Value, column: Column) -> Parsed:
    """Give a raw column its declared type.

    Parameters
    ----------
    raw
        A column of any plain type.
    column
        Its declaration.
    """
    target = declared_type(column)
    if column.dtype == "string":
        text = as_text(raw)
        return _recognise(text, text.lower() if column.values else text)
    if column.dtype in ("integer", "number"):
        return _parse_number(raw, target)
    kind = raw.type()
    if kind == target or (kind.is_boolean() and target.is_boolean()):
        return _recognise(raw, raw)
    if column.dtype == "boolean":
        text = as_text(raw)
        lower = text.lower()
        return _recognise(text, ibis.cases((lower.isin(_TRUE), True), (lower.isin(_FALSE), False), else_=None))
    return _parse_date(raw) if column.dtype == "date" else _parse_timestamp(raw)


def _recognise(raw: ir.Value, value: ir.Value) -> Parsed:
    return Parsed(value, raw.notnull(), value.notnull(), ibis.literal(True))


def _parse_number(raw: ir.Value, target: dt.DataType) -> Parsed:
    if raw.type().is_numeric():
        filled = raw.notnull()
        number = raw.cast("float64")
        finite = ~(number.isnan() | number.isinf())
        recognised = filled & finite
    else:
        raw = as_text(raw)
        filled = raw.notnull()
        recognised = raw.re_search(_NUMBER)
        number = raw.try_cast("float64")
        finite = ~(number.isnan() | number.isinf())
        if target.is_integer():  # Spark takes no "7.0" for an integer, but for a decimal
            raw = raw.try_cast(_ANY_INTEGER)
    if target.is_integer():
        recognised = recognised & (number % 1 == 0)
    value = ibis.ifelse(recognised & finite, raw.try_cast(target), None)
    return Parsed(value, filled, recognised.fill_null(False), finite.fill_null(True))


def _parse_timestamp(raw: ir.Value) -> Parsed:
    """Instants as naive UTC."""
    kind = raw.type()
    if kind.is_timestamp() or kind.is_date():
        return _recognise(raw, raw.try_cast("timestamp"))
    text = as_text(raw)
    local = _local_time(text)
    return _recognise(text, ibis.ifelse(text.re_search(_ENDS_WITH_OFFSET), local - _offset(text), local))


def _local_time(text: ir.StringValue) -> ir.TimestampValue:
    """The time as written, without its offset.

    DuckDB never sees the offset: its cast to a naive timestamp drops it, and in its cast to one with a zone a zone
    name in one row shifts the rows after it (1.5.6).
    """
    written = ibis.ifelse(text.re_search(_ENDS_WITH_ZONE), text.re_extract(_AS_WRITTEN, 1), text)
    return ibis.ifelse(text.re_search(_TIME), written.try_cast("timestamp"), None)


def _offset(text: ir.StringValue) -> ir.IntervalValue:
    """How far a text's clock is ahead of UTC."""
    minutes = _offset_part(text, 2) * 60 + _offset_part(text, 3)
    return ibis.ifelse(text.re_extract(_ENDS_WITH_OFFSET, 1) == "-", -minutes, minutes).as_interval("m")


def _offset_part(text: ir.StringValue, group: int) -> ir.IntegerValue:
    return text.re_extract(_ENDS_WITH_OFFSET, group).try_cast("int64").fill_null(0)


def _parse_date(raw: ir.Value) -> Parsed:
    """Calendar days. The offset of a text does not count: midnight as written is the day that was meant."""
    if raw.type().is_timestamp():
        source, time = raw, raw.try_cast("timestamp")
    else:
        source = as_text(raw)
        time = _local_time(source)
    day = time.try_cast("date")
    return _recognise(source, ibis.ifelse(day.try_cast("timestamp") == time, day, None))
