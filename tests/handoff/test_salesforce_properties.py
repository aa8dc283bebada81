"""Whatever Salesforce does, rows end acknowledged or dead and it has each acknowledged key once.

Against a server of the project's own, which is not the vendor's system.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.config.delivery import Delivery
from csql_ml.handoff.delivery import Sender
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.record import Record
from csql_ml.handoff.row import new_row
from csql_ml.handoff.salesforce import csv_text
from csql_ml.handoff.salesforce.sink import SalesforceSink
from csql_ml.handoff.salesforce.soql import literal
from tests.crm.salesforce_org import Org
from tests.crm.salesforce_server import SalesforceServer
from tests.crm.salesforce_soql import Query
from tests.handoff.salesforce_case import key, record, sink
from tests.handoff.scripted_sink import World
from tests.handoff.test_delivery_properties import connection

SETTINGS = Delivery(max_attempts=60, first_delay=1.0, longest_delay=8.0, poll_interval=1.0)
TROUBLE = ("503", "429", "lost", "dropped")
WRITING = ("collections", "composite", "job_create", "job_upload", "job_state", "job_info", "job_results", "query")


@st.composite
def stories(draw: st.DrawFn) -> dict[str, object]:
    return {
        "rows": draw(st.integers(1, 9)),
        "invalid": draw(st.sets(st.integers(0, 8), max_size=3)),
        "locked": draw(st.dictionaries(st.integers(0, 8), st.integers(1, 3), max_size=3)),
        "bulk_from": draw(st.sampled_from([1, 4, 201])),
        "bulk_size": draw(st.sampled_from([2, 5, 100])),
        "polls": draw(st.integers(0, 2)),
        "text": draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)),
        "trouble": {e: draw(st.lists(st.sampled_from(TROUBLE), max_size=3)) for e in WRITING},
    }


@pytest.fixture(scope="module")
def server() -> Iterator[SalesforceServer]:
    with SalesforceServer() as found:
        yield found


@settings(max_examples=30, deadline=None)
@given(stories())
def test_every_row_ends_acknowledged_or_dead_and_each_key_is_there_once(
    server: SalesforceServer, story: dict[str, object]
) -> None:
    org = server.org = Org()
    invalid = {key(n) for n in story["invalid"]}  # type: ignore[attr-defined]
    org.rule = lambda row: "a rule of the org" if row["CSQL_Key__c"] in invalid else None
    org.locked = {key(n): times for n, times in story["locked"].items()}  # type: ignore[attr-defined]
    org.polls = int(story["polls"])  # type: ignore[call-overload]
    server.trouble, server.violations = {}, []
    asked = sink(server, bulk_from=story["bulk_from"], bulk_size=story["bulk_size"])
    records = [record(n, proof_of_value=str(story["text"])) for n in range(int(story["rows"]))]  # type: ignore[call-overload]
    asked.check("lead", records)
    server.trouble = {e: list(t) for e, t in story["trouble"].items()}  # type: ignore[attr-defined]
    rows = delivered(asked, records)
    dead = {k for k, row in rows.items() if row.state == "dead"}
    acknowledged = {k for k, row in rows.items() if row.state == "acknowledged"}
    assert dead | acknowledged == {r.key for r in records}
    assert dead == invalid & {r.key for r in records}
    assert org.keys() == sorted(acknowledged), "each acknowledged key once, and nothing else"
    assert {org.by_key(k)["CSQL_Proof_Of_Value__c"] for k in acknowledged} <= {str(story["text"]).strip()}
    assert server.violations == []


def delivered(asked: SalesforceSink, records: list[Record]) -> dict[str, object]:
    outbox = Outbox(connection(), "salesforce")
    with outbox.transaction():
        outbox.put([new_row(r, "create", "run") for r in records])
        push_id = outbox.begin_push("push", None, "2026-07-01T00:00:00+00:00", {})
    Sender(asked, asked.capabilities(), outbox, SETTINGS, World().clock(), push_id).run()
    return dict(outbox.rows("lead"))


@given(st.lists(st.dictionaries(st.sampled_from(["A", "B"]), st.text(), max_size=2), max_size=5))
def test_any_text_survives_csv(rows: list[dict[str, str]]) -> None:
    encodable = [{n: v.encode("utf-8", "replace").decode() for n, v in row.items()} for row in rows]
    found = list(csv_text.rows(csv_text.write(["A", "B"], rows).decode("utf-8")))
    expected = [{n: (row[n] or csv_text.EMPTY) if n in row else "" for n in ("A", "B")} for row in encodable]
    assert found == expected


@given(st.text())
def test_any_text_stays_one_value_of_a_query(text: str) -> None:
    found = Query(f"SELECT Id FROM Lead WHERE A = {literal(text)}", lambda _: [{"A": text}], dict.get)
    found.end()
    assert len(found.rows()) == 1 or text == ""
