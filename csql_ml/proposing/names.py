"""Names of files and columns -> comparable words: case, separators, accents, plurals and prefixes do not count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: Endings that vendors give to fields of their customers, and the years and versions that exports carry.
_NUMBER_SIGN = re.compile(r"\b[Nn][°º]\s*")
_VENDOR_ENDING = re.compile(r"__[cr]$")
_VENDORS = {
    *("hs", "hubspot", "salesforce", "sf", "sfdc", "zendesk", "stripe", "mixpanel", "amplitude", "segment", "intercom"),
    *(
        "property",
        "context",
        "trait",
        "crm",
        "raw",
        "stg",
        "src",
        "dim",
        "fct",
        "fact",
        "tbl",
        "vw",
        "v",
        "t",
        "export",
    ),
}
#: What exports write behind a name: the currency, or that times are in UTC.
_UNITS = {"utc", "gmt", "eur", "usd", "gbp", "chf", "sek", "dkk", "nok", "pln", "cad", "aud"}
#: Words that end in s and are no plurals.
_NO_PLURAL = re.compile(r"(ss|us|is|nps|success|licens|basis)$")


@lru_cache(maxsize=100_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case and in the singular: ``AccountIDs`` and ``account-id`` are the same.

    Examples
    --------
    >>> words("Kunden-Nr."), words("numLicences__c")
    (('kunden', 'nr'), ('num', 'licence'))
    """
    composed = _NUMBER_SIGN.sub("Nr ", unicodedata.normalize("NFC", name)).translate(_SPELLED)
    plain = unicodedata.normalize("NFKD", composed)
    plain = _VENDOR_ENDING.sub("", "".join(c for c in plain if not unicodedata.combining(c)))
    plain = re.sub(r"IDs(?![a-z])", "Id", plain)
    return tuple(_singular(part.lower()) for part in _PART.findall(plain))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not _NO_PLURAL.search(word) else word


def phrase(name: str) -> str:
    """A name as one comparable text."""
    return " ".join(words(name))


def forms(name: str, leading: Collection[str] = ()) -> tuple[str, ...]:
    """The phrases a column's name may be meant by, the whole name first.

    Parameters
    ----------
    leading
        Phrases that say nothing new in front: the table's own nouns and what all columns of a source begin with.
    """
    found = [words(name)]
    while len(found[-1]) > 1 and found[-1][0] in _VENDORS:
        found.append(found[-1][1:])
    for noun in leading:
        parts = tuple(noun.split())
        found += [one[len(parts) :] for one in found if len(one) > len(parts) and one[: len(parts)] == parts]
    found += [one[:-1] for one in found if len(one) > 1 and one[-1] in _UNITS]
    return tuple(dict.fromkeys(" ".join(one) for one in found))


def common_start(names: Collection[str]) -> str:
    """The words that every one of several names begins with; empty where a name would be left without words."""
    split = [words(name) for name in names]
    if len(split) < 2:
        return ""
    shared = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return " ".join(shared) if all(len(one) > len(shared) for one in split) else ""


def identifier_of(name: str) -> str:
    """A name for queries: small letters, digits and ``_``, beginning with a letter."""
    plain = "_".join(part.lower() for part in _PART.findall(name)) or "source"
    return plain if plain[0].isalpha() else f"t_{plain}"
