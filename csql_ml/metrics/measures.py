"""Measures that several metrics share: aggregates of one as-of table over a period.

Rows carry day counts (``days_ago``, ``opened_days_ago``, ...), never dates. ``period.covers(...)`` says whether a row
lies in the period; for a state, ``period.ago`` is how many days before the as-of date it is looked at.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import ibis

from csql_ml.metrics.definition import Measure, Merge, Period

#: Milestones, reviews and sponsors stay relevant this many days.
YEAR = Period(365)


def ratio(part: Any, whole: Any) -> Any:
    """``part / whole``; missing where the whole is zero or missing."""
    return part.cast("float64") / whole.cast("float64").nullif(0.0)


def growth(now: Any, before: Any) -> Any:
    """``now / before - 1``; missing where there was nothing before."""
    return ratio(now, before) - 1.0


def total(*parts: Any) -> Any:
    """Sum of the parts that are there; missing where none is."""
    filled = [p.cast("float64").fill_null(0.0) for p in parts]
    some = reduce(or_, (p.notnull() for p in parts))
    return ibis.ifelse(some, reduce(lambda a, b: a + b, filled), ibis.null("float64"))


def flag(condition: Any) -> Any:
    """1.0 or 0.0; missing where the condition is."""
    return condition.cast("float64")


def within(value: Any, low: float, high: float) -> Any:
    """The value, moved to the nearest bound where it lies outside."""
    return ibis.ifelse(value < low, low, ibis.ifelse(value > high, high, value))


def ones(mask: Any, width: int) -> Any:
    """How many of the lowest ``width`` bits are set."""
    bits = [((mask / float(1 << i)).floor() % 2).cast("float64") for i in range(width)]
    return reduce(lambda a, b: a + b, bits) if bits else ibis.null("float64")


# --- product usage (the daily rollup) ---------------------------------------------------------------------------------


def _merged(name: str, merge: Merge, needs: tuple[str, ...], **more: Any) -> Measure:
    return Measure(name, "activity", merge.value, empty=0, needs=needs, merge=merge, **more)


def used(name: str, column: str, *needs: str) -> Measure:
    """Sum of a column of the daily rollup over the period; 0 for an account without any use.

    Examples
    --------
    >>> used("exports", "own_exports", "own:exports").merge
    Merge(how='sum', column='own_exports', always=None)
    """
    return _merged(name, Merge("sum", column), needs, dense=True)


def bits_of(name: str, column: str, *needs: str) -> Measure:
    """Bitwise or of a column of the daily rollup over the period: the set of what was used."""
    return _merged(name, Merge("or", column), needs, dense=True)


def users_of(name: str, column: str | None = None, *needs: str) -> Measure:
    """Distinct users active in the period, or only those with ``column`` above 0 on some day of it.

    Missing where events carry no user at all.
    """
    return _merged(name, Merge("users", column), (*needs, "users"), dense=True)


ACTIVE_USERS = users_of("active_users")
ACTIVE_DAYS = used("active_days", "account_day")
USER_DAYS = used("user_days", "user_day", "users")
EVENTS = used("events", "events")
USAGE = used("usage", "usage")
CORE_EVENTS = used("core_events", "core_events", "signal:core_features")
CORE_MASK = bits_of("core_mask", "core_mask", "signal:core_features")
ADVANCED_EVENTS = used("advanced_events", "advanced_events", "signal:advanced_features")
ADVANCED_MASK = bits_of("advanced_mask", "advanced_mask", "signal:advanced_features")
GATED_CLICKS = used("gated_clicks", "gated_clicks", "signal:gated_clicks")
UPGRADE_ATTEMPTS = used("upgrade_attempts", "upgrade_attempts", "signal:upgrade_attempts")
WORKFLOW_STARTS = used("workflow_starts", "workflow_starts", "signal:workflow_starts")
WORKFLOW_COMPLETIONS = used("workflow_completions", "workflow_completions", "signal:workflow_completions")
#: Modules whose gated features were clicked at lately.
GATED_MASK = _merged(
    "gated_mask",
    Merge("or", "gated_mask", always=Period(90)),
    ("catalogue:modules", "signal:gated_clicks"),
    state=True,
)

# --- contracts --------------------------------------------------------------------------------------------------------


def in_force(contracts: Any, days_ago: int) -> Any:
    """Whether a contract was in force that many days before the as-of date: start <= day < end."""
    begun = contracts.start_days_ago >= days_ago
    ended = contracts.end_days_ago.notnull() & (contracts.end_days_ago >= days_ago)
    return begun & ~ended


def _contract_sum(name: str, column: str, *, modules: bool) -> Measure:
    def value(rows: Any, period: Period, config: Any) -> Any:
        counted = in_force(rows, period.ago)
        if not modules:
            counted = counted & ~_is_module(rows, config)
        return rows[column].sum(where=counted)

    return Measure(name, "contracts", value, state=True)


def _is_module(rows: Any, config: Any) -> Any:
    names = [m.name for m in config.catalogue.modules]
    return rows["product"].isin(names) if names else ibis.literal(False)


def _plan_rank(rows: Any, period: Period, config: Any) -> Any:
    ranks = [(rows.plan == plan, i) for i, plan in enumerate(config.catalogue.plans)]
    return ibis.cases(*ranks, else_=ibis.null("int64")).max(where=in_force(rows, period.ago))


def _modules_mask(rows: Any, period: Period, config: Any) -> Any:
    return _product_bits(rows["product"], config).bit_or(where=in_force(rows, period.ago))


def _product_bits(product: Any, config: Any) -> Any:
    bits = [ibis.ifelse(product == m.name, 1 << i, 0).cast("int64") for i, m in enumerate(config.catalogue.modules)]
    return reduce(or_, bits).fill_null(0)


#: Seats of what is licensed by seat: modules sold on top do not add people.
SEATS = _contract_sum("licensed_seats", "seats", modules=False)
ARR = _contract_sum("arr_in_force", "arr", modules=True)
PLAN_RANK = Measure("plan_rank", "contracts", _plan_rank, needs=("column:plan", "catalogue:plans"), state=True)
PLAN = Measure(
    "plan_in_force",
    "contracts",
    lambda rows, period, _: rows.plan.max(where=in_force(rows, period.ago)),
    needs=("column:plan",),
    state=True,
    text=True,
)
PRODUCT = Measure(
    "main_product",
    "contracts",
    lambda rows, period, config: rows["product"].min(where=in_force(rows, period.ago) & ~_is_module(rows, config)),
    state=True,
    text=True,
)
MODULES_MASK = Measure("modules_mask", "contracts", _modules_mask, empty=0, needs=("catalogue:modules",), state=True)
#: Days until the first contract in force ends; missing where all are open-ended.
RENEWAL_IN = Measure(
    "renewal_in",
    "contracts",
    lambda rows, period, _: (0 - rows.end_days_ago).min(where=in_force(rows, period.ago)),
    state=True,
)

# --- accounts and users -----------------------------------------------------------------------------------------------


def _attribute(name: str, column: str, *, text: bool, need: bool = True) -> Measure:
    return Measure(
        name,
        "accounts",
        lambda rows, period, _: rows[column].max(),
        needs=(f"column:{column}",) if need else (),
        state=True,
        text=text,
    )


TENURE = _attribute("tenure", "created_days_ago", text=False, need=False)
SEGMENT = _attribute("account_segment", "segment", text=True)
INDUSTRY = _attribute("account_industry", "industry", text=True)
EMPLOYEES = _attribute("account_employees", "employees", text=False)


def _known_users(rows: Any, period: Period, _: Any) -> Any:
    gone = rows.deactivated_days_ago.notnull() & (rows.deactivated_days_ago > period.ago)
    return rows.count(where=(rows.created_days_ago > period.ago) & ~gone)  # one row per user: see `Table.key`


USERS = Measure("known_users", "users", _known_users, empty=0, state=True)

# --- occurrences ------------------------------------------------------------------------------------------------------


def _milestones(name: str, kind: str) -> Measure:
    return Measure(
        name,
        "milestones",
        lambda rows, period, _: rows.count(where=(rows.kind == kind) & period.covers(rows.occurred_days_ago)),
        empty=0,
    )


ROI_MILESTONES = _milestones("roi_count", "roi")
PHASE_TWO = _milestones("phase_two_count", "phase_two")
BUDGET_EXPANSIONS = _milestones("budget_expansion_count", "budget_expansion")
GOALS = _milestones("goal_count", "goal")


def _wanted_mask(rows: Any, period: Period, config: Any) -> Any:
    recent = YEAR.covers(rows.occurred_days_ago)
    return _product_bits(rows["product"], config).bit_or(where=recent)


WANTED_MASK = Measure(
    "wanted_mask", "milestones", _wanted_mask, empty=0, needs=("catalogue:modules", "column:product"), state=True
)


def _is_severe(rows: Any, config: Any) -> Any:
    return rows.severity.lower().isin([s.lower() for s in config.signals.high_severities])


def _open_severe(rows: Any, period: Period, config: Any) -> Any:
    closed = rows.closed_days_ago.notnull() & (rows.closed_days_ago > period.ago)
    is_open = (rows.opened_days_ago > period.ago) & ~closed
    return rows.count(where=is_open & _is_severe(rows, config))


def _module_requests(rows: Any, period: Period, config: Any) -> Any:
    asks = rows.topic.lower().isin([t.lower() for t in config.signals.module_topics])
    return rows.count(where=asks & period.covers(rows.opened_days_ago))


OPEN_SEVERE_TICKETS = Measure("open_severe", "tickets", _open_severe, empty=0, state=True)
TICKETS = Measure(
    "tickets_opened",
    "tickets",
    lambda rows, period, _: rows.count(where=period.covers(rows.opened_days_ago)),
    empty=0,
)
MODULE_REQUESTS = Measure(
    "module_request_count",
    "tickets",
    _module_requests,
    empty=0,
    needs=("column:topic", "signal:module_topics"),
)


def _newest_score(rows: Any, period: Period, _: Any) -> Any:
    """Highest score on the newest day with an answer in the year before the period's end."""
    year = Period(365, period.ago)
    # Scores are 0..10: packing day and score into one number keeps "the newest one" a plain minimum.
    packed = (rows.responded_days_ago * 11 + (10 - rows.score)).min(where=year.covers(rows.responded_days_ago))
    return 10 - packed % 11


