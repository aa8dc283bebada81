"""Every kind of page under axe: no violation in light or dark, on a phone or a desk, in English or longer words."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from csql_ml import standup
from csql_ml.config import Config
from csql_ml.reports import build_lists, evidence_text, report
from tests.browser.test_csm_site import ARGUMENTS
from tests.reports.sample_run import METRICS, accounts, earlier_accounts, write_run

pytestmark = pytest.mark.browser

SAMPLE = accounts(60, seed=3, csms=3)
#: One page of every kind, and account pages of every status; the first accounts have hostile names.
LISTS = ("index.html", "index.2.html", "held.html", "nurture.html", "advocates.html", "csm/csm_01.html")
SHEETS = ("standup/index.html", "standup/csm/csm_01.html")
ACCOUNTS = tuple(f"account/acct_{number:05d}.html" for number in (0, 2, 3, 12, 20))


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core; the tests fail without it, they never pass by being skipped."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.fail("accessibility tests need axe-core: pip install 'axe-playwright-python>=0.1.8,<0.2'")
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One site per language, with earlier runs, the stand-up and a list that goes on on a second page."""
    folder = tmp_path_factory.mktemp("sites")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence_text, "registry", lambda: METRICS)
        patch.setattr(build_lists, "ROW_LIMIT", 40)
        run = write_run(folder / "run", SAMPLE)
        old = write_run(folder / "old", earlier_accounts(SAMPLE, 1), as_of="2026-06-01")
        config = Config(delivery={"outbox": folder / "outbox.sqlite"})
        return {
            language: report(
                run,
                folder / language,
                language=language,
                config=config,
                earlier=[old],
                standup=standup.digest(config, run, old, language=language),
            ).index.parent
            for language in ("en", "qps")
        }


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [("en", "light", 1440), ("en", "dark", 360), ("qps", "light", 360)],
)
def test_axe_finds_nothing(
    browser: Browser, sites: dict[str, Path], axe: str, language: str, scheme: Any, width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    found = {name: violations(page, sites[language] / name, axe) for name in (*LISTS, *SHEETS, *ACCOUNTS)}
    context.close()
    assert {name: told for name, told in found.items() if told} == {}


def violations(page: Page, path: Path, axe: str) -> list[str]:
    """What axe finds on a page, with everything unfolded: rule and first place of each."""
    page.goto(path.as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    # Evaluated as the page's developer tools would: the security policy stays as strict as it is.
    page.evaluate(axe)
    rules = {"html-lang-valid": {"enabled": page.locator("html").get_attribute("lang") != "qps"}}  # for private use
    result = page.evaluate("rules => axe.run(document, {resultTypes: ['violations'], rules})", rules)
    assert len(result["passes"]) > 20
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in result["violations"]]


def test_axe_sees_a_fault(browser: Browser, sites: dict[str, Path], axe: str, tmp_path: Path) -> None:
    """The check can fail: a page whose search field has lost its label is reported."""
    html = (sites["en"] / "index.html").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(html.replace("<span>Search</span>", "").replace(' placeholder="Name, id, owner or reason"', ""))
    page = browser.new_page()
    assert [told.split(":")[0] for told in violations(page, broken, axe)] == ["label"]
    page.close()
