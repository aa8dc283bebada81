"""Accounts that an experiment holds out: their leads are not handed over while it runs."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from csql_ml.errors import ConfigError, UsageError
from csql_ml.outcomes.plan_file import read_plan

if TYPE_CHECKING:
    from csql_ml.config import Config


@dataclass(frozen=True)
class Holdout:
    """The accounts that an experiment holds out on a day; ``until``: the first day on which they are worked again."""

    experiment: str
    until: date
    accounts: Set[str]


def holdout_of(config: Config, as_of: date) -> Holdout | None:
    """Whom the plan under ``delivery.holdout`` holds out of a run; None without a plan, or while it does not run.

    Raises
    ------
    ConfigError
        The file is missing, is no plan of ``csql poc plan``, or was changed after it was written.
    """
    if config.delivery.holdout is None:
        return None
    path: Path = config.path(config.delivery.holdout)
    if not path.is_file():
        raise ConfigError(f"delivery.holdout: there is no file {path}; name a plan of csql poc plan, or set it to null")
    try:
        plan = read_plan(path)
    except UsageError as error:
        raise ConfigError(f"delivery.holdout: {error}") from error
    if not plan.start <= as_of < plan.end:
        return None
    accounts = frozenset(str(unit["account_id"]) for unit in plan.units if not unit["worked"])
    return Holdout(plan.name, plan.end, accounts)
