"""Whether a contender's aggregates and the toolkit's metrics say the same: counts exactly, ratios to 1e-9.

Ratios are made here from the contender's counts (seats are taken from the toolkit, no contender computes them). What
the toolkit calls missing because the window begins before the first event must be missing.

python equality.py JOB TOOLKIT.parquet CONTENDER.parquet FIRST_DAY OUT.json
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from job import column

NOW, LONG, BEFORE = (0, 30), (0, 90), (30, 60)
#: Toolkit's column -> measure, window.
COUNTS = {
    "seat_saturation.active_users": ("active_users", NOW),
    "seat_saturation.active_users_previous": ("active_users", BEFORE),
    "feature_adoption.core_events": ("core_events", NOW),
    "feature_adoption.core_events_previous": ("core_events", BEFORE),
    "workflow_completion_rate.workflow_starts": ("workflow_starts", NOW),
    "workflow_completion_rate.workflow_completions": ("workflow_completions", NOW),
    "usage_growth.usage": ("usage", NOW),
    "usage_growth.usage_previous": ("usage", BEFORE),
    "gated_feature_clicks": ("gated_clicks", NOW),
    "gated_feature_clicks_90d": ("gated_clicks", LONG),
    "gated_feature_clicks_previous": ("gated_clicks", BEFORE),
    "upgrade_attempts": ("upgrade_attempts", LONG),
    "upgrade_attempts_30d": ("upgrade_attempts", NOW),
    "upgrade_attempts_previous": ("upgrade_attempts", (90, 180)),
    "active_days": ("active_days", NOW),
    "active_days_90d": ("active_days", LONG),
    "active_days_previous": ("active_days", BEFORE),
    **{f"trend.active_users.{i}": ("active_users", (150 - 30 * i, 180 - 30 * i)) for i in range(6)},
    **{f"trend.usage.{i}": ("usage", (150 - 30 * i, 180 - 30 * i)) for i in range(6)},
}
#: Toolkit's column -> the two measures it is the ratio of, window.
RATIOS = {
    "seat_saturation": ("active_users", "seats", NOW),
    "seat_saturation_90d": ("active_users", "seats", LONG),
    "seat_saturation_previous": ("active_users", "seats", BEFORE),
    "workflow_completion_rate": ("workflow_completions", "workflow_starts", NOW),
    "workflow_completion_rate_90d": ("workflow_completions", "workflow_starts", LONG),
    "workflow_completion_rate_previous": ("workflow_completions", "workflow_starts", BEFORE),
    "usage_per_seat": ("usage", "seats", NOW),
}
GROWTH = {"usage_growth": (NOW, BEFORE), "usage_growth_90d": (LONG, (90, 180))}
ADOPTION = {"feature_adoption": NOW, "feature_adoption_90d": LONG, "feature_adoption_previous": BEFORE}
ENGAGEMENT = {"engagement_score": NOW, "engagement_score_90d": LONG, "engagement_score_previous": BEFORE}


class Expected:
    """The toolkit's columns as they follow from a contender's counts."""

    def __init__(
        self, toolkit: pd.DataFrame, counts: pd.DataFrame, first_day: date, settings: dict[str, float]
    ) -> None:
        keys = toolkit[["account_id", "as_of"]]
        self._counts = keys.merge(counts, on=["account_id", "as_of"], how="left", validate="one_to_one").fillna(0)
        self._history = np.array([(day - first_day).days for day in toolkit["as_of"]])
        seats, before = "seat_saturation.licensed_seats", "seat_saturation.licensed_seats_previous"
        self._seats = {window: toolkit[seats].to_numpy("float64") for window in (NOW, LONG)}
        self._seats[BEFORE] = toolkit[before].to_numpy("float64")
        self._settings = settings

    def count(self, measure: str, window: tuple[int, int]) -> np.ndarray:
        """A count; missing where the window begins before the first event."""
        if measure == "seats":
            return self._seats[window]
        values = self._counts[column(measure, *window)].to_numpy("float64")
        return np.where(window[1] <= self._history, values, np.nan)

    def ratio(self, part: str, whole: str, window: tuple[int, int]) -> np.ndarray:
        """``part / whole``; missing where the whole is 0."""
        return _divide(self.count(part, window), self.count(whole, window))

    def growth(self, now: tuple[int, int], before: tuple[int, int]) -> np.ndarray:
        """Usage against usage before."""
        return _divide(self.count("usage", now), self.count("usage", before)) - 1.0

    def adoption(self, window: tuple[int, int]) -> np.ndarray:
        """Core features used / core features."""
        return self.count("core_features", window) / self._settings["core_features"]

    def engagement(self, window: tuple[int, int]) -> np.ndarray:
        """The engagement score: weighted mix of breadth, depth and frequency, 0 to 100."""
        users, days = self.count("active_users", window), self.count("user_days", window)
        seats, features = np.clip(self.ratio("active_users", "seats", window), 0, 1), self.adoption(window)
        breadth = np.where(np.isnan(seats), features, np.where(np.isnan(features), seats, (seats + features) / 2))
        depth = np.clip(_divide(self.count("core_events", window), days) / self._settings["full_depth"], 0, 1)
        per_user = _divide(days, users) * 30 / (window[1] - window[0])
        frequency = np.clip(per_user / self._settings["full_frequency"], 0, 1)
        depth, frequency = (np.where(users == 0, 0.0, part) for part in (depth, frequency))
        return _weighted([breadth, depth, frequency], [self._settings[f] for f in ("breadth", "depth", "frequency")])


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole == 0, np.nan, part / whole)


def _weighted(parts: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """Weighted mean of the parts that are there, times 100."""
    there = sum(w * ~np.isnan(p) for p, w in zip(parts, weights, strict=True))
    points = sum(w * np.nan_to_num(p) for p, w in zip(parts, weights, strict=True))
    return _divide(100.0 * points, np.asarray(there, dtype="float64"))


def expected_columns(expected: Expected) -> dict[str, tuple[np.ndarray, float]]:
    """Every compared column with the tolerance it is compared with (0: exactly)."""
    columns = {name: (expected.count(*what), 0.0) for name, what in COUNTS.items()}
    columns |= {name: (expected.ratio(*what), 1e-9) for name, what in RATIOS.items()}
    columns |= {name: (expected.growth(*what), 1e-9) for name, what in GROWTH.items()}
    columns |= {name: (expected.adoption(what), 1e-9) for name, what in ADOPTION.items()}
    return columns | {name: (expected.engagement(what), 1e-9) for name, what in ENGAGEMENT.items()}


def differing(
    toolkit: pd.DataFrame, counts: pd.DataFrame, first_day: date, settings: dict[str, float]
) -> dict[str, int]:
    """Number of differing rows per column, only of columns that differ."""
    expected = Expected(toolkit, counts, first_day, settings)
    found = {}
    for name, (values, tolerance) in expected_columns(expected).items():
        theirs = toolkit[name].to_numpy("float64")
        same = (theirs == values) | (np.isnan(theirs) & np.isnan(values))
        if tolerance:
            same |= np.abs(theirs - values) <= tolerance * np.maximum(1.0, np.abs(values))
        if not same.all():
            found[name] = int((~same).sum())
    return found


def main() -> None:
    """Compare two results and write what differs."""
    job, toolkit, counts, first_day, out = sys.argv[1:6]
    given = json.loads(Path(job).read_text(encoding="utf-8"))
    ours, theirs = pd.read_parquet(toolkit), pd.read_parquet(counts)
    for frame in (ours, theirs):
        frame["as_of"] = pd.to_datetime(frame["as_of"]).dt.date
    different = differing(ours, theirs, date.fromisoformat(first_day), given["engagement"])
    values = len(ours) * (len(COUNTS) + len(RATIOS) + len(GROWTH) + len(ADOPTION) + len(ENGAGEMENT))
    Path(out).write_text(json.dumps({"values": values, "different": different}), encoding="utf-8")


if __name__ == "__main__":
    main()
