"""Queries: values escaped, lists of them cut to what an address may hold, pages followed to their end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.sink import TransientError

Rows = list[dict[str, Any]]

#: An address may have 16,384 characters; the rest of the query and the host need some.
_ROOM = 12_000
#: Most rows of a page of `changed`.
PAGE = 2_000
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def literal(value: str) -> str:
    r"""A value as text inside a query; whatever it holds, it stays a value.

    Examples
    --------
    >>> literal("O'Hara")
    "'O\\'Hara'"
    """
    return f"'{value.translate(_ESCAPES)}'"


def query(api: Api, text: str) -> Rows:
    """All rows of a query, over all its pages."""
    found: Rows = []
    answer = api.request("GET", "/query", params={"q": text}).json()
    while True:
        try:
            found += answer["records"]
            if answer["done"]:
                return found
            address = answer["nextRecordsUrl"]
        except (KeyError, TypeError):
            raise TransientError("the answer to a query is incomplete") from None
        answer = api.request("GET", address).json()


def among(api: Api, select: str, field: str, values: Iterable[str], rest: str = "") -> Rows:
    """Rows whose field is one of the values: ``select WHERE field IN (values) rest``, in as many queries as needed."""
    found: Rows = []
    for part in _parts(sorted(set(values))):
        found += query(api, f"{select} WHERE {field} IN ({', '.join(part)}){rest}")
    return found


def _parts(values: Sequence[str]) -> Iterator[list[str]]:
    part, length = list[str](), 0
    for value in values:
        text = literal(value)
        needed = len(quote(text)) + 6
        if part and length + needed > _ROOM:
            yield part
            part, length = [], 0
        part.append(text)
        length += needed
    if part:
        yield part


def changed(api: Api, columns: Sequence[str], source: str, condition: str, since: str) -> Rows:
    """Rows changed since an instant, oldest first; paged by time and id, so that equal times lose none.

    Parameters
    ----------
    since
        As SOQL writes it, such as ``2026-11-22T08:00:00.000Z``; empty: all rows.
    """
    select = f"SELECT {', '.join(columns)} FROM {source} WHERE {condition}"
    order = f" ORDER BY SystemModstamp, Id LIMIT {PAGE}"
    bound = f" AND SystemModstamp >= {since}" if since else ""
    found: Rows = []
    while True:
        page = query(api, select + bound + order)
        found += page
        if len(page) < PAGE:
            return found
        at, last = instant(page[-1]["SystemModstamp"]), literal(str(page[-1]["Id"]))
        bound = f" AND (SystemModstamp > {at} OR (SystemModstamp = {at} AND Id > {last}))"


def instant(text: str) -> str:
    """Salesforce's ``2026-11-22T08:00:00.000+0000`` with a Z, as queries and the contract take it."""
    return text.replace("+0000", "Z").replace("+00:00", "Z")
