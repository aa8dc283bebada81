"""Where things are in a list, by the 64-bit hashes that events name them by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from csql_ml.errors import SourceError

Hashes = npt.NDArray[np.uint64]


class SameHashError(Exception):
    """Two people or two kinds have the same hash; another salt tells them apart."""


class Places:
    """Finds positions.

    A table says where the hashes begin that have the same upper bits. There are four times as many of these as hashes,
    so that few others lie between. This takes a tenth of the time of a binary search (measured with a million hashes).

    Parameters
    ----------
    hashes
        In any order.
    places
        The position of each; -1 for what breaks a rule.

    Raises
    ------
    SameHashError
        Two hashes are the same.
    """

    def __init__(self, hashes: Hashes, places: npt.NDArray[np.int64]) -> None:
        order = np.argsort(hashes)
        self._hashes, self._places = hashes[order], places[order].astype(np.int32)
        if (self._hashes[1:] == self._hashes[:-1]).any():
            raise SameHashError
        bits = len(hashes).bit_length() + 2
        self._shift = np.uint64(64 - bits)
        counts = np.bincount((self._hashes >> self._shift).astype(np.int64), minlength=1 << bits)
        self._starts = (np.cumsum(counts) - counts).astype(np.int32)

    @property
    def broken(self) -> Hashes:
        """The hashes of what breaks a rule, sorted."""
        return self._hashes[self._places < 0]

    def of(self, hashes: Hashes) -> npt.NDArray[np.int32]:
        """The positions of hashes, in any order and however often.

        Raises
        ------
        SourceError
            One is not known: the events are others than before.
        """
        at = self._starts[hashes >> self._shift]
        last = len(self._hashes) - 1
        wrong = np.flatnonzero(self._hashes[np.minimum(at, last)] != hashes) if last >= 0 else np.arange(len(hashes))
        while len(wrong):
            if last < 0 or (at[wrong] >= last).any() or (self._hashes[at[wrong]] > hashes[wrong]).any():
                raise SourceError("events changed while they were read; run the command again when they are complete")
            at[wrong] += 1
            wrong = wrong[self._hashes[at[wrong]] != hashes[wrong]]
        found: npt.NDArray[np.int32] = self._places[at]
        return found
