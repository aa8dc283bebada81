"""The model report in a real browser: no complaint, no request, no overflow, nothing that axe finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from csql_ml.reports.model_report import render
from tests.browser.watched import UNFOLD, Watched, violations
from tests.reports.model_report_facts import day_one, promoted

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A promoted model and day one, in English and German."""
    home = tmp_path_factory.mktemp("model_report")
    for language in ("en", "de"):
        (home / f"promoted.{language}.html").write_bytes(render(promoted()[2], {}, language, "EUR"))
        (home / f"day_one.{language}.html").write_bytes(render(day_one(), {}, language, "EUR"))
    return home


NAMES = ("promoted.en.html", "promoted.de.html", "day_one.en.html", "day_one.de.html")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 360), ("dark", 360)])
def test_it_opens_without_a_complaint_or_request_and_fits(
    browser: Browser, folder: Path, scheme: str, width: int
) -> None:
    watched = Watched(browser, folder, color_scheme=scheme, viewport={"width": width, "height": 900})
    for name in NAMES:
        watched.open(name)
        watched.page.evaluate(UNFOLD)
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width, name
    watched.context.close()
    assert watched.complaints == []
    assert watched.left_the_page() == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 360)])
def test_axe_finds_nothing(browser: Browser, folder: Path, axe: str, scheme: str, width: int) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    found = {name: violations(page, folder / name, axe) for name in NAMES}
    context.close()
    assert {name: told for name, told in found.items() if told} == {}
