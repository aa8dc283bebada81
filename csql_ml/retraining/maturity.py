"""Which quarter's outcomes are complete, and which date to wait for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from csql_ml.company import LEAST_HISTORY, Company
from csql_ml.errors import ContractError, NotMatureError
from csql_ml.model.bundle import Champion
from csql_ml.model.promotions import Change
from csql_ml.quarters import quarter_name, quarter_start, quarter_starts

#: Data may end so many days before the day stood on: a quiet week is no news either.
FRESH_DAYS = 7


@dataclass(frozen=True)
class Mature:
    """The newest quarter with complete outcomes.

    Attributes
    ----------
    quarter
        The snapshot's as-of date: its first day.
    name
        Such as ``2026Q2``.
    complete_from
        The first day after its horizon.
    following, following_from
        The next quarter's first day, and the day from which its outcomes are complete; None after the last configured
        snapshot.
    """

    quarter: date
    name: str
    complete_from: date
    following: date | None
    following_from: date | None


def standing_on(company: Company, as_of: date | None) -> date:
    """The day to stand on; default: the day after the newest news.

    Raises
    ------
    NotMatureError
        The data ends long before ``as_of``: what it does not hold yet would be taken for "nothing happened".
    """
    if as_of is None:
        return company.today
    if as_of - company.today > timedelta(days=FRESH_DAYS):
        raise NotMatureError(
            f"the data ends on {(company.today - timedelta(days=1)).isoformat()}, long before {as_of.isoformat()}: "
            "outcomes that have not arrived would count as failures; load the newer rows first (csql pull, the "
            f"warehouse), or stand on --as-of {company.today.isoformat()}"
        )
    return as_of


def newest_mature(company: Company, now: date) -> Mature:
    """The newest quarter whose horizon has ended.

    Raises
    ------
    NotMatureError
        There is none; the message says from which day the first is complete.
    """
    dates = company.training_dates(now)
    ripe = [day for day in dates if company.horizon_end(day) <= now]
    if not ripe:
        first = min(dates) if dates else _first_date(company)
        raise NotMatureError(
            f"not yet: the outcomes of the first snapshot ({first.isoformat()}) are complete from "
            f"{company.horizon_end(first).isoformat()} on, and this is {now.isoformat()}; retrain then"
        )
    quarter = max(ripe)
    month = company.config.company.fiscal_year_start_month
    later = [d for d in company.config.snapshots if d > quarter]
    following: date | None = quarter_start(quarter, month, ahead=1)
    if company.config.snapshots:
        following = min(later, default=None)
    return Mature(
        quarter=quarter,
        name=quarter_name(quarter, month),
        complete_from=company.horizon_end(quarter),
        following=following,
        following_from=None if following is None else company.horizon_end(following),
    )


def _first_date(company: Company) -> date:
    """The first snapshot that has history enough."""
    first = company.builder.first_day
    if first is None:
        raise ContractError("table events has no rows that could be used; csql check shows why")
    least = first + LEAST_HISTORY
    month = company.config.company.fiscal_year_start_month
    return quarter_starts(least, least + timedelta(days=100), month)[0]


def refuse_without_news(mature: Mature, champion: Champion | None, last: Change | None, now: date) -> None:
    """Refuse to retrain where the newest complete quarter was there at the last training already.

    Raises
    ------
    NotMatureError
        The message says which date to wait for.
    """
    when = _last_day(champion, last)
    if when is None or when < mature.complete_from:
        return
    wait = "there is no later snapshot in the configuration (snapshots)"
    if mature.following is not None and mature.following_from is not None:
        wait = (
            f"the outcomes of the next one ({mature.following.isoformat()}) are complete from "
            f"{mature.following_from.isoformat()} on"
        )
    raise NotMatureError(
        f"not yet: the newest quarter with complete outcomes ({mature.name}) was there already when the champion was "
        f"last trained or judged, on {when.isoformat()}; this is {now.isoformat()}, and {wait}: retrain then, or csql "
        "train for a training out of turn"
    )


def _last_day(champion: Champion | None, last: Change | None) -> date | None:
    days = [date.fromisoformat(last.as_of)] if last is not None and last.as_of is not None else []
    if champion is not None and champion.trained_as_of is not None:
        days.append(champion.trained_as_of)
    return max(days, default=None)


def told_from(company: Company, trained_on: date) -> date:
    """The day from which a quarter is complete that began after a model was trained.

    On an earlier one a challenger could be trained only on what the model knew as well.
    """
    return company.horizon_end(quarter_start(trained_on, company.config.company.fiscal_year_start_month, ahead=1))
