"""The dashboard says what ``csql measure --json`` says, through the catalogues, in one file that needs no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.config.outcomes import USUAL_REJECTIONS
from csql_ml.outcomes import measure as measuring
from csql_ml.outcomes import rejections
from csql_ml.printing_outcomes import measured as printed
from csql_ml.reports import dashboard_words as words
from csql_ml.reports.catalogue import load
from csql_ml.reports.dashboard_page import render
from csql_ml.reports.texts import Texts
from tests.outcomes.funnel_tables import report
from tests.outcomes.test_measure import LEADS, OPPORTUNITIES
from tests.reports.reading import Page, hash_source

CONFIG = Config.model_validate(
    {"company": {"name": "Example & Co", "currency": "EUR"}, "outcomes": {"nrr_quarters": 1}}
)
EN = Texts(load("en"), "EUR")
READ: list[dict[str, Any]] = [
    {
        "experiment": "poc-1",
        "primary": "expansion rate",
        "verdict": "cannot tell",
        "effects": [
            {"outcome": "expansion rate", "worked": 0.213, "held_out": 0.171, "difference": 0.042}
            | {"low": -0.018, "high": 0.102, "units": [88, 92]},
            {"outcome": "ARR per account", "worked": 5100.0, "held_out": 4000.0, "difference": 1100.0}
            | {"low": None, "high": None, "units": [88, 92]},
        ],
    },
    {"experiment": "poc-2", "complete_from": "2027-03-15"},
]


def data(**tables: Any) -> dict[str, Any]:
    found: dict[str, Any] = printed(report(config=CONFIG, **tables), CONFIG).data
    return found


@pytest.fixture(scope="module")
def funnel() -> dict[str, Any]:
    return data(csqls=LEADS, opportunities=OPPORTUNITIES)


def page(found: dict[str, Any], language: str = "en", read: Any = READ) -> Page:
    return Page(render(found, read, CONFIG, language))


def numbers(value: Any) -> Iterator[float]:
    """Every number of some JSON."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def written(value: float) -> set[str]:
    """The ways in which the page writes a number."""
    ways = {EN.number(round(value)), EN.percent(value), EN.percent(value, 1), EN.short_money(value)}
    ways |= {EN.money(round(value)), words.points(EN, value), EN.short_number(value)}
    return {re.sub(r"[^\d.,]", "", way).strip(".,") for way in ways}


def test_every_number_on_the_page_is_one_of_csql_measure(funnel: dict[str, Any]) -> None:
    """Beside the figures there are axes, day marks, dates, quarters and the names of groups."""
    known = {way for value in numbers([funnel, READ]) for way in written(value)}
    known |= {
        way for value in (0, 0.5, 1, CONFIG.outcomes.benchmarks.expansion_share_quarters) for way in written(value)
    }
    html = re.sub(r'<svg class="?(?:trend|cycle).*?</svg>', "", page(funnel).html, flags=re.DOTALL)
    html = re.sub(r"<th scope=row>\d+ days?", "", html)
    text = "\n".join(Page(html.encode()).texts)
    for name in re.findall(r"\w{3} \d+, \d{4}|Q\d \d{4}|c\d|poc-\d", text):
        text = text.replace(name, "")
    found = {n.strip(".,") for n in re.findall(r"\d[\d.,]*", text)}
    assert len(found) > 20
    assert found - known == set()


def test_a_changed_figure_changes_the_page(funnel: dict[str, Any]) -> None:
    won = funnel["total"]["stages"]["won"]
    total = {**funnel["total"], "stages": {**funnel["total"]["stages"], "won": {**won, "reached": 777}}}
    assert "777" not in page(funnel).text
    assert "777" in page({**funnel, "total": total}).text


def test_tiles_say_standing_and_chance(funnel: dict[str, Any]) -> None:
    shown = page(funnel)
    for verdict in funnel["benchmarks"]:
        assert words.STANDING[verdict["standing"]] in shown.text
        if verdict["standing"] in ("met", "missed") and not verdict["sure"]:
            assert "could be chance" in shown.text


def test_drawings_have_titles_and_the_big_ones_a_table(funnel: dict[str, Any]) -> None:
    shown = page(funnel)
    drawings = re.findall(r"<svg.*?</svg>", shown.html, flags=re.DOTALL)
    assert len(drawings) > 15
    for drawing in drawings:
        assert "<title>" in drawing
        assert 'role="img"' in drawing
        if re.match(r'<svg class="?(trend|cycle)', drawing):
            assert "<desc>" in drawing
    for summary in ("Funnel as a table", "Curve as a table", "Figures by quarter", "Figures by CSM"):
        assert summary in shown.text


