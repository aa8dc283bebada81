"""The twelve input tables, declared once.

The same declaration validates the data (`csql_ml.contract.validate`), cuts it at an as-of date
(`csql_ml.snapshots`), documents it and feeds the error messages.

Times: a ``timestamp`` is an instant (UTC, or with a zone); a ``date`` is a calendar day of the company. A row is known
from ``recorded_at`` where the source has it, else from the first filled column of `Table.own_time`. A column with
``known_with`` is filled in later, when the named time comes: before that time it reads as empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

DType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]
Action = Literal["quarantine", "warn"]


@dataclass(frozen=True)
class Column:
    """One column of an input table.

    Parameters
    ----------
    required
        The source must have the column; a row without a value is quarantined unless ``nullable``.
    values
        The allowed values, compared in lower case.
    minimum, maximum
        Inclusive bounds of a number.
    known_with
        Name of the time column whose instant makes this value known (later facts such as an outcome).
    """

    name: str
    dtype: DType
    description: str
    required: bool = True
    nullable: bool = False
    values: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    known_with: str | None = None


@dataclass(frozen=True)
class Check:
    """A rule over several columns of one row; ``ok`` returns an Ibis boolean, empty counts as fulfilled."""

    name: str
    message: str
    needs: tuple[str, ...]
    ok: Callable[[Any], Any]
    action: Action = "quarantine"


@dataclass(frozen=True)
class Table:
    """One declared input table.

    Parameters
    ----------
    key
        Columns that identify a thing; several rows of one key are versions told apart by ``recorded_at``.
        Empty: every row stands for itself.
    own_time
        Columns that say when the row happened, in order of preference.
    happens
        The row is an occurrence: it does not exist before its own time, whenever it was recorded.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    own_time: tuple[str, ...]
    optional: bool = True
    happens: bool = True
    checks: tuple[Check, ...] = field(default=())

    def column(self, name: str) -> Column:
        """The declaration of one column."""
        return next(c for c in self.columns if c.name == name)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


RECORDED_AT = Column(
    "recorded_at", "timestamp", "When the row became known; default: its own time.", required=False, nullable=True
)

LEAD_TYPES = ("upsell", "cross_sell", "referral")
NOT_CSQL_TYPES = ("renewal", "churn_save", "withdrawn")


def _required(name: str, dtype: DType, description: str, **more: Any) -> Column:
    return Column(name, dtype, description, **more)


def _optional(name: str, dtype: DType, description: str, **more: Any) -> Column:
    return Column(name, dtype, description, required=False, nullable=True, **more)


def _table(name: str, description: str, *columns: Column, **more: Any) -> Table:
    return Table(name, description, (*columns, RECORDED_AT), **more)


def _in_order(first: str, second: str, action: Action = "quarantine") -> Check:
    return Check(
        f"{second}_before_{first}",
        f"{second} is before {first}",
        (first, second),
        lambda t: t[second] >= t[first],
        action,
    )


ACCOUNTS = _table(
    "accounts",
    "The customers.",
    _required("account_id", "string", "Key of the account in every table."),
    _required("name", "string", "Name shown in reports."),
    _required("created_at", "timestamp", "When the account became a customer."),
    _optional("industry", "string", "Industry, as the company names it."),
    _optional("segment", "string", "Segment, as the company names it (for example smb, mid_market, enterprise)."),
    _optional("region", "string", "Region or country."),
    _optional("employees", "integer", "Employees of the customer.", minimum=0),
    _optional("csm_id", "string", "Customer success manager whose portfolio the account is in."),
    _optional("ae_id", "string", "Account executive who owns the commercial side."),
    _optional("parent_account_id", "string", "Parent company, for sister entities."),
    key=("account_id",),
    own_time=("created_at",),
    optional=False,
)

CONTRACTS = _table(
    "contracts",
    "What the customer has bought: one row per product and term.",
    _required("account_id", "string", "The account."),
    _required("product", "string", "Product or module."),
    _required("seats", "integer", "Licensed seats.", minimum=0),
    _required("arr", "number", "Annual recurring revenue in the company's currency.", minimum=0),
    _required("start_date", "date", "First day of the term."),
    _required("end_date", "date", "First day after the term; empty = open-ended.", nullable=True),
    _optional("contract_id", "string", "Tells apart terms of one product that start on one day."),
    _optional("plan", "string", "Plan or edition."),
    _optional("signed_at", "timestamp", "When the term was signed; it is known from then on."),
    key=("account_id", "product", "start_date", "contract_id"),
    own_time=("signed_at", "start_date"),
    optional=False,
    happens=False,
    checks=(_in_order("start_date", "end_date"),),
)

USERS = _table(
    "users",
    "People with a login.",
    _required("user_id", "string", "Key of the user."),
    _required("account_id", "string", "The account."),
    _required("created_at", "timestamp", "When the user was created."),
    _optional("deactivated_at", "timestamp", "When the user was deactivated.", known_with="deactivated_at"),
    _optional("role", "string", "Role in the product."),
    key=("account_id", "user_id"),
    own_time=("created_at",),
    checks=(_in_order("created_at", "deactivated_at"),),
)

EVENTS = _table(
    "events",
    "Product events.",
    _required("account_id", "string", "The account."),
    _required("user_id", "string", "Who did it; empty for events of no user.", nullable=True),
    _required("occurred_at", "timestamp", "When it happened."),
    _required("event_name", "string", "The company's own event name; the config maps it to signals."),
    _optional("event_id", "string", "Counts once, however often it arrives."),
    _optional("feature", "string", "The feature used."),
    _optional("quantity", "number", "How often or how much; default 1.", minimum=0),
    key=("event_id",),
    own_time=("occurred_at",),
    optional=False,
)

