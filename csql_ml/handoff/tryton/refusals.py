"""Tryton's own words for a refusal, without the values of rows that stand in them."""

from __future__ import annotations

import re

#: The session is in English; Tryton names a field so in every message about a value.
_FIELD = re.compile(r'\bfield "([^"\n]{1,60})"')


def masked(message: str) -> str:
    """A message without what stands between its first and last quotation mark, except the name of the field.

    Examples
    --------
    >>> masked('The value "Ines" for field "Title" in "Opportunity" is too long (4 > 3).')
    'The value … is too long (4 > 3). (field Title)'
    """
    begin, end = message.find('"'), message.rfind('"')
    if begin == end:
        return message
    fields = _FIELD.findall(message)
    return f"{message[:begin]}…{message[end + 1 :]}" + (f" (field {fields[-1]})" if fields else "")
