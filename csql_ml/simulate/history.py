"""The whole simulated time: months, leads and true propensities, from the first day to the scoring date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from csql_ml.errors import UsageError
from csql_ml.simulate.company import Company, found
from csql_ml.simulate.contracts import Books, Ledger
from csql_ml.simulate.dynamics import Lived, live
from csql_ml.simulate.funnel import Leads, raise_leads
from csql_ml.simulate.hazard import Signals, propensity, signals
from csql_ml.simulate.state import State, initial
from csql_ml.simulate.timeline import NEVER, Flags, Floats, Timeline

#: Events per account and quarter below which customers get smaller, and below which there is no company.
ORDINARY_EVENTS, FEWEST_EVENTS = 200, 75
_CLOSE_ENOUGH, _ATTEMPTS = 0.01, 8
_TOLERANCE = 0.05


@dataclass(frozen=True)
class AsOf:
    """What is true on a quarter's first day; arrays of one value per account.

    Attributes
    ----------
    propensity
        True probability that a lead which will be won is raised in this quarter or the next, if worked.
    wins
        Whether one is raised in this quarter; None for the quarter after the simulation.
    """

    quarter: int
    in_force: Flags
    covered: Flags
    seen: Signals
    propensity: Floats
    wins: Flags | None


@dataclass(frozen=True)
class History:
    """All that happened, ready to be laid out as rows."""

    company: Company
    timeline: Timeline
    months: tuple[Lived, ...]
    ledger: Ledger
    leads: Leads
    as_of: tuple[AsOf, ...]
    last: State

    def outcomes(self) -> tuple[Floats, Flags]:
        """True propensities and what came of them, for accounts worked all of both quarters, all in one array."""
        truth: list[Floats] = [np.empty(0)]
        label: list[Flags] = [np.empty(0, dtype=bool)]
        for now, after in zip(self.as_of, self.as_of[1:], strict=False):
            if now.wins is None or after.wins is None:
                continue
            judged = now.in_force & now.covered & after.covered
            truth.append(now.propensity[judged])
            label.append((now.wins | after.wins)[judged])
        return np.concatenate(truth), np.concatenate(label)


def unfold(
    accounts: int,
    events: int,
    quarters: int,
    seed: int,
    on_progress: Callable[[str, float], None],
    users: int | None = None,
) -> History:
    """Simulate everything but the rows.

    Raises
    ------
    UsageError
        So few events that not every customer, or not every user, could be active; users that accounts cannot have.
    """
    least = accounts * quarters * FEWEST_EVENTS
    if events < least:
        raise UsageError(
            f"--events {events} is too few for {accounts} accounts over {quarters} quarters; "
            f"expected at least {least}, or fewer accounts or quarters"
        )
    timeline = Timeline.of(quarters)
    size = min(1.0, events / (accounts * quarters * ORDINARY_EVENTS))
    if users is not None:
        _check_users(users, accounts, events, timeline)
        size = _fitting_size(accounts, timeline, users, seed)
    company = found(accounts, timeline, seed, size)
    scale = _fitting_scale(company, timeline, events, seed)
    return _run(company, timeline, seed, scale, on_progress)


def _check_users(users: int, accounts: int, events: int, timeline: Timeline) -> None:
    most = events // (3 * timeline.quarters)
    if not accounts <= users <= most:
        raise UsageError(
            f"--users {users} does not fit {accounts} accounts and {events} events over {timeline.quarters} quarters; "
            f"expected {accounts} (one per account) to {most} (an event per user and month)"
        )


def _fitting_size(accounts: int, timeline: Timeline, users: int, seed: int) -> float:
    """Factor on seat counts that gives the wanted number of people; growth and leavers add to seats, hence a search."""
    size, best, nearest = 1.0, 1.0, 0
    for _ in range(_ATTEMPTS):
        people = int(_run(found(accounts, timeline, seed, size), timeline, seed, 8.0).last.joined.sum())
        if abs(people - users) < abs(nearest - users):
            best, nearest = size, people
        if abs(nearest / users - 1.0) <= _CLOSE_ENOUGH:
            break
        size *= users / max(people, 1)
    if abs(nearest / users - 1.0) > _TOLERANCE:
        raise UsageError(f"--users {users} cannot be met with {accounts} accounts; the nearest found is {nearest}")
    return best


def _fitting_scale(company: Company, timeline: Timeline, events: int, seed: int) -> float:
    """Events per active user that give the wanted total; usage feeds back on contracts, hence a search."""
    scale, best, least = 8.0, 8.0, np.inf
    for _ in range(_ATTEMPTS):
        total = sum(int(month.counts.sum()) for month in _run(company, timeline, seed, scale).months)
        if abs(total / events - 1.0) < least:
            best, least = scale, abs(total / events - 1.0)
        if least <= _CLOSE_ENOUGH:
            break
        scale *= events / max(total, 1)
    return best


def _run(
    company: Company,
    timeline: Timeline,
    seed: int,
    scale: float,
    on_progress: Callable[[str, float], None] | None = None,
) -> History:
    """Live through all quarters; without ``on_progress`` the truth is left out (a rehearsal).

    Every quarter draws from its own generator, so that a rehearsal sees the same company.
    """
    traits, ledger = company.traits, Ledger()
    state = initial(traits, timeline, np.random.default_rng([seed, 2]))
    Books(state, traits, timeline, ledger).open()
    open_until = np.full(len(company), NEVER)
    months: list[Lived] = []
    leads: list[Leads] = []
    as_of: list[AsOf] = []
    for quarter in range(timeline.quarters + 1):
        if on_progress is not None and quarter > 0:
            on_progress("simulating customers", quarter / (timeline.quarters + 1))
            as_of.append(_look(state, company, quarter, timeline, seed, scale))
        if quarter == timeline.quarters:
            break
        rng = np.random.default_rng([seed, 4, quarter])
        raised, wins = raise_leads(state, company, quarter, timeline, rng, open_until)
        leads.append(raised)
        if as_of and as_of[-1].quarter == quarter:
            as_of[-1] = _with_wins(as_of[-1], wins)
        months += [live(state, traits, month, timeline, rng, scale, ledger) for month in timeline.months(quarter)]
    return History(company, timeline, tuple(months), ledger, Leads.stack(leads), tuple(as_of), state)


def _look(state: State, company: Company, quarter: int, timeline: Timeline, seed: int, scale: float) -> AsOf:
    return AsOf(
        quarter=quarter,
        in_force=state.customer.copy(),
        covered=company.covered(quarter),
        seen=signals(state, timeline.starts[quarter]),
        propensity=propensity(state, company.traits, quarter, timeline, seed, scale),
        wins=None,
    )


def _with_wins(look: AsOf, wins: Flags) -> AsOf:
    return AsOf(look.quarter, look.in_force, look.covered, look.seen, look.propensity, wins)
