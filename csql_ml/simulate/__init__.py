"""A simulated B2B SaaS company whose true propensities are known.

`simulate` writes every table of the contract for a company that sells a platform by seat (plans Basic, Pro,
Enterprise) and three modules, and ``truth.parquet``: the probability, as of each quarter's first day, that a lead which
is later won is raised in that quarter or the next. Training never reads it; it says how good a model could be.

What drives the truth is written in `csql_ml.simulate.hazard`. These signals are deliberately misleading, they go
together with expansions without causing any:

- **Raw login volume and employees** grow with the size of an account. Size alone does not matter; large accounts only
  click and ask more.
- **Workflow completion** comes from a hidden maturity that also brings feature adoption. Once the signals of the truth
  are known it says nothing.
- **Reviews, referrals and references** come from the same contentment as NPS promoters, but do not cause buying.
- **Attention**: customer success raises leads that come to nothing more often where there is much usage, and in the
  region where the proof of concept began. Many leads are no sign of many wins.

Coverage: nobody in the first quarter, a proof of concept with about half of the accounts in the second (all managers
of one region first), everybody from the third on. Leads exist only where and when an account is covered; the truth is
given that it is.

How the files come about: accounts are simulated together, month by month (`dynamics`, `contracts`), with whole users,
events and tickets (`state`); leads are drawn at each quarter's start from exactly those counts (`funnel`, `hazard`);
then months are laid out as rows (`events`, `records`, `relations`, `sales`). The same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from csql_ml.errors import UsageError
from csql_ml.simulate import records, relations, sales
from csql_ml.simulate.company import account_ids
from csql_ml.simulate.demo_config import write_config
from csql_ml.simulate.events import Names, month_of_events
from csql_ml.simulate.history import History, unfold
from csql_ml.simulate.tables import appearing, check_free, write
from csql_ml.simulate.timeline import END

#: Product events per account and quarter when no total is asked for.
EVENTS_PER_ACCOUNT_AND_QUARTER = 250
_FEWEST_ACCOUNTS, _MOST_ACCOUNTS = 20, 1_000_000
_FEWEST_QUARTERS, _MOST_QUARTERS = 3, 40
_LAYOUTS: tuple[tuple[str, Callable[[History, Names, np.random.Generator], pa.Table]], ...] = (
    ("accounts", records.accounts),
    ("contracts", records.contract_rows),
    ("users", records.users),
    ("tickets", relations.tickets),
    ("nps", relations.nps),
    ("advocacy", relations.advocacy),
    ("milestones", relations.milestones),
    ("contacts", relations.contacts),
    ("csqls", sales.csqls),
    ("opportunities", sales.opportunities),
    ("coverage", records.coverage),
    ("truth", records.truth),
)

__all__ = ["END", "EVENTS_PER_ACCOUNT_AND_QUARTER", "Summary", "simulate", "write_config"]


@dataclass(frozen=True)
class Summary:
    """What was written.

    Attributes
    ----------
    rows
        Rows per table, ``truth`` among them.
    first_day, last_day
        First day of the simulated time and first day after it (ISO dates).
    base_rate
        Share of accounts in which a lead that is won was raised within two quarters, over all accounts and dates
        worked throughout; None without any.
    truth_auc
        ROC-AUC of the true propensities against those outcomes: what a perfect model would reach; None where all
        outcomes are alike.
    """

    out: Path
    rows: Mapping[str, int]
    first_day: str
    last_day: str
    base_rate: float | None
    truth_auc: float | None


def simulate(
    out: Path,
    *,
    accounts: int = 2000,
    events: int | None = None,
    users: int | None = None,
    quarters: int = 8,
    seed: int = 7,
    on_progress: Callable[[str, float], None] | None = None,
) -> Summary:
    """Write a simulated company's tables as Parquet files.

    Parameters
    ----------
    out
        A folder that is new, empty or holds an earlier simulation, which is replaced. It appears whole or not at all.
    accounts
        Customers, those who join later among them; 20 to 1,000,000.
    events
        Product events in all, met within 5 % (default: 250 per account and quarter). Below 200 per account and quarter
        customers have fewer seats; at least 75.
    users
        People with a login in all, met within 5 % (default: what comes of ordinary seat counts, about 25 per account);
        about 4 per account at least, and at most one per event and month.
    quarters
        Calendar quarters, the last of which ends before 2026-10-01; 3 to 40.
    seed
        Same arguments and seed, same bytes.
    on_progress
        Called with what is being done and the share that is done, 0 to 1.

    Raises
    ------
    UsageError
        An argument is out of bounds.
    OutputError
        ``out`` holds something else or cannot be written.

    Examples
    --------
    >>> summary = simulate(Path("demo/data"), accounts=600)  # doctest: +SKIP
    """
    out = Path(out)
    _check(accounts, quarters, seed)
    if events is None:
        events = EVENTS_PER_ACCOUNT_AND_QUARTER * accounts * quarters
    check_free(out)
    tell = on_progress or _say_nothing
    history = unfold(accounts, events, quarters, seed, lambda what, share: tell(what, 0.3 * share), users)
    arguments = {"accounts": accounts, "events": events, "quarters": quarters, "seed": seed}
    arguments |= {} if users is None else {"users": users}
    with appearing(out, arguments) as draft:
        rows = _write_all(draft, history, seed, tell)
    tell("done", 1.0)
    return _summary(out, rows, history)


def _summary(out: Path, rows: dict[str, int], history: History) -> Summary:
    truth, label = history.outcomes()
    return Summary(
        out=out,
        rows=MappingProxyType(rows),
        first_day=history.timeline.date(0).isoformat(),
        last_day=history.timeline.date(history.timeline.end).isoformat(),
        base_rate=float(label.mean()) if len(label) else None,
        truth_auc=_roc_auc(truth, label),
    )


def _say_nothing(what: str, share: float) -> None:
    del what, share


def _check(accounts: int, quarters: int, seed: int) -> None:
    bounds = (
        ("--accounts", accounts, _FEWEST_ACCOUNTS, _MOST_ACCOUNTS),
        ("--quarters", quarters, _FEWEST_QUARTERS, _MOST_QUARTERS),
        ("--seed", seed, 0, 2**32 - 1),
    )
    for option, value, low, high in bounds:
        if not low <= value <= high:
            raise UsageError(f"{option} {value} is out of bounds; expected {low} to {high}")


def _write_all(folder: Path, history: History, seed: int, tell: Callable[[str, float], None]) -> dict[str, int]:
    """Write every table; returns rows per table."""
    names = Names(pa.array(account_ids(len(history.company)), pa.string()))
    rows: dict[str, int] = {}
    for number, (name, layout) in enumerate(_LAYOUTS):
        tell(f"writing {name}", 0.3 + 0.1 * number / len(_LAYOUTS))
        laid_out = layout(history, names, np.random.default_rng([seed, 6, number]))
        rows[name] = write(folder / f"{name}.parquet", name, [laid_out])
    rows["events"] = sum(_write_events(folder / "events", history, names, seed, tell))
    return rows


def _write_events(
    folder: Path, history: History, names: Names, seed: int, tell: Callable[[str, float], None]
) -> Iterator[int]:
    """Write one file per month, named by its first day; yields its number of rows."""
    folder.mkdir()
    for number, lived in enumerate(history.months):
        tell("writing events", 0.4 + 0.6 * number / len(history.months))
        first = history.timeline.date(lived.month.start)
        yield write(folder / f"{first}.parquet", "events", month_of_events(lived, history.timeline, names, seed))


def _roc_auc(score: np.ndarray, label: np.ndarray) -> float | None:
    """Share of pairs of a positive and a negative in which the positive scores higher; ties count half."""
    positives = int(label.sum())
    negatives = len(label) - positives
    if not positives or not negatives:
        return None
    _, rank, size = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(size) - (size - 1) / 2.0
    return float((middle[rank][label].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))
