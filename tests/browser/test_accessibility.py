"""Every kind of page under axe: no violation in light or dark, on a phone or a desk, in English or longer words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from csql_ml.reports import build_lists
from tests.browser.sample_sites import written_sites
from tests.browser.watched import violations
from tests.reports.sample_run import accounts

pytestmark = pytest.mark.browser

SAMPLE = accounts(60, seed=3, csms=3)
#: One page of every kind, and account pages of every status; the first accounts have hostile names.
LISTS = ("index.html", "index.2.html", "held.html", "nurture.html", "advocates.html", "csm/csm_01.html")
SHEETS = ("standup/index.html", "standup/csm/csm_01.html")
ACCOUNTS = tuple(f"account/acct_{number:05d}.html" for number in (0, 2, 3, 12, 20))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One site per language, with earlier runs, the stand-up and a list that goes on on a second page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_lists, "ROW_LIMIT", 40)
        return written_sites(tmp_path_factory.mktemp("sites"), SAMPLE)


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


def test_axe_sees_a_fault(browser: Browser, sites: dict[str, Path], axe: str, tmp_path: Path) -> None:
    """The check can fail: a page whose search field has lost its label is reported."""
    html = (sites["en"] / "index.html").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(html.replace("<span>Search</span>", "").replace(' placeholder="Name, id, owner or reason"', ""))
    page = browser.new_page()
    assert [told.split(":")[0] for told in violations(page, broken, axe)] == ["label"]
    page.close()
