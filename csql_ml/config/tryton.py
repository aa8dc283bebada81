"""The ``delivery.tryton`` section of the configuration: which Tryton server, as whom, and what its words mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from csql_ml.config.section import Positive, Section

State = Literal["lead", "opportunity", "converted", "won", "lost", "cancelled"]
OpportunityType = Literal["renewal", "expansion", "new"]


class Stages(Section):
    """Which of Tryton's states stand for which stage of a lead.

    A lead that ends in a state of ``lost`` without ever having been accepted is rejected.
    """

    accepted: tuple[State, ...] = Field(
        ("opportunity", "converted", "won"), description="sales took it on; the button Accept counts as well"
    )
    opportunity: tuple[State, ...] = ("opportunity", "converted", "won")
    won: tuple[State, ...] = ("won",)
    lost: tuple[State, ...] = ("lost", "cancelled")


class Tryton(Section):
    """A Tryton server with the module of configs/crm/tryton_module."""

    url: str | None = Field(None, description="https://tryton.example.com, without the database's name")
    database: str = "tryton"
    user: str | None = Field(None, description="login of the user that delivers; default: CSQL_TRYTON_USER")
    password_file: Path | None = Field(
        None, description="file of mode 0600 with the password; default: the variable CSQL_TRYTON_PASSWORD"
    )
    company: str | None = Field(None, description="name of the company in Tryton; default: the user's own")
    accounts_by: Literal["account_id", "code"] = Field(
        "account_id", description="what tells a party's account: the module's field CSQL Account, or the party's code"
    )
    create_accounts: bool = Field(False, description="make a party for an account that has none; else the lead is dead")
    executives: dict[str, str] = Field(
        default_factory=dict, description="account executive: code of the employee's party; others are codes themselves"
    )
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 100
    connect_timeout: Positive = Field(10.0, description="seconds")
    timeout: Positive = Field(60.0, description="seconds a request may take; what comes later changes nothing")
    stages: Stages = Stages()
    other_opportunities: OpportunityType = Field(
        "expansion", description="type of an opportunity whose field Type is empty"
    )
    overlap: Positive = Field(
        600.0, description="seconds before the newest change that pull reads again; longer than any transaction"
    )
