"""What stands for events while they are rolled up: days of instants, keys of ids, sums of sorted numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.activity.day_groups import chapters, day_groups, runs
from csql_ml.activity.event_keys import KeySpool, pairs_of_days, read_keys, shared, write_keys
from csql_ml.activity.event_rows import salted_hash
from csql_ml.activity.places import Places, SameHashError
from csql_ml.activity.zone_clock import Instants, ZoneClock
from csql_ml.errors import SourceError
from tests.activity.event_files import EventCompany, assert_same

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Clocks that change at midnight, by half an hour, to the other side of the date line, or not at all.
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
instants = st.integers(0, 100 * 365 * 86_400).map(lambda seconds: seconds * 1_000_000 + 999_999)


@settings(max_examples=30)
@given(zone=st.sampled_from(ZONES), times=st.lists(instants, min_size=1, max_size=20))
def test_days_are_those_of_the_calendar(zone: str, times: list[int]) -> None:
    def local(asked: Instants) -> Instants:
        clocks = [(EPOCH + timedelta(microseconds=int(t))).astimezone(ZoneInfo(zone)) for t in asked]
        return np.array(
            [int(t) + int(c.utcoffset().total_seconds()) * 1_000_000 for t, c in zip(asked, clocks, strict=True)]
        )

    found = ZoneClock(zone, local).days(np.array(times))
    expected = [(EPOCH + timedelta(microseconds=t)).astimezone(ZoneInfo(zone)).date() for t in times]
    assert [date(1970, 1, 1) + timedelta(days=int(day)) for day in found] == expected


#: Full keys by day: the upper part is the key; where the lower one is 0, no more is known of it.
keys_by_day = st.dictionaries(
    st.integers(0, 4).map(lambda n: date(2025, 1, 1) + timedelta(days=n)),
    st.lists(st.builds(lambda key, rest: key << 42 | rest, st.integers(1, 12), st.sampled_from([0, 1, 2])), max_size=8),
    min_size=2,
)


def _in_common(one: list[int], other: list[int]) -> bool:
    return any(a >> 17 == b >> 17 and (a == b or a % (1 << 17) == 0 or b % (1 << 17) == 0) for a in one for b in other)


@settings(max_examples=100)
@given(
    days=keys_by_day,
    own=st.sets(st.integers(0, 4)),
    in_memory=st.sampled_from([2, 100]),
    most=st.sampled_from([1, 100]),
)
def test_days_with_a_key_in_common_are_found(
    days: dict[date, list[int]], own: set[int], in_memory: int, most: int
) -> None:
    spool = KeySpool(in_memory)
    for day, keys in days.items():
        spool.add(day, np.array(keys, np.uint64))
    mine = [day for day in days if (day - date(2025, 1, 1)).days in own]
    found = pairs_of_days(shared(mine, [day for day in days if day not in mine], spool.load, most))
    spool.close()
    both = [(a, b) for a in days for b in days if a < b]
    short = {day: [key >> 17 << 17 for key in keys] for day, keys in days.items()}
    assert {(a, b) for a, b in both if (a in mine or b in mine) and _in_common(days[a], days[b])} <= found
    assert found <= {(a, b) for a, b in both if _in_common(short[a], short[b])}


def test_days_whose_keys_only_seem_to_be_the_same_have_none_in_common() -> None:
    one, two, three = (date(2025, 1, n) for n in (1, 2, 3))
    keys = {one: [7 << 17 | 1, 9 << 17 | 1], two: [7 << 17 | 2, 8 << 17 | 3], three: [9 << 17 | 1, 8 << 17]}
    load = {day: np.sort(np.array(full, np.uint64)) for day, full in keys.items()}
    assert pairs_of_days(shared([one, two, three], [], lambda day: load[day])) == {(one, three), (two, three)}


hashes = st.lists(st.integers(0, (1 << 64) - 1), unique=True, max_size=30)


@given(known=hashes, more=hashes, order=st.randoms())
def test_places_are_found_by_hash(known: list[int], more: list[int], order: Random) -> None:
    places = Places(np.array(known, np.uint64), np.arange(len(known)))
    asked = known * 2
    order.shuffle(asked)
    assert places.of(np.array(asked, np.uint64)).tolist() == [known.index(value) for value in asked]
    for stranger in set(more) - set(known):
        with pytest.raises(SourceError, match="events changed while they were read"):
            places.of(np.array([*known, stranger], np.uint64))


def test_places_of_neighbours_and_of_the_same_hash() -> None:
    near = np.array([5, 3, 4, (1 << 64) - 1, (1 << 64) - 2], np.uint64)
    assert Places(near, np.array([0, -1, 2, 3, 4])).of(near[::-1]).tolist() == [4, 3, 2, -1, 0]
    assert Places(near, np.array([0, -1, 2, 3, 4])).broken.tolist() == [3]
    with pytest.raises(SameHashError):
        Places(np.array([5, 5], np.uint64), np.array([0, 1]))


def test_a_salt_tells_apart_what_has_the_same_hash() -> None:
    """Two people whose ids are numbers, made for DuckDB's hash: that of two values is mixed(first) xor hash(second)."""
    con, whole, factor = duckdb.connect(), (1 << 64) - 1, 0xD6E8FEB86659FD93

    def hashes(people: list[tuple[str, str]], salt: int) -> list[int]:
        rows = [con.sql(f"SELECT {salted_hash([f'{one}::UBIGINT' for one in person], salt)}") for person in people]
        return [row.fetchall()[0][0] for row in rows]

    def mixed(number: int) -> int:
        return (number ^ number >> 32) * factor & whole

    def number_of(hashed: int) -> int:
        for _ in range(2):
            hashed = (hashed ^ hashed >> 32) * pow(factor, -1, 1 << 64) & whole
        return hashed ^ hashed >> 32

    seven, eight, nine = hashes([("7",), ("8",), ("9",)], 0)
    twins = [("7", "9"), ("8", str(number_of(mixed(seven) ^ nine ^ mixed(eight))))]
    assert len(set(hashes(twins, 0))) == 1, "these two are meant to have the same hash: DuckDB's is another one now"
    assert len(set(hashes(twins, 1) + hashes(twins, 2))) == 4


