"""Whatever bad rows stand beside the good ones: they are counted, and no number changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from csql_ml.company import open_company
from csql_ml.contract.tables import TABLES
from tests.fuzz.bad_rows import bad_rows, good_value
from tests.small_company import ACCOUNTS, CONTRACTS, FIRST_EVENT, rows, settings_for, write_tables
from tests.tally import Tally

AS_OF = date(2025, 12, 1)
Tables = dict[str, list[dict[str, str]]]


def sound() -> Tables:
    """A company with a row in each table."""
    tables: Tables = {name: [] for name in TABLES}
    for name, table in TABLES.items():
        tables[name] = [{c.name: good_value(c, 99) for c in table.columns if c.name != "recorded_at"}]
    tables["accounts"], tables["contracts"] = rows(ACCOUNTS), rows(CONTRACTS)
    tables["events"] = [*rows(FIRST_EVENT), *({**tables["events"][0], "user_id": f"u{n}"} for n in range(3))]
    tables["events"] = [{**row, "event_id": f"e{n}"} for n, row in enumerate(tables["events"])]
    tables["coverage"][0] |= {"account_id": "", "csm_id": "c1", "end_date": "2025-12-31"}
    for name, row in (
        ("tickets", {"closed_at": ""}),
        ("users", {"deactivated_at": ""}),
        ("csqls", {"rejected_at": ""}),
    ):
        tables[name][0] |= row
    return tables


def seen(tables: Tables) -> tuple[dict[str, pd.DataFrame], dict[str, tuple[int, int, int]]]:
    """What a snapshot knows, and per table the rows read, kept and quarantined."""
    with TemporaryDirectory() as folder:
        write_tables(Path(folder), tables)
        with open_company(settings_for(Path(folder), list(tables))) as company:
            (snapshot,) = company.snapshots([AS_OF])
            frames = {name: getattr(snapshot, name) for name in ("features", "facts", "accounts", "contacts")}
            counts = {r.name: (r.read, r.kept, r.quarantined) for r in company.inputs.reports}
    return frames, counts


@pytest.fixture(scope="module")
def without() -> Any:
    found = seen(sound())
    assert len(found[0]["features"]) == 2
    assert all(counts[2] == 0 for counts in found[1].values()), found[1]
    return found


def check(bad: Tables, without: Any, tally: Tally) -> None:
    tally.begin(sum(map(len, bad.values())))
    tables = sound()
    frames, counts = seen({name: [*table, *bad.get(name, [])] for name, table in tables.items()})
    for name, frame in without[0].items():
        pd.testing.assert_frame_equal(frames[name], frame)
    for name, (read, kept, quarantined) in counts.items():
        more = len(bad.get(name, []))
        assert (read, kept, quarantined) == (without[1][name][0] + more, without[1][name][1], more), (name, bad)
    tally.survived(sum(map(len, bad.values())))


def test_bad_rows_are_counted_and_change_no_number(without: Any, tally: Tally) -> None:
    tally.of("input", "bad rows in all twelve tables beside good ones; every metric as without them")

    @settings(max_examples=1)
    @given(bad_rows())
    def some(bad: Tables) -> None:
        check(bad, without, tally)

    some()


@pytest.mark.slow
def test_many_bad_rows_change_no_number(without: Any, tally: Tally) -> None:
    tally.of("input", "bad rows in all twelve tables beside good ones, 60 companies")

    @settings(max_examples=60)
    @given(bad_rows())
    def some(bad: Tables) -> None:
        check(bad, without, tally)

    some()
