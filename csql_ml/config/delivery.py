"""The ``delivery`` section of the configuration: what is handed to whom, how often it is tried, where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from csql_ml.config.hubspot import HubSpot
from csql_ml.config.salesforce import Salesforce
from csql_ml.config.section import Names, Positive, Section
from csql_ml.config.tryton import Tryton


class Territory(Section):
    """Account executives of a part of the market; an empty list of regions or segments stands for all of them."""

    regions: Names = ()
    segments: Names = ()
    executives: Annotated[Names, Field(min_length=1)]


class Routing(Section):
    """Who gets a lead. A way that names nobody for a lead gives it to the next one: account, territory, round robin."""

    by: Literal["account", "territory", "round_robin"] = Field(
        "account", description="account: the account's own executive; territory: by region and segment; round_robin"
    )
    territories: tuple[Territory, ...] = Field((), description="the first that fits decides")
    executives: Names = Field((), description="who takes part in the round robin")
    open_leads_per_portfolio: int | None = Field(
        None, ge=1, description="no new lead beyond; default: scoring.capacity_per_portfolio"
    )

    @model_validator(mode="after")
    def _somebody(self) -> Routing:
        if self.by == "territory" and not self.territories:
            raise ValueError("by: territory needs territories")
        if self.by == "round_robin" and not self.executives:
            raise ValueError("by: round_robin needs executives")
        return self


class FilesSink(Section):
    """Where the ``files`` sink writes."""

    folder: Path = Field(Path("../handoff"), description="relative to the configuration file")


class Delivery(Section):
    """Handing a run's leads and scores to a CRM."""

    outbox: Path = Field(
        Path("../outbox/outbox.sqlite"),
        description="what was sent and what is to be sent; on a local disk; relative to the configuration file",
    )
    send: Annotated[tuple[Literal["lead", "score"], ...], Field(min_length=1)] = ("lead",)
    max_attempts: int = Field(10, ge=1, description="then a row is dead and waits for csql push --replay or --run")
    first_delay: Positive = Field(
        1.0, description="seconds; the upper end of the first waiting time, doubled each time"
    )
    longest_delay: Positive = Field(60.0, description="seconds; the upper end of every waiting time")
    patience: Positive = Field(
        900.0, description="seconds; a sink that asks to wait longer is left, and the next push goes on from there"
    )
    poll_interval: Positive = Field(5.0, description="seconds between two looks at a bulk job")
    poll_limit: Positive = Field(3600.0, description="seconds after which a bulk job without an end is given up")
    holdout: Path | None = Field(
        None,
        description="plan of csql poc plan; leads of accounts it holds out are not handed over while it runs; relative "
        "to the configuration file",
    )
    routing: Routing = Routing()
    files: FilesSink = FilesSink()
    tryton: Tryton = Tryton()
    salesforce: Salesforce = Salesforce()
    hubspot: HubSpot = HubSpot()
