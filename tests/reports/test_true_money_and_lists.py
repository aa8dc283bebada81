"""Intervals, peers and amounts of account pages, and every row of the lists, are the run's, over random accounts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csql_ml.config import Config
from csql_ml.reports import report
from csql_ml.reports.catalogue import load
from csql_ml.reports.texts import Texts
from tests.reports.reading import Page, account_page
from tests.reports.sample_run import METRICS, accounts, write_run

EN = Texts(load("en"), "USD")
LISTS = {"index.html": None, "held.html": "held_for_risk", "nurture.html": "not_yet"}


def check_page(page: Page, one: dict[str, Any]) -> int:
    """Interval, amounts and peers of one page; how many peers were compared."""
    head = page.section("Propensity to expand")
    interval = one["interval"]
    if interval is not None:
        low, high = (EN.tenths(round(1000 * interval[end])) for end in ("low", "high"))
        assert f"90% interval: {low} to {high}" in head
    assert ("interval" in head) == (interval is not None)
    assert EN.money(one["expected_arr"]) in head.split("\n")
    told = page.section("Expansion hypothesis").split("\n")
    assert {EN.money(one["hypothesis"][name]) for name in ("potential_arr", "expected_arr")} <= set(told)
    return check_peers(page.section("Why this number"), one)


def check_peers(section: str, one: dict[str, Any]) -> int:
    words = {1: "lowest quarter", 2: "second-lowest quarter", 3: "second-highest quarter", 4: "highest quarter"}
    compared = 0
    for reason in one["reasons"]:
        peers = reason.get("peers")
        if peers and reason["value"] is not None and METRICS[reason["metric"]].shown:
            median = EN.quantity(peers["median"], reason["unit"])
            count = EN.number(peers["accounts"])
            assert f"{words[peers['quartile']]} of {count} in {peers['segment']}, middle {median}" in section
            compared += 1
    return compared


def check_lists(site: Path, sample: list[dict[str, Any]]) -> None:
    """Each list has the accounts of its status, each with its own numbers."""
    for name, status in LISTS.items():
        html = Page.of(site / name).html
        body = html.rpartition("<tbody>")[2]
        rows = [
            Page(row.encode()) for row in re.findall(r"<tr class=\"[^>]*>.*?(?=<tr class|</tbody>)", body, re.DOTALL)
        ]
        due = {f"account/{one['account_id']}.html": one for one in sample if status in (None, one["status"])}
        assert len(rows) == len(due)
        for row in rows:
            one = due.pop(row.links[0])
            assert EN.tenths(round(1000 * one["propensity"])) in row.texts
            assert EN.money(one["expected_arr"]) in row.texts
            assert name == "held.html" or EN.number(one["baseline_score"]) in row.texts
        assert not due


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000))
def test_intervals_peers_amounts_and_lists_are_the_runs(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, sample = tmp_path_factory.mktemp("lists"), accounts(40, seed=seed, csms=2, holes=0.2)
    run = write_run(folder / "run", sample)
    site = report(run, folder / "site", language="en", config=Config()).index.parent
    compared = sum(check_page(account_page(site, one), one) for one in sample)
    assert compared > 0
    check_lists(site, sample)
