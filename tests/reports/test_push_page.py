from __future__ import annotations

import ast
import json
import re
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

from csql_ml import handoff
from csql_ml.handoff import note
from csql_ml.handoff.fields import FIELDS
from csql_ml.reports.catalogue import load
from csql_ml.reports.extract import push_messages
from csql_ml.reports.lead_texts import FIELD
from csql_ml.reports.push_page import MOST_SHOWN, NOTE, page, render
from csql_ml.reports.run_folder import Run
from csql_ml.reports.texts import Texts

TEXTS = Texts(load("en"), "EUR")
HOSTILE = "<script>alert(1)</script>\x00"


def run() -> Run:
    return Run(Path(), "run-1", date(2026, 7, 1), "model-1", "stack", "Example & Co", "EUR", labels_seen=True)


def change(action: str = "update", account: str = "A1", **values: Any) -> dict[str, Any]:
    found = {"kind": "lead", "key": "k", "account_id": account, "account_name": "Northwind", "action": action}
    return {**found, "reason": None, "differences": [], **values}


def data(*changes: dict[str, Any], **values: Any) -> dict[str, Any]:
    counts = {
        a: sum(c["action"] == a for c in changes) for a in ("create", "update", "waiting", "unchanged", "invalid")
    }
    found = {
        "sink": "tryton",
        "planned": {"lead": counts},
        "note_messages": [],
        "findings": [],
        "changes": list(changes),
    }
    return {**found, **values}


def difference(field: str, before: Any, after: Any) -> dict[str, Any]:
    return {"field": field, "before": before, "after": after}


def test_lines_that_stay_are_told_from_those_that_change() -> None:
    one = change(differences=[difference("proof_of_value", "a\nb", "a\nc"), difference("propensity", 0.4123, 0.7)])
    (section,) = page(data(one), run(), TEXTS)["kinds"][0]["sections"]
    proof, propensity = section["changes"][0]["fields"]
    assert proof["before"] == [("a", True), ("b", False)]
    assert proof["after"] == [("a", True), ("c", False)]
    assert (propensity["before"], propensity["after"]) == ([("41.2%", False)], [("70.0%", False)])
    html = render(data(one), run(), TEXTS).decode()
    assert "<del><bdi>b</bdi></del>" in html
    assert "<ins><bdi>c</bdi></ins>" in html
    assert "<p><bdi>a</bdi></p>" in html


def test_the_page_needs_no_other_file_and_runs_nothing() -> None:
    hostile = change(account_name=HOSTILE, reason=HOSTILE, differences=[difference("title", HOSTILE, HOSTILE * 2)])
    values = {"experiment": HOSTILE, "count": 2, "until": "2026-10-01"}
    html = render(data(hostile, note_messages=[{"message": note.HELD_OUT, "values": values}]), run(), TEXTS).decode()
    assert "<script" not in html
    assert "\x00" not in html
    assert re.findall(r'(?:href|src)="([^"]*)"', html) == ["data:,", "#main", "#index.html"]
    assert "script-src 'none'" in unescape(html)


def test_values_are_written_as_people_write_them_and_missing_ones_are_marked() -> None:
    fields = [("answer_due", None, "2026-07-06"), ("expected_arr", 4123.45, None), ("status", "open", "withdrawn")]
    one = change(differences=[difference(*f) for f in fields])
    found = page(data(one), run(), TEXTS)["kinds"][0]["sections"][0]["changes"][0]["fields"]
    assert [(f["label"], f["before"], f["after"]) for f in found] == [
        ("Answer due", [], [("Jul 6, 2026", False)]),
        ("Expected ARR", [("€4,123", False)], []),
        ("Status", [("Open", False)], [("Withdrawn", False)]),
    ]


def test_many_changes_are_shown_in_part_and_it_says_so() -> None:
    many = [change("create", f"A{n}") for n in range(MOST_SHOWN + 2)]
    (section,) = page(data(*many), run(), TEXTS)["kinds"][0]["sections"]
    assert (section["count"], len(section["changes"]), section["more"]) == (
        "502",
        MOST_SHOWN,
        "2 more stand in the JSON",
    )


def test_refusals_waiting_leads_and_an_empty_push_are_said_in_words() -> None:
    finding = {"name": "lead_source", "level": "refuse", "message": "the lead source CSQL does not exist"}
    html = render(data(findings=[finding]), run(), TEXTS).decode()
    assert "The push would be refused." in html
    assert "Nothing would be sent." in html
    waits = page(data(change("waiting", reason="capacity")), run(), TEXTS)["kinds"][0]["sections"][0]["changes"][0]
    assert waits["reason"] == "The portfolio has as many open leads as it can work."


