"""However events arrive, and whatever is corrected or withdrawn later: the kept rollup is that of a full rebuild."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.activity.event_files import EventCompany, assert_same, day_files

#: Around the last Sunday of March, when clocks go forward in Berlin; and times that are none.
TIMES = [
    *(f"2025-03-{day} {clock}" for day in (29, 30, 31) for clock in ("12:00", "22:30", "23:30:00.5")),
    "2025-03-30T01:00:00+02:00",
]
NO_TIMES = ["", "yesterday", "1950-01-01"]
event = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["a1", "a1", "a2", " a1", "stranger", ""]),
        "user_id": st.sampled_from(["", "u1", "u2"]),
        "occurred_at": st.sampled_from(TIMES * 2 + NO_TIMES),
        "event_name": st.sampled_from(["used", "used", "share", "gated_click", ""]),
        "event_id": st.sampled_from(["", "e1", "e2", " e2 ", "e3", "e4"]),
        "feature": st.sampled_from(["", "boards", "reports", "api", "bots"]),
        "quantity": st.sampled_from(["", "", "1", "0.000001", "999999999999", "-1", "x"]),
        "recorded_at": st.sampled_from(["", "", "2025-03-31", "2025-04-02 10:00", "2025-01-01", "soon"]),
    }
)
#: What happens before an update: files are written, written again, touched or removed.
step = st.dictionaries(
    st.sampled_from(["f1", "f2", "f3"]), st.lists(event, max_size=6) | st.sampled_from(["remove", "touch"]), min_size=1
)
first = st.lists(event, min_size=1, max_size=6)


def _happen(company: EventCompany, change: dict[str, Any]) -> None:
    for name, what in change.items():
        exists = (company.folder / "events" / f"{name}.csv").exists()
        if isinstance(what, list):
            company.write(name, what)
        elif what == "remove":
            company.remove(name)
        elif exists:
            company.touch(name)


def _check(given: list[dict[str, str]], changes: list[dict[str, Any]], most_events: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        company = EventCompany(Path(folder) / "kept")
        company.write("f0", given)
        with company.inputs() as (warehouse, inputs):
            kept = company.update_in(warehouse, inputs, most_events)
            for change in changes:
                _happen(company, change)
                kept = company.update_in(warehouse, inputs, most_events)
        assert_same(kept, company.at_once())
        fresh = EventCompany(Path(folder) / "fresh")
        for file in (company.folder / "events").glob("*.csv"):
            (fresh.folder / "events" / file.name).write_bytes(file.read_bytes())
        assert day_files(kept.manifest) == day_files(fresh.update().manifest)


@settings(max_examples=6)
@given(given=first, changes=st.lists(step, min_size=1, max_size=3), most_events=st.sampled_from([1, 3, 1_000_000]))
def test_a_kept_rollup_equals_a_full_rebuild(
    given: list[dict[str, str]], changes: list[dict[str, Any]], most_events: int
) -> None:
    _check(given, changes, most_events)


@pytest.mark.slow
@settings(max_examples=60)
@given(given=first, changes=st.lists(step, min_size=1, max_size=5), most_events=st.sampled_from([1, 3, 1_000_000]))
def test_many_kept_rollups_equal_full_rebuilds(
    given: list[dict[str, str]], changes: list[dict[str, Any]], most_events: int
) -> None:
    _check(given, changes, most_events)
