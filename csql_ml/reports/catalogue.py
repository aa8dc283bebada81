"""Message catalogues: English sources, one ``.po`` file per further language, a pseudo language made in code.

A message is the English sentence itself, with ``{names}`` in braces. Catalogues are read as ``.po`` at run time, so a
translator's edit shows up without a build step. The pseudo language ``qps`` accents and brackets every message that
went through a catalogue; whatever stays plain on a page bypassed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from gettext import c2py
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from csql_ml.errors import OutputError, UsageError

LOCALE_FOLDER = Path(__file__).parent / "locale"
DOMAIN = "csql"
SOURCE_LANGUAGE = "en"
PSEUDO_LANGUAGE = "qps"

_PLACEHOLDER = re.compile(r"(\{\w*\})")
_ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "àƀçðéƒĝĥîĵķļɱñöþǫŕšţûṽŵẋýžÀƁÇÐÉƑĜĤÎĴĶĻṀÑÖÞǪŔŠŢÛṼŴẊÝŽ",
)


@dataclass(frozen=True)
class Catalogue:
    """The texts of one language.

    ``messages`` maps an English text to its plural forms (one form where there is no plural); ``plural_index`` says
    which form a number takes.
    """

    language: str
    messages: Mapping[str, tuple[str, ...]]
    plural_index: Callable[[float], int]

    def singular(self, message: str) -> str:
        """The message in this language, or itself where it has no translation."""
        if self.language == PSEUDO_LANGUAGE:
            return pseudo(message)
        return self.messages.get(message, (message,))[0]

    def plural(self, singular: str, plural: str, count: float) -> str:
        """The form of the message that ``count`` takes."""
        if self.language == PSEUDO_LANGUAGE:
            return pseudo(singular if count == 1 else plural)
        forms = self.messages.get(singular)
        if forms is None:
            return singular if count == 1 else plural
        return forms[min(self.plural_index(count), len(forms) - 1)]


def pseudo(message: str) -> str:
    """The message accented, a third longer and in brackets; placeholders stay as they are."""
    parts = _PLACEHOLDER.split(message)
    accented = "".join(p if _PLACEHOLDER.fullmatch(p) else p.translate(_ACCENTED) for p in parts)
    return f"⟦{accented}{'·' * (len(message) // 3)}⟧"


def catalogue_file(language: str, folder: Path = LOCALE_FOLDER) -> Path:
    """Where the ``.po`` file of a language lies."""
    return folder / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def languages(folder: Path = LOCALE_FOLDER) -> tuple[str, ...]:
    """Languages a report can be written in: English and every language with a catalogue."""
    found = {path.parent.parent.name for path in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po")}
    return (SOURCE_LANGUAGE, *sorted(found - {SOURCE_LANGUAGE}))


@cache
def load(language: str, folder: Path = LOCALE_FOLDER) -> Catalogue:
    """Read the catalogue of a language.

    Raises
    ------
    UsageError
        There is no catalogue for the language.
    OutputError
        The catalogue is damaged.
    """
    path = catalogue_file(language, folder)
    if not path.is_file():
        if language in (SOURCE_LANGUAGE, PSEUDO_LANGUAGE):
            return Catalogue(language, {}, lambda n: int(n != 1))
        raise UsageError(f"no texts for language {language!r}; available: {', '.join(languages(folder))}")
    try:
        with path.open("rb") as file:
            catalog = read_po(file, locale=language, abort_invalid=True)
        messages = dict(_translated(catalog))
        form = c2py(catalog.plural_expr)
    except (PoFileError, ValueError) as error:
        raise OutputError(f"message catalogue {path} is damaged: {error}") from error
    category = Locale.parse(language).plural_form
    return Catalogue(language, messages, lambda n: form(_whole(n, category)))


def _whole(count: float, category: Callable[[float], str]) -> int:
    """A whole number with the plural form of ``count``: rules of catalogues know whole numbers only.

    A fraction takes the form CLDR gives it: 1.5 is a plural in English and a singular in French.
    """
    if float(count).is_integer():
        return int(count)
    return next((n for n in (0, 1, 2, 5) if category(n) == category(abs(count))), 2)


def _translated(catalog: Catalog) -> list[tuple[str, tuple[str, ...]]]:
    """Finished translations only: empty and fuzzy ones fall back to English."""
    found = []
    for message in catalog:
        given = message.string if isinstance(message.string, tuple | list) else (message.string,)
        forms = tuple(form for form in given if form)
        key = message.id[0] if isinstance(message.id, tuple | list) else message.id
        if not key or message.fuzzy or len(forms) < len(given):
            continue
        foreign = set(_PLACEHOLDER.findall(" ".join(forms))) - set(_PLACEHOLDER.findall(key)) - {"{n}"}
        if foreign:
            raise ValueError(f"the translation of {key!r} has {', '.join(sorted(foreign))}, which the English has not")
        found.append((key, forms))
    return found
