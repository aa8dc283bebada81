"""One month in the life of every account: contracts, people, usage, support, sentiment, business reviews."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csql_ml.simulate.catalogue import ONES, next_module
from csql_ml.simulate.company import Traits
from csql_ml.simulate.contracts import Books, Ledger
from csql_ml.simulate.state import State
from csql_ml.simulate.timeline import NEVER, Flags, Floats, Ints, Month, Timeline

#: Kinds of product events, in the order of the columns of `Lived.counts`.
CORE, ADVANCED, LOGIN, START, COMPLETE, GATED, UPGRADE = range(7)
KINDS = 7
_CORE_SHARE, _LOGIN_SHARE, _START_SHARE = 0.50, 0.24, 0.12
#: How often a core feature is used by an account of average maturity, in log-odds.
_FEATURE_EASE = np.array([1.4, 0.9, 0.4, -0.1, -0.6, -1.0])
#: Milestone kinds, in the order of the columns of `Lived.milestones`.
MILESTONES = ("roi", "phase_two", "budget_expansion", "goal")
#: ``_TRIMMED[bits, k]``: the lowest ``k`` set bits.
_TRIMMED = np.array(
    [[sum(sorted(1 << i for i in range(6) if bits >> i & 1)[:k]) for k in range(7)] for bits in range(64)]
)


@dataclass(frozen=True)
class Lived:
    """What happened in a month, exactly as rows will show it; arrays of one value per account, days or `NEVER`.

    Attributes
    ----------
    using
        Accounts that were customers all month: only they have product events.
    active, joined_before, joined, left
        Users by number within the account: those active are ``first_active`` and the ``active - 1`` after it; users
        below ``left`` are deactivated, users from ``joined`` on do not exist yet (``joined_before``: at the start).
    counts
        Events per kind, shape (accounts, 7).
    """

    month: Month
    using: Flags
    active: Ints
    joined_before: Ints
    joined: Ints
    left: Ints
    core: Ints
    counts: Ints
    gated_module: Ints
    severe_day: Ints
    severe_until: Ints
    request_day: Ints
    answer_day: Ints
    answer: Ints
    sponsor_day: Ints
    milestones: Ints
    review_day: Ints
    referral_day: Ints

    @property
    def first_active(self) -> Ints:
        """Number of the longest-standing active user."""
        return self.joined_before - self.active


def live(
    state: State,
    traits: Traits,
    month: Month,
    timeline: Timeline,
    rng: np.random.Generator,
    scale: float,
    ledger: Ledger | None = None,
) -> Lived:
    """Take every account through one month; changes ``state``.

    Parameters
    ----------
    scale
        Events per active user and month of an average account.
    """
    was_customer = state.customer.copy()
    Books(state, traits, timeline, ledger).advance(month, rng)
    using = was_customer & state.customer
    _drift(state, traits, rng)
    joined_before = state.joined.copy()
    _people(state, using, joined_before, rng)
    counts, gated_module = _usage(state, traits, using, rng, scale)
    severe_day = _severe_ticket(state, using, month, rng)
    request_day = _happens(using, month, rng, 0.03 * np.exp(0.5 * state.interest))
    state.requests = np.column_stack([request_day != NEVER, state.requests[:, :2]]).astype(np.int64)
    answer_day = _survey(state, traits, using, month, rng)
    satisfaction = traits.satisfaction + 0.5 * state.health
    return Lived(
        month=month,
        using=using,
        active=state.active,
        joined_before=joined_before,
        joined=state.joined.copy(),
        left=state.left.copy(),
        core=state.core,
        counts=counts,
        gated_module=gated_module,
        severe_day=severe_day,
        severe_until=state.severe_until,
        request_day=request_day,
        answer_day=answer_day,
        answer=state.nps,
        sponsor_day=_new_sponsor(state, using, month, rng),
        milestones=_milestones(state, traits, using, month, rng),
        review_day=_happens(using, month, rng, 0.012 * np.exp(0.8 * satisfaction)),
        referral_day=_happens(using, month, rng, 0.006 * np.exp(0.6 * satisfaction)),
    )


def _happens(using: Flags, month: Month, rng: np.random.Generator, odds: Floats | float) -> Ints:
    """Day of something that befalls those in ``using`` with probability ``odds`` in the month, else `NEVER`."""
    draws = rng.random(len(using))
    day = rng.integers(month.start, month.end, len(draws))
    return np.where(using & (draws < odds), day, NEVER)


def _drift(state: State, traits: Traits, rng: np.random.Generator) -> None:
    """Hidden moods move on; demand for seats is drawn to what is usual for the account."""
    noise = rng.normal(0.0, 1.0, (4, len(traits)))
    jumps = rng.random((2, len(traits)))
    tilt = np.clip(0.05 + 0.02 * state.health, 0.005, 0.12)
    jump = np.where(jumps[0] < tilt, 1.0, 0.0) - np.where(jumps[0] > 0.9 + tilt, 1.0, 0.0)
    state.health = 0.88 * state.health + 0.475 * noise[0]
    state.interest = 0.85 * state.interest + 0.527 * noise[1]
    state.shock = 0.6 * state.shock + 0.10 * noise[2] + jump * (0.25 + 0.35 * jumps[1])
    state.fill = state.fill + 0.08 * (traits.pull - state.fill) + 0.07 * noise[3] + 0.015 * state.health


def _people(state: State, using: Flags, joined_before: Ints, rng: np.random.Generator) -> None:
    """Users join as demand grows, some leave; the longest-standing ones leave first and are the least active."""
    draws = rng.random((2, len(using)))
    demand = state.seats * np.minimum(np.exp(state.fill), 1.0)
    wanted = np.minimum(np.ceil(1.12 * demand).astype(np.int64), state.seats)
    present = state.joined - state.left
    surplus = np.maximum(present - np.ceil(1.25 * wanted).astype(np.int64), 0)
    turnover = np.floor(0.02 * present + draws[0]).astype(np.int64)
    keep_one = np.maximum(joined_before - 1, state.left)
    state.left = np.where(state.customer, np.minimum(state.left + surplus + turnover, keep_one), state.joined)
    arrivals = np.maximum(wanted - (state.joined - state.left), 0)
    state.joined = state.joined + np.where(state.customer, arrivals, 0)
    active = np.floor(demand + draws[1]).astype(np.int64)
    most = np.minimum(state.seats, joined_before - state.left)
    state.active = np.where(using, np.clip(active, 1, np.maximum(most, 1)), 0)


def _usage(state: State, traits: Traits, using: Flags, rng: np.random.Generator, scale: float) -> tuple[Ints, Ints]:
    """Events per kind; at least one core event per active user and one per core feature in use."""
    n = len(using)
    draws, mature = rng.random((7, n)), 1.0 / (1.0 + np.exp(-traits.maturity))
    mean = scale * state.active**0.9 * np.exp(traits.intensity + state.shock)
    shares: tuple[Floats | float, ...] = (_CORE_SHARE, 0.02 + 0.10 * mature, _LOGIN_SHARE, _START_SHARE)
    counts = np.zeros((n, KINDS), dtype=np.int64)
    for kind, share in enumerate(shares):
        counts[:, kind] = np.floor(share * mean + draws[kind])
    counts[:, CORE] = np.maximum(counts[:, CORE], state.active)
    counts[:, COMPLETE] = np.floor(counts[:, START] * (0.35 + 0.55 * mature) + draws[4])
    counts[:, COMPLETE] = np.minimum(counts[:, COMPLETE], counts[:, START])
    module = next_module(state.modules, traits.liking)
    crowd = np.maximum(state.active, 1) ** 0.3
    counts[:, GATED] = np.where(module >= 0, _count(0.32 * crowd * np.exp(0.8 * state.interest), draws[5]), 0)
    counts[:, UPGRADE] = _count(0.036 * crowd * np.exp(0.6 * state.interest), draws[6])
    counts[~using] = 0
    _core_features(state, traits, using, counts[:, CORE], rng)
    state.usage_before, state.usage = state.usage, counts.sum(axis=1)
    state.clicks = counts[:, GATED]
    state.upgrades = np.column_stack([counts[:, UPGRADE], state.upgrades[:, :2]])
    return counts, module


def _count(mean: Floats, draw: Floats) -> Ints:
    """Whole numbers of that mean, geometrically distributed: bursts are as common as in real clicks.

    One draw makes one number, so that what happens to an account never moves another account's chances.
    """
    return np.floor(np.log1p(-draw) / np.log(mean / (1.0 + mean))).astype(np.int64)


def _core_features(state: State, traits: Traits, using: Flags, events: Ints, rng: np.random.Generator) -> None:
    """Habits last: four times in five a feature's use is as the month before."""
    draws = rng.random((6, len(using)))
    core = np.zeros(len(using), dtype=np.int64)
    for i, ease in enumerate(_FEATURE_EASE):
        used_before = state.core >> i & 1
        fresh = (draws[i] - 0.8) / 0.2 < 1.0 / (1.0 + np.exp(-ease - 0.9 * traits.maturity))
        core |= np.where(draws[i] < 0.8, used_before, fresh) << i
    core = _TRIMMED[core, np.minimum(events, 6)]
    state.core = np.where(using & (core == 0), 1, core)  # whoever uses the product uses something


