"""The history laid out as rows: who the customers are and what they have bought."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from csql_ml.simulate import catalogue, company, contracts
from csql_ml.simulate.contracts import Columns
from csql_ml.simulate.events import Names
from csql_ml.simulate.history import History
from csql_ml.simulate.tables import dates, instants, numbered, table, words
from csql_ml.simulate.timeline import NEVER, Ints


def accounts(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """One row per account."""
    firm = history.company
    return table(
        "accounts",
        {
            "account_id": names.accounts,
            "name": pa.array(firm.names),
            "created_at": instants(firm.traits.join_day, history.timeline, rng),
            "industry": words(firm.industry, company.INDUSTRIES),
            "segment": words(firm.segment, company.SEGMENTS),
            "region": words(firm.region, company.REGIONS),
            "employees": pa.array(firm.employees),
            "csm_id": words(firm.csm, csm_ids(history)),
            "ae_id": words(firm.ae, ae_ids(history)),
            "parent_account_id": words(firm.parent, names.accounts),
        },
    )


def csm_ids(history: History) -> list[str]:
    """Keys of the customer success managers."""
    return [f"CSM-{i + 1:03d}" for i in range(len(history.company.csm_region))]


def ae_ids(history: History) -> list[str]:
    """Keys of the account executives."""
    return [f"AE-{i + 1:03d}" for i in range(int(history.company.ae.max()) + 1)]


def _columns(chunks: Sequence[Columns], key: tuple[str, ...]) -> Columns:
    """Chunks of columns joined and put in order."""
    joined = {name: np.concatenate([c[name] for c in chunks]) for name in chunks[0]}
    order = np.lexsort([joined[name] for name in reversed(key)])
    return {name: column[order] for name, column in joined.items()}


def contract_rows(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """One row per product and term, add-ons as rows of their own."""
    rows = _columns(history.ledger.terms, ("start", "account", "product", "signed"))
    return table(
        "contracts",
        {
            "contract_id": numbered("C", len(rows["account"])),
            "account_id": words(rows["account"], names.accounts),
            "product": words(rows["product"], contracts.PRODUCTS),
            "plan": words(np.where(rows["product"] == 0, rows["plan"], NEVER), catalogue.PLANS),
            "seats": rows["seats"],
            "arr": rows["arr"],
            "start_date": dates(rows["start"], history.timeline),
            "end_date": dates(rows["end"], history.timeline),
            "signed_at": instants(rows["signed"], history.timeline, rng),
        },
    )


def users(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """Everybody who ever had a login; the lowest numbers of an account are the earliest and leave first."""
    last, timeline = history.months[-1], history.timeline
    owner = np.repeat(np.arange(len(last.joined)), last.joined)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(last.joined) - last.joined, last.joined)
    created, gone = _comings_and_goings(history, owner, number, rng)
    role = rng.choice(3, len(owner), p=[0.08, 0.25, 0.67])
    return table(
        "users",
        {
            "user_id": names.users(owner, number),
            "account_id": words(owner, names.accounts),
            "created_at": instants(created, timeline, rng),
            "deactivated_at": instants(gone, timeline, rng, known_until_end=True),
            "role": words(role, ("admin", "manager", "member")),
        },
    )


def _comings_and_goings(history: History, owner: Ints, number: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Days on which users are created and deactivated, in the months in which the account's counts say so."""
    joined_on = history.company.traits.join_day[owner]
    created, gone = np.full(len(owner), NEVER), np.full(len(owner), NEVER)
    for lived in reversed(history.months):
        day = rng.integers(lived.month.start, lived.month.end, len(owner))
        created = np.where(number < lived.joined[owner], day, created)
        gone = np.where(number < lived.left[owner], day, gone)
    early = number < history.months[0].joined_before[owner]
    since = joined_on - np.ceil(joined_on * rng.random(len(owner)) ** 2).astype(np.int64)
    created = np.where(early, np.minimum(since, -1), np.maximum(created, joined_on))
    return created, np.where(gone == NEVER, NEVER, np.maximum(gone, created + 1))


def coverage(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """The proof of concept in the second quarter, everybody from the third on; one row per manager and stretch."""
    starts, poc = history.timeline.starts, np.flatnonzero(history.company.poc_csms)
    every = np.arange(len(history.company.csm_region))
    start = np.repeat([starts[1], starts[2]], [len(poc), len(every)])
    end = np.repeat([starts[2], NEVER], [len(poc), len(every)])
    return table(
        "coverage",
        {
            "csm_id": words(np.concatenate([poc, every]), csm_ids(history)),
            "start_date": dates(start, history.timeline),
            "end_date": dates(end, history.timeline),
        },
    )


def truth(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """True propensity of every account in force, as of each quarter's first day but the first."""
    who = [np.flatnonzero(look.in_force) for look in history.as_of]
    day = [np.full(len(w), history.timeline.starts[look.quarter]) for w, look in zip(who, history.as_of, strict=True)]
    propensity = [look.propensity[w] for w, look in zip(who, history.as_of, strict=True)]
    return table(
        "truth",
        {
            "account_id": words(np.concatenate(who), names.accounts),
            "as_of": dates(np.concatenate(day), history.timeline),
            "propensity": np.concatenate(propensity),
        },
    )
