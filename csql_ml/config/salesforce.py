"""The section ``delivery.salesforce``: login, object, field names and what sales' stages mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from csql_ml.config.section import Names, Positive, Section

OpportunityKind = Literal["renewal", "expansion", "new"]
_SAFE_URL = re.compile(r"https://[^/]|http://(127\.0\.0\.1|localhost)(:\d+)?(/|$)")
#: Names go into queries and addresses as they are.
ApiName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$", max_length=80)]
#: 15 characters, or 18 with the check characters.
UserId = Annotated[str, Field(pattern="^005[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$")]


class SalesforceLogin(Section):
    """How to log in; the secret itself never stands in a configuration file."""

    by: Literal["client_credentials", "jwt", "session"] = Field(
        "client_credentials",
        description="client_credentials: secret of a connected app; jwt: its private key (PEM); session: an access "
        "token made elsewhere, which cannot be renewed",
    )
    url: str = Field("https://login.salesforce.com", description="your My Domain address; client_credentials needs it")
    client_id: str | None = Field(None, description="consumer key of the connected app")
    username: str | None = Field(None, description="jwt: who to log in as")
    audience: str | None = Field(None, description="jwt: null: url; https://test.salesforce.com for a sandbox")
    secret_variable: str = Field("CSQL_SALESFORCE_SECRET", description="environment variable that holds the secret")
    secret_file: Path | None = Field(
        None, description="a file that holds it instead, with mode 0600; relative to the configuration file"
    )

    @model_validator(mode="after")
    def _complete(self) -> SalesforceLogin:
        if self.by == "jwt" and not (self.client_id and self.username):
            raise ValueError("by: jwt needs client_id and username")
        return self


class SalesforceStatuses(Section):
    """What the values of Lead.Status, or Opportunity.StageName, mean."""

    open: str | None = Field(None, description="of a new lead; null: Open - Not Contacted, or Prospecting")
    withdrawn: str = Field("Withdrawn", description="of a lead that the run does not name any more; make this value")
    accepted: Names = Field((), description="taken on by sales; empty: every status that is not named here")
    rejected: Names | None = Field(None, description="turned down; null: Closed - Not Converted, or none")


class Salesforce(Section):
    """The ``salesforce`` sink."""

    login: SalesforceLogin = SalesforceLogin()
    instance_url: str | None = Field(None, description="null: what the login answers; by: session needs it")
    api_version: str = Field("62.0", pattern=r"^\d{2,3}\.0$", description="pinned; moved on purpose only")
    timeout: Positive = Field(60.0, description="seconds without a sign of life after which a request is given up")
    object: Literal["Lead", "Opportunity"] = Field("Lead", description="what a CSQL becomes")
    key_field: ApiName = Field(
        "CSQL_Key__c", description="external id and unique; enforces that nothing is there twice"
    )
    fields: dict[str, ApiName | None] = Field(
        default_factory=dict, description="contract field: field there, on top of the defaults; null leaves one out"
    )
    constants: dict[ApiName, str] = Field(
        default_factory=dict, description="fields that get the same text at creation, such as a record type's id"
    )
    statuses: SalesforceStatuses = SalesforceStatuses()
    close_in_days: int = Field(45, ge=1, description="opportunities need a CloseDate: days after opened_on")
    owners: dict[str, UserId] = Field(
        default_factory=dict, description="account executive of the source: user id there"
    )
    owner_field: ApiName | None = Field(
        None, description="field of User that holds the account executive's id (FederationIdentifier, say)"
    )
    default_owner: UserId | None = Field(None, description="owner of leads without one; null: such leads are refused")
    account_key: ApiName = Field("CSQL_Account_Id__c", description="external id of Account that holds account_id")
    score_fields: dict[str, ApiName] = Field(
        default_factory=dict, description="score field: field of Account; empty: scores are not taken"
    )
    rejection_reason_field: ApiName | None = Field(None, description="where sales says why; for csql pull")
    arr_field: ApiName = Field("Amount", description="field of Opportunity with the incremental ARR; for csql pull")
    opportunity_types: dict[str, OpportunityKind] = Field(
        default_factory=dict,
        description="Opportunity.Type: its kind, on top of Salesforce's own values; CSQLs are expansions",
    )
    other_types: OpportunityKind = Field(
        "renewal", description="kind of any other Type; a renewal is never counted as an expansion"
    )
    bulk_from: int = Field(201, ge=1, le=201, description="as many rows or more go through a bulk job")
    bulk_size: int = Field(10_000, ge=1, le=100_000, description="most rows of one bulk job")

    @model_validator(mode="after")
    def _reachable(self) -> Salesforce:
        if self.login.by == "session" and not self.instance_url:
            raise ValueError("login.by: session needs instance_url")
        for name, url in (("login.url", self.login.url), ("instance_url", self.instance_url)):
            if url and not _SAFE_URL.match(url):
                raise ValueError(f"{name} must begin with https://")
        return self
