"""Which days are rolled up at a time: few enough events for the memory, and no part read more often than needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from csql_ml.activity.source import Day

#: Events that are rolled up at a time: some 300 MB.
MOST_EVENTS = 4_000_000
#: Parts that hold all days at once (say, one per region) are read again for every group: then groups may be larger.
_LARGEST = 4
#: Groups that share a vocabulary have together this many times the events of the largest one.
_GROUPS = 4
#: How often the rows may be read all in all before groups grow.
_READS = 3


def day_groups(
    days: Sequence[date], contents: Mapping[Day, Mapping[str, int]], most: int = MOST_EVENTS
) -> list[list[date]]:
    """Cut days, in their order, into groups.

    Parameters
    ----------
    contents
        By day, the rows of each part.
    most
        Events in a group; a single day may have more.
    """
    size = most
    while True:
        groups = list(_cut(days, contents, size))
        if size >= most * _LARGEST or len(groups) == 1 or _read(groups, contents) <= _READS * _rows(days, contents):
            return groups
        size *= 2


def _cut(days: Sequence[date], contents: Mapping[Day, Mapping[str, int]], most: int) -> Iterator[list[date]]:
    """End a group where it would grow too large, and from a quarter of that on where the next day has other parts."""
    group: list[date] = []
    rows = 0
    for day in days:
        parts = contents[day]
        more = sum(parts.values())
        other = bool(group) and not (parts.keys() & contents[group[-1]].keys())
        if group and (rows + more > most or (other and rows * 4 > most)):
            yield group
            group, rows = [], 0
        group.append(day)
        rows += more
    if group:
        yield group


def _rows(days: Sequence[date], contents: Mapping[Day, Mapping[str, int]]) -> int:
    return sum(sum(contents[day].values()) for day in days)


def _read(groups: Sequence[Sequence[date]], contents: Mapping[Day, Mapping[str, int]]) -> int:
    """The rows that all groups read together: every part that has one of a group's days."""
    size: dict[str, int] = {}
    for parts in contents.values():
        for part, rows in parts.items():
            size[part] = size.get(part, 0) + rows
    return sum(sum(size[part] for part in {p for day in group for p in contents[day]}) for group in groups)


def chapters(
    groups: Sequence[list[date]], contents: Mapping[Day, Mapping[str, int]], most: int = MOST_EVENTS
) -> list[list[list[date]]]:
    """Groups put together, as many as have people in common that are worth looking up at once."""
    found: list[list[list[date]]] = []
    rows = 0
    for group in groups:
        more = _rows(group, contents)
        if not found or rows + more > most * _GROUPS:
            found.append([])
            rows = 0
        found[-1].append(group)
        rows += more
    return found


def runs(days: Sequence[date]) -> list[list[date]]:
    """Days, in their order, cut where several in a row are not among them."""
    found: list[list[date]] = []
    for day in days:
        if not found or day - found[-1][-1] > timedelta(days=3):
            found.append([])
        found[-1].append(day)
    return found
