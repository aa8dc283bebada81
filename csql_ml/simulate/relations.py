"""The history laid out as rows: what support, surveys, business reviews and the CRM's contacts say of customers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from csql_ml.simulate import catalogue
from csql_ml.simulate.dynamics import MILESTONES, Lived
from csql_ml.simulate.events import Names
from csql_ml.simulate.history import History
from csql_ml.simulate.tables import instants, numbered, table, words
from csql_ml.simulate.timeline import NEVER, Flags, Ints, Timeline

SEVERITIES = ("low", "normal", "high", "urgent")
TOPICS = ("how_to", "bug", "billing", "performance", "outage", "new_module")
ROLES = ("executive_sponsor", "champion", "buyer", "user")
ADVOCACY = ("review", "referral", "reference")
_LATE = 0.05
_GIVEN = ("Anna", "Björn", "Chloé", "Daniel", "Elif", "Françoise", "Georg", "Håkon", "Inés", "José", "Kübra", "Łucja")
_FAMILY = ("Müller", "Smith", "García", "Lefèvre", "Øvergård", "Schäfer", "Núñez", "Nowak", "O’Neill", "Åberg", "Weiß")


def tickets(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """Severe tickets and module requests as they were lived, and the ordinary ones that tell nothing."""
    columns = [np.concatenate(c) for c in zip(*(_tickets_of(m, rng) for m in history.months), strict=True)]
    account, opened, closed, severity, topic = (c[np.lexsort((columns[0], columns[1]))] for c in columns)
    return table(
        "tickets",
        {
            "ticket_id": numbered("T", len(account)),
            "account_id": words(account, names.accounts),
            "opened_at": instants(opened, history.timeline, rng),
            "severity": words(severity, SEVERITIES),
            "closed_at": instants(closed, history.timeline, rng, known_until_end=True),
            "topic": words(topic, TOPICS),
        },
    )


def _tickets_of(lived: Lived, rng: np.random.Generator) -> tuple[Ints, ...]:
    """Account, day opened, day closed, severity, topic."""
    severe, asks = np.flatnonzero(lived.severe_day != NEVER), np.flatnonzero(lived.request_day != NEVER)
    plain = np.repeat(np.arange(len(lived.active)), rng.poisson(np.where(lived.using, 0.3 * lived.active**0.4, 0.0)))
    account = np.concatenate([severe, asks, plain])
    plain_day = rng.integers(lived.month.start, lived.month.end, len(plain))
    opened = np.concatenate([lived.severe_day[severe], lived.request_day[asks], plain_day])
    lasts = np.ceil(np.exp(rng.normal(1.1, 0.7, len(account)))).astype(np.int64)
    closed = opened + lasts
    closed[: len(severe)] = lived.severe_until[severe]
    severity, topic = rng.integers(0, 2, len(account)), rng.integers(0, 4, len(account))
    severity[: len(severe)] = 2 + (rng.random(len(severe)) < 0.3)
    topic[: len(severe)] = rng.choice([1, 3, 4], len(severe))
    topic[len(severe) : len(severe) + len(asks)] = TOPICS.index("new_module")
    return account, opened, closed, severity, topic


def nps(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """Answers to the quarterly survey; the one who answers is an active user where there is one."""
    who = [np.flatnonzero(m.answer_day != NEVER) for m in history.months]
    account, day = np.concatenate(who), _joined(history, who, "answer_day")
    number = np.concatenate([m.first_active[w] for m, w in zip(history.months, who, strict=True)])
    active = _joined(history, who, "active") > 0
    user = names.users(account, np.maximum(number, 0))
    responded = instants(day, history.timeline, rng)
    return table(
        "nps",
        {
            "account_id": words(account, names.accounts),
            "responded_at": responded,
            "score": _joined(history, who, "answer"),
            "user_id": user.take(pa.array(np.arange(len(user)), mask=~active)),
            "recorded_at": _entered(responded, day, _month_ends(history, who), history.timeline, rng),
        },
    )


def _joined(history: History, who: Sequence[Ints], column: str) -> Ints:
    return np.concatenate([getattr(m, column)[w] for m, w in zip(history.months, who, strict=True)])


def _month_ends(history: History, who: Sequence[Ints]) -> Ints:
    return np.concatenate([np.full(len(w), m.month.end) for m, w in zip(history.months, who, strict=True)])


def _entered(happened: pa.Array, day: Ints, end: Ints, timeline: Timeline, rng: np.random.Generator) -> pa.Array:
    """When a row was entered: at once, or for one in twenty some days later in the same month."""
    later = np.minimum(day + rng.integers(1, 15, len(day)), end - 1)
    late = (rng.random(len(day)) < _LATE) & (later > day)
    return pa.array(np.where(late, timeline.instants(later, rng), happened.cast(pa.int64()).to_numpy()))


def advocacy(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """Reviews, referrals and references: signs of content that cause nothing."""
    reviews = [np.flatnonzero(m.review_day != NEVER) for m in history.months]
    referrals = [np.flatnonzero(m.referral_day != NEVER) for m in history.months]
    account = np.concatenate([*reviews, *referrals])
    day = np.concatenate([_joined(history, reviews, "review_day"), _joined(history, referrals, "referral_day")])
    kind = np.where(rng.random(len(account)) < 0.6, 1, 2)
    kind[: sum(map(len, reviews))] = 0
    order = np.lexsort((kind, account, day))
    return table(
        "advocacy",
        {
            "account_id": words(account[order], names.accounts),
            "occurred_at": instants(day[order], history.timeline, rng),
            "kind": words(kind[order], ADVOCACY),
        },
    )


def milestones(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """What business reviews brought to light; goals, and half of the second phases, point at a module."""
    where = [np.nonzero(m.milestones != NEVER) for m in history.months]
    account, kind = (np.concatenate([w[i] for w in where]) for i in (0, 1))
    day = np.concatenate([m.milestones[w] for m, w in zip(history.months, where, strict=True)])
    module = _joined(history, [w[0] for w in where], "gated_module")
    named = (kind == 3) | ((kind == 1) & (rng.random(len(kind)) < 0.5))
    end = _month_ends(history, [w[0] for w in where])
    order = np.lexsort((kind, account, day))
    occurred = instants(day[order], history.timeline, rng)
    texts = [f"QBR note: {name.replace('_', ' ')}" for name in MILESTONES]
    return table(
        "milestones",
        {
            "account_id": words(account[order], names.accounts),
            "occurred_at": occurred,
            "kind": words(kind[order], MILESTONES),
            "product": words(np.where(named & (module >= 0), module, NEVER)[order], catalogue.MODULES),
            "note": words(kind[order], texts),
            "recorded_at": _entered(occurred, day[order], end[order], history.timeline, rng),
        },
    )


def contacts(history: History, names: Names, rng: np.random.Generator) -> pa.Table:
    """One row per contact when first known, and a new version of it at each quarter's last contact with us."""
    account, role, since = _people(history, rng)
    contact, engaged = _engagements(history, account, since, rng)
    first = instants(since, history.timeline, rng)
    last = instants(np.concatenate([np.full(len(account), NEVER), engaged]), history.timeline, rng)
    version = np.concatenate([np.arange(len(account)), contact])
    known = np.concatenate([first.cast(pa.int64()).to_numpy(), last[len(account) :].cast(pa.int64()).to_numpy()])
    rows = {
        "contact_id": numbered("P", len(account)).take(pa.array(version)),
        "account_id": words(account[version], names.accounts),
        "role": words(role[version], ROLES),
        "since": first.take(pa.array(version)),
        "last_engaged_at": last,
        "name": _person_names(len(account), rng).take(pa.array(version)),
        "recorded_at": pa.array(known),
    }
    return table("contacts", rows)


