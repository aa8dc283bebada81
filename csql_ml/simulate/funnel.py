"""Leads: which are raised in a quarter, what becomes of them, and the opportunities that follow.

At most one lead per account is open at a time: a lead is closed at the latest two weeks before the end of the quarter
after the one it was raised in, and the next one is raised after that. So the hazard of a quarter holds whatever lead
is still open from the quarter before.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from csql_ml.simulate.catalogue import SEAT_PRICE, next_module, platform_arr
from csql_ml.simulate.company import EARLY_REGION, Company
from csql_ml.simulate.contracts import BUYS_MODULE, BUYS_NOTHING, BUYS_PLAN, BUYS_SEATS, module_arr
from csql_ml.simulate.hazard import INTERCEPT, hazard, log_odds, signals
from csql_ml.simulate.state import State
from csql_ml.simulate.timeline import NEVER, Flags, Floats, Ints, Timeline, to_working_day

TYPES = ("upsell", "cross_sell", "referral", "renewal", "churn_save")
REASONS = ("no_budget", "no_buyer", "bad_timing", "duplicate", "not_expansion")
SOURCES = ("alert", "qbr", "support", "csm")
_REASON_SHARES = np.array([0.30, 0.22, 0.28, 0.08, 0.12])
_SOURCE_SHARES = np.array([0.45, 0.25, 0.12, 0.18])
#: Leads that come to nothing: log-odds of one being raised in a quarter, and what befalls it.
_LOSER_INTERCEPT = -2.25
_REJECTED, _DROPPED = 0.40, 0.22
#: Days from raised to closed: median and spread (log).
_CYCLE_DAYS, _CYCLE_SPREAD, _SHORTEST = 40.0, 0.45, 12
#: Days into the next quarter by which a lead is closed.
_LATEST_CLOSE = 76


@dataclass
class Leads:
    """Leads as columns; days are day numbers or `NEVER`, ``arr`` is what is at stake."""

    account: Ints
    type: Ints
    source: Ints
    created: Ints
    accepted: Ints
    rejected: Ints
    reason: Ints
    opportunity: Ints
    closed: Ints
    won: Flags
    arr: Floats

    def take(self, rows: Ints) -> Leads:
        """Some of the leads."""
        return Leads(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @staticmethod
    def stack(chunks: list[Leads]) -> Leads:
        """All leads, by day of creation and account."""
        joined = {f.name: np.concatenate([getattr(c, f.name) for c in chunks]) for f in fields(Leads)}
        leads = Leads(**joined)
        return leads.take(np.lexsort((leads.account, leads.created)))


def raise_leads(
    state: State, company: Company, quarter: int, timeline: Timeline, rng: np.random.Generator, open_until: Ints
) -> tuple[Leads, Flags]:
    """Draw the leads of a quarter on its first day; notes the wins to come in ``state``.

    Parameters
    ----------
    open_until
        Day on which each account's last lead was or will be closed; updated.

    Returns
    -------
    leads : Leads
    wins : (accounts,) bool
        Accounts in which a lead that will be won is raised in the quarter.
    """
    desk = _Desk(state, company, quarter, timeline, rng, open_until)
    state.win_day[:, 0], state.win_day[:, 1] = state.win_day[:, 1].copy(), NEVER
    state.win_kind[:, 0], state.win_seats[:, 0] = state.win_kind[:, 1], state.win_seats[:, 1]
    wins, loses, mislogged = desk.draw()
    leads = [desk.won(wins), desk.lost(loses), desk.mislogged(mislogged)]
    won = np.zeros(len(company), dtype=bool)
    won[wins] = True
    return Leads.stack(leads), won


class _Desk:
    """The leads desk on a quarter's first day; ``who`` are always indices of accounts.

    Everything is drawn for all accounts, so that a lead of one never moves another account's chances.
    """

    def __init__(
        self,
        state: State,
        company: Company,
        quarter: int,
        timeline: Timeline,
        rng: np.random.Generator,
        open_until: Ints,
    ) -> None:
        self._state, self._company, self._quarter = state, company, quarter
        self._timeline, self._rng, self._open_until = timeline, rng, open_until
        self._seen = signals(state, timeline.starts[quarter])

    def _uniform(self) -> Floats:
        return self._rng.random(len(self._company))

    def _normal(self) -> Floats:
        return self._rng.normal(0.0, 1.0, len(self._company))

    def _choice(self, shares: Floats) -> Ints:
        """Index of a share."""
        return np.minimum(np.searchsorted(np.cumsum(shares), self._uniform(), side="right"), len(shares) - 1)

    def draw(self) -> tuple[Ints, Ints, Ints]:
        """Accounts with a lead that will be won, one that will not, one that is no lead; at most one of them."""
        state, draws = self._state, [self._uniform() for _ in range(3)]
        odds = hazard(state, self._company.traits, self._timeline.starts[self._quarter])
        worked = self._company.covered(self._quarter) & state.customer & ~state.leaving
        wins = worked & (draws[0] < odds)
        loses = worked & ~wins & (draws[1] < self._loser_odds())
        mislogged = worked & ~wins & ~loses & (self._seen.renewal_days <= 91) & (draws[2] < 0.08)
        return np.flatnonzero(wins), np.flatnonzero(loses), np.flatnonzero(mislogged)

    def _loser_odds(self) -> Floats:
        """CSMs follow the signals too, but also sheer size and, in the POC, the region they began with."""
        eta = _LOSER_INTERCEPT + 0.45 * np.clip(log_odds(self._seen) - INTERCEPT - 1.8, -2.0, 3.0)
        usage = np.maximum(self._state.usage, 1)
        eta += 0.25 * np.log(usage / np.median(usage)).clip(-2.0, 2.0)
        eta += 0.8 * ((self._quarter == 1) & (self._company.region == EARLY_REGION))
        odds: Floats = 1.0 / (1.0 + np.exp(-eta))
        return odds

    def won(self, who: Ints) -> Leads:
        """Leads that become revenue."""
        created, closed = self._raised(who)
        type_, kind = self._types(who)
        seats, arr = self._size(who, kind)
        state = self._state
        state.win_day[who, 1], state.win_kind[who, 1], state.win_seats[who, 1] = closed, kind, seats
        leads = self._blank(who, type_, created, closed)
        leads.accepted, leads.opportunity = self._steps(who, created, closed)
        leads.won, leads.arr = np.ones(len(who), dtype=bool), arr
        return leads

    def lost(self, who: Ints) -> Leads:
        """Rejected by sales, dropped before an opportunity, or lost."""
        created, closed = self._raised(who)
        type_, kind = self._types(who)
        leads = self._blank(who, type_, created, closed)
        leads.arr = self._size(who, kind)[1]
        accepted, opportunity = self._steps(who, created, closed)
        fate = self._uniform()[who]
        rejected, dropped = fate < _REJECTED, (fate >= _REJECTED) & (fate < _REJECTED + _DROPPED)
        reason = self._choice(_REASON_SHARES)[who]
        leads.rejected = np.where(rejected, accepted, NEVER)
        leads.reason = np.where(rejected, reason, NEVER)
        leads.accepted = np.where(rejected, NEVER, accepted)
        leads.opportunity = np.where(rejected | dropped, NEVER, opportunity)
        leads.closed = np.where(rejected, NEVER, closed)
        self._open_until[who] = np.where(rejected, accepted, closed)
        return leads

    def mislogged(self, who: Ints) -> Leads:
        """Renewals and churn saves that somebody entered as leads."""
        created, closed = self._raised(who)
        saves = self._state.health[who] < -0.3
        type_ = np.where(saves, TYPES.index("churn_save"), TYPES.index("renewal"))
        leads = self._blank(who, type_, created, closed)
        leads.accepted, leads.opportunity = self._steps(who, created, closed)
        leads.won = self._uniform()[who] < 0.8
        discount = self._company.traits.discount[who]
        leads.arr = platform_arr(self._state.seats[who], self._state.plan[who], discount)
        return leads

    def _blank(self, who: Ints, type_: Ints, created: Ints, closed: Ints) -> Leads:
        never = np.full(len(who), NEVER)
        return Leads(
            account=who,
            type=type_,
            source=self._choice(_SOURCE_SHARES)[who],
            created=created,
            accepted=never,
            rejected=never,
            reason=never,
            opportunity=never,
            closed=closed,
            won=np.zeros(len(who), dtype=bool),
            arr=np.zeros(len(who)),
        )

    def _raised(self, who: Ints) -> tuple[Ints, Ints]:
        """Days on which leads are raised and closed: working days, in the quarter, after the lead before."""
        start, end = self._timeline.starts[self._quarter], self._timeline.starts[self._quarter + 1]
        earliest = np.maximum(start, self._open_until[who] + 3)
        created = earliest + np.floor((end - 3 - earliest) * self._uniform()[who]).astype(np.int64)
        created = to_working_day(created, self._timeline)
        cycle = _CYCLE_DAYS * np.exp(_CYCLE_SPREAD * self._normal()[who])
        closed = created + np.maximum(np.round(cycle), _SHORTEST).astype(np.int64)
        closed = np.minimum(to_working_day(closed, self._timeline), end + _LATEST_CLOSE)
        self._open_until[who] = closed
        return created, closed

    def _steps(self, who: Ints, created: Ints, closed: Ints) -> tuple[Ints, Ints]:
        """Days of acceptance (within a week, mostly) and of the opportunity, between raising and closing."""
        span = closed - created
        waits = np.ceil(np.exp(0.9 + 0.6 * self._normal()[who])).astype(np.int64)
        accepted = to_working_day(created + np.minimum(waits, span // 4), self._timeline)
        share = 0.1 + 0.25 * self._uniform()[who]
        opportunity = accepted + np.ceil((closed - accepted) * share).astype(np.int64)
        return accepted, np.minimum(to_working_day(opportunity, self._timeline), closed)

    def _types(self, who: Ints) -> tuple[Ints, Ints]:
        """Type of lead (index of `TYPES`) and what it buys, by the signals that speak for each."""
        state, seen = self._state, self._seen
        module = next_module(state.modules[who], self._company.traits.liking[who])
        upsell = 1.0 + 4.0 * (seen.saturation[who] >= 0.8) + 1.0 * seen.tried_upgrade[who]
        cross = np.where(module >= 0, 0.6 + 2.0 * (seen.clicks[who] >= 1) + 1.5 * seen.requested[who], 0.0)
        refer = 0.25 + 0.5 * seen.promoter[who]
        draw, plan_draw = self._uniform()[who], self._uniform()[who]
        share = draw * (upsell + cross + refer)
        type_ = (share >= upsell).astype(np.int64) + (share >= upsell + cross)
        can_rise = state.next_plan[who] < len(SEAT_PRICE) - 1
        rises = can_rise & (plan_draw < 0.15 + 0.35 * seen.tried_upgrade[who])
        of_upsell, of_cross = np.where(rises, BUYS_PLAN, BUYS_SEATS), BUYS_MODULE + np.maximum(module, 0)
        return type_, np.choose(type_, [of_upsell, of_cross, np.full(len(who), BUYS_NOTHING)])

    def _size(self, who: Ints, kind: Ints) -> tuple[Ints, Floats]:
        """Seats added and yearly revenue won."""
        discount, now, plan = self._company.traits.discount[who], self._state.seats[who], self._state.plan[who]
        share = 0.15 + 0.35 * self._uniform()[who]
        seats = np.maximum(1, np.round(now * share)).astype(np.int64)
        higher = platform_arr(now, np.minimum(plan + 1, 2), discount) - platform_arr(now, plan, discount)
        price = np.maximum(SEAT_PRICE[plan] * discount, 1.0)
        as_seats = np.maximum(1, np.round(higher / price)).astype(np.int64)
        module = np.maximum(kind - BUYS_MODULE, 0)
        arr = np.select(
            [kind == BUYS_SEATS, kind == BUYS_PLAN, kind >= BUYS_MODULE],
            [platform_arr(seats, plan, discount), higher, module_arr(now, plan, discount, module)],
            platform_arr(np.maximum(3, np.round(0.6 * seats)).astype(np.int64), plan, discount),
        )
        return np.where(kind == BUYS_PLAN, as_seats, seats), arr
