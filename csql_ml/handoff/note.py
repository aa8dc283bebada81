"""What a push notes and finds: English sentences that keep their parts, so that a page can translate them.

Sentences that stand in a call of `Note` in this folder are collected with the texts of the reports for translation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Self

#: The newer run stands: nothing of this kind is touched.
OLDER = {
    "lead": "run {run} is as of {as_of}; a run as of {newest} was handed over before: no lead is changed",
    "score": "run {run} is as of {as_of}; a run as of {newest} was handed over before: no score is changed",
}
UNOWNED = "{count} leads have no account executive: name some under delivery.routing"
HELD_OUT = "experiment {experiment} holds out {count} leads of this run until {until}"
HELD_OUT_KNOWN = HELD_OUT + "; {known} of them were handed over before and stay as they are"


class Note(str):  # noqa: SLOT000 - str takes no slots; a push has a handful of notes
    """A sentence with the template and the values it is made of.

    Dates among the values are ISO texts. A value may be a note itself, or a tuple, which is written with commas.

    >>> note = Note("{count} leads wait", count=3)
    >>> note, note.message, note.values
    ('3 leads wait', '{count} leads wait', {'count': 3})
    """

    message: str
    values: dict[str, Any]

    def __new__(cls, message: str, **values: Any) -> Self:
        shown = {n: ", ".join(v) if isinstance(v, tuple) else v for n, v in values.items()}
        note = super().__new__(cls, message.format(**shown))
        note.message, note.values = message, values
        return note

    def parts(self) -> dict[str, Any]:
        """Template and values as plain JSON-able data."""
        return {"message": self.message, "values": {name: _plain(value) for name, value in self.values.items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.parts() if isinstance(value, Note) else value


def either(names: Sequence[str]) -> str:
    """One or another.

    >>> either(["date", "text"])
    'date or text'
    """
    return reduce(lambda one, other: Note("{one} or {other}", one=one, other=other), names)