def _people(history: History, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Account, role (index of `ROLES`) and first day of every contact; sponsors exactly as they were lived."""
    traits, end = history.company.traits, history.timeline.end
    n, changes = len(traits), [np.flatnonzero(m.sponsor_day != NEVER) for m in history.months]
    arrives_later = traits.join_day >= 0
    first = np.where(arrives_later & (traits.sponsor_since != NEVER), traits.join_day, traits.sponsor_since)
    account = [np.arange(n), *changes]
    since = [first, _joined(history, changes, "sponsor_day")]
    role = [np.zeros(n + sum(map(len, changes)), dtype=np.int64)]
    for code, odds in ((1, 0.8), (1, 0.3), (2, 0.55), (3, 0.6), (3, 0.3)):
        known = rng.random(n) < odds
        account.append(np.arange(n))
        since.append(np.where(known, traits.join_day + rng.integers(0, 400, n), NEVER))
        role.append(np.full(n, code))
    columns = np.concatenate(account), np.concatenate(role), np.concatenate(since)
    kept = np.flatnonzero((columns[2] != NEVER) & (columns[2] < end) & _still_there(history, columns[0], columns[2]))
    order = kept[np.lexsort((columns[1][kept], columns[2][kept], columns[0][kept]))]
    return columns[0][order], columns[1][order], columns[2][order]


def _still_there(history: History, account: Ints, day: Ints) -> Flags:
    """Whether the account had not left for good before the day."""
    gone = ~history.last.customer & (history.company.traits.join_day < history.timeline.end)
    return ~gone[account] | (day < history.last.term_end[account])


def _engagements(history: History, account: Ints, since: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Contact (position) and day of each quarter's last contact with people we speak to."""
    openness = rng.uniform(0.2, 0.9, len(account))
    who, days = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for quarter in range(history.timeline.quarters):
        start, end = history.timeline.starts[quarter], history.timeline.starts[quarter + 1]
        day = rng.integers(start, end, len(account))
        speaks = (rng.random(len(account)) < openness) & (day > since) & _still_there(history, account, day)
        who.append(np.flatnonzero(speaks))
        days.append(day[speaks])
    return np.concatenate(who), np.concatenate(days)


def _person_names(count: int, rng: np.random.Generator) -> pa.Array:
    given, family = rng.integers(0, len(_GIVEN), count), rng.integers(0, len(_FAMILY), count)
    return pa.array([f"{_GIVEN[g]} {_FAMILY[f]}" for g, f in zip(given, family, strict=True)], pa.string())
