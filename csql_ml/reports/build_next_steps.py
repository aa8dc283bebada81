"""What to do next, by status. Customer success qualifies and hands over; price and terms are the executive's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.site import Site

Account = Mapping[str, Any]

_DECIDERS = ("buyer", "executive_sponsor", "champion")


def next_steps(account: Account, site: Site) -> list[str]:
    """Steps in order, as sentences."""
    steps = {
        "qualified": _hand_over,
        "held_for_risk": _solve_risks,
        "not_yet": _close_gaps,
        "ineligible": _wait,
    }.get(str(account.get("status")))
    return steps(account, site) if steps else []


def _hand_over(account: Account, site: Site) -> list[str]:
    t, executive = site.texts, account.get("ae_id")
    days = t.days(site.config.handoff.sla_days)
    if executive:
        hand_over = t.gettext(
            "Hand the lead to {executive} with what stands on this page; the answer is due within {days}.",
            executive=executive,
            days=days,
        )
    else:
        hand_over = t.gettext(
            "Hand the lead to the account executive with what stands on this page; the answer is due within {days}. "
            "No executive is recorded for this account: ask sales who owns it.",
            days=days,
        )
    return [
        _confirm(account, site),
        hand_over,
        t.gettext("Join the discovery call as subject expert. Price and terms are the account executive's."),
    ]


def _confirm(account: Account, site: Site) -> str:
    t = site.texts
    people = sorted(
        (s for s in account["stakeholders"] if s.get("role") in _DECIDERS),
        key=lambda s: _DECIDERS.index(s["role"]),
    )
    if not people:
        return t.gettext("Find out who decides: no buyer, sponsor or champion is recorded. Then confirm the need.")
    role = w.word(t, w.ROLE, people[0]["role"])
    name = people[0].get("name")
    return t.gettext("Confirm the need with {person}.", person=f"{name} ({role})" if name else role)


def _solve_risks(account: Account, site: Site) -> list[str]:
    t = site.texts
    return [
        t.gettext("Solve the risk first; do not raise a lead while the account is held."),
        t.gettext("The hold ends by itself with the first run in which every condition below is met."),
    ]


def _close_gaps(account: Account, site: Site) -> list[str]:
    t = site.texts
    failed = [str(g.get("gate")) for g in account["gates"] if g.get("state") == "failed"]
    steps = [t.gettext(w.GATE_ACTION[g]) for g in failed if g in w.GATE_ACTION]
    if (below := _below_threshold(account, site)) is not None:
        steps.append(below)
    if account["missing"]:
        steps.append(t.gettext("Work on what is missing below; the numbers are observed, they promise nothing."))
    return [*steps, t.gettext("Until then marketing nurtures the account; raise no lead.")]


def _below_threshold(account: Account, site: Site) -> str | None:
    """That the champion's number is too low to qualify, or None where it is not or nothing is known."""
    t, threshold = site.texts, site.run.threshold
    rules = site.run.champion_kind == "rules"
    value = account.get("baseline_score" if rules else "propensity")
    if threshold is None or value is None or value >= threshold:
        return None
    if rules:
        return t.gettext(
            "Raise the use of the product: the CSQL score is below the threshold of {threshold}.",
            threshold=t.number(threshold, 1),
        )
    return t.gettext(
        "Raise the use of the product: the propensity is below the threshold of {threshold}.",
        threshold=t.percent(threshold, 1),
    )


def _wait(account: Account, site: Site) -> list[str]:
    t = site.texts
    steps = [t.gettext(w.INELIGIBLE_ACTION[c]) for c in account["ineligible_because"] if c in w.INELIGIBLE_ACTION]
    tenure, needed = account.get("tenure_days"), site.config.eligibility.min_tenure_days
    if "tenure" in account["ineligible_because"] and tenure is not None and tenure < needed:
        steps.append(t.gettext("The account comes into question on {date}.", date=site.day(tenure - needed)))
    return steps
