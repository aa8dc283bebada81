"""What the account executive reads in the CRM: a lead's reasons, trigger, hypothesis and people as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.evidence_text import Facts, capitalised
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_

#: The fields of a hand-over in words; see `csql_ml.handoff.fields`.
FIELD = {
    "lead_key": N_("Lead key"),
    "status": N_("Status"),
    "title": N_("Title"),
    "account_id": N_("Account id"),
    "account_name": N_("Account"),
    "lead_source": N_("Lead source"),
    "lead_type": N_("Type"),
    "product": N_("Product"),
    "owner": N_("Account executive"),
    "csm_id": N_("CSM"),
    "opened_on": N_("Opened on"),
    "answer_due": N_("Answer due"),
    "propensity": N_("Propensity"),
    "baseline_score": N_("CSQL score"),
    "band": N_("Band"),
    "expected_arr": N_("Expected ARR"),
    "potential_arr": N_("Potential ARR"),
    "currency": N_("Currency"),
    "proof_of_value": N_("Proof of value"),
    "trigger_event": N_("Trigger event"),
    "expansion_hypothesis": N_("Expansion hypothesis"),
    "stakeholders": N_("Stakeholders"),
    "risk_flags": N_("Risks"),
    "failed_gates": N_("Gates not passed"),
    "as_of": N_("As of"),
    "run_id": N_("Run"),
    "model_version": N_("Model"),
}

#: Metrics that count the days to or since something: in words, and which way the days go from the run's date.
_DATED = {"days_to_renewal": (N_("renewal on {date}"), +1)}


class LeadTexts:
    """Texts of the leads of one run.

    Distances in days become dates, so that a text stays the same as long as the facts do: a lead that says "renewal in
    58 days" would be another one every day.

    Parameters
    ----------
    texts, facts
        The language, and the words for the run's metrics.
    as_of
        The run's date.
    """

    def __init__(self, texts: Texts, facts: Facts, as_of: date) -> None:
        self._texts = texts
        self._facts = facts
        self._as_of = as_of

    def of(self, lead: Mapping[str, Any]) -> dict[str, str | None]:
        """Title, proof of value, trigger event, expansion hypothesis and stakeholders; None where there is nothing."""
        return {
            "title": self._title(lead),
            "proof_of_value": self._proof(lead),
            "trigger_event": self._trigger(lead),
            "expansion_hypothesis": self._hypothesis(lead),
            "stakeholders": "\n".join(self._person(p) for p in lead.get("stakeholders") or []) or None,
        }

    def _title(self, lead: Mapping[str, Any]) -> str:
        kind = lead.get("lead_type")
        what = w.word(self._texts, w.LEAD_TYPE, kind) if kind else self._texts.gettext("Expansion")
        parts = (lead.get("account_name") or lead["account_id"], what, lead.get("product"))
        return " · ".join(str(part) for part in parts if part)

    def _proof(self, lead: Mapping[str, Any]) -> str | None:
        reasons = lead.get("proof_of_value") or []
        shown = [r for r in reasons if r.get("value") is not None and self._facts.shown(str(r.get("metric")))]
        return "\n".join(self._sentence(r) for r in shown) or None

    def _trigger(self, lead: Mapping[str, Any]) -> str | None:
        trigger = lead.get("trigger_event")
        return self._sentence(trigger) if trigger else None

    def _sentence(self, fact: Mapping[str, Any]) -> str:
        """The fact in words; the day it speaks of where it is so many days away."""
        name, value = str(fact.get("metric")), fact.get("value")
        # A column of a table of one's own may bear the name of a metric and mean something else.
        if name not in _DATED or value is None or self._facts.unit(name) != "days":
            return self._facts.sentence(fact)
        message, way = _DATED[name]
        return capitalised(self._texts.gettext(message, date=self._day(-way * value)))

    def _hypothesis(self, lead: Mapping[str, Any]) -> str | None:
        found = lead.get("expansion_hypothesis")
        if not found:
            return None
        t = self._texts
        kind, product = w.word(t, w.LEAD_TYPE, found.get("type")), found.get("product")
        lines = [t.gettext("{type}: {product}", type=kind, product=product) if product else kind]
        if found.get("because"):
            lines.append(t.gettext("Points there: {metric}", metric=self._facts.label(str(found["because"]))))
        if found.get("potential_arr") is not None:
            lines.append(t.gettext("Potential: {amount} a year", amount=t.money(found["potential_arr"])))
        return "\n".join(lines)

    def _person(self, person: Mapping[str, Any]) -> str:
        t, role = self._texts, w.word(self._texts, w.ROLE, person.get("role"))
        parts = [f"{person['name']} ({role})" if person.get("name") else role]
        if person.get("since_days_ago") is not None:
            parts.append(t.gettext("since {date}", date=self._day(person["since_days_ago"])))
        if person.get("last_engaged_days_ago") is not None:
            parts.append(t.gettext("last contact {date}", date=self._day(person["last_engaged_days_ago"])))
        return ", ".join(parts)

    def _day(self, days_ago: float) -> str:
        return self._texts.date(self._as_of - timedelta(days=int(days_ago)))


def field_label(texts: Texts, name: str) -> str:
    """What a reader calls a field; one without a word is shown as it is."""
    return w.word(texts, FIELD, name)
