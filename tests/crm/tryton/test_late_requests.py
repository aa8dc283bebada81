"""A request that arrives after its time, or after a newer one, changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import TransientError
from csql_ml.handoff.tryton.sink import TrytonSink
from tests.crm.tryton.proxy import CountingProxy
from tests.crm.tryton.test_delivery import one_lead
from tests.crm.tryton_desk import Salesperson, rpc_of, sink_of
from tests.crm.tryton_server import TrytonServer

pytestmark = pytest.mark.engines


@pytest.fixture
def network(crm: TrytonServer) -> Iterator[CountingProxy]:
    with CountingProxy(crm.port) as proxy:
        yield proxy


@pytest.fixture
def sink(network: CountingProxy) -> TrytonSink:
    return sink_of(network.port)


def kept_back(network: CountingProxy, sink: TrytonSink, record: Record) -> None:
    """Send a record whose request does not arrive yet."""
    network.held = "csql_take"
    with pytest.raises(TransientError) as lost:
        sink.submit("lead", [record], "")
    assert lost.value.uncertain


def answers(network: CountingProxy) -> list[tuple[str, str]]:
    """What the server says to the requests that come late."""
    found = [json.loads(body)["result"] for body in network.release()]
    return [(one["status"], one["error"]) for (one,) in found]


def changed(record: Record, **values: object) -> Record:
    return replace(record, payload={**record.payload, **values}, changed=frozenset(values))


def test_a_late_creation_finds_the_lead_that_was_created_since(
    network: CountingProxy, sink: TrytonSink, crm: TrytonServer
) -> None:
    record = one_lead(1, title="first")
    kept_back(network, sink, record)
    sink.submit("lead", [one_lead(1, title="second")], "")
    assert answers(network) == [("retry", "the record has changed since it was looked up")]
    assert crm.sql("SELECT description FROM sale_opportunity") == [("second",)]


def test_a_late_update_does_not_overwrite_a_newer_one_of_the_same_day(
    network: CountingProxy, sink: TrytonSink, crm: TrytonServer
) -> None:
    record = one_lead(1, title="first")
    sink.submit("lead", [record], "")
    kept_back(network, sink, changed(record, title="earlier"))
    sink.submit("lead", [changed(record, title="later")], "")
    assert answers(network) == [("retry", "the record has changed since it was looked up")]
    assert crm.sql("SELECT description, csql_revision FROM sale_opportunity") == [("later", 2)]


def test_what_sales_writes_in_between_does_not_hold_our_own_request_up(
    network: CountingProxy, sink: TrytonSink, crm: TrytonServer
) -> None:
    record = one_lead(1)
    sink.submit("lead", [record], "")
    kept_back(network, sink, changed(record, title="ours"))
    Salesperson(crm.port).edit([1], comment="called")
    assert answers(network) == [("acknowledged", None)]
    assert crm.sql("SELECT description, comment FROM sale_opportunity") == [("ours", "called")]


def test_a_request_after_its_time_changes_nothing_even_if_nothing_else_was_written(
    sink: TrytonSink, crm: TrytonServer
) -> None:
    rpc = rpc_of(crm.port, "sender")
    row = {"key": "k", "revision": None, "as_of": None, "account_id": "A0001", "values": {}}
    now = rpc.read("model.sale.opportunity.csql_revisions", [])["now"]
    (answer,) = rpc.write("model.sale.opportunity.csql_take", [row], {"until": now - 1})
    assert (answer["status"], answer["error"]) == ("retry", "the request came too late to be meant")
    assert crm.sql("SELECT count(*) FROM sale_opportunity") == [(0,)]


def test_the_time_a_request_is_good_for_is_that_of_its_timeouts(crm: TrytonServer) -> None:
    with CountingProxy(crm.port) as network:
        sink = sink_of(network.port, connect_timeout=0.5, timeout=5)
        kept_back(network, sink, one_lead(1))
        time.sleep(6)
        assert answers(network) == [("retry", "the request came too late to be meant")]
    assert crm.sql("SELECT count(*) FROM sale_opportunity") == [(0,)]


def test_values_of_an_older_day_are_taken_note_of_and_not_written(sink: TrytonSink, crm: TrytonServer) -> None:
    record = one_lead(1, title="new", as_of="2026-07-08")
    sink.submit("lead", [record], "")
    (answer,) = sink.submit("lead", [one_lead(1, title="old", as_of="2026-07-01")], "")
    assert (answer.status, answer.remote_id) == ("acknowledged", "1")
    assert crm.sql("SELECT description, csql_revision FROM sale_opportunity") == [("new", 1)]


def test_a_session_that_ends_is_begun_again_and_the_request_sent_once(
    network: CountingProxy, sink: TrytonSink, crm: TrytonServer
) -> None:
    sink.preflight(("lead",))
    crm.sql("DELETE FROM ir_session")
    assert [r.status for r in sink.submit("lead", [one_lead(1)], "")] == ["acknowledged"]
    assert network.calls["common.db.login"] == 2
    assert network.calls["model.sale.opportunity.csql_take"] == 1
