from __future__ import annotations

from typing import Any

from csql_ml.reports.build_gaps import gap_note, gaps
from tests.reports.test_build_why import SITE

MISSING: dict[str, Any] = {
    "missing": [
        {"metric": "seat_saturation", "value": 0.62, "threshold": 0.8, "unit": "ratio"},
        {"metric": "new_sponsor", "value": 0, "threshold": 1, "unit": "flag"},
        {"metric": "days_to_renewal", "value": 289, "threshold": 182, "unit": "days"},
        {"metric": "upgrade_attempts", "value": None, "threshold": 1, "unit": "count"},
        # Reached: not missing.
        {"metric": "streak", "value": 3, "threshold": 2, "unit": "months"},
        {"metric": "tickets", "value": 0, "threshold": 1, "unit": "count"},
    ]
}


def test_each_gap_shows_where_it_stands_and_where_it_would_have_to() -> None:
    shown = [(gap["label"], gap["value"], gap["threshold"], gap["bar"] is not None) for gap in gaps(MISSING, SITE)]
    assert shown == [
        ("Seat saturation", "62%", "80%", True),
        ("New sponsor", "no", None, False),
        ("Days to renewal", "289 days", "182 days", False),
        ("Upgrade attempts", None, "1", False),
    ]


def test_the_note_is_one_line() -> None:
    note = gap_note(MISSING, SITE)
    assert note == "Signals not reached: Seat saturation 62%, New sponsor, Days to renewal, Upgrade attempts"
    assert gap_note({"missing": []}, SITE) == ""
