"""Which of the company's names may carry which signal, from the sampled events, tickets and contracts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from csql_ml.proposing.columns import Fit
from csql_ml.proposing.names import words
from csql_ml.proposing.sources import SourceColumn

#: A column with more distinct values holds no names.
_MOST_NAMES, _MOST_PLANS, _MOST_CORE, _FEW_CORE, _MOST_LISTED = 500, 12, 8, 5, 30
_UPGRADE = {"upgrade", "pricing", "checkout", "buy", "purchase", "upsell"}
_GATED = {"gated", "locked", "paywall", "teaser", "restricted", "blocked", "unavailable", "beta"}
_STARTS = {"started", "start", "begun", "initiated", "begin", "launched"}
_ENDS = {"completed", "complete", "finished", "finish", "done", "succeeded", "published"}
#: What begins and ends without being work.
_NO_WORK = {
    "session",
    "trial",
    "app",
    "tour",
    "video",
    "login",
    "onboarding",
    "subscription",
    "signup",
    "call",
    "checkout",
}
_HIGH = {"high", "urgent", "critical", "blocker", "p0", "p1", "sev0", "sev1", "s1", "severe", "emergency"}
_HIGH |= {"hoch", "dringend", "kritisch", "haute", "urgente", "critique", "eleve", "alta", "critica", "critico", "alto"}
_MODULE = {"module", "modul", "modulo", "addon"}


@dataclass(frozen=True)
class Names:
    """Proposed names of one key of the configuration, and what a person should know about them."""

    names: tuple[str, ...]
    remark: str


@dataclass(frozen=True)
class Signals:
    """Proposed names by key: of the section ``signals``, and the plans of the catalogue."""

    signals: Mapping[str, Names] = field(default_factory=dict)
    plans: Names = field(default_factory=lambda: Names((), "No column names the plan."))


def propose_signals(fits: Mapping[str, Fit]) -> Signals:
    """Names by plain keywords and by how widely they are used; every one of them is for a person to confirm."""
    found: dict[str, Names] = {"core_features": _core(fits)}
    events = _distinct(fits, "events", "event_name")
    found["gated_clicks"] = _by_word(events, _GATED, "a click on something not yet bought")
    found["upgrade_attempts"] = _by_word(events, _UPGRADE, "an attempt to buy more")
    starts, ends = _pairs(events)
    found["workflow_starts"] = Names(starts, "Event names: a key action begins." + _none(starts))
    found["workflow_completions"] = Names(ends, "Event names: a key action is completed." + _none(ends))
    found["module_topics"] = _topics(fits)
    found["high_severities"] = _severities(fits)
    return Signals(found, _plans(fits))


def _none(names: Sequence[str]) -> str:
    return "" if names else " None was recognised by its name."


def _column(fits: Mapping[str, Fit], table: str, column: str) -> SourceColumn | None:
    fitted = fits.get(table)
    match = fitted.matches.get(column) if fitted else None
    return fitted.source.column(match.theirs) if fitted and match else None


def _distinct(fits: Mapping[str, Fit], table: str, column: str) -> tuple[str, ...]:
    """The names in a column, the most frequent first; none where there are too many to be names."""
    found = _column(fits, table, column)
    if found is None or len(found.counts) > _MOST_NAMES:
        return ()
    names = [name for name in found.counts if _plain(name)]
    return tuple(sorted(names, key=lambda name: (-found.counts[name], name)))


def _plain(name: str) -> bool:
    """Whether a configuration can hold a name: ``${NAME}`` would be replaced."""
    return "${" not in name and name.isprintable()


def _by_word(names: Sequence[str], telling: set[str], what: str) -> Names:
    chosen = tuple(sorted(name for name in names if set(words(name)) & telling)[:_MOST_LISTED])
    return Names(chosen, f"Event names: {what}.{_none(chosen)}")


def _core(fits: Mapping[str, Fit]) -> Names:
    """The features that most accounts use."""
    feature = _column(fits, "events", "feature")
    if feature is None:
        hint = (
            "Features stand in events.feature, which is not mapped; if your event names are features, map it to them."
        )
        return Names((), hint)
    if len(feature.counts) > _MOST_NAMES:
        return Names((), f"More than {_MOST_NAMES} features were found in the sample: group them first.")
    by = _account(fits["events"])
    users: dict[str, set[str]] = defaultdict(set)
    for name, account in zip(feature.values, by.values if by else feature.values, strict=True):
        if name is not None and account is not None and _plain(name):
            users[name].add(account)
    ranked = sorted(users, key=lambda name: (-len(users[name]), -feature.counts[name], name))
    most = min(_MOST_CORE, max(_FEW_CORE, len(ranked) // 2))
    remark = (
        f"Features: the {min(most, len(ranked))} of {len(ranked)} that most accounts use in the sample. Name the 5 to "
        "8 that make the product worth its price."
    )
    return Names(tuple(ranked[:most]), remark)


def _account(events: Fit) -> SourceColumn | None:
    match = events.matches.get("account_id")
    name = match.theirs if match else events.join.ours if events.join else None
    return events.source.column(name) if name else None


def _pairs(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Events that begin and end the same thing; else whatever begins or ends, but sessions and the like."""

    def base(name: str, telling: set[str]) -> tuple[str, ...] | None:
        parts = words(name)
        return tuple(w for w in parts if w not in telling) if set(parts) & telling else None

    work = [name for name in names if not set(words(name)) & _NO_WORK]
    starts = {name: base(name, _STARTS) for name in work if base(name, _STARTS) is not None}
    ends = {name: base(name, _ENDS) for name in work if base(name, _ENDS) is not None}
    both = set(starts.values()) & set(ends.values())
    keep: Callable[[tuple[str, ...] | None], bool] = (lambda found: found in both) if both else (lambda _: True)
    return tuple(sorted(n for n, b in starts.items() if keep(b))), tuple(sorted(n for n, b in ends.items() if keep(b)))


