"""The weekly stand-up's sheets inside the CSM site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from csql_ml import standup
from csql_ml.config import Config
from csql_ml.reports import report
from csql_ml.reports.filenames import page_name
from tests.reports.reading import Page, hash_source
from tests.reports.sample_run import accounts, earlier_accounts, write_run

SAMPLE = accounts(60, seed=3, csms=3)


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with an earlier run in which there was one account more."""
    folder = tmp_path_factory.mktemp("site")
    run = write_run(folder / "run", SAMPLE[1:])
    gone = [{**SAMPLE[0], "status": "qualified"}]
    old = write_run(folder / "old", [*gone, *earlier_accounts(SAMPLE[1:], 1)], as_of="2026-06-01")
    config = Config(delivery={"outbox": folder / "outbox.sqlite"})
    talk = standup.digest(config, run, old, language="en")
    return report(run, folder / "site", language="en", config=config, earlier=[old], standup=talk).index.parent


def test_there_is_a_sheet_for_the_team_and_for_every_csm_with_something_to_say(sheets: Path) -> None:
    found = {path.name for path in (sheets / "standup" / "csm").iterdir()}
    assert found >= {page_name(one["csm_id"]) for one in SAMPLE[1:] if one["csm_id"]}
    assert "Newly qualified" in Page.of(sheets / "standup" / "index.html").text


def test_every_account_of_the_run_is_a_link_and_one_that_is_gone_is_not(sheets: Path) -> None:
    page = Page.of(sheets / "standup" / "index.html")
    linked = {link.split("/")[-1].removesuffix(".html") for link in page.links if "account/" in link}
    named = {text for text in page.texts if re.fullmatch(r"acct_\d+", text)}
    assert "acct_00000" in named
    assert linked == named - {"acct_00000"}


def test_every_link_leads_to_a_page_and_every_page_to_the_sheets(sheets: Path) -> None:
    for path in sheets.rglob("*.html"):
        page = Page.of(path)
        assert any(link.endswith("standup/index.html") for link in page.links), path.name
        for link in page.links:
            if link != "data:,":
                target = (path.parent / link.split("#")[0]).resolve() if link[0] != "#" else path
                assert target.is_file(), (path.name, link)


def test_a_portfolio_leads_to_its_sheet(sheets: Path) -> None:
    page = Page.of(sheets / "csm" / "csm_01.html")
    assert "../standup/csm/csm_01.html" in page.links


def test_the_sheets_are_as_strict_as_the_other_pages(sheets: Path) -> None:
    for path in (sheets / "standup").rglob("*.html"):
        page = Page.of(path)
        assert f"style-src {hash_source(page.inline['style'][0])};" in page.policy
        assert "script-src 'none'" in page.policy
        assert "script" not in page.tags


def test_without_an_earlier_run_no_page_speaks_of_a_stand_up(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SAMPLE[:5])
    folder = report(run, tmp_path / "site", language="en", config=Config()).index.parent
    assert not (folder / "standup").exists()
    assert not any("standup" in link for path in folder.rglob("*.html") for link in Page.of(path).links)
