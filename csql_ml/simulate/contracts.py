"""Contracts: terms of a year, notice, renewal or not, and what won leads add.

Order within a month is kept by the day: a lead closed before the renewal is signed becomes part of the new term, one
closed after is co-termed with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from csql_ml.simulate.catalogue import MODULE_SHARE, MODULES, PLANS, PLATFORM, platform_arr
from csql_ml.simulate.company import Traits
from csql_ml.simulate.state import State
from csql_ml.simulate.timeline import NEVER, Floats, Ints, Month, Timeline

#: What a won lead buys: seats, a higher plan, nothing for the account itself, or 3 + index of a module.
BUYS_SEATS, BUYS_PLAN, BUYS_NOTHING, BUYS_MODULE = 0, 1, 2, 3
PRODUCTS = (PLATFORM, *MODULES)
#: Rows as columns of equal length.
Columns = Mapping[str, npt.NDArray[Any]]
#: From this probability of notice on sales treats a renewal as a save.
_AT_RISK = 0.12


@dataclass
class Ledger:
    """Rows of contracts and renewal decisions as they come up, as columns per chunk."""

    terms: list[Columns] = field(default_factory=list)
    renewals: list[Columns] = field(default_factory=list)


def module_arr(seats: Ints, plan: Ints, discount: Floats, module: Ints | int) -> Floats:
    """Yearly revenue of a module for an account of that size, in whole EUR."""
    arr: Floats = np.round(platform_arr(seats, plan, discount) * MODULE_SHARE[module])
    return arr


def leaving_odds(state: State, who: Ints, seats: Ints) -> Floats:
    """Probability that a customer gives notice; nobody does with a lead won in this or the last quarter."""
    saturation = state.active[who] / np.maximum(seats, 1)
    odds = 1.0 / (1.0 + np.exp(2.7 + 0.8 * state.health[who] + 1.5 * (saturation - 0.65)))
    return np.where(state.pending[who], 0.0, odds)


class Books:
    """Changes the contracts in a state; ``who`` are always indices of accounts.

    Parameters
    ----------
    ledger
        Where rows are written; None for futures that are only imagined.
    """

    def __init__(self, state: State, traits: Traits, timeline: Timeline, ledger: Ledger | None) -> None:
        self._state, self._traits, self._timeline, self._ledger = state, traits, timeline, ledger

    def open(self) -> None:
        """Terms in force on the first day, the terms before them, and renewals signed before the first day."""
        state, present = self._state, np.flatnonzero(self._state.customer)
        self._write_past(present)
        notice = state.term_end[present] - self._traits.notice_days[present]
        signed = present[notice < 0]
        state.next_base[signed] = state.base[signed]
        self._write_term(signed, state.term_end[signed], notice[notice < 0], state.base[signed])

    def _write_past(self, present: Ints) -> None:
        """One term per year since joining; a tenth fewer seats per year back."""
        state, start = self._state, self._traits.join_day[present]
        years = np.round((state.term_end[present] - start) / 365.25).astype(np.int64)
        for term in range(int(years.max(initial=0))):
            now, shrink = years > term, 0.9 ** np.maximum(years - 1 - term, 0)
            seats = np.maximum(1, np.round(state.base[present] * shrink)).astype(np.int64)
            signed = start - (self._traits.notice_days[present] if term else 3)
            self._write_term(present[now], start[now], signed[now], seats[now])
            start = self._timeline.year_later(start)

    def advance(self, month: Month, rng: np.random.Generator) -> None:
        """Take all contracts through one month."""
        state = self._state
        before, draws = state.seats, rng.random((2, len(self._traits)))
        notice = state.term_end - self._traits.notice_days
        signs = state.customer & ~state.leaving & (state.next_base == 0) & month.holds(notice)
        ends = state.customer & month.holds(state.term_end)
        sign_day = np.where(signs, notice, NEVER)
        end_day = np.where(ends, state.term_end, month.end)
        self._close_wins(month, NEVER, sign_day)
        self._sign(np.flatnonzero(signs), draws)
        self._close_wins(month, sign_day, end_day)
        self._roll(np.flatnonzero(ends))
        self._close_wins(month, end_day, month.end)
        self._join(month)
        stays = (before > 0) & (state.seats > 0)
        # The same demand fills more seats less.
        state.fill -= np.log(np.where(stays, state.seats, 1) / np.where(stays, before, 1))

    def _close_wins(self, month: Month, since: Ints | int, until: Ints | int) -> None:
        """Apply the leads won in the month on days ``since <= day < until``, the older lead first."""
        for slot in (0, 1):
            day = self._state.win_day[:, slot]
            who = np.flatnonzero(self._state.customer & month.holds(day) & (day >= since) & (day < until))
            if len(who):
                self._apply_win(who, slot)

    def _apply_win(self, who: Ints, slot: int) -> None:
        state = self._state
        kind, seats, signed = state.win_kind[who, slot], state.win_seats[who, slot], state.next_base[who] > 0
        rises = (kind == BUYS_PLAN) & ~signed & (state.next_plan[who] < len(PLANS) - 1)
        # With the next term signed already, or on the highest plan, the money goes into seats.
        grows = (kind == BUYS_SEATS) | ((kind == BUYS_PLAN) & ~rises)
        extends = kind >= BUYS_MODULE
        module = np.maximum(kind - BUYS_MODULE, 0)
        state.next_plan[who] += rises
        state.extra[who] += np.where(grows & ~signed, seats, 0)
        state.carried[who] += np.where(grows & signed, seats, 0)
        state.modules[who] |= np.where(extends, 1 << module, 0)
        day = state.win_day[who, slot]
        size, plan, discount = state.seats[who], state.plan[who], self._traits.discount[who]
        zero = np.zeros_like(who)
        self._write_addition(who, day, grows, zero, seats, platform_arr(seats, plan, discount))
        self._write_addition(who, day, extends, 1 + module, size, module_arr(size, plan, discount, module))

    def _write_addition(
        self, who: Ints, day: Ints, chosen: npt.NDArray[np.bool_], product: Ints, seats: Ints, arr: Floats
    ) -> None:
        """Rows that run until the end of the term, or of the next one where that is signed already."""
        state = self._state
        end = state.term_end[who]
        end = np.where(state.next_base[who] > 0, self._timeline.year_later(end), end)
        columns = {"account": who, "product": product, "plan": state.plan[who], "seats": seats, "arr": arr}
        columns |= {"start": day, "end": end, "signed": day}
        self._write({name: column[chosen] for name, column in columns.items()})

    def _sign(self, who: Ints, draws: Floats) -> None:
        """Decide on renewal on the day of notice; shrink where seats lie idle, grow a little where they are full."""
        state, draw = self._state, draws[1, who]
        seats = state.base[who] + state.extra[who]
        odds = leaving_odds(state, who, seats)
        leaves = draws[0, who] < odds
        saturation = state.active[who] / np.maximum(seats, 1)
        shrinks, grows = (saturation < 0.5) & (draw < 0.5), (saturation > 0.92) & (draw < 0.3)
        factor = 1.0 - 0.3 * draw * shrinks + (0.05 + 0.3 * draw) * grows
        renewed = np.maximum(np.maximum(np.round(seats * factor), state.active[who]), 3).astype(np.int64)
        state.leaving[who] = leaves
        state.next_base[who] = np.where(leaves, 0, renewed)
        if self._ledger is not None:
            self._write_renewals(self._ledger, who, seats, renewed, odds)

    def _write_renewals(self, ledger: Ledger, who: Ints, seats: Ints, renewed: Ints, odds: Floats) -> None:
        state, stays = self._state, ~self._state.leaving[who]
        end = state.term_end[who]
        signed = end - self._traits.notice_days[who]
        self._write_term(who[stays], end[stays], signed[stays], renewed[stays])
        plan, discount = state.next_plan[who], self._traits.discount[who]
        arr = platform_arr(seats, plan, discount)
        growth = np.maximum(platform_arr(renewed, plan, discount) - arr, 0.0) * stays
        columns = {"account": who, "signed": signed, "end": end, "renewed": stays}
        ledger.renewals.append(columns | {"arr": arr, "growth": growth, "at_risk": odds > _AT_RISK})

    def _roll(self, who: Ints) -> None:
        """Begin the signed term, or end the relationship."""
        state = self._state
        stays = state.next_base[who] > 0
        gone, on = who[~stays], who[stays]
        state.customer[gone] = False
        state.base[on] = state.next_base[on] + state.carried[on]
        state.plan[on] = state.next_plan[on]
        state.term_end[on] = self._timeline.year_later(state.term_end[on])
        for column in (state.next_base, state.extra, state.carried):
            column[who] = 0

    def _join(self, month: Month) -> None:
        """Customers whose first term begins in the month."""
        state, traits = self._state, self._traits
        who = np.flatnonzero(month.holds(traits.join_day))
        start = traits.join_day[who]
        state.customer[who] = True
        state.base[who] = traits.seats[who]
        state.sponsor_day[who] = np.where(traits.sponsor_since[who] == NEVER, NEVER, start)
        state.term_end[who] = self._timeline.year_later(start)
        self._write_term(who, start, start - 3, traits.seats[who])

    def _write_term(self, who: Ints, start: Ints, signed: Ints, seats: Ints) -> None:
        """Rows of the platform and of every module owned, for one term."""
        plan, discount = self._state.next_plan[who], self._traits.discount[who]
        columns = {"account": who, "plan": plan, "seats": seats, "start": start, "signed": signed}
        columns["end"] = self._timeline.year_later(start)
        self._write({**columns, "product": np.zeros_like(who), "arr": platform_arr(seats, plan, discount)})
        for module in range(len(MODULES)):
            has = self._state.modules[who] >> module & 1 == 1
            arr = module_arr(seats, plan, discount, module)
            row = {**columns, "product": np.full_like(who, 1 + module), "arr": arr}
            self._write({name: column[has] for name, column in row.items()})

    def _write(self, columns: Columns) -> None:
        """Contract rows: product (index), plan, seats, arr, start, end, signed (day numbers)."""
        if self._ledger is not None and len(columns["account"]):
            self._ledger.terms.append(columns)
