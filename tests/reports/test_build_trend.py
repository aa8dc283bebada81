from __future__ import annotations

from typing import Any

import pytest

from csql_ml.reports.build_trend import trend
from tests.reports.test_build_why import SITE


def shown(**values: Any) -> Any:
    return trend({"trend": values, "seats": 50}, SITE)


def test_every_chart_has_its_table_column_and_dates_end_at_the_as_of_date() -> None:
    page = shown(active_users=[31, 33, None, 40, 44, 46], usage=[310, 330, None, 400, 440, 460])
    assert [chart["label"] for chart in page["charts"]] == page["heads"] == ["Active users", "Usage"]
    assert page["rows"][0] == ("Feb 1, 2026", ("31", "310"))
    assert page["rows"][2] == ("Apr 2, 2026", (None, None))
    assert page["rows"][-1] == ("Jul 1, 2026", ("46", "460"))


def test_the_description_says_how_it_went() -> None:
    svg = shown(active_users=[31, 20, 46])["charts"][0]["svg"]
    assert "<title>Active users per 30 days</title>" in svg
    assert "<desc>From 31 to 46; lowest 20, highest 46.</desc>" in svg


@pytest.mark.parametrize(("users", "drawn"), [([46], True), ([10], False)])
def test_seats_are_drawn_where_they_do_not_flatten_the_line(users: list[float], drawn: bool) -> None:
    assert ("50 seats" in shown(active_users=users)["charts"][0]["svg"]) is drawn


def test_a_shorter_series_lacks_its_oldest_buckets() -> None:
    page = shown(active_users=[1, 2, 3], usage=[30])
    assert [values for _, values in page["rows"]] == [("1", None), ("2", None), ("3", "30")]


@pytest.mark.parametrize("values", [{}, {"active_users": []}, {"active_users": [None, None]}])
def test_without_any_number_there_is_no_trend(values: dict[str, Any]) -> None:
    assert shown(**values) is None
