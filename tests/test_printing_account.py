"""One account in words: the same lines for the terminal and for a notebook, adding up as shown and safe to show."""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from csql_ml.config import Config
from csql_ml.printing_account import Explanation, account_text, explanation_of

NAME = "<script>alert(1)</script> [bold]\u202eevil"
MANIFEST = {
    "run_id": "run-1",
    "as_of": "2026-07-01",
    "model_version": "0123456789ab",
    "champion_kind": "stack",
    "company": "Acme",
    "currency": "EUR",
    "labels_seen": True,
}


def reason(metric: str, points: float, value: Any, side: str, **more: Any) -> dict[str, Any]:
    plain = {"previous_value": None, "unit": "ratio", "threshold": None, "typical": 0.5, "window_days": 30, "facts": {}}
    new = {"from": "2026-06-01", "to": "2026-06-30", "peers": None, "stability": 1.0, "source": "events", "where": []}
    return {"metric": metric, "points": points, "value": value, "side": side, **plain, **new, **more}


PEERS = {
    "segment": "smb",
    "quartile": 4,
    "low": 0.3,
    "median": 0.5,
    "high": 0.7,
    "accounts": 412,
    "as_of": "2026-04-01",
}
RECORD: dict[str, Any] = {
    "account_id": "a1",
    "name": NAME,
    "status": "not_yet",
    "propensity": 0.2345,
    "interval": {"low": 0.11, "high": 0.402, "level": 0.9},
    "band": "high",
    "rank": 3,
    "baseline_score": 61.0,
    "expected_arr": 1200.0,
    "hypothesis": None,
    "reference": 0.1,
    "reasons": [
        reason(
            "feature_adoption",
            0.0834,
            0.9,
            "for",
            peers=PEERS,
            where=[{"table": "events", "from": "2026-06-01", "to": "2026-06-30", "rows": 812}],
        ),
        reason("nps_score", -0.0301, None, "missing", stability=None),
    ],
    "unsteady": 2,
    "other_points": 0.0812,
    "gates": [{"gate": "timing", "state": "failed", "because": []}],
    "risks": [],
    "ineligible_because": [],
    "missing": [],
    "comparable": {
        "kind": "expanded",
        "accounts": 95,
        "as_of": "2026-04-01",
        "metrics": [{"metric": "seat_saturation", "value": 0.5, "theirs": 0.85, "unit": "ratio"}],
    },
}


def shown(record: dict[str, Any] = RECORD, language: str = "en") -> Explanation:
    return explanation_of(record, MANIFEST, Config.model_validate({"company": {"language": language}}))


def printed(lines: list[Any]) -> str:
    console = Console(width=200, file=StringIO())
    for line in lines:
        console.print(line)
    return console.file.getvalue()


def test_every_part_of_the_explanation_is_said() -> None:
    found = shown()
    whole = "\n".join([found.headline, *(f"{p} {t} {' '.join(e)}" for p, t, e in found.rows), *found.notes])
    for said in ("23.", "90%", "11.0%", "40.2%", "412", "smb", "812 rows", "missing", "2 more facts", "85%", "95"):
        assert said in whole, said
    assert "promises nothing" in whole


def test_the_points_shown_add_up_to_the_propensity_shown() -> None:
    *parts, total = [points for points, _, _ in shown().rows]
    tenths = [round(10 * float(p.replace("\u2212", "-").rstrip("%"))) for p in (*parts, total)]
    assert sum(tenths[:-1]) == tenths[-1]


def test_a_notebook_shows_the_same_rows_as_the_terminal() -> None:
    found = shown()
    html, text = found._repr_html_(), printed(found.lines())
    assert html.count("<tr>") == len(found.rows)
    for points, label, evidence in found.rows:
        for said in (points, label, *evidence):
            assert said in text
            assert said in html


def test_names_are_text_wherever_they_are_shown() -> None:
    html = shown()._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert f"<bdi>{escape(NAME)}</bdi>" in html, "a name that turns the direction of writing keeps that to itself"
    assert "<script>alert(1)</script> [bold]" in printed(account_text(RECORD, MANIFEST, Config()))


def test_markup_is_balanced_and_loads_nothing() -> None:
    html = shown()._repr_html_()
    for tag in ("div", "p", "table", "tbody", "tr", "td", "ul", "li", "small", "strong", "bdi"):
        assert len(re.findall(f"<{tag}[ >]", html)) == html.count(f"</{tag}>"), tag
    assert not re.search(r"https?:|src=|href=", html)


OLD = {k: v for k, v in RECORD.items() if k not in ("interval", "unsteady", "comparable")}
OLD["reasons"] = [
    {k: v for k, v in r.items() if k not in ("from", "to", "peers", "where", "stability")} for r in RECORD["reasons"]
]


@pytest.mark.parametrize("record", [OLD, {**RECORD, "interval": None, "unsteady": 0, "comparable": None}])
def test_runs_that_know_less_say_less(record: dict[str, Any]) -> None:
    found = shown(record)
    assert "interval" not in found.headline
    assert len(found.rows) == 5
    assert len(found.notes) == 1
