"""What stands behind a reason: peers, tables, days and rows; and what old runs know of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.reports.build_evidence import peer_text, where
from csql_ml.reports.build_gaps import comparable
from csql_ml.reports.build_score import interval_text
from csql_ml.reports.build_why import why
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.run_folder import Run
from csql_ml.reports.site import Site
from csql_ml.reports.texts import Texts
from tests.reports.sample_run import METRICS, plain_account

EN = Texts(load("en"), "USD")
RUN = Run(Path(), "r", date(2026, 7, 1), "m", "stack", "", "USD", True)
SITE = Site(RUN, EN, Facts(EN, METRICS), Config(), {}, 1)
PEERS = {"segment": "smb", "quartile": 4, "low": 0.3, "median": 0.62, "high": 0.8, "accounts": 120}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "highest quarter of 120 in smb, middle 62%"),
        ({"quartile": 1}, "lowest quarter of 120 in smb, middle 62%"),
        ({"quartile": None}, None),
        ({"segment": None, "quartile": 2}, "second-lowest quarter of 120 in missing, middle 62%"),
    ],
)
def test_peers_are_told_as_a_quarter_of_the_segment(change: dict[str, Any], text: str | None) -> None:
    assert peer_text({"value": 0.9, "peers": PEERS | change}, "ratio", SITE) == text


def test_a_missing_value_has_no_place_among_its_peers() -> None:
    assert peer_text({"value": None, "peers": PEERS}, "ratio", SITE) is None


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (
            {"table": "events", "from": "2026-06-01", "to": "2026-06-30", "rows": 1240},
            "product events, Jun 1, 2026 to Jun 30, 2026 (1,240 rows)",
        ),
        ({"table": "events", "from": "2026-06-01", "to": "2026-06-30", "rows": 1}, "Jun 30, 2026 (1 row)"),
        (
            {"table": "contracts", "from": None, "to": "2026-06-30", "rows": None},
            "contracts, as of Jun 30, 2026",
        ),
        ({"table": "contracts", "from": None, "to": None, "rows": None}, "contracts"),
    ],
)
def test_every_sentence_names_table_days_and_rows(place: dict[str, Any], text: str) -> None:
    assert where({"where": [place]}, SITE).endswith(text)
    assert where({"where": [place, {"table": "nps"}]}, SITE).endswith(f"{text}; NPS answers")


def test_an_old_run_names_tables_and_a_length_in_days() -> None:
    assert where({"source": "contracts, events", "window_days": 30}, SITE) == (
        "contracts, product events, 30 days before Jul 1, 2026"
    )


def test_the_interval_is_written_as_the_propensity_is() -> None:
    assert interval_text({"low": 0.1234, "high": 0.309, "level": 0.9}, SITE) == "90% interval: 12.3% to 30.9%"
    assert interval_text({"low": 0.1234, "high": 0.309}, SITE) == "between 12.3% and 30.9%"
    assert interval_text({"low": None, "high": 0.3, "level": 0.9}, SITE) is None
    assert interval_text(None, SITE) is None


def test_steadiness_and_what_was_left_out_are_told() -> None:
    one = plain_account(unsteady=2)
    one["reasons"][0] |= {"stability": 0.874}
    shown = why(one, SITE)
    reasons = [*shown["for"], *shown["against"], *shown["missing"]]
    told = [line for reason in reasons for line in reason["evidence"]]
    assert ("Stability", "in 87% of refits") in told
    assert shown["unsteady"].startswith("2 more facts are left out")
    assert why(one | {"unsteady": 1}, SITE)["unsteady"].startswith("1 more fact is left out")
    assert why(one | {"unsteady": 0}, SITE)["unsteady"] is None


def test_the_account_that_got_further_is_an_observation_without_a_name() -> None:
    metrics = [
        {"metric": "seat_saturation", "value": 0.4, "theirs": 0.9, "unit": "ratio"},
        {"metric": "buyer_identified", "value": 0, "theirs": 1, "unit": "flag"},
    ]
    found = {"kind": "expanded", "accounts": 34, "as_of": "2026-04-01", "metrics": metrics}
    told = comparable({"comparable": found}, SITE)
    assert told == {
        "title": "An account like this one that expanded had",
        "rows": [{"label": "Seat saturation", "theirs": "90%", "own": "40%"}],
        "note": "Seen on Apr 1, 2026, the nearest of 34 accounts. It promises nothing.",
    }
    above = comparable({"comparable": found | {"kind": "above_threshold"}}, SITE)
    assert above is not None
    assert above["title"] == "An account like this one whose score is above the threshold has"
    assert comparable({}, SITE) is None
    assert comparable({"comparable": found | {"metrics": []}}, SITE) is None
