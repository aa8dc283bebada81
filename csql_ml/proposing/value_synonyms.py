"""What companies write for the values that the contract allows, declared once."""

from __future__ import annotations

from functools import cache

from csql_ml.contract.tables import TABLES
from csql_ml.proposing.names import phrase

VALUES: dict[tuple[str, str], dict[str, str]] = {
    ("opportunities", "type"): {
        "renewal": "renewal, renew, verlaengerung, renouvellement, renovacion, contract renewal",
        "expansion": "expansion, upsell, upgrade, cross sell, add on, addon, existing business, existingbusiness, "
        "existing customer upgrade, existing customer, upsell cross sell, erweiterung",
        "new": "new, new business, newbusiness, new customer, new logo, net new, neugeschaeft, neukunde, new client",
    },
    ("csqls", "type"): {
        "upsell": "upsell, upgrade, more seat, seat, seat expansion, plan upgrade, expansion",
        "cross_sell": "cross sell, crosssell, new module, add on, addon, module, new product",
        "referral": "referral, reference, empfehlung",
        "renewal": "renewal, verlaengerung, renew",
        "churn_save": "churn save, save, retention, churn prevention",
        "withdrawn": "withdrawn",
    },
    ("advocacy", "kind"): {
        "review": "review, g2 review, capterra review, g 2 review, rating, online review",
        "referral": "referral, empfehlung, recommendation",
        "reference": "reference, reference call, case study, testimonial, referenz, customer reference",
    },
    ("milestones", "kind"): {
        "roi": "roi, roi proven, value proven, roi reached, value realized, roi confirmed",
        "phase_two": "phase two, phase 2, next phase, second phase",
        "budget_expansion": "budget expansion, budget, budget increase, more budget, budget approved",
        "goal": "goal, goal reached, objective, target, new goal",
    },
    ("contacts", "role"): {
        "executive_sponsor": "executive sponsor, exec sponsor, sponsor, executive, sponsor executif",
        "champion": "champion, advocate, promoter, power user",
        "buyer": "buyer, economic buyer, budget holder, decision maker, procurement, einkauf, budget owner",
        "user": "user, end user, admin, administrator, nutzer",
    },
}


@cache
def value_phrases(table: str, column: str) -> dict[str, str]:
    """Phrase -> the allowed value of the contract that it means; empty for columns that take any value."""
    allowed = TABLES[table].column(column).values or ()
    own = {phrase(value.replace("_", " ")): value for value in allowed}
    known = VALUES.get((table, column), {})
    return {phrase(text): value for value, texts in known.items() for text in texts.split(",")} | own