def _severe_ticket(state: State, using: Flags, month: Month, rng: np.random.Generator) -> Ints:
    """At most one new high-severity ticket per month, while none is open; days until it is solved are lognormal."""
    odds = 0.13 * np.maximum(state.active, 1) ** 0.2 / (1.0 + np.exp(0.9 * state.health))
    day = _happens(using, month, rng, odds)
    lasts = np.ceil(np.exp(rng.normal(np.log(14.0), 0.8, len(day)))).astype(np.int64)
    day = np.where(day >= state.severe_until, day, NEVER)
    state.severe_until = np.where(day != NEVER, day + np.minimum(lasts, 120), state.severe_until)
    return day


def _survey(state: State, traits: Traits, using: Flags, month: Month, rng: np.random.Generator) -> Ints:
    """Quarterly survey, in one of the quarter's months; some never answer, the others six times in ten."""
    asked = traits.answers & (traits.survey_month == month.index % 3)
    day = _happens(using, month, rng, np.where(asked, 0.6, 0.0))
    mood = 7.3 + 1.0 * traits.satisfaction + 0.7 * state.health + rng.normal(0.0, 0.8, len(day))
    answered = day != NEVER
    state.nps = np.where(answered, np.clip(np.round(mood), 0, 10), state.nps).astype(np.int64)
    state.nps_day = np.where(answered, day, state.nps_day)
    return day


def _new_sponsor(state: State, using: Flags, month: Month, rng: np.random.Generator) -> Ints:
    day = _happens(using, month, rng, 0.03)
    state.sponsor_day = np.where(day != NEVER, day, state.sponsor_day)
    return day


def _milestones(state: State, traits: Traits, using: Flags, month: Month, rng: np.random.Generator) -> Ints:
    """Days of `MILESTONES`, shape (accounts, 4)."""
    roi = _happens(using, month, rng, 0.04 * np.exp(0.4 * traits.maturity))
    phase_two = _happens(using, month, rng, 0.022 * np.exp(0.3 * state.health))
    budget = _happens(using, month, rng, 0.022)
    goal = _happens(using, month, rng, 0.04 * np.exp(0.3 * state.interest))
    state.phase_two_day = np.where(phase_two != NEVER, phase_two, state.phase_two_day)
    state.budget_day = np.where(budget != NEVER, budget, state.budget_day)
    return np.column_stack([roi, phase_two, budget, goal])


#: Core features used / core features, per bit set.
ADOPTION = ONES / 6.0
