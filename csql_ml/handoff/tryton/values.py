"""Values as Tryton's JSON-RPC writes them: dates, times and decimal numbers are objects with a class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any


def encoded(content: Any) -> bytes:
    """A request's body."""
    return json.dumps(content, default=_encode, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _encode(value: Any) -> dict[str, Any]:
    if isinstance(value, datetime):
        names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{name: getattr(value, name) for name in names}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    raise TypeError(f"{type(value).__name__} has no form in Tryton's JSON")


def decoded(body: bytes) -> Any:
    """What an answer says.

    Raises
    ------
    ValueError
        It is no JSON, or names values that cannot be.
    """
    return json.loads(body, object_hook=_decode)


def _decode(found: dict[str, Any]) -> Any:
    try:
        return _DECODERS[found["__class__"]](found) if found.get("__class__") in _DECODERS else found
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(f"a {found['__class__']} that is none") from error


_DECODERS: Mapping[str, Any] = {
    "datetime": lambda v: datetime(
        v["year"], v["month"], v["day"], v["hour"], v["minute"], v["second"], v["microsecond"], tzinfo=UTC
    ),
    "date": lambda v: date(v["year"], v["month"], v["day"]),
    "timedelta": lambda v: timedelta(seconds=v["seconds"]),
    "Decimal": lambda v: Decimal(v["decimal"]),
}


def utc_text(value: datetime | None) -> str | None:
    """A time as ISO text in UTC.

    Examples
    --------
    >>> utc_text(datetime(2026, 11, 22, 8, 0, 0, 250000, tzinfo=UTC))
    '2026-11-22T08:00:00.250000Z'
    """
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
