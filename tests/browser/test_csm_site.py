"""The CSM site as a reader meets it: in a real browser, from the disk, with everything that leaves the page blocked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from csql_ml.config import Config
from csql_ml.reports import build_lists, evidence_text
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.render import Renderer
from csql_ml.reports.run_folder import open_run
from csql_ml.reports.site import Site
from csql_ml.reports.texts import Texts
from tests.browser.sample_sites import written_sites
from tests.browser.watched import Watched, assert_readable_in_both_schemes
from tests.reports.sample_run import METRICS, accounts, write_run

pytestmark = pytest.mark.browser

SAMPLE = accounts(120, seed=3, csms=4)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of one site per language: English and the pseudo language."""
    return written_sites(tmp_path_factory.mktemp("sites"), SAMPLE)


@pytest.fixture
def watched(browser: Browser, sites: dict[str, Path]) -> Iterator[Watched]:
    """A desktop view of the English site; the test fails on any complaint or request leaving the site."""
    made = Watched(browser, sites["en"], viewport={"width": 1440, "height": 900})
    yield made
    made.context.close()
    assert made.complaints == []
    assert made.left_the_page() == []


def shown(page: Page) -> list[str]:
    """Account ids of the visible rows, from top to bottom."""
    hrefs = page.eval_on_selector_all(
        "table.list tbody tr:not([hidden]) th a", "links => links.map(link => link.getAttribute('href'))"
    )
    return [re.findall(r"(acct_\d+)", href)[0] for href in hrefs]


def ids(**wanted: Any) -> list[str]:
    """Account ids of the sample with these values, best rank first."""
    found = [one for one in SAMPLE if all(one[key] == value for key, value in wanted.items())]
    return [one["account_id"] for one in sorted(found, key=lambda one: one["rank"])]


def test_search_finds_by_name_id_and_reason(watched: Watched) -> None:
    page = watched.open("index.html")
    assert shown(page) == ids()
    page.fill("[name=q]", "acct_00017")
    assert shown(page) == ["acct_00017"]
    page.fill("[name=q]", "SOHNE rocket")
    assert shown(page) == ["acct_00004"]
    page.fill("[name=q]", "<script>")
    assert shown(page) == ["acct_00000"]
    page.fill("[name=q]", "nobody has this name")
    assert shown(page) == []
    expect(page.get_by_text("No account matches.")).to_be_visible()
    expect(page.locator("output")).to_have_text("0 of 120 accounts")


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("status", "qualified", "status"),
        ("status", "held_for_risk", "status"),
        ("type", "cross_sell", "lead_type"),
        ("band", "high", "band"),
    ],
)
def test_each_filter_keeps_its_accounts(watched: Watched, field: str, value: str, key: str) -> None:
    page = watched.open("index.html")
    page.select_option(f"[name={field}]", value)
    assert shown(page) == ids(**{key: value})
    expect(page.locator("output")).to_have_text(f"{len(ids(**{key: value}))} of 120 accounts")


def test_filters_narrow_each_other_and_reset_brings_all_back(watched: Watched) -> None:
    page = watched.open("index.html")
    page.select_option("[name=owner]", label="csm_02")
    page.select_option("[name=status]", "not_yet")
    assert shown(page) == ids(csm_id="csm_02", status="not_yet")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("output")).to_have_text("120 of 120 accounts")
    assert shown(page) == ids()


@pytest.mark.parametrize(
    ("heading", "key", "first_down"),
    [("Propensity", "propensity", True), ("Score", "baseline_score", True), ("Expected ARR", "expected_arr", True)],
)
def test_a_click_on_a_heading_sorts_a_second_click_turns_round(
    watched: Watched, heading: str, key: str, first_down: bool
) -> None:
    page = watched.open("index.html")
    button = page.get_by_role("button", name=heading, exact=True)
    values = {one["account_id"]: one[key] for one in SAMPLE}
    button.click()
    down = [values[account] for account in shown(page)]
    assert [round(v, 1) for v in down] == [round(v, 1) for v in sorted(values.values(), reverse=first_down)]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    button.click()
    up = [values[account] for account in shown(page)]
    assert [round(v, 1) for v in up] == [round(v, 1) for v in sorted(values.values())]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_rows_are_sorted_by_name_as_people_do(watched: Watched) -> None:
    page = watched.open("index.html")
    page.select_option("[name=type]", "upsell")
    page.get_by_role("button", name="Account", exact=True).click()
    names = page.eval_on_selector_all("table.list tbody tr:not([hidden]) th", "cells => cells.map(c => c.textContent)")
    ordered = page.evaluate("n => n.slice().sort(new Intl.Collator('en', {numeric: true}).compare)", names)
    assert names == ordered


def test_a_tile_filters_by_its_status_and_again_for_all(watched: Watched) -> None:
    page = watched.open("index.html")
    tile = page.locator("a.tile[data-status=held_for_risk]")
    tile.click()
    assert shown(page) == ids(status="held_for_risk")
    assert tile.get_attribute("aria-current") == "true"
    tile.click()
    assert shown(page) == ids()


