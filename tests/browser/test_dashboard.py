"""Dashboard and digest in a real browser: phones, projectors, both colour schemes, the keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from csql_ml.printing_outcomes import measured as printed
from csql_ml.reports.dashboard_page import render
from csql_ml.reports.standup_page import write_digest
from csql_ml.standup import digest
from tests.browser.watched import UNFOLD, Watched, assert_readable_in_both_schemes
from tests.handoff.small_run import config
from tests.outcomes.funnel_tables import report
from tests.outcomes.test_measure import LEADS, OPPORTUNITIES
from tests.reports.test_dashboard import CONFIG, READ
from tests.test_standup import BEFORE, a_run

pytestmark = pytest.mark.browser
LONG = "Donaudampfschifffahrtsgesellschaftskapitaen" * 3


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Per language a digest with the dashboard beside it."""
    home = tmp_path_factory.mktemp("pages")
    before = {f"A{i}": how for i, how in enumerate(("qualified", "held", "not_yet", "cooldown", "qualified"))}
    now = {"A0": "qualified", "A1": "qualified", "A2": "held", "A3": "qualified", LONG: "qualified"}
    runs = a_run(home / "2", now, "2026-07-20"), a_run(home / "1", before, BEFORE)
    found = printed(
        report(config=CONFIG, csqls=LEADS.replace("| c1", "| " + LONG), opportunities=OPPORTUNITIES), CONFIG
    )
    for language in ("en", "qps"):
        write_digest(digest(config(home), *runs), home / language, language)
        (home / language / "dashboard.html").write_bytes(render(found.data, READ, CONFIG, language))
    return {language: home / language for language in ("en", "qps")}


def names(site: Path) -> list[str]:
    return [
        "dashboard.html",
        *(p.relative_to(site).as_posix() for p in sorted(site.rglob("*.html")) if p.parent != site),
        "index.html",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_complaint_and_asks_nobody(browser: Browser, sites: dict[str, Path], scheme: str) -> None:
    watched = Watched(browser, sites["en"], color_scheme=scheme, viewport={"width": 1280, "height": 900})
    for name in names(sites["en"]):
        page = watched.open(name)
        assert page.locator("h1").count() == 1
        assert page.locator("section").count() >= 2
    watched.context.close()
    assert watched.complaints == []
    assert watched.left_the_page() == []


@pytest.mark.parametrize("language", ["en", "qps"])
@pytest.mark.parametrize("width", [360, 768, 1024, 1440, 1920])
def test_nothing_runs_over_the_edge(browser: Browser, sites: dict[str, Path], language: str, width: int) -> None:
    """Pseudo texts are a third longer than English; one account and one CSM have a name of 129 letters."""
    watched = Watched(browser, sites[language], viewport={"width": width, "height": 800})
    for name in names(sites[language]):
        page = watched.open(name)
        page.evaluate(UNFOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        clipped = page.evaluate(CLIPPED)
        assert clipped == [], name
    watched.context.close()


# Cells and cards whose text is wider than they are, unless they can be scrolled.
CLIPPED = """
() => [...document.querySelectorAll("main .card, main td, main th, main li")]
  .filter((e) => !e.closest(".scroll") && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline")
  .filter((e) => !e.querySelector("svg") || e.scrollWidth > e.clientWidth + 12)
  .filter((e) => !e.closest("thead"))
  .map((e) => `${e.className} ${e.textContent.slice(0, 60)}`)
"""


def test_dark_and_light_differ_and_both_are_readable(browser: Browser, sites: dict[str, Path]) -> None:
    for name in names(sites["en"]):
        assert_readable_in_both_schemes(browser, sites["en"], name, least=8)


def test_letters_in_drawings_are_readable_on_phone_and_projector(browser: Browser, sites: dict[str, Path]) -> None:
    for width, least in ((360, 8.5), (1920, 13)):
        watched = Watched(browser, sites["en"], viewport={"width": width, "height": 900})
        sizes = watched.open("dashboard.html").evaluate(LETTERS)
        watched.context.close()
        assert len(sizes) > 20
        assert min(sizes) >= least, width


# Height of the letters in drawings as they stand on the screen.
LETTERS = """
() => [...document.querySelectorAll("svg text")].map((t) => {
  const scale = t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width;
  return parseFloat(getComputedStyle(t).fontSize) * scale;
})
"""


def test_the_keyboard_is_enough(browser: Browser, sites: dict[str, Path]) -> None:
    watched = Watched(browser, sites["en"], viewport={"width": 1280, "height": 900})
    page = watched.open("dashboard.html")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    summary = page.locator(":focus")
    assert summary.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    shut = summary.evaluate("e => e.parentElement.open")
    page.keyboard.press("Enter")
    assert summary.evaluate("e => e.parentElement.open") is not shut
    page.locator("nav a").first.focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#funnel")
    watched.context.close()


def test_a_tile_of_the_stand_up_leads_to_its_list(browser: Browser, sites: dict[str, Path]) -> None:
    watched = Watched(browser, sites["en"], viewport={"width": 1280, "height": 900})
    page = watched.open("index.html")
    page.locator(".counts a").first.click()
    target = page.url.split("#")[1]
    expect(page.locator(f"#{target}")).to_be_in_viewport()
    for href in page.eval_on_selector_all(".counts a", "links => links.map(link => link.getAttribute('href'))"):
        assert page.locator(href).count() == 1, href
    page.locator("table a").first.click()
    expect(page.locator("h1")).to_be_visible()
    watched.context.close()


def test_without_colour_the_signs_are_left(browser: Browser, sites: dict[str, Path]) -> None:
    watched = Watched(browser, sites["en"], viewport={"width": 1280, "height": 900})
    page = watched.open("dashboard.html")
    signs = page.eval_on_selector_all(
        ".pill", "pills => pills.map(p => [getComputedStyle(p, '::before').content, p.textContent])"
    )
    watched.context.close()
    assert len(signs) > 5
    for sign, word in signs:
        assert sign not in ("none", "normal"), word
        assert word.strip()