def _topics(fits: Mapping[str, Fit]) -> Names:
    topics = _distinct(fits, "tickets", "topic")
    chosen = tuple(sorted(t for t in topics if set(words(t)) & _MODULE or {"add", "on"} <= set(words(t))))
    return Names(chosen, "Ticket topics that ask for a new module." + _none(chosen))


def _severities(fits: Mapping[str, Fit]) -> Names:
    found = _distinct(fits, "tickets", "severity")
    chosen = tuple(sorted(name for name in found if _high(name)))
    if chosen:
        others = ", ".join(sorted(set(found) - set(chosen))[:10])
        return Names(chosen, f"Ticket severities that count as a risk while open; the others are: {others or 'none'}.")
    seen = f" The sample has: {', '.join(sorted(found)[:10])}." if 0 < len(found) <= _MOST_LISTED else ""
    return Names(
        ("high", "urgent", "critical"), f"Ticket severities that count as a risk while open: the default.{seen}"
    )


def _high(name: str) -> bool:
    parts = words(name)
    together = {a + b for a, b in itertools.pairwise(parts)}
    return bool((set(parts) | together) & _HIGH)


def _plans(fits: Mapping[str, Fit]) -> Names:
    """Plans from the cheapest seat to the dearest."""
    plan = _column(fits, "contracts", "plan")
    if plan is None or len(plan.counts) > _MOST_PLANS:
        why = "No column names the plan." if plan is None else f"The sample has more than {_MOST_PLANS} plans."
        return Names((), f"Plans from small to large, as they stand in contracts.plan. {why}")
    arr, seats = _column(fits, "contracts", "arr"), _column(fits, "contracts", "seats")
    prices: dict[str, list[float]] = {name: [] for name in plan.counts}
    empty = (None,) * len(plan.values)
    for name, amount, count in zip(
        plan.values, arr.values if arr else empty, seats.values if seats else empty, strict=True
    ):
        price, number = _number(amount), _number(count)
        if name is not None and price:
            prices[name].append(price / number if number else price)
    known = all(prices.values())
    ranked = sorted(filter(_plain, prices), key=lambda name: (median(prices[name]) if known else 0.0, name))
    order = "in the order of their price per seat" if known else "in the order of the alphabet"
    return Names(tuple(ranked), f"Plans from small to large; here {order}.")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