@pytest.mark.parametrize("number", [0, 5, 100_000])
def test_keys_are_read_as_they_were_written(number: int) -> None:
    keys = np.sort(np.random.default_rng(7).integers(0, 1 << 47, number).astype(np.uint64))
    file = BytesIO()
    write_keys(file, keys)
    assert len(file.getvalue()) < 6 * number + 1000
    file.seek(0)
    np.testing.assert_array_equal(read_keys(file), keys)


def test_groups_of_days_end_where_parts_end_and_are_not_too_large() -> None:
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(6)]
    by_month = {day: {"a" if n < 3 else "b": 10} for n, day in enumerate(days)}
    assert day_groups(days, by_month, 40) == [days[:3], days[3:]]
    assert [len(group) for group in day_groups(days, by_month, 20)] == [2, 1, 2, 1]
    regions = {day: {"north": 10, "south": 10} for day in days}
    assert len(day_groups(days, regions, 20)) == 3, "every group reads all parts: fewer, larger ones are better"


def test_groups_share_a_vocabulary_and_days_that_adjoin_are_read_together() -> None:
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(6)]
    groups = [[day] for day in days]
    assert chapters(groups, {day: {"a": 10} for day in days}, 10) == [groups[:4], groups[4:]]
    assert chapters(groups, {day: {"a": 50} for day in days}, 10) == [[group] for group in groups]
    apart = [*days, date(2025, 1, 9), date(2025, 1, 20)]
    assert runs(apart) == [[*days, date(2025, 1, 9)], [date(2025, 1, 20)]]
    assert runs([]) == []


def test_sums_that_need_more_than_64_bits_are_exact(tmp_path: Path) -> None:
    company = EventCompany(tmp_path)
    line = "a1 | u1 | 2025-05-01 | used | api | {} | 999999999999.999999"
    lines = [line.format(f"e{i}") for i in range(20)]
    company.write(
        "may", "\n".join(["account_id | user_id | occurred_at | event_name | feature | event_id | quantity", *lines])
    )
    kept = company.update()
    assert kept.rollup["usage"].tolist() == [Decimal("19999999999999.999980")]
    assert kept.rollup["own_shared_quantity"].tolist() == [Decimal("19999999999999.999980")]
    assert_same(kept, company.at_once())


def test_more_days_than_fit_are_cut_into_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    company = EventCompany(tmp_path)
    company.write(
        "years",
        "account_id|user_id|occurred_at|event_name|recorded_at\n"
        + "\n".join(f"a1|u{i % 3}|{1975 + i}-01-01|used|2190-01-01" for i in range(20)),
    )
    cut = []

    def too_many(events: object, *rest: object) -> object:
        if len(set(events.day.tolist())) > 6:  # type: ignore[attr-defined]
            cut.append(events)
            raise OverflowError
        return real(events, *rest)  # type: ignore[arg-type]

    from csql_ml.activity import day_building

    real = day_building.roll_up
    monkeypatch.setattr(day_building, "roll_up", too_many)
    assert_same(company.update(), company.at_once())
    assert len(cut) > 1
