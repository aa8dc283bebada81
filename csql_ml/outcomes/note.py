"""A sentence that can be said again in another language."""

from __future__ import annotations

from collections.abc import Mapping


class Note(str):
    """An English sentence that remembers what it was made of.

    Attributes
    ----------
    message
        The sentence with its ``{names}`` open.
    values
        What stands there: counts and texts.
    """

    __slots__ = ("message", "values")
    message: str
    values: Mapping[str, int | str]

    def __new__(cls, message: str, **values: int | str) -> Note:
        made = super().__new__(
            cls, message.format(**{k: f"{v:,}" if isinstance(v, int) else v for k, v in values.items()})
        )
        made.message, made.values = message, values
        return made
