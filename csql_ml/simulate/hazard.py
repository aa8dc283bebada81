"""The truth: how likely a lead that is won is raised in a quarter, given the signals on its first day.

    log-odds(p_q) = intercept
        + seat saturation: a step at 0.80 and a slope above 0.50
        + usage growth month over month: a slope, a step at +0.25, a step down at -0.25
        + feature adoption: a slope, and a step where it is >= 0.60 and a gated feature was clicked in 30 days
        + a support request about a new module in 90 days, an upgrade attempt in 90 days
        + the newest NPS answer of a year is 9 or 10
        + a new executive sponsor within 90 days
        + renewal within 120 days, more so where saturation is >= 0.80
        + budget expansion, phase two within 180 days
        - a high-severity ticket is open
        + an unobserved effect of the account (standard deviation 0.2)

Over two quarters: P = 1 - (1 - p_q) (1 - E[p_(q+1)]), the expectation over what happens to the account in the
quarter between if no such lead is raised in it (seeded Monte Carlo).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csql_ml.simulate.company import Traits
from csql_ml.simulate.dynamics import ADOPTION, live
from csql_ml.simulate.state import State
from csql_ml.simulate.timeline import Flags, Floats, Ints, Timeline

INTERCEPT = -6.05
DRAWS = 24
_BLOCK = 1_000


@dataclass(frozen=True)
class Signals:
    """What anybody could know of every account on a quarter's first day; arrays of one value per account."""

    saturation: Floats
    growth: Floats
    adoption: Floats
    clicks: Ints
    requested: Flags
    tried_upgrade: Flags
    promoter: Flags
    new_sponsor: Flags
    renewal_days: Ints
    budget: Flags
    phase_two: Flags
    severe: Flags


def signals(state: State, day: int) -> Signals:
    """Read the signals off the state as of the morning of ``day``, the first after a month's end."""
    before = np.maximum(state.usage_before, 1)
    return Signals(
        saturation=state.active / np.maximum(state.seats, 1),
        growth=np.where(state.usage_before > 0, state.usage / before - 1.0, 0.0),
        adoption=ADOPTION[state.core],
        clicks=state.clicks,
        requested=state.requests.sum(axis=1) > 0,
        tried_upgrade=state.upgrades.sum(axis=1) > 0,
        promoter=(state.nps >= 9) & (state.nps_day >= day - 365),
        new_sponsor=state.sponsor_day >= day - 90,
        renewal_days=state.term_end - day,
        budget=state.budget_day >= day - 180,
        phase_two=state.phase_two_day >= day - 180,
        severe=state.severe_until >= day,
    )


def log_odds(s: Signals) -> Floats:
    """Log-odds of the observed signals, without the account's own effect; the formula of this module."""
    full = s.saturation >= 0.8
    soon = s.renewal_days <= 120
    eta: Floats = (
        INTERCEPT
        + 1.0 * full
        + 2.3 * np.clip(s.saturation - 0.5, 0.0, 0.5)
        + 1.0 * np.clip(s.growth, -0.5, 0.5)
        + 0.5 * (s.growth >= 0.25)
        - 0.7 * (s.growth <= -0.25)
        + 1.0 * s.adoption
        + 1.4 * ((s.adoption >= 0.6) & (s.clicks >= 1))
        + 0.6 * s.requested
        + 1.2 * s.tried_upgrade
        + 1.0 * s.promoter
        + 0.8 * s.new_sponsor
        + 0.2 * soon
        + 1.0 * (soon & full)
        + 1.0 * s.budget
        + 0.7 * s.phase_two
        - 1.4 * s.severe
    )
    return eta


def hazard(state: State, traits: Traits, day: int) -> Floats:
    """Probability that a lead which is won is raised in the quarter that begins on ``day``, if it is worked."""
    eta = log_odds(signals(state, day)) + traits.effect
    return np.where(state.customer & ~state.leaving, 1.0 / (1.0 + np.exp(-eta)), 0.0)


def propensity(state: State, traits: Traits, quarter: int, timeline: Timeline, seed: int, scale: float) -> Floats:
    """Probability that a lead which is won is raised in ``quarter`` or the one after; 0 for those not in force."""
    who = np.flatnonzero(state.customer)
    now = hazard(state, traits, timeline.starts[quarter])
    later = np.zeros(len(traits))
    for number, first in enumerate(range(0, len(who), _BLOCK)):
        block = who[first : first + _BLOCK]
        rng = np.random.default_rng([seed, 3, quarter, number])
        later[block] = _expected_hazard(state, traits, block, quarter, timeline, rng, scale)
    return np.where(state.customer, 1.0 - (1.0 - now) * (1.0 - later), 0.0)


def _expected_hazard(
    state: State, traits: Traits, who: Ints, quarter: int, timeline: Timeline, rng: np.random.Generator, scale: float
) -> Floats:
    """Mean hazard one quarter ahead over `DRAWS` futures of some accounts."""
    copies = np.tile(who, DRAWS)
    future, same = state.take(copies), traits.take(copies)
    for month in timeline.months(quarter):
        live(future, same, month, timeline, rng, scale)
    drawn = hazard(future, same, timeline.starts[quarter + 1]).reshape(DRAWS, len(who))
    mean: Floats = drawn.mean(axis=0)
    return mean
