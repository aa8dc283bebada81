"""What the pages say, and that all of it goes through the catalogues."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.errors import UsageError
from csql_ml.reports import ReportSummary, build_lists, report
from csql_ml.reports.catalogue import load
from csql_ml.reports.texts import Texts
from tests.reports.reading import Page, account_page
from tests.reports.sample_run import accounts, plain_account, write_run

Write = Callable[..., ReportSummary]
EN = Texts(load("en"), "USD")


def test_a_held_account_says_what_holds_it_and_what_releases_it(write_site: Write) -> None:
    risks = [
        {"risk": "open_high_severity_tickets", "value": 2, "limit": 1},
        {"risk": "usage_decline", "value": -0.41, "limit": -0.25},
        {"risk": "engagement_decline", "value": -31.5, "limit": -25.0},
    ]
    one = plain_account(status="held_for_risk", risks=risks)
    folder = write_site([one]).index.parent
    for shown in (account_page(folder, one).section("What to do next"), Page.of(folder / "held.html").text):
        for text in ("2 high-severity tickets are open", "Usage fell by 41% in a month", "fell by 31.5 points"):
            assert text in shown
        for text in ("no high-severity ticket is open", "usage falls by less than 25%", "less than 25 points"):
            assert text in shown
    assert "Released when: " in account_page(folder, one).text


def test_a_qualified_account_is_handed_to_the_executive(write_site: Write) -> None:
    people = [{"contact_id": "c-1", "role": "buyer", "name": "Mei Tanaka", "since_days_ago": 3}]
    one = plain_account(status="qualified", ae_id="ae_07", stakeholders=people)
    page = account_page(write_site([one], config=Config(handoff={"sla_days": 3})).index.parent, one)
    steps = page.section("What to do next")
    assert "Confirm the need with Mei Tanaka (Buyer)." in steps
    assert "Hand the lead to ae_07" in steps
    assert "within 3 days" in steps
    assert "Price and terms are the account executive's." in steps


def test_an_account_not_yet_says_what_is_missing(write_site: Write) -> None:
    gates = [{"gate": "buyer_identified", "state": "failed", "because": []}]
    gates.append({"gate": "timing", "state": "not_checked", "because": []})
    one = plain_account(status="not_yet", gates=gates)
    folder = write_site([one]).index.parent
    page = account_page(folder, one)
    assert "Find the buyer" in page.section("What to do next")
    assert "The data for it is missing." in page.section("Qualification gates")
    missing = page.section("What is missing")
    assert "Seat saturation" in missing
    assert "62%" in missing
    assert "threshold 80%" in missing
    assert "Signals not reached: Seat saturation 62%" in Page.of(folder / "nurture.html").text


@pytest.mark.parametrize(
    ("kind", "threshold", "text"),
    [
        ("rules", 50.0, "the CSQL score is below the threshold of 50."),
        ("stack", 0.995, "the propensity is below the threshold of 99.5%."),
        ("rules", 1.0, None),
        ("stack", None, None),
    ],
)
def test_a_number_below_the_threshold_is_said(
    write_site: Write, kind: str, threshold: float | None, text: str | None
) -> None:
    one = plain_account(status="not_yet", gates=[], missing=[], baseline_score=20.0)
    folder = write_site([one], champion_kind=kind, champion_threshold=threshold).index.parent
    steps = account_page(folder, one).section("What to do next")
    assert text in steps if text else "threshold" not in steps


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("tenure", ["Not long enough a customer.", "comes into question on Jul 21, 2026"]),
        ("lead_in_work", ["already in work at sales", "do not raise a second one"]),
        ("cooldown", ["rejected or lost only recently"]),
    ],
)
def test_an_account_out_of_question_says_why(write_site: Write, code: str, texts: list[str]) -> None:
    one = plain_account(status="ineligible", ineligible_because=[code], tenure_days=10)
    steps = account_page(write_site([one]).index.parent, one).section("What to do next")
    assert all(text in steps for text in texts)


def test_without_outcomes_the_score_counts_and_the_page_says_so(
    sample: list[dict[str, Any]], write_site: Write
) -> None:
    folder = write_site(sample, champion_kind="rules", labels_seen=False).index.parent
    one = sample[20]
    page = account_page(folder, one)
    assert "The percentages are a starting assumption (10% of the accounts expand)" in page.text
    assert page.section("CSQL score").split("\n")[1] == EN.number(one["baseline_score"])
    assert "Propensity (assumed)" in page.text
    assert "starting assumption" in Page.of(folder / "index.html").text
    assert "Champion: the rules" in page.text


def test_with_outcomes_there_is_no_such_notice(site: Path, sample: list[dict[str, Any]]) -> None:
    assert "starting assumption" not in account_page(site, sample[20]).text


def test_no_page_claims_causes_or_shows_log_odds_or_ids_of_people(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page.of(path)
        assert "associated with expansion, not caused by it" in page.text
        assert "contact-secret" not in page.html
        assert not re.search(r"log.?odds|logit|shap\b", page.text, re.IGNORECASE)


def test_an_account_of_nothing_but_an_id_is_a_page_of_missing_values(write_site: Write) -> None:
    one = {"account_id": "bare", "status": "not_yet"}
    page = account_page(write_site([one]).index.parent, one)
    assert page.text.count("missing") > 10
    assert "None" not in page.text
    assert "nan" not in page.text.lower().split()


def test_every_null_in_a_record_is_named_as_missing(write_site: Write) -> None:
    full = plain_account(status="qualified")
    kept = {"account_id", "status", "gates", "risks", "reasons"}
    emptied = {key: value if key in kept else None for key, value in full.items()}
    emptied["reasons"] = [dict.fromkeys(r) | {"metric": r["metric"]} for r in full["reasons"]]
    emptied["hypothesis"] = {"type": None, "product": None, "potential_arr": None, "expected_arr": None}
    emptied["stakeholders"] = [{"contact_id": None, "role": None, "name": None, "since_days_ago": None}]
    text = account_page(write_site([emptied]).index.parent, full).text
    assert "None" not in text
    assert "last contact missing" in text
    assert "The parts of this number are missing" in text


def unmarked(text: str) -> str:
    """What stands outside the pseudo language's brackets."""
    outside, depth = [], 0
    for character in text:
        depth += (character == "⟦") - (character == "⟧")
        if depth == 0:
            outside.append(character)
    return "".join(outside)


