"""Notes of a push: English sentences that keep their parts, so that a page can say them in another language."""

from __future__ import annotations

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
    """A sentence with the template and the values it is made of; dates among the values are ISO texts.

    >>> note = Note("{count} leads wait", count=3)
    >>> note, note.message, note.values
    ('3 leads wait', '{count} leads wait', {'count': 3})
    """

    message: str
    values: dict[str, Any]

    def __new__(cls, message: str, **values: Any) -> Self:
        note = super().__new__(cls, message.format(**values))
        note.message, note.values = message, values
        return note
