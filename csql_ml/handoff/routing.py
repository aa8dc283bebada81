"""Who gets which lead, under which key, until when; and which leads have to wait.

An account never has two open leads of one motion: while a lead is open, a run's lead of the same motion is that lead,
also where a newly trained model names another trigger for it. What was decided when a lead was opened (executive, day
of opening, due date) stays until it is closed or withdrawn.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, timedelta

from csql_ml.config.delivery import Routing
from csql_ml.handoff.fields import OPEN
from csql_ml.handoff.row import FAILED, Row
from csql_ml.handoff.run_records import RunAccount, RunLead

CAPACITY, COOLDOWN, DUPLICATE = "capacity", "cooldown", "duplicate"
#: Not to be handed over at all for the time being: an experiment compares its account with those that are worked.
HELD_OUT = "held_out"
#: Why an account has no lead in a run although the one that is open goes on.
_IN_WORK = ("lead_in_work", "cooldown")


@dataclass(frozen=True)
class Terms:
    """What routing goes by: most open leads of a portfolio, days of rest after a failed lead, days to answer.

    ``held_out``: accounts that an experiment holds out.
    """

    routing: Routing
    capacity: int
    cooldown_days: int
    sla_days: int
    held_out: Set[str] = frozenset()


@dataclass(frozen=True)
class Routed:
    """A lead with its key, executive and dates (ISO); ``waits_for`` says why it is not handed over now."""

    lead: RunLead
    key: str
    owner: str | None
    opened_on: str
    answer_due: str
    waits_for: str | None = None


def route(
    leads: Sequence[RunLead], rows: Mapping[str, Row], accounts: Mapping[str, RunAccount], terms: Terms, as_of: date
) -> list[Routed]:
    """Route a run's leads, best first.

    Parameters
    ----------
    rows
        Leads handed over before, by key.
    accounts
        Accounts of the run, where territories decide.
    """
    open_rows = {(r.account_id, r.motion): r for r in rows.values() if is_open(r)}
    going_on = {(lead.account_id, lead.motion) for lead in leads} & set(open_rows)
    taken = Counter(_portfolio(r) for r in open_rows.values() if (r.account_id, r.motion) in going_on)
    taken.update(_portfolio(r) for r in still_in_work(open_rows.values(), accounts) if _motion(r) not in going_on)
    failed = _last_failures(rows.values())
    seen: set[tuple[str, str]] = set()
    routed = []
    for lead in leads:
        place = (lead.account_id, lead.motion)
        row = open_rows.get(place)
        one = _kept(lead, row) if row is not None else _opened(lead, rows, accounts, terms, as_of)
        waits_for = HELD_OUT if lead.account_id in terms.held_out else DUPLICATE if place in seen else None
        if row is None and waits_for is None:
            waits_for = _waits(lead, failed.get(lead.account_id), taken, terms, as_of)
            if waits_for is None and lead.csm_id is not None:
                taken[lead.csm_id] += 1
        seen.add(place)
        routed.append(one if waits_for is None else replace(one, waits_for=waits_for))
    return routed


def is_open(row: Row) -> bool:
    """Whether a lead was handed over, or is about to be, and neither withdrawn nor closed by sales."""
    return row.kind == "lead" and not row.closed and row.wanted.get("status") == OPEN


def still_in_work(rows: Iterable[Row], accounts: Mapping[str, RunAccount]) -> list[Row]:
    """Open leads that are missing in a run because sales works on the account, or is just done with it."""
    return [r for r in rows if r.account_id in accounts and any(b in _IN_WORK for b in accounts[r.account_id].barred)]


def _motion(row: Row) -> tuple[str, str]:
    return row.account_id, row.motion


def _portfolio(row: Row) -> str | None:
    return row.wanted.get("csm_id")


def _kept(lead: RunLead, row: Row) -> Routed:
    held = row.wanted
    return Routed(lead, row.key, held.get("owner"), held.get("opened_on") or "", held.get("answer_due") or "")


def _opened(
    lead: RunLead, rows: Mapping[str, Row], accounts: Mapping[str, RunAccount], terms: Terms, as_of: date
) -> Routed:
    """A new lead, or a withdrawn one under its old key; after one that sales has closed, the key's successor."""
    key, number = lead.key, 1
    while key in rows and rows[key].closed:
        number += 1
        key = successor(lead.key, number)
    owner = executive(lead, key, accounts.get(lead.account_id), terms.routing)
    due = as_of + timedelta(days=terms.sla_days)
    return Routed(lead, key, owner, as_of.isoformat(), due.isoformat())


def successor(key: str, number: int) -> str:
    """Key of the ``number``-th lead (2, 3 ...) of one account, motion and trigger."""
    return hashlib.sha256(f"{key}\x1f{number}".encode()).hexdigest()[:32]


def _last_failures(rows: Iterable[Row]) -> dict[str, str]:
    """Per account: the day (ISO) of its last rejected or lost lead."""
    found: dict[str, str] = {}
    for row in rows:
        if row.outcome in FAILED and row.outcome_on is not None:
            found[row.account_id] = max(row.outcome_on, found.get(row.account_id, ""))
    return found


def _waits(
    lead: RunLead, failed_on: str | None, taken: Mapping[str | None, int], terms: Terms, as_of: date
) -> str | None:
    if failed_on is not None and failed_on >= (as_of - timedelta(days=terms.cooldown_days)).isoformat():
        return COOLDOWN
    # Without a portfolio there is nobody whose capacity could be exceeded.
    if lead.csm_id is not None and taken.get(lead.csm_id, 0) >= terms.capacity:
        return CAPACITY
    return None


def executive(lead: RunLead, key: str, account: RunAccount | None, routing: Routing) -> str | None:
    """Who gets the lead; None where no way names anybody."""
    ways = {
        "account": lead.ae_id,
        "territory": _of_territory(key, account, routing),
        "round_robin": _in_turn(key, routing.executives),
    }
    return next((who for who in (ways[routing.by], *ways.values()) if who), None)


def _of_territory(key: str, account: RunAccount | None, routing: Routing) -> str | None:
    if account is None:
        return None
    for territory in routing.territories:
        fits = not territory.regions or account.region in territory.regions
        if fits and (not territory.segments or account.segment in territory.segments):
            return _in_turn(key, territory.executives)
    return None


def _in_turn(key: str, executives: Sequence[str]) -> str | None:
    """Round robin by the key's hash: the same lead always comes to the same place in the list."""
    if not executives:
        return None
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return executives[number % len(executives)]
