"""``csql poc read``: what working the leads brought, with intervals and a plain word, "cannot tell" among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.errors import NotMatureError
from csql_ml.outcomes.effects import ARR, NRR, RATE, Effect, effects
from csql_ml.outcomes.experiment_accounts import account_outcomes
from csql_ml.outcomes.facts import Facts, read
from csql_ml.outcomes.plan_file import Plan, read_plan
from csql_ml.outcomes.revenue import Period

if TYPE_CHECKING:
    from csql_ml.config import Config


@dataclass(frozen=True)
class Uplift:
    """An experiment's result.

    Attributes
    ----------
    effects
        Expansion rate (the one that decides), ARR per account and NRR.
    accounts
        Accounts of each arm, worked first.
    worked_leads, held_out_leads
        Accounts of each arm in which a lead was raised while the experiment ran: how well the plan was kept.
    verdict
        ``helps``, ``harms`` or ``cannot tell``, by the expansion rate.
    """

    plan: Plan
    as_of: date
    effects: tuple[Effect, ...]
    accounts: tuple[int, int]
    worked_leads: int
    held_out_leads: int
    verdict: str
    sentences: tuple[str, ...]


def read_uplift(config: Config, path: Path, as_of: date | None = None) -> Uplift:
    """Read an experiment after its end.

    Parameters
    ----------
    path
        The plan, as written before the start.
    as_of
        Only what was known before this day; default: the day after the newest news.

    Raises
    ------
    NotMatureError
        Outcomes are not complete yet; the message says from when.
    UsageError
        The plan was changed, or is none.
    """
    plan = read_plan(path)
    return uplift(read(config, as_of, need=("opportunities",)), plan, config)


def uplift(facts: Facts, plan: Plan, config: Config) -> Uplift:
    """The result on facts that were read already. Accounts count in the arm they were drawn for, whatever was done."""
    if facts.as_of < plan.complete_from:
        raise NotMatureError(
            f"outcomes of experiment {plan.name!r} are complete from {plan.complete_from.isoformat()}, and known is "
            f"only what came before {facts.as_of.isoformat()}; read it then, an early look would find effects by chance"
        )
    units = pd.DataFrame(list(plan.units))
    outcomes = account_outcomes(facts, units["account_id"], plan.start, plan.complete_from)
    accounts = outcomes.assign(unit=units["unit"], worked=units["worked"].astype(bool))
    found = effects(accounts, plan.unit, plan.confidence)
    worked = accounts["worked"]
    leads = accounts["account_id"].isin(_with_leads(facts, plan))
    rate = next(e for e in found if e.outcome == RATE)
    verdict = "cannot tell" if not rate.tells else "helps" if (rate.difference or 0.0) > 0 else "harms"
    counts = int(worked.sum()), int((~worked).sum())
    kept = int((leads & worked).sum()), int((leads & ~worked).sum())
    words = tuple(_sentences(found, plan, counts, kept, config))
    return Uplift(plan, facts.as_of, found, counts, *kept, verdict, words)


def _with_leads(facts: Facts, plan: Plan) -> set[str]:
    created = Period(plan.start, plan.end).holds(facts.csqls["created_days_ago"], facts)
    return set(facts.csqls.loc[created & facts.csqls["type"].isin(LEAD_TYPES), "account_id"])


def _sentences(
    found: tuple[Effect, ...], plan: Plan, counts: tuple[int, int], leads: tuple[int, int], config: Config
) -> Iterator[str]:
    by = {e.outcome: e for e in found}
    yield _of_rate(by[RATE], plan)
    yield _of_money(by[ARR], plan, config)
    yield _of_retention(by[NRR], plan)
    yield (
        f"{counts[0]:,} accounts were to be worked, and {leads[0]:,} of them had a lead; {counts[1]:,} were held out"
        + (", and none of them had one." if not leads[1] else f", and {leads[1]:,} of them had one all the same.")
    )
    if leads[1]:
        yield (
            "Accounts count in the arm they were drawn for, so leads among those held out make the effect look smaller "
            "than it is."
        )


def _of_rate(effect: Effect, plan: Plan) -> str:
    if effect.difference is None or effect.low is None or effect.high is None:
        return "Expansion rate: cannot tell, an arm has too few units."
    span = f"{plan.confidence:.0%} interval {effect.low * 100:+.1f} to {effect.high * 100:+.1f} points"
    both = f"{effect.worked:.1%} of the worked accounts expanded and {effect.held_out:.1%} of those held out"
    if not effect.tells:
        smallest = plan.smallest.get("rate")
        seen = (
            "" if smallest is None else f"; the plan said that only {smallest * 100:.1f} points or more could be seen"
        )
        return f"Cannot tell whether working the leads helps: {both} ({effect.difference * 100:+.1f}, {span}){seen}."
    word = "helps" if effect.difference > 0 else "harms"
    return f"Working the leads {word}: {both}, {effect.difference * 100:+.1f} points ({span})."


def _of_money(effect: Effect, plan: Plan, config: Config) -> str:
    if effect.difference is None or effect.low is None or effect.high is None:
        return "ARR: cannot tell, too few accounts expanded."
    money = config.company.currency
    span = f"{plan.confidence:.0%} interval {effect.low:+,.0f} to {effect.high:+,.0f}"
    words = f"{effect.difference:+,.0f} {money} of expansion ARR per worked account ({span})"
    return f"ARR: {words}." if effect.tells else f"ARR: cannot tell; {words}."


def _of_retention(effect: Effect, plan: Plan) -> str:
    if effect.difference is None or effect.low is None or effect.high is None:
        return "NRR: cannot tell, an arm has too few units."
    span = f"{plan.confidence:.0%} interval {effect.low * 100:+.1f} to {effect.high * 100:+.1f}"
    words = f"{effect.worked:.1%} against {effect.held_out:.1%}, {effect.difference * 100:+.1f} points ({span})"
    return f"NRR: {words}." if effect.tells else f"NRR: cannot tell; {words}."
