"""What is looked at before a push. Against a server of the project's own, which is not the vendor's system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.push import dry_run, push
from tests.crm.salesforce_org import Org, field
from tests.crm.salesforce_server import SalesforceServer
from tests.handoff.salesforce_case import settings, sink
from tests.handoff.scripted_sink import World
from tests.handoff.small_run import lead, write_run


@pytest.fixture
def server() -> Iterator[SalesforceServer]:
    with SalesforceServer() as found:
        found.org.add_account("A1")
        yield found
    assert found.violations == [], "every request keeps its schema"


def findings(server: SalesforceServer, **given: Any) -> dict[str, tuple[str, str]]:
    return {f.name: (f.level, f.message) for f in sink(server, **given).preflight(["lead", "score"])}


def changed(name: str, **values: Any) -> Callable[[Org], None]:
    return lambda org: org.field_of("Lead", name).update(values)


def without(name: str) -> Callable[[Org], None]:
    def take(org: Org) -> None:
        org.describes["Lead"]["fields"] = [f for f in org.describes["Lead"]["fields"] if f["name"] != name]

    return take


def test_an_org_that_is_ready_has_no_findings(server: SalesforceServer) -> None:
    assert findings(server) == {}
    assert findings(server, score_fields={"propensity": "CSQL_Propensity__c"}) == {}
    assert findings(server, object="Opportunity") == {}


@pytest.mark.parametrize(
    ("spoil", "name", "level", "said"),
    [
        (changed("CSQL_Key__c", unique=False), "no_unique_key", "refuse", "Lead.CSQL_Key__c is not unique"),
        (without("CSQL_Key__c"), "no_unique_key", "refuse", "does not exist, or the integration user does not see"),
        (changed("CSQL_Key__c", externalId=False), "no_key_field", "refuse", "is no external id"),
        (changed("CSQL_Key__c", length=20), "key_length", "refuse", "takes 20 characters; keys have 32"),
        (without("CSQL_Band__c"), "field_missing", "refuse", "band: CSQL_Band__c"),
        (changed("Company", createable=False), "field_permission", "refuse", "may not write Company"),
        (changed("OwnerId", updateable=False), "field_permission", "refuse", "OwnerId"),
        (changed("CSQL_As_Of__c", type="string"), "field_type", "refuse", "as_of is a date, but"),
        (changed("CSQL_Propensity__c", scale=0), "field_scale", "warn", "keeps 0 decimals; propensity needs 2"),
        (changed("CSQL_Trigger__c", htmlFormatted=True), "rich_text", "warn", "CSQL_Trigger__c is rich text"),
        (changed("LeadSource", picklistValues=[]), "lead_source", "refuse", "LeadSource has no active value 'CSQL'"),
        (changed("Status", picklistValues=[]), "status", "refuse", "'Open - Not Contacted' or 'Withdrawn'"),
        (changed("CSQL_Score__c", type="currency"), "currency", "refuse", "in EUR, Salesforce counts in USD"),
        (lambda org: org.describes["Lead"].update(createable=False), "permission", "refuse", "create and change Lead"),
        (
            lambda org: org.describes["Lead"]["fields"].append(field("Region__c", nillable=False)),
            "required_field",
            "refuse",
            "a new Lead needs Region__c, which nothing fills",
        ),
        (
            lambda org: org.limits.update(DailyApiRequests={"Max": 1000, "Remaining": 12}),
            "limits",
            "warn",
            "12 of 1000 API requests are left",
        ),
        (lambda org: org.describes.pop("Account"), "account_key", "warn", "Account has no external id field"),
        (lambda org: org.describes.pop("Lead"), "permission", "refuse", "create and change Lead"),
        (lambda org: org.rows["User"].clear(), "inactive_owner", "warn", "005000000000001AAA"),
    ],
)
def test_what_is_wrong_is_found_by_name(
    server: SalesforceServer, spoil: Callable[[Org], None], name: str, level: str, said: str
) -> None:
    server.org.currency = "USD"
    spoil(server.org)
    found = findings(server)
    assert found[name][0] == level
    assert said in found[name][1]


@pytest.mark.parametrize(
    ("given", "name", "said"),
    [
        ({"owners": {}}, "owners", "no way leads from account executives to users"),
        ({"owner_field": "Nickname__c"}, "owners", "User has no field Nickname__c"),
        ({"fields": {"product": "CSQL_Prodct__c"}}, "field_missing", "CSQL_Prodct__c (did you mean CSQL_Product__c?)"),
        ({"constants": {"Rating__c": "Hot"}}, "field_missing", "constants.Rating__c: Rating__c"),
        ({"statuses": {"withdrawn": "Open - Not Contacted"}}, "status", "are the same value"),
        ({"account_key": "Missing__c"}, "account_key", "csql pull sees leads only"),
    ],
)
def test_settings_that_do_not_fit_the_org(
    server: SalesforceServer, given: dict[str, Any], name: str, said: str
) -> None:
    assert said in findings(server, **given)[name][1]


def test_an_org_with_several_currencies(server: SalesforceServer) -> None:
    changed("CSQL_Potential_ARR__c", type="currency")(server.org)
    codes = [{"value": code, "active": True} for code in ("EUR", "USD")]
    server.org.describes["Lead"]["fields"].append(field("CurrencyIsoCode", "picklist", picklistValues=codes))
    assert "set delivery.salesforce.fields.currency to CurrencyIsoCode" in findings(server)["currency"][1]
    assert findings(server, fields={"currency": "CurrencyIsoCode"}) == {}
    codes.pop(0)
    assert "EUR is not active" in findings(server, fields={"currency": "CurrencyIsoCode"})["currency"][1]


def test_a_push_without_a_unique_key_is_refused_and_one_in_spite_of_it_is_swept(
    server: SalesforceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSQL_SALESFORCE_SECRET", "token-0")
    changed("CSQL_Key__c", unique=False)(server.org)
    config, run = settings(tmp_path, server.port), write_run(tmp_path / "run", [lead("A1"), lead("A2")])
    with pytest.raises(DeliveryError, match=r"nothing was sent: Lead.CSQL_Key__c is not unique.*\[no_unique_key\]"):
        push(config, run, "salesforce", clock=World().clock())
    assert server.org.written == 1, "the account of the fixture"
    done = push(config, run, "salesforce", accept=["no_unique_key"], clock=World().clock())
    assert (done.exit_code, done.swept, server.org.created) == (0, (), 2)


def test_a_dry_run_writes_nothing(server: SalesforceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSQL_SALESFORCE_SECRET", "token-0")
    run = write_run(tmp_path / "run", [lead("A1"), lead("A2", ae_id="AE-9")])
    written = server.org.written
    result = dry_run(settings(tmp_path, server.port), run, "salesforce", clock=World().clock())
    assert result.plan is not None
    counts = result.plan.counts()["lead"]
    assert (counts["create"], counts["invalid"], server.org.written) == (1, 1, written)
    assert set(server.requests) <= {"describe", "limits", "organization", "query"}