def test_the_curve_and_its_table_are_the_steps(funnel: dict[str, Any]) -> None:
    shown = page(funnel)
    table = re.search(r"Curve as a table</summary>(.*?)</table>", shown.html, flags=re.DOTALL)
    assert table
    rows = re.findall(r"<th scope=row>(\d+) days<td class=n>(\d+)%", table[1])
    assert len(rows) >= 4
    for day, closed in rows:
        step = [s for s in funnel["cycle_curve"] if s["days"] <= int(day)][-1]
        assert closed == EN.percent(step["closed"]).rstrip("%")


def test_it_needs_nothing_else(funnel: dict[str, Any]) -> None:
    shown = page(funnel)
    assert shown.policy.startswith("default-src 'none';")
    assert f"style-src {hash_source(shown.inline['style'][0])};" in shown.policy
    assert "script-src 'none'" in shown.policy
    assert "script" not in shown.tags
    assert not [link for link in shown.links if not link.startswith(("#", "data:,"))]
    names = {name for name, _ in shown.attributes}
    assert "style" not in names
    ids = [value for name, value in shown.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in shown.links if link.startswith("#") and link != "#index.html"} <= set(ids)


def test_the_same_data_give_the_same_bytes(funnel: dict[str, Any]) -> None:
    assert render(funnel, READ, CONFIG, "en") == render(funnel, READ, CONFIG, "en")


def test_names_are_text(funnel: dict[str, Any]) -> None:
    evil = "<script>alert(1)</script>"
    csms = [{**c, "csm": evil} for c in funnel["csms"]]
    shown = page({**funnel, "csms": csms})
    assert "script" not in shown.tags
    assert evil in shown.texts


def unmarked(text: str) -> str:
    outside, depth = [], 0
    for character in text:
        depth += (character == "⟦") - (character == "⟧")
        if depth == 0:
            outside.append(character)
    return "".join(outside)


@pytest.mark.parametrize("tables", [{"csqls": LEADS, "opportunities": OPPORTUNITIES}, {"csqls": LEADS}, {"csqls": []}])
def test_no_text_bypasses_the_catalogues(tables: dict[str, Any]) -> None:
    found = data(**tables)
    mine = [t for r in found["rejections"] for t in r["texts"]]
    shown = page(found, "qps")
    for text in (*shown.texts, *shown.spoken):
        rest = unmarked(text)
        for word in ("CSQL", "Example & Co", "poc-1", "poc-2", *mine):
            rest = rest.replace(word, "")
        assert not re.search(r"[A-Za-z]{3,}", rest), text


def test_without_leads_the_page_says_so() -> None:
    shown = page(data(csqls=[]), read=[])
    assert "No leads were raised, so there is nothing to hold against the benchmarks." in shown.text
    assert "No data" in shown.text
    assert "Experiments" not in shown.text


def test_experiments_are_read_or_waited_for(funnel: dict[str, Any]) -> None:
    shown = page(funnel).text
    assert "21.3% of the worked accounts expanded and 17.1% of those held out: +4.2 points" in shown
    assert "Cannot tell" in shown
    assert "complete from Mar 15, 2027" in shown


def test_usual_proposals_and_all_notes_can_be_translated() -> None:
    usual = {r.proposal for r in USUAL_REJECTIONS.values()} | set(rejections._PROPOSALS.values())
    assert usual == set(words.PROPOSAL)
    assert set(USUAL_REJECTIONS) | set(rejections._PROPOSALS) == set(words.REASON)
    joined = re.sub(r'"\s*\n\s*"', "", Path(measuring.__file__).read_text(encoding="utf-8"))
    assert words.NOTE
    for note in words.NOTE:
        assert note in joined


def test_what_is_over_is_said_over_one_quarter() -> None:
    found = printed(report(quarter="2026Q1", config=CONFIG, csqls=LEADS, opportunities=OPPORTUNITIES), CONFIG).data
    assert "Leads raised in Q1 2026, known before Jul 1, 2026." in page(found).text.replace("\n", " ")
    assert found["as_of"] == date(2026, 7, 1).isoformat()


def test_what_open_leads_add_is_told_where_it_shows(funnel: dict[str, Any]) -> None:
    for reached, open_, told in ((300, 1, False), (3, 1, True), (3, 0, False)):
        created = reached * 2
        rate = {"created": created, "reached": reached, "open": open_, "value": 0.5, "most": 0.5 + open_ / created}
        stages = {**funnel["total"]["stages"], "won": {**rate, "low": 0.4, "high": 0.7}}
        shown = page({**funnel, "total": {**funnel["total"], "stages": stages}}, read=[]).text
        assert (f"leads were won (50%, up to {EN.percent(rate['most'])} once none is open)." in shown) is told
        assert (f"{reached} of {created} leads were won (50%)." in shown) is not told
