from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.reports.rounding import largest_remainder


@pytest.mark.parametrize(
    ("parts", "total", "expected"),
    [
        ([1.0, 2.0], 3, [1, 2]),
        ([0.4, 0.4, 0.2], 1, [1, 0, 0]),
        ([33.3, 33.3, 33.4], 100, [33, 33, 34]),
        ([10.6, -3.2, 0.1], 8, [11, -3, 0]),
        ([-0.5, 0.5], 0, [0, 0]),
        ([], 0, []),
    ],
)
def test_units_left_go_to_the_largest_remainders(parts: list[float], total: int, expected: list[int]) -> None:
    assert largest_remainder(parts, total) == expected


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=9))
def test_rounded_parts_add_up_and_stay_within_one(parts: list[float]) -> None:
    total = round(sum(parts))
    rounded = largest_remainder(parts, total)
    assert sum(rounded) == total
    assert all(abs(r - p) <= 1 for r, p in zip(rounded, parts, strict=True))
