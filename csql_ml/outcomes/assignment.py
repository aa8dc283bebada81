"""Who is worked and who is held out: by hash, the same every time, balanced over sizes."""

from __future__ import annotations

import hashlib
from math import floor

import numpy as np
import pandas as pd

#: Units per stratum at least; with fewer, blocking takes more than it gives.
_PER_STRATUM = 10
_MOST_STRATA = 5


def strata(size: pd.Series) -> pd.Series:
    """Groups of units of like size, 0 = smallest; ties go by position.

    Outcomes of money follow an account's size, so arms of like sizes differ less by chance.
    """
    count = int(np.clip(len(size) // _PER_STRATUM, 1, _MOST_STRATA))
    order = size.rank(method="first").to_numpy() - 1
    return pd.Series(np.floor(order * count / max(len(size), 1)).astype(int), index=size.index)


def draw(unit: str, experiment: str) -> str:
    """The lot of a unit: a hash that nobody can choose, and another one in the next experiment."""
    return hashlib.sha256(f"{experiment}\x1f{unit}".encode()).hexdigest()


def held_out(units: pd.DataFrame, experiment: str, share: float) -> pd.Series:
    """Whether each unit is held out.

    Within each stratum units go by their lot, and every ``1 / share``-th is held out, counted on from stratum to
    stratum: shares are met within one unit, in each stratum and in all.

    Parameters
    ----------
    units
        ``unit`` (unique text) and ``stratum``.
    """
    lots = units.assign(lot=[draw(str(u), experiment) for u in units["unit"]])
    order = lots.sort_values(["stratum", "lot"], kind="stable").index
    places = np.arange(len(units))
    chosen = [floor((i + 1) * share + 1e-9) > floor(i * share + 1e-9) for i in places]
    return pd.Series(chosen, index=order, dtype=bool).reindex(units.index)
