"""Single values of frames of many columns, account by account."""

from __future__ import annotations

from typing import Any

import pandas as pd


class Cells:
    """A frame's values by column and row; a column is taken out once.

    `pandas.Series.iat` of a column looks that column up again for every value: with hundreds of columns that is nearly
    all of the time that the records of a run take.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._columns: dict[str, list[Any]] = {}
        self._names = frozenset(frame.columns)

    def __contains__(self, column: str) -> bool:
        return column in self._names

    def at(self, column: str, row: int) -> Any:
        """The value in a column of the row at that position, from 0."""
        if column not in self._columns:
            self._columns[column] = self._frame[column].tolist()
        return self._columns[column][row]