def test_every_field_has_a_word() -> None:
    assert {f.name for kind in FIELDS.values() for f in kind} == set(FIELD)


def test_the_same_data_give_the_same_bytes_and_every_text_goes_through_the_catalogue() -> None:
    one = data(change(account_name="", account_id="1", differences=[difference("propensity", 0.1, 0.2)]), sink="2")
    assert render(one, run(), TEXTS) == render(one, run(), TEXTS)
    html = render(one, run(), Texts(load("qps"), "EUR")).decode().split("<body>")[1]
    shown = re.sub(r"<[^>]+>", "\n", re.sub("⟦.*?⟧", "", html, flags=re.DOTALL)).replace("\n", " ")
    plain = set(re.findall(r"[A-Za-z]{3,}", shown)) - {"CSQL", "Example", "amp", "run", "model"}
    assert plain == set()


def test_every_note_of_a_push_can_be_translated() -> None:
    assert {*note.OLDER.values(), note.UNOWNED, note.HELD_OUT, note.HELD_OUT_KNOWN} == set(NOTE)


def test_a_note_is_said_in_the_language_of_the_page() -> None:
    values = {"run": "run-1", "as_of": "2026-07-01", "newest": "2026-08-01"}
    said = data(note_messages=[{"message": note.OLDER["lead"], "values": values}])
    english = "Run run-1 is as of Jul 1, 2026; a run as of Aug 1, 2026 was handed over before: no lead is changed."
    assert page(said, run(), TEXTS)["notes"] == [english]
    german = page(said, run(), Texts(load("de"), "EUR"))["notes"][0]
    assert "01.08.2026" in german
    assert "handed" not in german


def test_what_a_crm_lacks_is_said_in_the_language_of_the_page() -> None:
    """A list, a choice and a guess among the parts are translated, too; the terminal's sentence stays English."""
    field = note.Note("{property} (for {field})", property="csql_band", field="band")
    lacks = note.Note(
        "HubSpot's {object} have no property {missing}; make them, or change the names under delivery.hubspot",
        object="leads",
        missing=(field, note.Note("{property} (for the key)", property="csql_key")),
    )
    types = note.Note(
        "{property} is of type {type}, {field} needs {allowed}",
        property="leads.csql_band",
        type="number",
        field="band",
        allowed=note.either(["string", "enumeration", "date"]),
    )
    assert "no property csql_band (for band), csql_key (for the key); make them" in lacks
    assert types == "leads.csql_band is of type number, band needs string or enumeration or date"
    findings = [{"name": "x", "level": "refuse", "message": str(one), "parts": one.parts()} for one in (lacks, types)]
    german = page(json.loads(json.dumps(data(findings=findings))), run(), Texts(load("de"), "EUR"))["findings"]
    assert "csql_band (für band), csql_key (für den Schlüssel)" in german[0]["said"]
    assert german[1]["said"] == "leads.csql_band hat den Typ number, band braucht string oder enumeration oder date"
    assert [one["said"] for one in page(data(findings=findings), run(), TEXTS)["findings"]] == [lacks, types]


def test_a_sink_of_ones_own_may_say_it_in_english_alone() -> None:
    finding = {"name": "x", "level": "warn", "message": "the folder is full", "parts": None}
    html = render(data(findings=[finding]), run(), Texts(load("de"), "EUR")).decode()
    assert '<span lang="en">the folder is full</span>' in html


def test_every_sentence_of_a_preflight_is_collected_for_translation() -> None:
    """Whoever gives a finding a plain text instead of a `Note` leaves it in English on every page."""
    sources = [path.read_text("utf-8") for path in Path(handoff.__file__).parent.rglob("*.py")]
    calls = [call for text in sources for call in ast.walk(ast.parse(text)) if isinstance(call, ast.Call)]
    named = [(getattr(call.func, "id", ""), call.args) for call in calls]
    plain = [ast.unparse(args[-1]) for name, args in named if name in ("Finding", "_refuse", "_warn") and args]
    assert len(plain) > 40
    assert [text for text in plain if text.lstrip("f").startswith(("'", '"'))] == []
    collected = {message for _, message in push_messages()}
    assert {"{one} or {other}", "no active users: {users}"} < collected