TICKETS = _table(
    "tickets",
    "Support requests.",
    _required("ticket_id", "string", "Key of the ticket."),
    _required("account_id", "string", "The account."),
    _required("opened_at", "timestamp", "When it was opened."),
    _required("severity", "string", "Severity, as the company names it; the config says which are high."),
    _optional("closed_at", "timestamp", "When it was closed.", known_with="closed_at"),
    _optional("topic", "string", "Topic; the config says which ask for a new module."),
    key=("ticket_id",),
    own_time=("opened_at",),
    checks=(_in_order("opened_at", "closed_at", "warn"),),
)

NPS = _table(
    "nps",
    "Answers to the net promoter question.",
    _required("account_id", "string", "The account."),
    _required("responded_at", "timestamp", "When the answer was given."),
    _required("score", "integer", "0 to 10.", minimum=0, maximum=10),
    _optional("user_id", "string", "Who answered."),
    key=(),
    own_time=("responded_at",),
)

ADVOCACY = _table(
    "advocacy",
    "Things customers did for us in public.",
    _required("account_id", "string", "The account."),
    _required("occurred_at", "timestamp", "When."),
    _required("kind", "string", "What.", values=("review", "referral", "reference")),
    key=(),
    own_time=("occurred_at",),
)

MILESTONES = _table(
    "milestones",
    "What quarterly business reviews (QBR) brought to light.",
    _required("account_id", "string", "The account."),
    _required("occurred_at", "timestamp", "When it was noted."),
    _required("kind", "string", "What.", values=("roi", "phase_two", "budget_expansion", "goal")),
    _optional("product", "string", "Product or module it points at."),
    _optional("note", "string", "Free text; never used as a feature."),
    key=(),
    own_time=("occurred_at",),
)

CONTACTS = _table(
    "contacts",
    "The customer's people we know.",
    _required("contact_id", "string", "Key of the contact."),
    _required("account_id", "string", "The account."),
    _required("role", "string", "Role.", values=("executive_sponsor", "champion", "buyer", "user")),
    _required("since", "timestamp", "Since when the person has the role."),
    _optional("last_engaged_at", "timestamp", "Last contact with us.", known_with="last_engaged_at"),
    _optional("name", "string", "Name, for the lead record only."),
    key=("contact_id",),
    own_time=("since",),
)

CSQLS = _table(
    "csqls",
    "Leads raised by customer success and what became of them.",
    _required("csql_id", "string", "Key of the lead."),
    _required("account_id", "string", "The account."),
    _required(
        "type",
        "string",
        "Upsell, cross-sell or referral; renewals, churn saves and withdrawn leads may be in a CRM but never count.",
        values=(*LEAD_TYPES, *NOT_CSQL_TYPES),
    ),
    _required("created_at", "timestamp", "When CS raised it."),
    _optional("csm_id", "string", "Who raised it."),
    _optional("ae_id", "string", "Who took it."),
    _optional("accepted_at", "timestamp", "When sales accepted it.", known_with="accepted_at"),
    _optional("rejected_at", "timestamp", "When sales rejected it.", known_with="rejected_at"),
    _optional("rejection_reason", "string", "Why.", known_with="rejected_at"),
    _optional("opportunity_at", "timestamp", "When it became an opportunity.", known_with="opportunity_at"),
    _optional("closed_at", "timestamp", "When it was won or lost.", known_with="closed_at"),
    _optional("won", "boolean", "Whether it was won.", known_with="closed_at"),
    _optional("arr", "number", "Incremental ARR won.", minimum=0, known_with="closed_at"),
    _optional("source", "string", "Where the lead came from."),
    key=("csql_id",),
    own_time=("created_at",),
    checks=(_in_order("created_at", "closed_at", "warn"),),
)

OPPORTUNITIES = _table(
    "opportunities",
    "Every opportunity of sales, CSQL or not.",
    _required("opportunity_id", "string", "Key of the opportunity."),
    _required("account_id", "string", "The account."),
    _required("type", "string", "Kind.", values=("renewal", "expansion", "new")),
    _required("created_at", "timestamp", "When it was opened."),
    _required("arr", "number", "ARR at stake.", minimum=0),
    _optional("closed_at", "timestamp", "When it was won or lost.", known_with="closed_at"),
    _optional("won", "boolean", "Whether it was won.", known_with="closed_at"),
    _optional("source", "string", "Lead source."),
    key=("opportunity_id",),
    own_time=("created_at",),
    checks=(_in_order("created_at", "closed_at", "warn"),),
)

COVERAGE = _table(
    "coverage",
    "Whose accounts were worked in a proof of concept, and when: by CSM or by account.",
    _optional("csm_id", "string", "All accounts of this CSM."),
    _optional("account_id", "string", "This account."),
    _required("start_date", "date", "First day."),
    _required("end_date", "date", "First day after; empty = still running.", nullable=True),
    key=("csm_id", "account_id", "start_date"),
    own_time=("start_date",),
    happens=False,
    checks=(
        _in_order("start_date", "end_date"),
        Check(
            "nobody",
            "neither csm_id nor account_id is given",
            ("csm_id", "account_id"),
            lambda t: t.csm_id.notnull() | t.account_id.notnull(),
        ),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        ACCOUNTS,
        CONTRACTS,
        USERS,
        EVENTS,
        TICKETS,
        NPS,
        ADVOCACY,
        MILESTONES,
        CONTACTS,
        CSQLS,
        OPPORTUNITIES,
        COVERAGE,
    )
}
