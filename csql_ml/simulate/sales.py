"""The history laid out as rows: leads, and every opportunity of sales. What lies after the last day is empty."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from csql_ml.simulate import funnel
from csql_ml.simulate.catalogue import platform_arr
from csql_ml.simulate.contracts import Columns
from csql_ml.simulate.events import Names
from csql_ml.simulate.history import History
from csql_ml.simulate.records import ae_ids, csm_ids
from csql_ml.simulate.tables import instants, numbered, table, words
from csql_ml.simulate.timeline import NEVER

TYPES = ("renewal", "expansion", "new")
SOURCES = ("renewal", "churn_save", "CSQL", "sales")
#: Renewal opportunities are opened this many days before the term ends; other expansions before they are signed.
_RENEWAL_AHEAD, _SALES_AHEAD = 75, 20
_LEAD_KINDS = 3


def csqls(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """One row per lead, renewals and churn saves that were logged as leads among them."""
    leads, timeline, firm = history.leads, history.timeline, history.company
    over = (leads.closed != NEVER) & (leads.closed < timeline.end)
    rejected = np.where(leads.rejected < timeline.end, leads.rejected, NEVER)
    return table(
        "csqls",
        {
            "csql_id": numbered("L", len(leads.account)),
            "account_id": words(leads.account, names.accounts),
            "type": words(leads.type, funnel.TYPES),
            "created_at": instants(leads.created, timeline, rng),
            "csm_id": words(firm.csm[leads.account], csm_ids(history)),
            "ae_id": words(firm.ae[leads.account], ae_ids(history)),
            "accepted_at": instants(leads.accepted, timeline, rng, known_until_end=True),
            "rejected_at": instants(rejected, timeline, rng),
            "rejection_reason": words(np.where(rejected == NEVER, NEVER, leads.reason), funnel.REASONS),
            "opportunity_at": instants(leads.opportunity, timeline, rng, known_until_end=True),
            "closed_at": instants(leads.closed, timeline, rng, known_until_end=True),
            "won": pa.array(leads.won, mask=~over),
            "arr": pa.array(leads.arr, mask=~(over & leads.won)),
            "source": words(leads.source, funnel.SOURCES),
        },
    )


def opportunities(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """Renewals (churn saves among them), expansions and referrals from leads, expansions sales found alone."""
    decided = [rows for chunk in history.ledger.renewals for rows in (_renewals(chunk), _sold_with(chunk))]
    chunks = [*decided, _undecided(history), _from_leads(history)]
    rows = {name: np.concatenate([c[name] for c in chunks]) for name in chunks[0]}
    order = np.lexsort((rows["type"], rows["account"], rows["created"]))
    order = order[rows["created"][order] < history.timeline.end]
    rows = {name: column[order] for name, column in rows.items()}
    over = (rows["closed"] != NEVER) & (rows["closed"] < history.timeline.end)
    return table(
        "opportunities",
        {
            "opportunity_id": numbered("O", len(order)),
            "account_id": words(rows["account"], names.accounts),
            "type": words(rows["type"], TYPES),
            "created_at": instants(rows["created"], history.timeline, rng),
            "arr": rows["arr"],
            "closed_at": instants(rows["closed"], history.timeline, rng, known_until_end=True),
            "won": pa.array(rows["won"], mask=~over),
            "source": words(rows["source"], SOURCES),
        },
    )


def _renewals(chunk: Columns) -> Columns:
    """Renewals decided within the simulation: won when signed, lost when the term ends."""
    return {
        "account": chunk["account"],
        "type": np.full_like(chunk["account"], TYPES.index("renewal")),
        "created": chunk["end"] - _RENEWAL_AHEAD,
        "arr": chunk["arr"],
        "closed": np.where(chunk["renewed"], chunk["signed"], chunk["end"]),
        "won": chunk["renewed"],
        "source": np.where(chunk["at_risk"], SOURCES.index("churn_save"), SOURCES.index("renewal")),
    }


def _sold_with(renewals: Columns) -> Columns:
    """Seats that sales added on the occasion of a renewal."""
    grown = np.flatnonzero(renewals["growth"] > 0)
    account, signed = renewals["account"][grown], renewals["signed"][grown]
    return {
        "account": account,
        "type": np.full_like(account, TYPES.index("expansion")),
        "created": signed - _SALES_AHEAD,
        "arr": renewals["growth"][grown],
        "closed": signed,
        "won": np.ones(len(grown), dtype=bool),
        "source": np.full_like(account, SOURCES.index("sales")),
    }


def _undecided(history: History) -> Columns:
    """Renewals that are open at the end."""
    last = history.last
    who = np.flatnonzero(last.customer & ~last.leaving & (last.next_base == 0))
    return {
        "account": who,
        "type": np.full_like(who, TYPES.index("renewal")),
        "created": last.term_end[who] - _RENEWAL_AHEAD,
        "arr": platform_arr(last.seats[who], last.plan[who], history.company.traits.discount[who]),
        "closed": np.full_like(who, NEVER),
        "won": np.zeros(len(who), dtype=bool),
        "source": np.full_like(who, SOURCES.index("renewal")),
    }


def _from_leads(history: History) -> Columns:
    leads = history.leads
    rows = leads.take(np.flatnonzero((leads.opportunity != NEVER) & (leads.type < _LEAD_KINDS)))
    refers = rows.type == funnel.TYPES.index("referral")
    return {
        "account": rows.account,
        "type": np.where(refers, TYPES.index("new"), TYPES.index("expansion")),
        "created": rows.opportunity,
        "arr": rows.arr,
        "closed": rows.closed,
        "won": rows.won,
        "source": np.full_like(rows.account, SOURCES.index("CSQL")),
    }
