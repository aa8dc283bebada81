"""Every kind of page in every language, in a real browser: phone and desktop, no complaint, nothing over the edge."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.watched import UNFOLD, Watched, assert_readable_in_both_schemes
from tests.reports.every_page import SAMPLE, EveryPage

pytestmark = pytest.mark.browser
LANGUAGES = ("de", "fr", "es", "qps")
#: Brackets round every number and a third more text: the page as a whole must hold it, not every cell and axis.
STRETCHED = ("qps",)
#: Of the accounts those with hostile names, and some of each status.
ACCOUNTS = [f"site/account/{one['account_id']}.html" for one in SAMPLE[:14]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> EveryPage:
    return EveryPage(tmp_path_factory.mktemp("languages"))


def names(folder: Path) -> list[str]:
    """Every page but the site's accounts, of which some are enough."""
    found = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*.html"))]
    return [*(name for name in found if not name.startswith("site/account/")), *ACCOUNTS]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [360, 800, 1440])
def test_nothing_runs_over_the_edge_and_nothing_is_complained_of(
    browser: Browser, pages: EveryPage, language: str, width: int
) -> None:
    folder = pages.write(language)
    watched = Watched(browser, folder, viewport={"width": width, "height": 800})
    found = []
    for name in names(folder):
        page = watched.open(name)
        page.evaluate(UNFOLD)
        assert page.evaluate("document.documentElement.lang") == language, name
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append((name, f"the page is {wide} wide"))
        if language not in STRETCHED:
            found += [(name, told) for told in (*page.evaluate(CLIPPED), *page.evaluate(OUTSIDE))]
    watched.context.close()
    assert found == []
    assert watched.complaints == []
    assert watched.left_the_page() == []


# Boxes whose text is wider than they are, unless they can be scrolled; a margin at the end of a line is no text.
CLIPPED = """
() => [...document.querySelectorAll("main .card, main td, main th, main li, main .pill, main h1, main h2, nav a")]
  .filter((e) => !e.closest(".scroll") && !e.closest("thead") && getComputedStyle(e).display !== "inline")
  .filter((e) => e.scrollWidth > e.clientWidth + (e.querySelector("svg, dd") ? 17 : 1) && e.clientWidth > 1)
  .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 60)}`)
"""

# Words in drawings that stand outside of them or over each other.
OUTSIDE = """
() => [...document.querySelectorAll("main svg")].flatMap((svg) => {
  const box = svg.getBoundingClientRect();
  if (!box.width) return [];
  const words = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
  const out = words.filter(([, r]) => r.left < box.left - 2 || r.right > box.right + 2 || r.bottom > box.bottom + 2);
  const over = words.filter(([, a], i) => words.slice(i + 1).some(
    ([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3));
  return [...out.map(([t]) => `outside: ${t}`), ...over.map(([t]) => `over another: ${t}`)];
})
"""


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_no_word_of_an_account_is_broken_on_a_phone(browser: Browser, pages: EveryPage, language: str) -> None:
    """Names may be broken, which stand in `bdi`; labels and headings are not, long German ones neither."""
    watched = Watched(browser, pages.write(language), viewport={"width": 360, "height": 800})
    found = []
    for name in ("site/index.html", *ACCOUNTS):
        page = watched.open(name)
        page.evaluate(UNFOLD)
        found += [(name, word) for word in page.evaluate(BROKEN)]
    watched.context.close()
    assert found == []


# Words with a line's end within; a hyphen or a slash is no part of a word.
BROKEN = """
() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let node; (node = texts.nextNode()); ) {
    if (node.parentElement.closest("svg, bdi, .list")) continue;
    for (const word of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = [...range.getClientRects()].filter((r) => r.width > 0).map((r) => Math.round(r.top / 6));
      if (new Set(lines).size > 1) found.push(`${node.parentElement.tagName} ${word[0]}`);
    }
  }
  return found;
}
"""


@pytest.mark.parametrize("name", ["monitor.html", "push.html", "digest/index.html", "dashboard.html"])
def test_dark_and_light_differ_and_both_are_readable(browser: Browser, pages: EveryPage, name: str) -> None:
    assert_readable_in_both_schemes(browser, pages.write("de"), name, least=8)


def test_the_filter_counts_in_the_language_of_the_page(browser: Browser, pages: EveryPage) -> None:
    for language, told in (("de", "0 von 40 Accounts"), ("fr", "0 sur 40 comptes"), ("es", "0 de 40 cuentas")):
        watched = Watched(browser, pages.write(language), viewport={"width": 1440, "height": 900})
        page = watched.open("site/index.html")
        page.fill("[name=q]", "nobody has this name")
        assert page.locator("output").inner_text() == told
        watched.context.close()


def test_drawings_and_their_tables_of_the_monitoring_page(browser: Browser, pages: EveryPage) -> None:
    watched = Watched(browser, pages.write("fr"), viewport={"width": 1440, "height": 900})
    page = watched.open("monitor.html")
    assert page.locator("h1").count() == 1
    drawings = page.locator("main svg.chart")
    assert drawings.count() >= 2
    for i in range(drawings.count()):
        assert drawings.nth(i).locator("title").text_content()
    for i in range(page.locator("summary").count()):
        page.locator("summary").nth(i).focus()
        page.keyboard.press("Enter")
    assert page.locator("details[open] table").count() == page.locator("details").count()
    watched.context.close()


def test_without_colour_the_verdicts_of_the_monitoring_page_are_words(browser: Browser, pages: EveryPage) -> None:
    watched = Watched(browser, pages.write("es"), viewport={"width": 1440, "height": 900})
    page = watched.open("monitor.html")
    signs = page.eval_on_selector_all(
        ".pill", "pills => pills.map(p => [getComputedStyle(p, '::before').content, p.textContent])"
    )
    watched.context.close()
    assert {word for _, word in signs} >= {"Alarma", "Correcto"}
    assert all(word.strip() and sign not in ("none", "normal") for sign, word in signs)