NPS_SCORE = Measure("nps_newest", "nps", _newest_score, state=True)
NPS_ANSWERS = Measure(
    "nps_answers",
    "nps",
    lambda rows, period, _: rows.count(where=period.covers(rows.responded_days_ago)),
    empty=0,
)


def _advocacy(name: str, *kinds: str) -> Measure:
    return Measure(
        name,
        "advocacy",
        lambda rows, period, _: rows.count(
            where=rows.kind.isin(list(kinds)) & Period(365, period.ago).covers(rows.occurred_days_ago)
        ),
        empty=0,
        state=True,
    )


REVIEWS = _advocacy("reviews", "review")
REFERRALS = _advocacy("referrals", "referral", "reference")


def _contacts(name: str, *roles: str, engaged_days: int | None = None, since_days: int | None = None) -> Measure:
    def value(rows: Any, period: Period, _: Any) -> Any:
        counted = rows.role.isin(list(roles)) if roles else ibis.literal(True)
        if engaged_days is not None:
            counted = counted & (rows.last_engaged_days_ago <= engaged_days)
        if since_days is not None:
            counted = counted & (rows.since_days_ago <= since_days)
        return rows.count(where=counted)

    needs = ("column:last_engaged_at",) if engaged_days is not None else ()
    return Measure(name, "contacts", value, empty=0, needs=needs, state=True)


