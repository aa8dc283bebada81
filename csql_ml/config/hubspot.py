"""The ``delivery.hubspot`` section: which account, which object, how contract fields and stages are called there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from csql_ml.config.section import Names, Positive, Section

HubSpotObject = Literal["leads", "deals"]
OpportunityType = Literal["renewal", "expansion", "new"]

#: Without these a lead could not be found, told apart or read back.
_NEEDED = ("account_id", "status", "lead_type", "as_of")
_LEAD_FIELDS = {
    "account_id": "csql_account_id",
    "status": "csql_status",
    "lead_source": "csql_lead_source",
    "lead_type": "csql_lead_type",
    "product": "csql_product",
    "owner": "hubspot_owner_id",
    "csm_id": "csql_csm",
    "opened_on": "csql_opened_on",
    "answer_due": "csql_answer_due",
    "propensity": "csql_propensity",
    "baseline_score": "csql_baseline_score",
    "band": "csql_band",
    "expected_arr": "csql_expected_arr",
    "potential_arr": "csql_potential_arr",
    "currency": "csql_currency",
    "proof_of_value": "csql_proof_of_value",
    "trigger_event": "csql_trigger_event",
    "expansion_hypothesis": "csql_expansion_hypothesis",
    "stakeholders": "csql_stakeholders",
    "as_of": "csql_as_of",
    "run_id": "csql_run_id",
    "model_version": "csql_model_version",
}
_SCORE_FIELDS = {
    "status": "csql_status",
    "propensity": "csql_propensity",
    "baseline_score": "csql_baseline_score",
    "band": "csql_band",
    "expected_arr": "csql_expected_arr",
    "lead_type": "csql_lead_type",
    "risk_flags": "csql_risk_flags",
    "failed_gates": "csql_failed_gates",
    "csm_id": "csql_csm",
    "as_of": "csql_as_of",
    "run_id": "csql_run_id",
    "model_version": "csql_model_version",
}

_DEAL_TYPES: dict[str, OpportunityType] = {
    "newbusiness": "new",
    "existingbusiness": "expansion",
}


class HubSpotStages(Section):
    """Ids of the pipeline's stages. What stands in none of these lists is a stage that says nothing new."""

    open: str = Field(description="where a new lead starts; only leads that still stand there are ever withdrawn")
    withdrawn: str = Field(description="where a withdrawn lead goes; told from a rejected one by the status property")
    accepted: Names = Field((), description="sales has taken it up")
    opportunity: Names = Field((), description="deals only: from here on it is an opportunity")
    rejected: Names = Field((), description="leads only: ended without a deal; deals know their lost stages themselves")


class _Own(NamedTuple):
    """What HubSpot itself calls things of an object."""

    title: str
    pipeline_property: str
    stage_property: str
    reason_property: str
    pipeline: str
    stages: HubSpotStages
    company_association: int
    contact_association: int | None


_OWN: dict[HubSpotObject, _Own] = {
    "leads": _Own(
        "hs_lead_name",
        "hs_pipeline",
        "hs_pipeline_stage",
        "hs_lead_disqualification_reason",
        "lead-pipeline-id",
        HubSpotStages(
            open="new-stage-id",
            withdrawn="unqualified-stage-id",
            accepted=("attempting-stage-id", "connected-stage-id", "qualified-stage-id"),
            rejected=("unqualified-stage-id",),
        ),
        610,
        578,
    ),
    "deals": _Own(
        "dealname",
        "pipeline",
        "dealstage",
        "closed_lost_reason",
        "default",
        HubSpotStages(
            open="appointmentscheduled",
            withdrawn="closedlost",
            accepted=("qualifiedtobuy",),
            opportunity=("presentationscheduled", "decisionmakerboughtin", "contractsent"),
        ),
        341,
        None,
    ),
}


