"""Values on their way: HubSpot takes and gives every property as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite

from csql_ml.handoff.fields import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def written(value: Value, property_type: str) -> str:
    """A contract value as a property's text; "" empties the property.

    Examples
    --------
    >>> written(0.1 + 0.2, "number"), written(10_000.0, "number"), written("2026-07-01", "datetime")
    ('0.30000000000000004', '10000', '2026-07-01T00:00:00Z')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    return f"{value}T00:00:00Z" if property_type == "datetime" and len(value) == 10 else value


def _number(value: float) -> str:
    """The shortest text that is this number, never with an exponent, which HubSpot's number properties do not take."""
    found = format(Decimal(repr(value)).normalize(), "f")
    return "0" if found in ("-0", "0") else found


def read(text: str | None, dtype: str) -> Value:
    """A property's text as a contract value: text, number, or a date as ISO text; None where it is empty.

    What sales typed over a number or date and cannot be one is given back as the text it is, and so differs.
    """
    if text is None or text == "":
        return None
    if dtype == "number":
        try:
            number = float(Decimal(text))
        except InvalidOperation:
            return text
        return number if isfinite(number) else text
    if dtype == "date":
        moment = milliseconds(text)
        return text if moment is None else (_EPOCH + timedelta(milliseconds=moment)).date().isoformat()
    return text


def milliseconds(text: str | None) -> int | None:
    """A time as HubSpot writes it (ISO or milliseconds since 1970, both UTC) in milliseconds since 1970.

    Examples
    --------
    >>> milliseconds("1970-01-01T00:00:01.5Z"), milliseconds("1500"), milliseconds("soon")
    (1500, 1500, None)
    """
    if not text:
        return None
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def utc(moment: int | None) -> str | None:
    """Milliseconds since 1970 as ISO text in UTC.

    Examples
    --------
    >>> utc(1500)
    '1970-01-01T00:00:01.500Z'
    """
    if moment is None:
        return None
    return (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