BUYERS = _contacts("buyers", "buyer", "executive_sponsor")
ENGAGED_CONTACTS = _contacts("engaged_contacts", engaged_days=90)
NEW_SPONSORS = _contacts("new_sponsors", "executive_sponsor", since_days=90)

# --- earlier leads and opportunities ----------------------------------------------------------------------------------

_LEADS = ("upsell", "cross_sell", "referral")


def _leads(name: str, condition: Any) -> Measure:
    return Measure(
        name,
        "csqls",
        lambda rows, period, _: rows.count(where=rows.type.isin(_LEADS) & condition(rows)),
        empty=0,
        state=True,
    )


def _is_open(rows: Any) -> Any:
    return rows.closed_days_ago.isnull() & rows.rejected_days_ago.isnull()


EARLIER_LEADS = _leads("earlier_lead_count", lambda rows: ibis.literal(True))
EARLIER_WINS = _leads("earlier_win_count", lambda rows: rows.won.fill_null(False))
EARLIER_REJECTIONS = _leads("earlier_rejection_count", lambda rows: rows.rejected_days_ago.notnull())
OPEN_LEADS = _leads("open_leads", _is_open)
LAST_FAILURE = Measure(
    "days_since_failed_lead",
    "csqls",
    lambda rows, period, _: ibis.coalesce(rows.rejected_days_ago, rows.closed_days_ago).min(
        where=rows.type.isin(_LEADS) & (rows.rejected_days_ago.notnull() | (rows.won == False))  # noqa: E712 - SQL
    ),
    state=True,
)
OPEN_EXPANSIONS = Measure(
    "open_expansions",
    "opportunities",
    lambda rows, period, _: rows.count(where=(rows.type == "expansion") & rows.closed_days_ago.isnull()),
    empty=0,
    state=True,
)
EARLIER_EXPANSIONS = Measure(
    "earlier_expansions_won",
    "opportunities",
    lambda rows, period, _: rows.count(where=(rows.type == "expansion") & rows.won.fill_null(False)),
    empty=0,
    state=True,
)

#: What a lead's hypothesis is built from, and what makes an account ineligible; kept beside the features.
HYPOTHESIS = (PLAN_RANK, PLAN, PRODUCT, MODULES_MASK, WANTED_MASK, GATED_MASK, SEATS, ARR)
ELIGIBILITY = (TENURE, OPEN_LEADS, OPEN_EXPANSIONS, LAST_FAILURE)
