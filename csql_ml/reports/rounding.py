"""Rounding so that the parts shown add up to the sum shown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def largest_remainder(parts: Sequence[float], total: int) -> list[int]:
    """Whole numbers that add up to ``total``, each within one of its part.

    Parameters
    ----------
    parts
        What is to be rounded; its sum must lie less than one away from ``total``.
    total
        The sum the whole numbers must have.

    Notes
    -----
    Hare-Niemeyer: round everything down, then give the units left to the largest remainders (to the earlier part on a
    tie).
    """
    floors = [math.floor(p) for p in parts]
    left = total - sum(floors)
    order = sorted(range(len(floors)), key=lambda i: (floors[i] - parts[i], i))
    for i in order[:left]:
        floors[i] += 1
    return floors
