"""What is true of every account at one moment, and the month in which it changes.

All signals here are *realised*: whole users, events and tickets that are later laid out as rows, not the rates they
were drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from csql_ml.simulate.company import Traits
from csql_ml.simulate.timeline import NEVER, Flags, Floats, Ints, Timeline


@dataclass
class State:
    """Every account at the end of a month; arrays of one value per account.

    Attributes
    ----------
    customer, leaving
        Whether a contract is in force; whether it is known not to be renewed.
    base, extra, carried, next_base
        Licensed seats: of the term, added during it until its end, added until the end of the term signed next, and
        of that next term (0 = not signed yet).
    modules
        Bit set of modules in force.
    fill
        Log of demand for seats / seats in force.
    core
        Bit set of the core features used in the month.
    usage, usage_before
        Events of the month and of the month before.
    clicks
        Gated clicks of the month.
    requests, upgrades
        Module requests and upgrade attempts of the last three months, newest first, shape (accounts, 3).
    severe_until
        Day on which the last high-severity ticket is closed.
    win_day, win_kind, win_seats
        Leads that will be won: day of closing, what is bought, how many seats; shape (accounts, 2), the lead of the
        quarter before and of this quarter.
    """

    customer: Flags
    leaving: Flags
    base: Ints
    extra: Ints
    carried: Ints
    next_base: Ints
    plan: Ints
    next_plan: Ints
    modules: Ints
    term_end: Ints
    health: Floats
    interest: Floats
    shock: Floats
    fill: Floats
    core: Ints
    joined: Ints
    left: Ints
    active: Ints
    usage: Ints
    usage_before: Ints
    clicks: Ints
    requests: Ints
    upgrades: Ints
    severe_until: Ints
    nps: Ints
    nps_day: Ints
    sponsor_day: Ints
    budget_day: Ints
    phase_two_day: Ints
    win_day: Ints
    win_kind: Ints
    win_seats: Ints

    def take(self, accounts: Ints) -> State:
        """The state of some accounts, repeated where an account is; a copy."""
        return State(**{f.name: getattr(self, f.name)[accounts] for f in fields(self)})

    @property
    def seats(self) -> Ints:
        """Licensed seats in force."""
        return np.where(self.customer, self.base + self.extra + self.carried, 0)

    @property
    def pending(self) -> Flags:
        """Whether a lead of this or the last quarter is won or will be."""
        pending: Flags = (self.win_day != NEVER).any(axis=1)
        return pending


def initial(traits: Traits, timeline: Timeline, rng: np.random.Generator) -> State:
    """The state before the first day."""
    n = len(traits)
    customer = traits.join_day < 0
    fill = np.minimum(traits.pull + rng.normal(0.0, 0.18, n), 0.15)
    users = np.ceil(traits.seats * np.minimum(np.exp(fill), 1.0)).astype(np.int64)
    maturity = 1.0 / (1.0 + np.exp(-traits.maturity))
    return State(
        customer=customer,
        leaving=np.zeros(n, dtype=bool),
        base=np.where(customer, traits.seats, 0),
        extra=_zeros(n),
        carried=_zeros(n),
        next_base=_zeros(n),
        plan=traits.plan.copy(),
        next_plan=traits.plan.copy(),
        modules=_first_modules(traits, rng),
        term_end=np.where(customer, _current_term_end(traits.join_day, timeline), NEVER),
        health=rng.normal(0.0, 1.0, n),
        interest=rng.normal(0.0, 1.0, n),
        shock=rng.normal(0.0, 0.15, n),
        fill=fill,
        core=_bits(rng.random((n, 6)) < maturity[:, None]),
        joined=np.where(customer, users, 0),
        left=_zeros(n),
        active=_zeros(n),
        usage=_zeros(n),
        usage_before=_zeros(n),
        clicks=_zeros(n),
        requests=np.zeros((n, 3), dtype=np.int64),
        upgrades=np.zeros((n, 3), dtype=np.int64),
        severe_until=_zeros(n),
        nps=_zeros(n),
        nps_day=_never(n),
        sponsor_day=np.where(customer, traits.sponsor_since, NEVER),
        budget_day=_never(n),
        phase_two_day=_never(n),
        win_day=np.full((n, 2), NEVER),
        win_kind=np.zeros((n, 2), dtype=np.int64),
        win_seats=np.zeros((n, 2), dtype=np.int64),
    )


def _zeros(n: int) -> Ints:
    return np.zeros(n, dtype=np.int64)


def _never(n: int) -> Ints:
    return np.full(n, NEVER)


def _bits(flags: Flags) -> Ints:
    """Bit sets of rows of flags."""
    return flags @ (1 << np.arange(flags.shape[1]))


def _first_modules(traits: Traits, rng: np.random.Generator) -> Ints:
    return _bits(rng.random((len(traits), 3)) < (0.06 + 0.08 * traits.plan)[:, None])


def _current_term_end(join_day: Ints, timeline: Timeline) -> Ints:
    """First anniversary of the first day after day 0."""
    end = timeline.year_later(join_day)
    for _ in range(6):
        end = np.where(end <= 0, timeline.year_later(end), end)
    return end