class HubSpot(Section):
    """Handing over to HubSpot. The access token of a private app never stands in a configuration file."""

    host: str = Field("https://api.hubapi.com", description="no plain http except to this machine")
    token_variable: str = Field("HUBSPOT_ACCESS_TOKEN", description="environment variable with the access token")
    token_file: Path | None = Field(
        None, description="file with the access token, readable by its owner alone (0600), instead of the variable"
    )
    # HubSpot documents unique values for properties of deals, and sells leads only with larger subscriptions.
    object: HubSpotObject = Field(
        "deals",
        description="deals: in every subscription, no contact needed; leads: Sales Hub, and a contact each",
    )
    key_property: str = Field("csql_lead_key", description="holds our key; must be made with unique values")
    account_property: str = Field("csql_account_id", description="of companies: holds our account id")
    contact_label: str | None = Field(
        None, description="leads: association label of the company's contact to choose; default: a primary one"
    )
    pipeline: str | None = Field(None, description="id; default: HubSpot's own first pipeline")
    stages: HubSpotStages | None = Field(None, description="default: HubSpot's own first stages")
    company_association: int | None = Field(None, description="type id of the association with a company")
    contact_association: int | None = Field(None, description="leads: type id of the association with a contact")
    fields: dict[str, str | None] = Field(
        default_factory=dict, description="contract field: property of the object; null leaves a field out"
    )
    score_fields: dict[str, str | None] = Field(
        default_factory=dict, description="contract field of a score: property of companies; null leaves it out"
    )
    owners: dict[str, str] = Field(
        default_factory=dict,
        description="account executive: e-mail or id of a HubSpot owner; one that is an owner's e-mail needs no line",
    )
    amount_property: str = Field("amount", description="of deals: the amount that counts as ARR")
    reason_property: str | None = Field(None, description="why a lead was rejected; default: HubSpot's own")
    type_property: str = Field("dealtype", description="of deals: renewal, expansion or new, by deal_types")
    deal_types: dict[str, OpportunityType | None] = Field(
        default_factory=dict,
        description="value of type_property: renewal, expansion or new, beside newbusiness and existingbusiness; null, "
        "like a value that stands nowhere, leaves such deals out",
    )
    source_property: str | None = Field(None, description="of deals that are not ours: the lead source")
    connect_timeout: Positive = Field(10.0, description="seconds")
    read_timeout: Positive = Field(30.0, description="seconds")
    overlap: Positive = Field(600.0, description="seconds that a pull reads again; HubSpot's search lags behind")

    @field_validator("host")
    @classmethod
    def _safe_host(cls, value: str) -> str:
        url = urlsplit(value)
        own = url.hostname in ("127.0.0.1", "localhost", "::1")
        if (url.scheme != "https" and not (url.scheme == "http" and own)) or not url.hostname:
            raise ValueError("must begin with https:// (plain http only to this machine), or the token could be read")
        return value.rstrip("/")

    @field_validator("fields")
    @classmethod
    def _known_fields(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        known = {"title": "", "account_name": "", **_LEAD_FIELDS}
        _check_names(value, known)
        if missing := [n for n in _NEEDED if n in value and not value[n]]:
            raise ValueError(f"{', '.join(missing)} cannot be left out: leads are recognised and read back by them")
        return value

    @field_validator("score_fields")
    @classmethod
    def _known_score_fields(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        _check_names(value, _SCORE_FIELDS)
        if "as_of" in value and not value["as_of"]:
            raise ValueError("as_of cannot be left out: an older score would overwrite a newer one")
        return value

    @model_validator(mode="after")
    def _one_property_each(self) -> HubSpot:
        for kind, names in (("fields", self.lead_properties), ("score_fields", self.score_properties)):
            used = [*names.values(), self.key_property if kind == "fields" else self.account_property]
            if twice := sorted({n for n in used if used.count(n) > 1}):
                raise ValueError(f"{kind}: {', '.join(twice)} would be written by more than one field")
        if self.object == "leads" and self.stages is not None and self.stages.opportunity:
            raise ValueError("stages.opportunity is for deals: a lead is an opportunity once it has a deal")
        return self

    @property
    def own(self) -> _Own:
        """HubSpot's own names for the chosen object."""
        return _OWN[self.object]

    @property
    def lead_properties(self) -> dict[str, str]:
        """Contract field of a lead: property; without the key and what is left out."""
        named = {"title": self.own.title, **_LEAD_FIELDS, **self.fields}
        return {field: name for field, name in named.items() if name}

    @property
    def score_properties(self) -> dict[str, str]:
        """Contract field of a score: property of companies; without the account."""
        return {field: name for field, name in {**_SCORE_FIELDS, **self.score_fields}.items() if name}

    @property
    def opportunity_types(self) -> dict[str, OpportunityType]:
        """Value of a deal's type: type of the opportunity."""
        return {value: kind for value, kind in {**_DEAL_TYPES, **self.deal_types}.items() if kind is not None}

    @property
    def pipeline_id(self) -> str:
        return self.pipeline or self.own.pipeline

    @property
    def stage_ids(self) -> HubSpotStages:
        return self.stages or self.own.stages

    @property
    def rejection_property(self) -> str:
        return self.reason_property or self.own.reason_property

    @property
    def associations(self) -> tuple[int, int | None]:
        """Type ids of the associations with a company and, for leads, a contact."""
        return (
            self.company_association or self.own.company_association,
            (self.contact_association or self.own.contact_association) if self.object == "leads" else None,
        )


def _check_names(value: dict[str, str | None], known: dict[str, str]) -> None:
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"unknown contract field {', '.join(unknown)}; there are {', '.join(sorted(known))}")
