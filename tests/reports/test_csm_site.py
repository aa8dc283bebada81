"""The written site: its pages and their numbers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.reports import ReportSummary, build_lists, report
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.render import Renderer
from csql_ml.reports.run_folder import open_run
from csql_ml.reports.site import Site
from csql_ml.reports.texts import Texts
from tests.reports.reading import Page, account_page
from tests.reports.sample_run import METRICS, accounts, write_run

Write = Callable[..., ReportSummary]
EN = Texts(load("en"), "USD")


def test_there_is_a_page_for_every_account_and_portfolio(site: Path, sample: list[dict[str, Any]]) -> None:
    found = {p.relative_to(site).as_posix() for p in site.rglob("*.html")}
    portfolios = {f"csm/{one['csm_id']}.html" if one["csm_id"] else "csm/_unassigned.html" for one in sample}
    expected = {"index.html", "held.html", "nurture.html", "advocates.html"} | portfolios
    assert found == expected | {f"account/{one['account_id']}.html" for one in sample}


def test_the_summary_counts_what_was_written(sample: list[dict[str, Any]], write_site: Write) -> None:
    told: list[tuple[int, int]] = []
    summary = write_site(sample)
    pages = list(summary.index.parent.rglob("*.html"))
    report(
        summary.index.parents[1] / "run",
        summary.index.parent,
        language="en",
        config=Config(),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert (summary.pages, summary.accounts) == (len(pages), 90)
    assert summary.size == sum(p.stat().st_size for p in pages)
    assert told == [(i, 90) for i in range(1, 91)]


def test_every_link_leads_to_a_page_of_the_site(site: Path) -> None:
    for path in site.rglob("*.html"):
        for link in Page.of(path).links:
            if link != "data:,":
                target = (path.parent / link.split("#")[0]).resolve() if link[0] != "#" else path
                assert target.is_file(), (path.name, link)
                assert site in target.parents


def test_equal_runs_give_equal_bytes(sample: list[dict[str, Any]], write_site: Write) -> None:
    def digest(folder: Path) -> str:
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()

    first = digest(write_site(sample).index.parent)
    assert digest(write_site(sample).index.parent) == first


def test_an_account_page_stays_small(write_site: Write) -> None:
    assert write_site(accounts(150, seed=11, csms=3, holes=0)).largest_account_page <= 25_000


def test_an_index_of_2000_rows_stays_below_a_megabyte(tmp_path: Path) -> None:
    run = open_run(write_run(tmp_path / "run", accounts(2000, seed=11, csms=30)))
    site = Site(run, EN, Facts(EN, METRICS), Config(), {}, 2000)
    rows = [build_lists.list_row(one, site) for one in run.accounts()]
    assert len(Renderer(site).accounts(next(build_lists.team_index(rows, site)))) < 1_000_000


def test_the_numbers_of_an_account_page_are_the_records(site: Path, sample: list[dict[str, Any]]) -> None:
    for one in sample:
        page = account_page(site, one)
        score = page.section("Propensity to expand")
        assert EN.tenths(round(1000 * one["propensity"])) in score
        assert EN.number(one["baseline_score"]) in score
        assert EN.money(one["expected_arr"]) in score
        assert f"{one['rank']} of 90" in score
        assert EN.money(one["arr"]) in page.text
        assert EN.money(one["hypothesis"]["potential_arr"]) in page.section("Expansion hypothesis")
        parts = page.section("Parts of the CSQL score")
        assert all(EN.number(v) in parts for v in one["sub_scores"].values())


def test_the_parts_shown_on_a_page_add_up(site: Path, sample: list[dict[str, Any]]) -> None:
    for one in sample:
        table = re.search(r"<table class=sum>.*?</table>", account_page(site, one).html, re.DOTALL)
        assert table
        texts = re.findall(r"<td>([^<]+)", table[0])
        *parts, total = [round(10 * float(re.sub(r"[%+±]", "", t).replace("−", "-"))) for t in texts]
        assert sum(parts) == total == round(1000 * one["propensity"])


def test_the_index_shows_each_account_with_its_numbers(site: Path, sample: list[dict[str, Any]]) -> None:
    rows = re.findall(r"<tr class=\"[^>]*>(.*?)(?=<tr class|</tbody>)", Page.of(site / "index.html").html, re.DOTALL)
    ranked = sorted(sample, key=lambda one: one["rank"])
    assert len(rows) == len(ranked)
    for one, row in zip(ranked, rows, strict=True):
        assert f"account/{one['account_id']}.html" in row
        for shown in (EN.tenths(round(1000 * one["propensity"])), EN.money(one["arr"]), EN.money(one["expected_arr"])):
            assert f">{shown}<" in row or f" {shown}<" in row


def test_a_portfolio_holds_its_accounts_and_starts_with_the_qualified(site: Path, sample: list[dict[str, Any]]) -> None:
    own = [one for one in sample if one["csm_id"] == "csm_01"]
    page = Page.of(site / "csm" / "csm_01.html")
    listed = re.search(r"<table class=\"list.*", page.html, re.DOTALL)
    assert listed
    assert {f"account/{one['account_id']}.html" for one in own} == set(re.findall(r"account/[^>]+\.html", listed[0]))
    qualified = sorted((o for o in own if o["status"] == "qualified"), key=lambda o: o["rank_in_portfolio"])
    short = re.search(r"<section class=\"card short\">.*?</section>", page.html, re.DOTALL)
    assert short
    assert re.findall(r"account/(\w+)\.html", short[0]) == [o["account_id"] for o in qualified[:10]]


def test_the_capacity_limits_the_shortlist(write_site: Write) -> None:
    made = [one | {"status": "qualified", "csm_id": "c"} for one in accounts(9, csms=1)]
    config = Config(scoring={"capacity_per_portfolio": 4})
    html = (write_site(made, config=config).index.parent / "csm" / "c.html").read_text()
    short = html[html.index("card short") : html.index("</section>")]
    assert short.count("<li>") == 4


@pytest.mark.parametrize(("name", "status"), [("held", "held_for_risk"), ("nurture", "not_yet")])
def test_ledger_and_nurture_list_hold_their_status_only(
    site: Path, sample: list[dict[str, Any]], name: str, status: str
) -> None:
    html = (site / f"{name}.html").read_text()
    listed = set(re.findall(r"account/(\w+)\.html", html))
    assert listed == {one["account_id"] for one in sample if one["status"] == status}