def data_words(records: list[dict[str, Any]]) -> list[str]:
    keys = ("account_id", "name", "csm_id", "ae_id", "segment", "industry", "region", "plan", "product")
    words = {str(one[key]) for one in records for key in keys if one[key]}
    words |= {s["name"] for one in records for s in one["stakeholders"] if s["name"]}
    words |= {one["hypothesis"]["product"] for one in records if one["hypothesis"]["product"]}
    words = {word.replace("\x00", "\ufffd") for word in words}
    return sorted(words | {"CSQL", "Example & Co"}, key=len, reverse=True)


@pytest.mark.parametrize("entries", [{}, {"labels_seen": False, "champion_kind": "rules"}])
def test_no_text_bypasses_the_catalogues(
    sample: list[dict[str, Any]], write_site: Write, entries: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_lists, "ROW_LIMIT", 80)
    folder = write_site(sample, language="qps", **entries).index.parent
    words = data_words(sample)
    for path in folder.rglob("*.html"):
        page = Page.of(path)
        for text in (*page.texts, *page.spoken):
            rest = unmarked(text)
            for word in words:
                rest = rest.replace(word, "")
            assert not re.search(r"[A-Za-z]{2,}", rest), (path.name, text)


def test_the_language_is_declared(sample: list[dict[str, Any]], write_site: Write) -> None:
    assert ("lang", "en") in Page.of(write_site(sample[:3]).index).attributes


def test_an_unknown_language_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", accounts(2))
    with pytest.raises(UsageError, match="available: en"):
        report(run, tmp_path / "site", language="xx", config=Config())
    assert not (tmp_path / "site").exists()
