"""Who an account is compared with: quartiles of its segment, and accounts that got where it is not yet.

Both are frozen with the champion, from the snapshots it was trained on: small, the same for every part of a run and on
every engine, and without a name or an identifier in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

#: The column that says which segment an account belongs to.
SEGMENT = "segment"
#: With fewer known values in a segment there are no quartiles to speak of.
FEWEST = 20
#: Exemplars kept at most, and the number below which outcomes are too few to look through.
MOST_EXEMPLARS, FEWEST_EXEMPLARS = 200, 5

Kind = Literal["expanded", "above_threshold"]


@dataclass(frozen=True, eq=False)
class Peers:
    """Quartiles of metrics per segment.

    Attributes
    ----------
    as_of
        The day they were taken.
    segments
        Per segment the number of its accounts.
    quartiles
        Per segment and metric: lower quartile, median, upper quartile; each the value of a real account.
    """

    as_of: date
    segments: Mapping[str, int]
    quartiles: Mapping[str, Mapping[str, tuple[float, float, float]]]

    def standing(self, segment: Any, metric: str, value: Any) -> dict[str, Any] | None:
        """Where a value stands among the accounts of its segment; None where that cannot be said.

        Returns
        -------
        dict or None
            ``segment, quartile, low, median, high, accounts, as_of``. Quartile 4: above the upper quartile; 3: above
            the median; 2: not above the median; 1: not above the lower quartile, which lies below the median. None
            where the quartiles are one and the same value.
        """
        cuts = self.quartiles.get(segment, {}).get(metric) if isinstance(segment, str) else None
        if cuts is None or value is None or not np.isfinite(value) or cuts[0] == cuts[2]:
            return None
        low, median, high = cuts
        quartile = 4 if value > high else 3 if value > median else 1 if value <= low < median else 2
        found = {"segment": segment, "quartile": quartile, "low": low, "median": median, "high": high}
        return {**found, "accounts": self.segments[segment], "as_of": self.as_of.isoformat()}

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON, which `from_plain` reads."""
        quartiles = {s: {m: list(c) for m, c in of.items()} for s, of in self.quartiles.items()}
        return {"as_of": self.as_of.isoformat(), "segments": dict(self.segments), "quartiles": quartiles}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Peers:
        """Read what `to_plain` gave."""
        quartiles = {
            str(s): {str(m): (float(a), float(b), float(c)) for m, (a, b, c) in of.items()}
            for s, of in plain["quartiles"].items()
        }
        segments = {str(s): int(n) for s, n in plain["segments"].items()}
        return cls(date.fromisoformat(plain["as_of"]), segments, quartiles)


def peers_of(frame: pd.DataFrame, metrics: Sequence[str]) -> Peers | None:
    """Quartiles per segment over one snapshot; None where it has no segments.

    Parameters
    ----------
    frame
        One row per account: ``as_of``, `SEGMENT` and the columns named like metrics.
    """
    if SEGMENT not in frame.columns or pd.api.types.is_numeric_dtype(frame[SEGMENT].dtype):
        return None
    numeric = [m for m in metrics if m in frame.columns and pd.api.types.is_numeric_dtype(frame[m].dtype)]
    segments, quartiles = {}, {}
    for segment, rows in frame.groupby(frame[SEGMENT].astype(object), sort=True):
        found = {m: _cuts(rows[m].to_numpy(dtype=np.float64, na_value=np.nan)) for m in numeric}
        segments[str(segment)] = len(rows)
        quartiles[str(segment)] = {m: cuts for m, cuts in found.items() if cuts is not None}
    return Peers(max(frame["as_of"]), segments, quartiles) if segments else None


def _cuts(values: FloatArray) -> tuple[float, float, float] | None:
    known = values[np.isfinite(values)]
    if len(known) < FEWEST:
        return None
    low, median, high = np.quantile(known, (0.25, 0.5, 0.75), method="inverted_cdf")
    return float(low), float(median), float(high)


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Accounts that got where others are not yet.

    Attributes
    ----------
    kind
        ``expanded``: they expanded, and the champion's score was above its threshold before they did;
        ``above_threshold``: there are no such outcomes yet, their score is above the threshold.
    as_of
        The day of the newest snapshot they were taken from.
    accounts
        How many such accounts there were; at most `MOST_EXEMPLARS` of them are kept.
    rows
        (E, columns) their values as the champion reads them, missing as NaN.
    """

    kind: Kind
    as_of: date
    accounts: int
    rows: FloatArray

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON, which `from_plain` reads."""
        day = self.as_of.isoformat()
        return {"kind": self.kind, "as_of": day, "accounts": self.accounts, "rows": self.rows}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Exemplars:
        """Read what `to_plain` gave; ValueError where there are no rows."""
        rows = np.array(plain["rows"], dtype=float)
        if rows.ndim != 2 or not len(rows) or plain["kind"] not in ("expanded", "above_threshold"):
            raise ValueError("exemplars are rows of accounts of a known kind")
        return cls(plain["kind"], date.fromisoformat(plain["as_of"]), int(plain["accounts"]), rows)


def exemplars_of(
    frame: pd.DataFrame, matrix: FloatArray, expanded: npt.NDArray[np.bool_], over: npt.NDArray[np.bool_], seed: int
) -> Exemplars | None:
    """Choose exemplars among training rows; None where there are none.

    Parameters
    ----------
    frame
        ``account_id`` and ``as_of`` of each row.
    matrix
        (n, columns) the rows as the champion reads them.
    expanded, over
        (n,) whether the row's outcome is an expansion, and whether its score is above the champion's threshold.
    seed
        Of the draw, where there are more than `MOST_EXEMPLARS`.
    """
    both = _newest(frame, expanded & over)
    kind: Kind = "expanded" if len(both) >= FEWEST_EXEMPLARS else "above_threshold"
    chosen = both if kind == "expanded" else _newest(frame, over & (frame["as_of"] == max(frame["as_of"])).to_numpy())
    if not len(chosen):
        return None
    drawn = chosen
    if len(chosen) > MOST_EXEMPLARS:
        rng = np.random.default_rng([seed, 1])
        drawn = np.sort(rng.choice(chosen, size=MOST_EXEMPLARS, replace=False))
    return Exemplars(kind, max(frame["as_of"].iloc[chosen]), len(chosen), matrix[drawn])


def _newest(frame: pd.DataFrame, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Places of the chosen rows, each account once, with its newest one."""
    places = np.flatnonzero(chosen)
    rows = frame.iloc[places][["account_id", "as_of"]].assign(place=places)
    last = rows.sort_values(["as_of", "place"], kind="stable").drop_duplicates("account_id", keep="last")
    return np.sort(last["place"].to_numpy(dtype=np.intp))
