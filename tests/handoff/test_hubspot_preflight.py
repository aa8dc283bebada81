"""What must be right before anything is sent, at the project's stand-in for HubSpot (not HubSpot's own system)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from csql_ml.errors import DeliveryError
from tests.crm.hubspot_sender import sink
from tests.crm.hubspot_server import Fault, HubSpotServer
from tests.crm.hubspot_state import State, dropdown

#: Deals in the pipeline of all deals are said to be there.
SHARED = [("shared_pipeline", "warn")]


@pytest.fixture
def crm() -> Iterator[HubSpotServer]:
    with HubSpotServer() as server:
        yield server
        assert server.broken == []
        assert server.writes == 0


def found(crm: HubSpotServer, **settings: object) -> list[tuple[str, str]]:
    return [(f.name, f.level) for f in sink(crm.port, **settings).preflight(["lead", "score"])]


def message(crm: HubSpotServer, name: str, **settings: object) -> str:
    return next(f.message for f in sink(crm.port, **settings).preflight(["lead", "score"]) if f.name == name)


def test_an_account_that_is_ready_has_no_findings(crm: HubSpotServer) -> None:
    assert found(crm) == []
    crm.state.pipelines["deals"]["csql"] = crm.state.pipelines["deals"]["default"]
    assert found(crm, object="deals", pipeline="csql") == []
    assert found(crm, object="deals") == SHARED


def renamed(kind: str, name: str) -> Callable[[State], None]:
    return lambda state: state.definition(kind, name).update(name=f"{name}_old")


def typed(kind: str, name: str, dtype: str) -> Callable[[State], None]:
    return lambda state: state.definition(kind, name).update(type=dtype)


def options(name: str, *values: str) -> Callable[[State], None]:
    return lambda state: state.definition("leads", name).update(options=dropdown(name, *values)["options"])


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        (renamed("leads", "csql_product"), "missing_properties", "leads have no property csql_product (for product)"),
        (renamed("leads", "csql_lead_key"), "missing_properties", "csql_lead_key (for the key)"),
        (renamed("companies", "csql_as_of"), "missing_properties", "companies have no property csql_as_of (for as_of)"),
        (renamed("companies", "csql_account_id"), "missing_properties", "companies have no property csql_account_id"),
        (typed("leads", "csql_product", "number"), "property_types", "leads.csql_product is of type number"),
        (typed("leads", "csql_stakeholders", "enumeration"), "property_types", "stakeholders needs string"),
        (typed("leads", "csql_as_of", "number"), "property_types", "as_of needs date or datetime or string"),
        (options("csql_lead_source", "MARKETING"), "lead_source", "has no option CSQL"),
        (options("csql_status", "open"), "options", "csql_status (for status) has no option withdrawn"),
        (options("csql_lead_type", "upsell"), "options", "has no option cross_sell, referral"),
        (
            lambda state: state.definition("leads", "csql_band").update(modificationMetadata={"readOnlyValue": True}),
            "read_only",
            "leads.csql_band (for band) cannot be written",
        ),
        (
            lambda state: state.definition("leads", "csql_lead_key").update(hasUniqueValue=False),
            "no_unique_key",
            "HubSpot sets this only when a property is made",
        ),
        (lambda state: state.currency.update(companyCurrency="USD"), "currency", "counts in EUR, HubSpot in USD"),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    crm: HubSpotServer, change: Callable[[State], None], name: str, says: str
) -> None:
    change(crm.state)
    assert found(crm) == [(name, "refuse")]
    assert says in message(crm, name)


@pytest.mark.parametrize(
    ("settings", "name", "says"),
    [
        ({"pipeline": "sales"}, "pipeline", "no leads pipeline sales; there are lead-pipeline-id"),
        (
            {"stages": {"open": "new-stage-id", "withdrawn": "gone"}},
            "stages",
            "has no stage gone; there are",
        ),
        ({"owners": {"AE-1": "nobody@example.com"}}, "owners", "names nobody in HubSpot for AE-1"),
        (
            {"contact_association": 1},
            "associations",
            "no association type 1 from leads to contacts; there are 578",
        ),
        ({"fields": {"product": "our_product"}}, "missing_properties", "our_product (for product)"),
    ],
)
def test_names_that_hubspot_does_not_know_are_named(
    crm: HubSpotServer, settings: dict[str, object], name: str, says: str
) -> None:
    assert found(crm, **settings) == [(name, "refuse")]
    assert says in message(crm, name, **settings)


def test_missing_scopes_are_named_before_anything_else_is_asked(crm: HubSpotServer) -> None:
    crm.scopes = [s for s in crm.scopes or [] if s != "crm.objects.leads.write"]
    assert message(crm, "scopes") == (
        "the private app lacks crm.objects.leads.write; add them in its settings in HubSpot"
    )
    assert found(crm, object="deals") == SHARED
    assert crm.requests[0] == ("POST", "/oauth/v2/private-apps/get/access-token-info")
    crm.scopes = None
    assert found(crm) == [("scopes_unknown", "warn")]


def test_a_subscription_without_leads_says_what_to_do(crm: HubSpotServer) -> None:
    crm.faults = [Fault("/crm/v3/properties/leads", 403, {"category": "MISSING_SCOPES"})]
    with pytest.raises(DeliveryError, match="the private app may not do this"):
        found(crm)


def test_deals_may_be_in_a_further_currency_of_hubspot(crm: HubSpotServer) -> None:
    crm.state.currency = {"companyCurrency": "USD", "additionalCurrencies": ["EUR"]}
    assert found(crm, object="deals") == [*SHARED, ("currency", "refuse")]
    assert found(crm, object="deals", fields={"currency": "deal_currency_code"}) == SHARED


def test_the_limits_and_fields_are_those_of_the_mapping(crm: HubSpotServer) -> None:
    taken = sink(crm.port, fields={"stakeholders": None}).capabilities()
    assert (taken.batch_size, taken.unique_key, taken.asynchronous) == (100, True, False)
    assert "stakeholders" not in taken.fields["lead"]
    assert taken.fields["lead"][0] == "lead_key"
    assert taken.field_limits["lead"]["proof_of_value"] == 65_536
    assert "propensity" not in taken.field_limits["lead"]
