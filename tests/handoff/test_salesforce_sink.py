"""Few rows: created in collections, changed under a condition. Against a server of the project's own only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from csql_ml.errors import ConfigError, DeliveryError
from csql_ml.handoff.record import Record
from csql_ml.handoff.salesforce.mapping import targets
from csql_ml.handoff.sink import BatchRejected, Swept, TransientError
from tests.crm.salesforce_org import USER, Org
from tests.crm.salesforce_server import SalesforceServer
from tests.handoff.salesforce_case import key, record, sink

OTHER = "005000000000002AAA"


@pytest.fixture
def server() -> Iterator[SalesforceServer]:
    with SalesforceServer() as found:
        yield found
    assert found.violations == [], "every request keeps its schema"


def there(server: SalesforceServer, number: int = 1) -> dict[str, object]:
    return server.org.by_key(key(number))


def create(server: SalesforceServer, *numbers: int) -> None:
    results = sink(server).submit("lead", [record(n) for n in numbers], "")
    assert [r.status for r in results or []] == ["acknowledged"] * len(numbers)


def test_new_leads_are_created_with_owner_source_and_status_and_read_back_as_sent(server: SalesforceServer) -> None:
    create(server, 1, 2)
    lead = there(server)
    assert (lead["OwnerId"], lead["LeadSource"], lead["Status"]) == (USER, "CSQL", "Open - Not Contacted")
    found = sink(server).lookup("lead", [key(1), key(2), key(3)])
    assert set(found) == {key(1), key(2)}
    assert {n: v for n, v in found[key(1)].fields.items() if v is not None} == dict(record(1).payload)
    assert server.requests["collections"] == 1


@pytest.mark.parametrize("text", ['two\nlines, "quoted"', "line\u2028separator", "x" * 32_000, "O'Hara \\ 50 %"])
def test_texts_survive_as_they_are(server: SalesforceServer, text: str) -> None:
    sink(server).submit("lead", [record(1, proof_of_value=text)], "")
    assert there(server)["CSQL_Proof_Of_Value__c"] == text
    assert sink(server).lookup("lead", [key(1)])[key(1)].fields["proof_of_value"] == text


def test_what_is_no_number_is_empty_and_empty_empties(server: SalesforceServer) -> None:
    create(server, 1)
    changed = {"propensity", "product"}
    sink(server).submit("lead", [record(1, changed, propensity=float("nan"), product=None)], "")
    assert (there(server)["CSQL_Propensity__c"], there(server)["CSQL_Product__c"]) == (None, None)


def test_only_what_changed_is_written(server: SalesforceServer) -> None:
    create(server, 1)
    server.org.edit("Lead", str(there(server)["Id"]), Company="Renamed by sales", Status="Working - Contacted")
    sink(server).submit("lead", [record(1, {"propensity"}, propensity=0.7)], "")
    lead = there(server)
    assert (lead["Company"], lead["Status"], lead["CSQL_Propensity__c"]) == (
        "Renamed by sales",
        "Working - Contacted",
        0.7,
    )


def test_a_key_that_is_there_already_is_left_to_be_looked_up(server: SalesforceServer) -> None:
    """Of two creations of one key the second is refused, so a late one cannot put back what sales changed."""
    create(server, 1)
    server.org.edit("Lead", str(there(server)["Id"]), Status="Working - Contacted")
    (result,) = sink(server).submit("lead", [record(1, propensity=0.1), record(2)], "") or []
    assert (result.key, result.status) == (key(2), "acknowledged")
    assert there(server)["CSQL_Propensity__c"] == 0.4123
    assert there(server)["Status"] == "Working - Contacted"


def test_a_late_change_finds_another_version_and_is_refused(server: SalesforceServer) -> None:
    create(server, 1)
    sent = sink(server)
    changing = sent._api.request

    def after_sales(method: str, path: str, **given: object) -> object:
        if path == "/composite":
            server.org.edit("Lead", str(there(server)["Id"]), Status="Working - Contacted")
        return changing(method, path, **given)  # type: ignore[arg-type]

    sent._api.request = after_sales  # type: ignore[method-assign, assignment]
    (result,) = sent.submit("lead", [record(1, {"status"}, status="withdrawn")], "") or []
    assert (result.status, there(server)["Status"]) == ("retry", "Working - Contacted")
    assert "since it was read" in str(result.error)


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("Open - Not Contacted", "Withdrawn"),
        ("Working - Contacted", "Working - Contacted"),
        ("Closed - Not Converted", "Closed - Not Converted"),
    ],
)
def test_withdrawing_leaves_alone_what_sales_took_on_or_closed(
    server: SalesforceServer, status: str, after: str
) -> None:
    create(server, 1)
    server.org.edit("Lead", str(there(server)["Id"]), Status=status)
    (result,) = sink(server).submit("lead", [record(1, {"status"}, status="withdrawn")], "") or []
    assert (result.status, there(server)["Status"]) == ("acknowledged", after)


def test_a_converted_lead_is_sales_own(server: SalesforceServer) -> None:
    create(server, 1)
    server.org.convert(str(there(server)["Id"]))
    (result,) = sink(server).submit("lead", [record(1, {"propensity"}, propensity=0.9)], "") or []
    assert (result.status, there(server)["CSQL_Propensity__c"]) == ("acknowledged", 0.4123)


def test_a_withdrawn_lead_is_opened_again_and_one_in_work_is_not_reset(server: SalesforceServer) -> None:
    create(server, 1, 2)
    withdrawn = [record(n, {"status"}, status="withdrawn") for n in (1, 2)]
    sink(server).submit("lead", withdrawn, "")
    server.org.edit("Lead", str(there(server, 2)["Id"]), Status="Working - Contacted")
    reopened = [record(n, {"status", "answer_due"}, answer_due="2026-08-06") for n in (1, 2)]
    results = sink(server).submit("lead", reopened, "") or []
    assert [r.status for r in results] == ["acknowledged"] * 2
    assert there(server, 1)["Status"] == "Open - Not Contacted"
    assert there(server, 1)["CSQL_Answer_Due__c"] == "2026-08-06"
    assert there(server, 2)["Status"] == "Working - Contacted"


def test_an_older_run_writes_nothing(server: SalesforceServer) -> None:
    create(server, 1)
    older = record(1, {"propensity", "as_of"}, propensity=0.1, as_of="2026-06-01")
    (result,) = sink(server).submit("lead", [older], "") or []
    assert (result.status, there(server)["CSQL_Propensity__c"]) == ("acknowledged", 0.4123)


def test_a_lead_that_sales_deleted_is_not_made_again(server: SalesforceServer) -> None:
    create(server, 1, 2)
    server.org.rows["Lead"].clear()
    results = sink(server).submit("lead", [record(1, {"band"}, band="low")], "") or []
    results += sink(server).submit("lead", [record(2, {"status"}, status="withdrawn")], "") or []
    assert [r.status for r in results] == ["invalid", "acknowledged"]
    assert "it was deleted" in str(results[0].error)
    assert server.org.rows["Lead"] == {}


def test_rows_that_fail_do_not_stop_the_others(server: SalesforceServer) -> None:
    server.org.rule = lambda row: "the product is not sold any more" if row["CSQL_Product__c"] == "Old" else None
    server.org.locked = {key(3): 1}
    rows = [record(1), record(2, product="Old"), record(3), record(4, account_name="")]
    results = {r.key: r for r in sink(server).submit("lead", rows, "") or []}
    assert [results[key(n)].status for n in (1, 2, 3, 4)] == ["acknowledged", "invalid", "retry", "invalid"]
    assert results[key(2)].error == "FIELD_CUSTOM_VALIDATION_EXCEPTION: the product is not sold any more"
    assert "Company" in str(results[key(4)].error)


def test_errors_name_fields_and_never_values(server: SalesforceServer) -> None:
    (result,) = sink(server).submit("lead", [record(1, account_name="secret" * 60)], "") or []
    assert (result.status, result.error) == ("invalid", "STRING_TOO_LONG (Company)")


def test_a_request_refused_as_a_whole_is_handed_back_to_be_split(server: SalesforceServer) -> None:
    sent = sink(server)
    # A wrong name reaches the server only if preflight was skipped.
    sent._targets["lead"].fields["product"] = "no such name!"  # type: ignore[index]
    with pytest.raises(BatchRejected, match="JSON_PARSER_ERROR"):
        sent.submit("lead", [record(1)], "")
    server.violations.clear()


# owners, picklists, limits


def test_owners_come_from_the_map_or_a_field_of_user(server: SalesforceServer) -> None:
    server.org.add_user(OTHER, "AE-2")
    server.org.add_user("005000000000003AAA", "AE-3", active=False)
    asked = sink(server, owner_field="FederationIdentifier")
    asked.submit("lead", [record(1), record(2, owner="AE-2")], "")
    assert [there(server, n)["OwnerId"] for n in (1, 2)] == [USER, OTHER]
    assert asked.lookup("lead", [key(2)])[key(2)].fields["owner"] == "AE-2"
    reasons = asked.check("lead", [record(1), record(2, owner="AE-3"), record(3, owner="AE-9"), record(4, owner=None)])
    assert set(reasons) == {key(2), key(3), key(4)}
    assert "AE-3 is no active user" in reasons[key(2)]
    assert "nobody would own it" in reasons[key(4)]
    assert sink(server, default_owner=USER).check("lead", [record(4, owner=None)]) == {}


def test_an_owner_that_left_after_the_check_makes_the_row_invalid(server: SalesforceServer) -> None:
    results = sink(server).submit("lead", [record(1), record(2, owner="AE-9")], "") or []
    assert sorted(r.status for r in results) == ["acknowledged", "invalid"]


def test_text_that_would_empty_a_field_is_refused_before(server: SalesforceServer) -> None:
    assert "account_name is the text #N/A" in sink(server).check("lead", [record(1, account_name="#N/A")])[key(1)]


def test_limits_come_from_the_description(server: SalesforceServer) -> None:
    limits = sink(server).capabilities().field_limits["lead"]
    assert (limits["title"], limits["account_name"], limits["proof_of_value"]) == (80, 255, 32768)
    assert "propensity" not in limits


# other objects


def test_an_opportunity_gets_account_amount_and_close_date(server: SalesforceServer) -> None:
    account = server.org.add_account("A1")
    sent = sink(server, object="Opportunity")
    results = sent.submit("lead", [record(1), record(2, account_id="A9")], "") or []
    assert [r.status for r in results] == ["acknowledged", "invalid"]
    (found,) = server.org.rows["Opportunity"].values()
    assert (found["AccountId"], found["Amount"], found["CloseDate"]) == (account, 10_000.0, "2026-08-15")
    assert found["StageName"] == "Prospecting"


def score(account: str, propensity: float) -> Record:
    return Record("score", account, account, "2026-07-01", {"account_id": account, "propensity": propensity})


def test_scores_change_accounts_and_never_make_any(server: SalesforceServer) -> None:
    account = server.org.add_account("A1")
    sent = sink(server, score_fields={"propensity": "CSQL_Propensity__c", "as_of": "CSQL_As_Of__c"})
    results = sent.submit("score", [score("A1", 0.25), score("A2", 0.5)], "") or []
    assert {r.key: r.status for r in results} == {"A1": "acknowledged", "A2": "invalid"}
    assert server.org.rows["Account"][account]["CSQL_Propensity__c"] == 25.0, "a percent field takes percents"
    assert len(server.org.rows["Account"]) == 1
    assert sent.lookup("score", ["A1"])["A1"].fields["propensity"] == 0.25


def test_a_field_that_no_lead_has_is_named() -> None:
    from csql_ml.config.salesforce import Salesforce

    with pytest.raises(ConfigError, match="there is no field 'propensty' in a lead; there are title, account_id"):
        targets(Salesforce(fields={"propensty": "X__c"}))
    with pytest.raises(ConfigError, match=r"fields.owner is set by key_field, statuses, owners"):
        targets(Salesforce(fields={"owner": "X__c"}))


# looking up


def test_many_keys_are_looked_up_in_parts_and_values_stay_values(server: SalesforceServer) -> None:
    server.page = 10
    create(server, *range(200))
    asked = sink(server)
    hostile = "x') OR (Name != '\\"
    found = asked.lookup("lead", [*(key(n) for n in range(1000)), hostile])
    assert set(found) == {key(n) for n in range(200)}
    assert server.requests["query"] > 2
    assert server.requests["query_more"] > 0


def test_duplicates_are_swept_only_where_sales_is_not_at_work() -> None:
    with SalesforceServer(Org(unique=False)) as server:
        for _ in range(3):
            create(server, 1)
        create(server, 2)
        first, second, third = [str(r["Id"]) for r in server.org.rows["Lead"].values()][:3]
        server.org.edit("Lead", second, Status="Working - Contacted")
        swept = sink(server).sweep("lead", [key(1), key(2)])
        assert swept == [Swept(key(1), second, (first, third))]
        assert server.org.keys() == sorted([key(1), key(2)])
        assert [r["Status"] for r in server.org.rows["Lead"].values()][:3] == [
            "Withdrawn",
            "Working - Contacted",
            "Withdrawn",
        ]
        assert server.violations == []


@pytest.mark.parametrize(
    ("trouble", "uncertain", "wait"),
    [("503", True, 7.0), ("429", False, 7.0), ("limit", False, 3600.0), ("lost", True, None), ("dropped", True, None)],
)
def test_trouble_while_creating(server: SalesforceServer, trouble: str, uncertain: bool, wait: float | None) -> None:
    server.trouble = {"collections": [trouble]}
    with pytest.raises(TransientError) as told:
        sink(server).submit("lead", [record(1)], "")
    assert (told.value.uncertain, told.value.retry_after) == (uncertain, wait)
    assert bool(server.org.keys()) == (trouble == "lost")


def test_a_hang_ends_with_the_time_out(server: SalesforceServer) -> None:
    server.trouble = {"query": ["hang"]}
    with pytest.raises(TransientError, match="ReadTimeout"):
        sink(server, timeout=0.2).lookup("lead", [key(1)])


def test_after_a_first_part_was_written_nothing_is_certain(server: SalesforceServer) -> None:
    create(server, 1)
    server.trouble = {"composite": ["429"]}
    with pytest.raises(TransientError) as told:
        sink(server).submit("lead", [record(2), record(1, {"band"}, band="low")], "")
    assert told.value.uncertain
    assert told.value.retry_after == 7.0


def test_a_receipt_of_another_kind_is_refused(server: SalesforceServer) -> None:
    for receipt in ("deal:750000000000000AAA", "lead:../../limits"):
        with pytest.raises(DeliveryError, match="receipt"):
            sink(server).collect(receipt)
