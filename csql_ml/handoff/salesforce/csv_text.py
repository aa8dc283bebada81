r"""CSV as bulk jobs take and give it (RFC 4180 with line feeds).

Lines end at ``\n`` and ``\r\n`` outside quotes and nowhere else: U+2028 and its like are characters of a value. The
standard library's reader would do, but refuses fields beyond 131,072 characters unless a limit of the whole process is
raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from csql_ml.handoff.fields import Value
from csql_ml.handoff.sink import TransientError

#: Empties a field; an empty cell would leave the field as it is.
EMPTY = "#N/A"
_CELL = re.compile(r'(?:"([^"]*+(?:""[^"]*+)*+)"|([^",\r\n]*+))(,|\r\n|\n|\r|\Z)')


def write(header: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> bytes:
    r"""A table in which None and empty text empty a field; a column that a row does not have leaves it as it is.

    Examples
    --------
    >>> write(["Name", "Score__c"], [{"Name": "a,b", "Score__c": 0.5}, {"Name": None}])
    b'Name,Score__c\n"a,b",0.5\n#N/A,\n'
    """
    lines = [",".join(header), *(",".join(_cell(row[name]) if name in row else "" for name in header) for row in rows)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _cell(value: Value) -> str:
    if value is None or value == "":
        return EMPTY
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else repr(value)
    quoted = any(c in text for c in ',"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if quoted else text


def rows(text: str) -> Iterator[dict[str, str]]:
    """The rows of a table with a header, as column: text.

    Raises
    ------
    TransientError
        The table is cut off or damaged.
    """
    lines = _lines(text)
    header = next(lines, None)
    if header is None:
        return
    for line in lines:
        if len(line) != len(header):
            raise TransientError("a bulk job's result is no complete CSV")
        yield dict(zip(header, line, strict=True))


def _lines(text: str) -> Iterator[list[str]]:
    at, line = 0, list[str]()
    while at < len(text) or line:
        found = _CELL.match(text, at)
        if found is None:
            raise TransientError("a bulk job's result is no complete CSV")
        at = found.end()
        line.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        if found[3] != ",":
            yield line
            line = []
