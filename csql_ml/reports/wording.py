"""The words for every code of a run. ``N_`` marks a message for the catalogue; it is translated where it is shown."""

from __future__ import annotations

from collections.abc import Mapping

from csql_ml.reports.texts import Texts


def N_(message: str) -> str:
    """Mark a message for extraction without translating it yet."""
    return message


STATUS = {
    "qualified": N_("Qualified"),
    "held_for_risk": N_("Held for risk"),
    "not_yet": N_("Not yet"),
    "ineligible": N_("Not eligible"),
}

STATUS_MEANING = {
    "qualified": N_("All gates passed and no risk: ready to hand over to sales."),
    "held_for_risk": N_("A risk must be solved first; the condition that releases the account is shown."),
    "not_yet": N_("A gate or the score is still missing; marketing nurtures the account."),
    "ineligible": N_("Not in question at the moment, whatever the score."),
}

#: For runs over a table of one's own, which knows neither gates nor risks.
OWN_STATUS_MEANING = {
    "qualified": N_("The score is above the threshold; gates and risks are not part of this table."),
    "not_yet": N_("The score is below the threshold."),
}

LEAD_TYPE = {
    "upsell": N_("Upsell"),
    "cross_sell": N_("Cross-sell"),
    "referral": N_("Referral"),
}

LEAD_TYPE_MEANING = {
    "upsell": N_("more seats or a higher plan"),
    "cross_sell": N_("another product or module"),
    "referral": N_("another company or a sister entity"),
}

BAND = {"high": N_("High"), "medium": N_("Medium"), "low": N_("Low")}

GATE = {
    "value_proven": N_("Value proven"),
    "next_product": N_("Next product clear"),
    "buyer_identified": N_("Buyer identified"),
    "timing": N_("Timing right"),
}

GATE_QUESTION = {
    "value_proven": N_("Does the customer get proven value today?"),
    "next_product": N_("Is it clear what the customer would buy next?"),
    "buyer_identified": N_("Is a buyer or an executive sponsor known?"),
    "timing": N_("Is there a reason to act in this or the next quarter?"),
}

GATE_STATE = {
    "passed": N_("Passed"),
    "failed": N_("Not passed"),
    "not_checked": N_("Not checked"),
}

GATE_ACTION = {
    "value_proven": N_("Prove the value: agree a milestone in the next business review and show the result."),
    "next_product": N_("Find the next product: ask which goal comes next and which module serves it."),
    "buyer_identified": N_("Find the buyer: ask your champion who decides on the budget, and record the contact."),
    "timing": N_("Find the timing: ask about budget, renewal and projects of the next two quarters."),
}

INELIGIBLE = {
    "tenure": N_("Not long enough a customer."),
    "lead_in_work": N_("A lead of this account is already in work at sales."),
    "cooldown": N_("A lead of this account was rejected or lost only recently."),
}

INELIGIBLE_ACTION = {
    "tenure": N_("Let the customer settle in; help them to first results."),
    "lead_in_work": N_("Support the lead that is open at sales; do not raise a second one."),
    "cooldown": N_("Do not raise a lead again until the waiting time is over; work on the reason it failed."),
}

RISK = {
    "open_high_severity_tickets": N_("Open high-severity tickets"),
    "usage_decline": N_("Declining usage"),
    "engagement_decline": N_("Declining engagement"),
}

ROLE = {
    "executive_sponsor": N_("Executive sponsor"),
    "champion": N_("Champion"),
    "buyer": N_("Buyer"),
    "user": N_("User"),
}

TREND = {"active_users": N_("Active users"), "usage": N_("Usage"), "events": N_("Events")}

SCORE_PART = {"engagement": N_("Engagement"), "fit": N_("Fit"), "intent": N_("Intent")}

SOURCE = {
    "accounts": N_("account master data"),
    "activity": N_("product events"),
    "advocacy": N_("advocacy records"),
    "contacts": N_("contacts"),
    "contracts": N_("contracts"),
    "coverage": N_("portfolio coverage"),
    "csqls": N_("earlier leads"),
    "events": N_("product events"),
    "milestones": N_("business review milestones"),
    "nps": N_("NPS answers"),
    "opportunities": N_("opportunities"),
    "tickets": N_("support tickets"),
    "users": N_("user list"),
}


def word(texts: Texts, words: Mapping[str, str], code: object) -> str:
    """The word for a code; a code without a word is shown as it is, a missing one is named as missing."""
    if code is None or code == "":
        return texts.missing
    message = words.get(str(code))
    return texts.gettext(message) if message is not None else str(code)


def risk_fact(texts: Texts, risk: Mapping[str, object]) -> str:
    """What holds the account, with its value."""
    code, value = str(risk.get("risk")), risk.get("value")
    if not isinstance(value, int | float):
        return texts.gettext("{risk} (value missing)", risk=word(texts, RISK, code))
    if code == "open_high_severity_tickets":
        return texts.ngettext("{n} high-severity ticket is open", "{n} high-severity tickets are open", value)
    if code == "usage_decline":
        return texts.gettext("Usage fell by {share} in a month", share=texts.percent(abs(value)))
    if code == "engagement_decline":
        points = texts.number(abs(value), 1)
        return texts.gettext("The engagement score fell by {points} points in a month", points=points)
    return texts.gettext("{metric}: {value}", metric=code, value=texts.number(value, 2))


def risk_release(texts: Texts, risk: Mapping[str, object]) -> str:
    """The condition that releases the account."""
    code, limit = str(risk.get("risk")), risk.get("limit")
    if isinstance(limit, int | float):
        if code == "open_high_severity_tickets":
            return _ticket_release(texts, limit)
        if code == "usage_decline":
            return texts.gettext("usage falls by less than {share} in a month", share=texts.percent(abs(limit)))
        if code == "engagement_decline":
            points = texts.number(abs(limit), 1)
            return texts.gettext("the engagement score falls by less than {points} points in a month", points=points)
    return texts.gettext("a later run finds the risk gone")


def _ticket_release(texts: Texts, limit: float) -> str:
    if limit <= 1:
        return texts.gettext("no high-severity ticket is open")
    return texts.ngettext(
        "fewer than {n} high-severity ticket is open", "fewer than {n} high-severity tickets are open", limit
    )
