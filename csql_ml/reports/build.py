"""One account's page as a plain dict: every value is text already, every decision is made; `render` only places it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.build_gaps import comparable, gaps
from csql_ml.reports.build_history import history
from csql_ml.reports.build_next_steps import next_steps
from csql_ml.reports.build_score import score_block, score_parts
from csql_ml.reports.build_trend import trend
from csql_ml.reports.build_why import why
from csql_ml.reports.site import Site, portfolio_path, status_meaning

Account = Mapping[str, Any]
Page = dict[str, Any]


def account_page(account: Account, site: Site) -> Page:
    """Everything an account's page shows.

    Parameters
    ----------
    account
        One record of ``accounts.jsonl``; any value may be None.
    site
        The report the page belongs to.
    """
    hypothesis = account.get("hypothesis")
    return {
        "id": account["account_id"],
        "name": account.get("name") or account["account_id"],
        "status": status(account, site),
        "owner": site.owner(account.get("csm_id")),
        "portfolio": portfolio_path(account.get("csm_id")),
        "facts": profile(account, site),
        "score": score_block(account, site),
        "parts": score_parts(account, site),
        "steps": next_steps(account, site),
        "why": why(account, site),
        "trend": trend(account, site),
        "trigger": trigger(account, site),
        "hypothesis": _hypothesis(hypothesis, site) if hypothesis else None,
        "stakeholders": [_stakeholder(s, site) for s in account["stakeholders"]],
        "risks": [_risk(r, site) for r in account["risks"]],
        "barred": [w.word(site.texts, w.INELIGIBLE, code) for code in account["ineligible_because"]],
        "gates": [_gate(g, site) for g in account["gates"]],
        "missing": gaps(account, site),
        "comparable": comparable(account, site),
        "history": history(account, site),
        "absent": [w.word(site.texts, w.SOURCE, s) for s in account["absent_sources"]],
    }


def status(account: Account, site: Site) -> Page:
    """Code, word and meaning of the account's status."""
    code = account.get("status")
    return {
        "code": code if code in w.STATUS else "",
        "word": w.word(site.texts, w.STATUS, code),
        "meaning": status_meaning(str(code), site),
    }


def profile(account: Account, site: Site) -> list[dict[str, str | None]]:
    """The customer's plain facts as label and value; value None where the run has none."""
    t = site.texts
    arr, seats, tenure = account.get("arr"), account.get("seats"), account.get("tenure_days")
    facts = (
        (t.gettext("ARR"), None if arr is None else t.money(arr)),
        (t.gettext("Seats"), None if seats is None else t.number(seats)),
        (t.gettext("Plan"), account.get("plan")),
        (t.gettext("Product"), account.get("product")),
        (t.gettext("Segment"), account.get("segment")),
        (t.gettext("Industry"), account.get("industry")),
        (t.gettext("Region"), account.get("region")),
        (t.gettext("Customer since"), None if tenure is None else site.day(tenure)),
        (t.gettext("CSM"), account.get("csm_id")),
        (t.gettext("Account executive"), account.get("ae_id")),
    )
    return [{"label": label, "value": value} for label, value in facts]


def trigger(account: Account, site: Site) -> Page | None:
    """The trigger event, or None where the data has none."""
    event = account.get("trigger")
    if not event or not site.facts.shown(str(event.get("metric"))):
        return None
    return {"label": site.facts.label(str(event.get("metric"))), "sentence": site.facts.sentence(event)}


def _hypothesis(hypothesis: Account, site: Site) -> Page:
    t, kind = site.texts, hypothesis.get("type")
    potential, expected = hypothesis.get("potential_arr"), hypothesis.get("expected_arr")
    return {
        "type": w.word(t, w.LEAD_TYPE, kind),
        "meaning": t.gettext(w.LEAD_TYPE_MEANING[kind]) if kind in w.LEAD_TYPE_MEANING else "",
        "product": hypothesis.get("product"),
        "potential": None if potential is None else t.money(potential),
        "expected": None if expected is None else t.money(expected),
    }


def _stakeholder(person: Account, site: Site) -> Page:
    t, since, engaged = site.texts, person.get("since_days_ago"), person.get("last_engaged_days_ago")
    return {
        "name": person.get("name"),
        "role": w.word(t, w.ROLE, person.get("role")),
        "since": None if since is None else t.gettext("in the role since {date}", date=site.day(since)),
        "engaged": t.gettext("last contact missing")
        if engaged is None
        else t.ngettext("last contact {n} day ago", "last contact {n} days ago", engaged),
    }


def _risk(risk: Account, site: Site) -> Page:
    return {
        "label": w.word(site.texts, w.RISK, risk.get("risk")),
        "fact": w.risk_fact(site.texts, risk),
        "release": w.risk_release(site.texts, risk),
    }


def _gate(gate: Account, site: Site) -> Page:
    t, code, state = site.texts, gate.get("gate"), gate.get("state")
    return {
        "state": state,
        "word": w.word(t, w.GATE_STATE, state),
        "label": w.word(t, w.GATE, code),
        "question": t.gettext(w.GATE_QUESTION[code]) if code in w.GATE_QUESTION else "",
        "because": ", ".join(site.facts.label(str(name)) for name in gate.get("because") or ()),
    }
