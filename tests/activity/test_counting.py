"""The rollup's sums by sorting numbers: per user as a query would add them up, per account as the users' rows do."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.activity.counting import Events, Kinds, People, roll_up
from csql_ml.activity.summaries import account_days

PEOPLE = People(pa.array(["a1", "a1", "a1", "a2", "a2"]), pa.array(["u1", "u2", None, "u1", None]))
#: What four kinds of events count for.
CORE, OWN = np.array([True, False, True, False]), np.array([False, True, True, False])
KINDS = Kinds({"core_events": CORE, "own_runs": OWN}, {"core_mask": np.array([1, 0, 4, 0])})
COLUMNS = (
    *("account_id", "user_id", "day", "known_day", "events", "usage", "core_events", "core_mask"),
    *("own_runs", "own_runs_quantity", "user_day", "account_day"),
)
FIRST = date(2025, 1, 30)
#: Millionths; with the last one sums do not fit into 64 bits.
quantities = st.sampled_from([1_000_000, 0, 1, 2_500_000, 10**18 - 1])
#: An event's day, how many days later it became known, whose it is, its kind, how much.
events = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, 9]), st.integers(0, 4), st.integers(0, 3), quantities),
    min_size=1,
    max_size=40,
)
Made = list[tuple[int, int, int, int, int]]


def _events(made: Made, *, with_quantity: bool) -> Events:
    day, lag, place, kind = (np.array([one[i] for one in made], np.int32) for i in range(4))
    day += (FIRST - date(1970, 1, 1)).days
    return Events(day, day + lag, place, kind, np.array([one[4] for one in made]) if with_quantity else None)


@settings(max_examples=100)
@given(made=events, with_quantity=st.booleans())
def test_accounts_are_their_users_added_up(made: Made, with_quantity: bool) -> None:
    for _, rows, by_account in roll_up(_events(made, with_quantity=with_quantity), PEOPLE, KINDS, COLUMNS):
        assert by_account.equals(account_days(rows))


@settings(max_examples=100)
@given(made=events, with_quantity=st.booleans())
def test_a_row_holds_what_happened(made: Made, with_quantity: bool) -> None:
    found = {}
    for day, rows, _ in roll_up(_events(made, with_quantity=with_quantity), PEOPLE, KINDS, COLUMNS):
        for row in rows.to_pylist():
            assert row["day"] == day
            key = (row["account_id"], row["user_id"], day, row["known_day"])
            found[key] = tuple(row[name] for name in COLUMNS[4:10])
    assert found == _by_hand(made, with_quantity=with_quantity)


def _by_hand(made: Made, *, with_quantity: bool) -> dict[tuple[object, ...], tuple[object, ...]]:
    rows: dict[tuple[object, ...], Made] = {}
    for one in made:
        day = FIRST + timedelta(days=one[0])
        person = (PEOPLE.accounts[one[2]].as_py(), PEOPLE.users[one[2]].as_py())
        rows.setdefault((*person, day, day + timedelta(days=one[1])), []).append(one)
    expected = {}
    for key, of_row in rows.items():
        amounts = [(one[3], Decimal(one[4] if with_quantity else 1_000_000).scaleb(-6)) for one in of_row]
        usage, own = (sum((a for kind, a in amounts if counts[kind]), Decimal(0)) for counts in ([True] * 4, OWN))
        core = sum(bool(CORE[kind]) for kind, _ in amounts)
        mask = 1 * any(kind == 0 for kind, _ in amounts) | 4 * any(kind == 2 for kind, _ in amounts)
        runs = sum(bool(OWN[kind]) for kind, _ in amounts)
        expected[key] = (len(of_row), usage, core, mask, runs, own)
    return expected


def test_too_many_people_for_64_bits_are_refused() -> None:
    wide = Events(*(np.array([0, 1 << 30], np.int32) for _ in range(4)), None)
    with pytest.raises(OverflowError, match="too many days, people and kinds"):
        next(roll_up(wide, PEOPLE, KINDS, COLUMNS))
