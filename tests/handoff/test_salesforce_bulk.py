"""Many rows: one bulk job. Against a server of the project's own, which is not the vendor's system."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from csql_ml.config import load
from csql_ml.handoff.fields import Value
from csql_ml.handoff.push import push
from csql_ml.handoff.salesforce import bulk, csv_text
from csql_ml.handoff.salesforce.mapping import DEFAULT_FIELDS, targets
from csql_ml.handoff.sink import BatchRejected, Result, TransientError
from tests.crm.salesforce_server import SalesforceServer
from tests.handoff.salesforce_case import key, record, settings, sink
from tests.handoff.scripted_sink import World
from tests.handoff.small_run import lead, write_run

NUMBERS = range(12)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceServer]:
    monkeypatch.setenv("CSQL_SALESFORCE_SECRET", "token-0")
    with SalesforceServer() as found:
        yield found
    assert found.violations == [], "every request keeps its schema"


def sent(server: SalesforceServer, *records: object) -> tuple[object, str]:
    """A sink for which everything is a large run, and the receipt of a job that was sent."""
    asked = sink(server, bulk_from=1)
    rows = list(records) or [record(n) for n in NUMBERS]
    receipt = asked.prepare("lead", rows)  # type: ignore[arg-type]
    assert asked.submit("lead", rows, receipt) is None  # type: ignore[arg-type]
    return asked, receipt


def results(server: SalesforceServer, *records: object) -> dict[str, Result]:
    asked, receipt = sent(server, *records)
    return {r.key: r for r in asked.collect(receipt) or []}  # type: ignore[attr-defined]


# CSV


@pytest.mark.parametrize(
    "value",
    [
        "a,b",
        'say "yes"',
        "two\nlines",
        "two\r\nlines",
        "old\rmac",
        "a\u2028b\u2029c\x85d\x0be",
        " padded ",
        "x" * 200_000,
    ],
)
def test_a_value_comes_back_as_it_went(value: str) -> None:
    written = csv_text.write(["Key", "Text"], [{"Key": "1", "Text": value}, {"Key": "2", "Text": "z"}])
    assert list(csv_text.rows(written.decode())) == [{"Key": "1", "Text": value}, {"Key": "2", "Text": "z"}]
    ours = list(csv.reader(io.StringIO(written.decode(), newline="")))
    assert ours[1:] == [["1", value], ["2", "z"]], "the standard library reads the same"


def test_empty_is_not_missing() -> None:
    rows: list[dict[str, Value]] = [{"Key": "1", "A": None, "B": ""}, {"Key": "2", "B": 0.5}]
    assert csv_text.write(["Key", "A", "B"], rows) == b"Key,A,B\n1,#N/A,#N/A\n2,,0.5\n"


@pytest.mark.parametrize("text", ['a,b\n1,"2', "a,b\n1", 'a,b\n1,"2"3\n'])
def test_a_result_that_was_cut_off_is_asked_for_again(text: str) -> None:
    with pytest.raises(TransientError, match="no complete CSV"):
        list(csv_text.rows(text))


# a job


def test_rows_are_upserted_and_each_has_a_result(server: SalesforceServer) -> None:
    texts = ["two\nlines", "line\u2028separator", "x" * 32_000, 'a "quote", a comma']
    rows = [record(n, proof_of_value=t) for n, t in enumerate(texts)]
    found = results(server, *rows)
    assert {k: r.status for k, r in found.items()} == {key(n): "acknowledged" for n in range(4)}
    assert [server.org.by_key(key(n))["CSQL_Proof_Of_Value__c"] for n in range(4)] == texts
    assert found[key(0)].remote_id == server.org.by_key(key(0))["Id"]


def test_a_second_job_changes_what_changed_and_empties_what_is_empty(server: SalesforceServer) -> None:
    results(server)
    results(server, record(1, {"product"}, product=None), record(2, {"propensity"}, propensity=0.9))
    one, two = server.org.by_key(key(1)), server.org.by_key(key(2))
    assert (one["CSQL_Product__c"], one["CSQL_Propensity__c"]) == (None, 0.4123)
    assert (two["CSQL_Product__c"], two["CSQL_Propensity__c"]) == ("Pro", 0.9)


def test_a_key_given_twice_is_sent_once(server: SalesforceServer) -> None:
    found = results(server, record(1), record(1, propensity=0.9), record(2))
    assert {k: r.status for k, r in found.items()} == {key(1): "acknowledged", key(2): "acknowledged"}
    assert server.org.by_key(key(1))["CSQL_Propensity__c"] == 0.4123


def test_salesforce_refuses_duplicates_inside_a_job_and_every_row_is_told(server: SalesforceServer) -> None:
    asked = sink(server)
    job = bulk.create(asked._api, "Lead", "CSQL_Key__c")
    row = {"CSQL_Key__c": "k", "LastName": "a", "Company": "b"}
    bulk.send(asked._api, job, [row, {**row, "CSQL_Key__c": "K"}, {**row, "CSQL_Key__c": "other"}])
    found = {r.key: r.status for r in bulk.results(asked._api, job, "CSQL_Key__c") or []}
    assert found == {"k": "invalid", "K": "invalid", "other": "acknowledged"}


def test_partial_failures_are_told_apart(server: SalesforceServer) -> None:
    server.org.rule = lambda row: "not\nsold, any more" if row["CSQL_Product__c"] == "Old" else None
    server.org.locked = {key(2): 1}
    found = results(server, record(1), record(2), record(3, product="Old"), record(4, account_name="x" * 300))
    assert [found[key(n)].status for n in (1, 2, 3, 4)] == ["acknowledged", "retry", "invalid", "invalid"]
    assert found[key(2)].error == "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access to this record"
    assert found[key(4)].error == "STRING_TOO_LONG (Company)"


def test_a_converted_lead_is_sales_own(server: SalesforceServer) -> None:
    results(server)
    server.org.convert(server.org.by_key(key(1))["Id"])
    assert results(server, record(1, {"band"}, band="low"))[key(1)].status == "acknowledged"


def test_a_change_of_status_does_not_go_through_the_job(server: SalesforceServer) -> None:
    results(server)
    server.org.edit("Lead", server.org.by_key(key(1))["Id"], Status="Working - Contacted")
    asked = sink(server, bulk_from=1)
    rows = [record(1, {"status"}, status="withdrawn"), record(2, {"status"}, status="withdrawn"), record(3)]
    receipt = asked.prepare("lead", rows)
    at_once = asked.submit("lead", rows, receipt) or []
    assert {r.key for r in at_once} == {key(1), key(2)}
    assert [server.org.by_key(key(n))["Status"] for n in (1, 2)] == ["Working - Contacted", "Withdrawn"]
    assert [r.key for r in asked.collect(receipt) or []] == [key(3)]


def test_an_unfinished_job_has_no_results_yet(server: SalesforceServer) -> None:
    server.org.polls = 2
    asked, receipt = sent(server)
    assert [asked.collect(receipt) for _ in range(2)] == [None, None]  # type: ignore[attr-defined]
    assert len(asked.collect(receipt)) == 12  # type: ignore[attr-defined]


@pytest.mark.parametrize("trouble", ["503", "lost", "dropped"])
@pytest.mark.parametrize("endpoint", ["job_info", "job_results"])
def test_trouble_while_polling_ends_nothing(server: SalesforceServer, endpoint: str, trouble: str) -> None:
    asked, receipt = sent(server)
    server.trouble = {endpoint: [trouble]}
    with pytest.raises(TransientError):
        asked.collect(receipt)  # type: ignore[attr-defined]
    assert len(asked.collect(receipt)) == 12  # type: ignore[attr-defined]
    assert server.requests["job_create"] == 1


@pytest.mark.parametrize(("trouble", "rows"), [("lost", 12), ("dropped", 0)])
def test_an_answer_to_the_closing_that_is_lost(server: SalesforceServer, trouble: str, rows: int) -> None:
    """The receipt says what became of it: the job ran, or it is aborted and never will."""
    asked = sink(server, bulk_from=1)
    records = [record(n) for n in NUMBERS]
    receipt = asked.prepare("lead", records)
    server.trouble = {"job_state": [trouble]}
    with pytest.raises(TransientError) as told:
        asked.submit("lead", records, receipt)
    assert told.value.uncertain
    assert len(asked.collect(receipt) or []) == rows
    job = receipt.partition(":")[2]
    with pytest.raises(TransientError, match="cannot be closed"):
        # The closing arrives late: it finds the job done, or aborted.
        bulk.send(_WithoutUpload(asked), job, [])  # type: ignore[arg-type]
    assert len(server.org.rows["Lead"]) == rows


class _WithoutUpload:
    """An api whose upload has already happened."""

    def __init__(self, asked: object) -> None:
        self._api = asked._api  # type: ignore[attr-defined]

    def request(self, method: str, path: str, **given: object) -> object:
        return None if method == "PUT" else self._api.request(method, path, **given)


@pytest.mark.parametrize("trouble", ["503", "lost", "dropped"])
def test_an_upload_without_an_answer_did_nothing(server: SalesforceServer, trouble: str) -> None:
    asked = sink(server, bulk_from=1)
    receipt = asked.prepare("lead", [record(1)])
    server.trouble = {"job_upload": [trouble]}
    with pytest.raises(TransientError) as told:
        asked.submit("lead", [record(1)], receipt)
    assert not told.value.uncertain
    assert asked.collect(receipt) == []
    assert server.org.rows["Lead"] == {}


def test_data_beyond_the_limit_is_handed_back_to_be_split(
    server: SalesforceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_BYTES", 1_000)
    asked = sink(server, bulk_from=1)
    records = [record(n) for n in NUMBERS]
    receipt = asked.prepare("lead", records)
    with pytest.raises(BatchRejected, match="more than the 1000 of one bulk job"):
        asked.submit("lead", records, receipt)
    assert {job["state"] for job in server.org.jobs.values()} == {"Aborted"}


def test_a_job_that_failed_says_why_and_its_rest_is_tried_again(server: SalesforceServer) -> None:
    asked = sink(server, bulk_from=1)
    records = [record(n) for n in NUMBERS]
    receipt = asked.prepare("lead", records)
    server.org.jobs[receipt.partition(":")[2]] |= {"ends": "Failed", "errorMessage": "TooManyLockFailure"}
    asked.submit("lead", records, receipt)
    found = asked.collect(receipt) or []
    assert sorted(r.status for r in found) == ["acknowledged"] * 12
    server.org.jobs[receipt.partition(":")[2]]["done"] = []
    assert {(r.status, r.error) for r in asked.collect(receipt) or []} == {
        ("retry", "the bulk job ended before this row; state Failed, TooManyLockFailure")
    }


def test_a_job_that_is_gone_has_nothing_to_tell(server: SalesforceServer) -> None:
    asked, receipt = sent(server)
    server.org.jobs.clear()
    assert asked.collect(receipt) == []  # type: ignore[attr-defined]


# with the core


def test_a_push_of_400_is_one_job_and_the_next_push_asks_nothing(server: SalesforceServer, tmp_path: Path) -> None:
    config = settings(tmp_path, server.port)
    run = write_run(tmp_path / "run", [lead(f"A{n:04d}") for n in range(400)])
    server.org.polls = 3
    first = push(config, run, "salesforce", clock=World().clock())
    assert (first.exit_code, first.counts) == (0, {"create": 400})
    assert (server.requests["job_create"], server.org.created) == (1, 400)
    written, asked = server.org.written, server.requests.total()
    again = push(config, run, "salesforce", clock=World().clock())
    assert (again.counts, server.org.written) == ({}, written)
    assert server.requests.total() - asked <= 6, "preflight alone"


def test_after_a_crash_the_job_is_collected_and_nothing_is_sent_twice(server: SalesforceServer, tmp_path: Path) -> None:
    config = settings(tmp_path, server.port)
    run = write_run(tmp_path / "run", [lead(f"A{n:04d}") for n in range(300)])
    server.org.polls = 1_000
    world = World()

    def die(seconds: float) -> None:
        raise KeyboardInterrupt

    clock = world.clock()
    with pytest.raises(KeyboardInterrupt):
        push(config, run, "salesforce", clock=type(clock)(clock.now, die, clock.draw))
    assert server.requests["job_state"] == 1, "the job was closed, and nobody heard of it any more"
    for job in server.org.jobs.values():
        job["polls"] = 0
    world.time += 3_600
    assert push(config, run, "salesforce", clock=world.clock()).exit_code == 0
    assert (server.requests["job_create"], server.requests["job_upload"], server.org.written) == (1, 1, 300)


def test_a_crash_before_the_closing_sends_the_rows_in_another_job(server: SalesforceServer, tmp_path: Path) -> None:
    config = settings(tmp_path, server.port)
    run = write_run(tmp_path / "run", [lead(f"A{n:04d}") for n in range(300)])
    server.trouble = {"job_state": ["dropped"]}
    assert push(config, run, "salesforce", clock=World().clock()).exit_code == 0
    assert [job["state"] for job in server.org.jobs.values()] == ["Aborted", "JobComplete"]
    assert (server.org.created, server.org.written) == (300, 300)


def test_secrets_stay_out_of_outbox_errors_and_history(
    server: SalesforceServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, server.port, delivery_max_attempts=1)
    run = write_run(tmp_path / "run", [lead("A1")])
    server.trouble = {"collections": ["503"]}
    push(config, run, "salesforce", clock=World().clock())
    assert os.environ["CSQL_SALESFORCE_SECRET"] == "token-0"
    with sqlite3.connect(tmp_path / "outbox.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "token-0" not in dump + "".join(capsys.readouterr())
    assert "503" in dump


@pytest.mark.parametrize(("guarded", "left"), [(True, 0.9), (False, 0.1)])
def test_a_stale_row_is_stopped_by_a_rule_in_the_org_alone(
    server: SalesforceServer, guarded: bool, left: float
) -> None:
    """An upsert has no condition: without the validation rule of the documentation, older values of ours win."""
    server.org.stale_guard = guarded
    results(server)
    results(server, record(1, {"propensity", "as_of"}, propensity=0.9, as_of="2026-08-01"))
    results(server, record(1, {"propensity", "as_of"}, propensity=0.1, as_of="2026-07-02"))
    assert server.org.by_key(key(1))["CSQL_Propensity__c"] == left


def test_the_template_loads_and_says_what_is_tested(project_root: Path) -> None:
    path = project_root / "configs/crm/salesforce.yaml"
    section = load(path).delivery.salesforce
    assert "Not tested: anything against Salesforce itself" in " ".join(path.read_text(encoding="utf-8").split("\n# "))
    assert targets(section)["lead"].fields["proof_of_value"] == "CSQL_Proof_Of_Value__c"
    listed = " ".join(path.read_text(encoding="utf-8").replace("#", " ").split())
    assert all(f"{name}: {there}" in listed for name, there in DEFAULT_FIELDS["Lead"].items())
