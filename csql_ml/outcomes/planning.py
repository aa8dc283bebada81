"""``csql poc plan``: choose who is worked and who is held out, and say before the start what could be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from csql_ml.errors import UsageError
from csql_ml.outcomes.assignment import held_out, strata
from csql_ml.outcomes.detectable import Detectable, detectable
from csql_ml.outcomes.experiment_accounts import account_outcomes
from csql_ml.outcomes.facts import Facts, read
from csql_ml.outcomes.plan_file import Plan, Unit
from csql_ml.outcomes.revenue import arr_in_force

if TYPE_CHECKING:
    from csql_ml.config import Config

_FEWEST_UNITS = 2


def plan(
    config: Config,
    *,
    name: str,
    start: date,
    end: date,
    unit: Unit = "account",
    csms: Sequence[str] = (),
    accounts: Sequence[str] = (),
    holdout_share: float | None = None,
    as_of: date | None = None,
) -> Plan:
    """Plan an experiment on the customers of a date.

    Parameters
    ----------
    name
        Salt of the lots: the same name draws the same arms, another one draws anew.
    csms, accounts
        Whom to choose from: the accounts of these CSMs, or these accounts; default: all with a contract in force.
    as_of
        Only what was known before this day; default: the start, or the newest news where that is older.

    Raises
    ------
    UsageError
        The dates are out of order, a CSM or an account is not known, or there are too few units.
    """
    if not start < end:
        raise UsageError(f"the experiment ends on {end.isoformat()}, which is not after {start.isoformat()}")
    if csms and accounts:
        raise UsageError("give CSMs or accounts, not both")
    newest = read(config, need=("opportunities",))
    seen = as_of or min(start, newest.as_of)
    if seen > start:
        raise UsageError(f"--as-of {seen.isoformat()} is after the start, {start.isoformat()}: plan before you start")
    facts = newest if newest.as_of == seen else read(config, seen, need=("opportunities",))
    return planned(facts, config, name, (start, end), unit, csms, accounts, holdout_share)


def planned(
    facts: Facts,
    config: Config,
    name: str,
    days: tuple[date, date],
    unit: Unit = "account",
    csms: Sequence[str] = (),
    accounts: Sequence[str] = (),
    holdout_share: float | None = None,
) -> Plan:
    """The plan on facts that were read already; arguments as of `plan`."""
    settings = config.outcomes.experiment
    share = settings.holdout_share if holdout_share is None else holdout_share
    if not 0 < share < 1:
        raise UsageError(f"--holdout {share} is out of bounds; expected a share between 0 and 1")
    chosen = _chosen(facts, csms, accounts)
    arms = _arms(chosen, name, unit, share)
    start, end = days
    complete = end + timedelta(days=settings.follow_up_days)
    before = account_outcomes(facts, arms["account_id"], facts.as_of - (complete - start), facts.as_of)
    smallest = detectable(
        before.assign(unit=arms["unit"], worked=arms["worked"]),
        unit,
        config.baseline.prior_rate,
        config.outcomes.confidence,
        settings.power,
    )
    return Plan(
        name=name,
        unit=unit,
        start=start,
        end=end,
        complete_from=complete,
        planned_as_of=facts.as_of,
        holdout_share=share,
        confidence=config.outcomes.confidence,
        power=settings.power,
        units=_units(arms),
        smallest=asdict(smallest),
        sentences=tuple(_sentences(arms, unit, smallest, config, complete)),
    )


def _chosen(facts: Facts, csms: Sequence[str], accounts: Sequence[str]) -> pd.DataFrame:
    """Customers to choose from: ``account_id, csm, arr``, by account."""
    known = facts.accounts.drop_duplicates("account_id").rename(columns={"csm_id": "csm"})
    known = known.assign(arr=known["account_id"].map(arr_in_force(facts, facts.as_of)).fillna(0.0))
    for what, given, column in (("CSM", csms, "csm"), ("account", accounts, "account_id")):
        strangers = sorted(set(given) - set(known[column].dropna()))
        if strangers:
            raise UsageError(f"no {what} {strangers[0]!r} is known as of {facts.as_of.isoformat()}")
        if given:
            known = known[known[column].isin(list(given))]
    known = known[known["arr"] > 0].sort_values("account_id", kind="stable").reset_index(drop=True)
    if known.empty:
        raise UsageError(f"none of the accounts has a contract in force as of {facts.as_of.isoformat()}")
    return known


def _arms(chosen: pd.DataFrame, name: str, unit: Unit, share: float) -> pd.DataFrame:
    if unit == "csm":
        chosen = chosen[chosen["csm"].notna()].reset_index(drop=True)
    arms = chosen.assign(unit=chosen["account_id" if unit == "account" else "csm"].astype(str))
    units = arms.groupby("unit", sort=True)["arr"].sum().reset_index()
    units["stratum"] = strata(units["arr"])
    units["held"] = held_out(units, name, share)
    held = int(units["held"].sum())
    if min(held, len(units) - held) < _FEWEST_UNITS:
        what = "accounts" if unit == "account" else "CSMs"
        raise UsageError(
            f"{len(units)} {what} with {held} held out are too few: each arm needs at least {_FEWEST_UNITS}; choose "
            "more, randomise accounts instead of CSMs, or hold out another share"
        )
    drawn = arms.merge(units[["unit", "stratum", "held"]], on="unit", validate="many_to_one")
    return drawn.assign(worked=~drawn["held"].astype(bool)).sort_values("account_id").reset_index(drop=True)


def _units(arms: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    columns = ("account_id", "unit", "stratum", "worked")
    rows = zip(*(arms[c].tolist() for c in columns), strict=True)
    return tuple(dict(zip(columns, row, strict=True)) for row in rows)


def _sentences(arms: pd.DataFrame, unit: Unit, smallest: Detectable, config: Config, complete: date) -> list[str]:
    worked, total = int(arms["worked"].sum()), len(arms)
    who = f"{total:,} accounts"
    if unit == "csm":
        portfolios = arms.drop_duplicates("unit")
        who += f" of {len(portfolios):,} CSMs ({int(portfolios['worked'].sum()):,} work their leads)"
    settings, currency = config.outcomes, config.company.currency
    of = "expanded before in a stretch of this length" if smallest.base_from_data else "are assumed to expand anyway"
    power = f"{settings.experiment.power:.0%} of the times, at {settings.confidence:.0%} confidence"
    first = f"With {who}, {worked:,} worked and {total - worked:,} held out, of which {smallest.base_rate:.1%} {of}, "
    if smallest.rate is None:
        first += f"no difference in expansion rate could be seen {power}."
    else:
        first += (
            f"you can see only a difference of {smallest.rate * 100:.1f} points or more in expansion rate ({power})."
        )
    lines = [first]
    if smallest.arr is not None and smallest.nrr is not None:
        lines.append(
            f"In money: only {smallest.arr:,.0f} {currency} of expansion ARR per account or more, and only "
            f"{smallest.nrr * 100:.1f} points of net revenue retention or more."
        )
    else:
        lines.append("Nobody expanded before the start, so nothing can be said of the smallest difference in money.")
    lines.append(
        "A smaller effect will most likely read as 'cannot tell', which is not the same as no effect. "
        f"Outcomes are complete from {complete.isoformat()}; reading them earlier is refused."
    )
    return lines
