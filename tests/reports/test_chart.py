from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.reports.chart import HEIGHT, WIDTH, Line, axis_top, bar, line_chart, scale, sparkline

DAYS = ["Feb 1", "Mar 1", "Apr 1", "May 1", "Jun 1", "Jul 1"]


def drawn(values: list[float | None], limit: float | None = None) -> ET.Element:
    line = Line(values, DAYS[: len(values)], "Active <users>", "From 1 to 2.", limit, "seats & more")
    return ET.fromstring(str(line_chart(line, lambda v: f"{v:g}")))


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (46, 50), (100, 100), (101, 150), (0.07, 0.08), (15001, 20000)]
)
def test_the_axis_ends_at_a_round_number(highest: float, top: float) -> None:
    assert axis_top([highest]) == pytest.approx(top)


def test_a_line_chart_has_title_description_and_its_last_value() -> None:
    svg = drawn([3, 5, 8], limit=10)
    assert [svg.findtext("title"), svg.findtext("desc")] == ["Active <users>", "From 1 to 2."]
    assert [t.text for t in svg.findall("text") if t.get("class") == "last"] == ["8"]
    assert [t.text for t in svg.findall("text") if t.get("class") == "limit"] == ["seats & more"]


def test_a_gap_breaks_the_line_and_is_not_a_zero() -> None:
    svg = drawn([3, 5, None, 8, 9])
    assert len([p for p in svg.findall("path") if p.get("class") == "stroke"]) == 2


def test_a_value_between_gaps_is_a_dot() -> None:
    svg = drawn([3, None, 5, None, 8, 9])
    assert len([c for c in svg.findall("circle") if c.get("class") is None]) == 2


@pytest.mark.parametrize("values", [[], [4], [None, 4, None], [0, 0]])
def test_a_line_of_fewer_than_two_values_is_not_drawn(values: list[float | None]) -> None:
    assert sparkline(values, "t") is None


def test_a_small_line_breaks_at_a_gap_and_starts_at_zero() -> None:
    svg = ET.fromstring(str(sparkline([0, 8, None, 4, 4], "Use & more")))
    assert svg.findtext("title") == "Use & more"
    assert svg.find("path").get("d") == "M0 16L16 0M48 8L64 8"  # type: ignore[union-attr]


def test_a_missing_last_value_is_not_written() -> None:
    assert [t for t in drawn([3, None]).findall("text") if t.get("class") == "last"] == []


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=1, max_size=6))
def test_every_point_lies_inside_the_picture(values: list[float | None]) -> None:
    for circle in drawn(values).findall("circle"):
        assert 0 <= float(circle.get("cx", "-1")) <= WIDTH
        assert 0 <= float(circle.get("cy", "-1")) <= HEIGHT


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_bar_stays_on_its_scale_and_is_never_invisible(start: float, end: float) -> None:
    svg = str(bar(start, end, -1, 1))
    found = dict(re.findall(r' (x|width)="([\d.]+)%"', svg))
    left, width = float(found.get("x", 0)), float(found["width"])
    assert width > 0
    assert left >= 0
    assert left + width <= 100.11


@pytest.mark.parametrize(("position", "at"), [(0.5, "50%"), (-1, "0%"), (7, "100%")])
def test_a_position_is_drawn_between_both_ends(position: float, at: str) -> None:
    assert f'cx="{at}"' in str(scale(position, (0.7,), "t"))


def test_what_is_written_into_a_drawing_is_escaped() -> None:
    assert "&lt;script&gt;" in str(scale(0.5, (0.7,), "<script>"))
