"""File names made from ids: readable, never leaving the folder, never equal on a case-blind disk."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HASHED = re.compile(r".*-[0-9a-f]{10}")
_FOREIGN = re.compile(r"[^a-z0-9_]+")
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))})


def page_name(key: str) -> str:
    """File name (without folder) of the page for an id.

    An id of lower-case letters, digits, ``-`` and ``_`` is kept. Anything else keeps what is safe and gets a hash of
    the whole id, so that two ids never share a name, not even where letter case is ignored.

    Examples
    --------
    >>> page_name("acme-12")
    'acme-12.html'
    >>> page_name("../ACME & Co")
    'acme-co-63fb0d2ca7.html'
    """
    if _PLAIN.fullmatch(key) and not _HASHED.fullmatch(key) and key not in _RESERVED:
        return f"{key}.html"
    slug = _FOREIGN.sub("-", key.lower()).strip("-")[:48]
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{slug}-{digest}.html" if slug else f"{digest}-{digest}.html"