def test_a_view_can_be_bookmarked(watched: Watched) -> None:
    page = watched.open("index.html")
    page.fill("[name=q]", "csm_01")
    page.select_option("[name=status]", "not_yet")
    page.get_by_role("button", name="Expected ARR", exact=True).click()
    view, address = shown(page), page.url
    page.goto("about:blank")
    page.goto(address)
    assert shown(page) == view
    assert len(view) > 1


def test_the_keyboard_is_enough(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("[name=q]")).to_be_focused()
    page.keyboard.type("acct_00011")
    page.locator("thead button").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("table.list tbody tr:not([hidden]) a").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/account/acct_00011\.html$"))


def test_every_page_opens_without_a_complaint(watched: Watched) -> None:
    patterns = ("*.html", "csm/*.html", "standup/**/*.html", "account/*.html")
    *lists, pages = [sorted(watched.site.glob(pattern)) for pattern in patterns]
    assert all(lists)
    for path in (*(one for found in lists for one in found), *pages[:25]):
        page = watched.open(path.relative_to(watched.site).as_posix())
        assert page.locator("h1").count() == 1


@pytest.mark.parametrize("language", ["en", "qps"])
@pytest.mark.parametrize("width", [360, 720, 1440])
def test_nothing_runs_over_the_edge(browser: Browser, sites: dict[str, Path], language: str, width: int) -> None:
    """Pseudo texts are a third longer than English; the 300-character name is among the accounts."""
    watched = Watched(browser, sites[language], viewport={"width": width, "height": 800})
    names = ["index.html", "held.html", "nurture.html", "advocates.html", "csm/csm_01.html"]
    names += ["standup/index.html", "standup/csm/csm_01.html"]
    for name in [*names, *(f"account/{one['account_id']}.html" for one in SAMPLE[:14])]:
        page = watched.open(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    watched.context.close()


def test_a_name_with_reversing_marks_does_not_turn_its_neighbours(watched: Watched) -> None:
    page = watched.open("account/acct_00002.html")
    assert page.locator("h1 bdi").count() == 1
    direction = page.evaluate("getComputedStyle(document.querySelector('h1 bdi')).unicodeBidi")
    assert direction == "isolate"
    page = watched.open("index.html")
    assert page.evaluate("getComputedStyle(document.querySelector('table.list tbody th a')).unicodeBidi") == "isolate"


def test_print_leaves_out_what_paper_cannot_do(watched: Watched) -> None:
    page = watched.open("index.html")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("form.filters")).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("table.list")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgb(246, 247, 249)",
    )


@pytest.mark.parametrize("name", ["index.html", "held.html", "account/acct_00020.html", "standup/index.html"])
def test_a_page_becomes_a_pdf(watched: Watched, name: str) -> None:
    page = watched.open(name)
    pdf = page.pdf(prefer_css_page_size=True, tagged=True)
    assert pdf.startswith(b"%PDF-")
    [sheets] = re.findall(rb"/Type /Pages\s*/Count (\d+)|/Count (\d+)\s*/Type /Pages", pdf)[:1]
    assert 1 <= int(b"".join(sheets)) <= 12
    # Headings and tables are such on paper, too: what reads the file aloud finds its way.
    assert b"/H1" in pdf
    assert b"/Table" in pdf


def test_the_stand_up_leads_to_the_accounts_and_back(watched: Watched) -> None:
    page = watched.open("index.html")
    page.get_by_role("link", name="Stand-up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Stand-up")
    page.locator("main a[href*='account/']").first.click()
    expect(page).to_have_url(re.compile(r"/account/acct_\d+\.html$"))
    page.get_by_role("link", name="Advocates").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Advocates")


def test_a_filter_of_2000_rows_takes_a_tenth_of_a_second(browser: Browser, tmp_path: Path) -> None:
    """The median of many, so that a machine with other work does not decide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence_text, "registry", lambda: METRICS)
        rows = accounts(2000, seed=11, csms=30)
        run = open_run(write_run(tmp_path / "run", rows))
        words = Texts(load("en"), "USD")
        site = Site(run, words, Facts(words, METRICS), Config(), {}, 2000)
        found = [build_lists.list_row(one, site) for one in rows]
        (tmp_path / "index.html").write_bytes(Renderer(site).accounts(next(build_lists.team_index(found, site))))
    watched = Watched(browser, tmp_path, viewport={"width": 1440, "height": 900})
    times = watched.open("index.html").evaluate(FILTERS)
    watched.context.close()
    assert len(times) > 30
    assert median(times) < 100, times


# Milliseconds from a change of the form until the page is laid out again.
FILTERS = """
() => {
  const form = document.querySelector("form.filters"), taken = [];
  const change = (name, value) => {
    const field = form.elements[name], begun = performance.now();
    field.value = value;
    field.dispatchEvent(new Event("input", {bubbles: true}));
    document.querySelector("table.list").getBoundingClientRect();
    taken.push(performance.now() - begun);
  };
  for (let round = 0; round < 4; round++) {
    for (const text of ["n", "nor", "northwind", "zzz", ""]) change("q", text);
    for (const status of ["qualified", "not_yet", ""]) change("status", status);
    change("band", "high");
    change("band", "");
  }
  return taken;
}
"""


def test_dark_and_light_differ_and_both_are_readable(browser: Browser, sites: dict[str, Path]) -> None:
    assert_readable_in_both_schemes(browser, sites["en"], "account/acct_00020.html", least=20)
