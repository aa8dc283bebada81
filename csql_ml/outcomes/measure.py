"""The funnel report: figures of a quarter or of all time, split five ways, against the benchmarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from csql_ml.errors import UsageError
from csql_ml.outcomes.cycle import Step, curve
from csql_ml.outcomes.facts import Facts, read
from csql_ml.outcomes.figures import Amount, Median, Rate, median, rate, total
from csql_ml.outcomes.lead_book import STAGES, UNKNOWN, lead_book, read_runs
from csql_ml.outcomes.note import Note
from csql_ml.outcomes.portfolios import Comparison, compare
from csql_ml.outcomes.rejections import RejectionType, rejections
from csql_ml.outcomes.revenue import (
    Period,
    Retention,
    expansion_share,
    expansions,
    retained,
    retention,
)
from csql_ml.quarters import quarter_name, quarter_start, quarter_starts

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Splits of the report, and the column of the lead book they go by.
SPLITS = {"quarter": "quarter", "type": "type", "band": "band", "version": "version", "csm": "csm"}


@dataclass(frozen=True)
class Line:
    """The figures of one group of leads.

    Attributes
    ----------
    stages
        Rate per stage: ``accepted``, ``opportunity``, ``won``.
    net_new
        Leads whose account had no open opportunity; None without opportunities.
    arr_won
        ARR of the won leads.
    expansion_share, retention
        Of the group's accounts; None where the group is not one of accounts.
    """

    name: str
    stages: dict[str, Rate]
    net_new: Rate | None
    cycle: Median
    arr_won: Amount
    expansion_share: Amount | None = None
    retention: Retention | None = None

    @property
    def created(self) -> int:
        return self.stages["accepted"].created


@dataclass(frozen=True)
class Measured:
    """The funnel as known before ``as_of``.

    Attributes
    ----------
    quarter
        The quarter whose leads are counted; None: all.
    share_due
        Whether the benchmark of the expansion share is due: enough quarters since the first lead.
    splits
        Per key of `SPLITS` one line per group; the groups of a split have every lead once.
    cycle_curve
        Share of the leads that are closed after so many days.
    notes
        What a reader must know about the data, as sentences.
    """

    as_of: date
    quarter: str | None
    total: Line
    share_due: bool
    splits: dict[str, tuple[Line, ...]]
    csms: tuple[Comparison, ...]
    rejections: tuple[RejectionType, ...]
    notes: tuple[Note, ...]
    cycle_curve: tuple[Step, ...] = ()


def measure(
    config: Config, *, as_of: date | None = None, quarter: str | None = None, runs: Sequence[Path] = ()
) -> Measured:
    """Measure a company's funnel.

    Parameters
    ----------
    as_of
        Only what was known before this day; default: the day after the newest news in the tables.
    quarter
        Such as ``2026Q3``: count the leads raised in it, and the money of it; default: everything.
    runs
        Folders written by ``csql score``; they give leads their score band and champion version.

    Raises
    ------
    UsageError
        The quarter is not written as expected, or begins after the as-of date.
    ContractError
        There is no table of leads, or a table is broken.
    OutputError
        A run's folder is damaged.
    """
    chosen = None if quarter is None else quarter_day(quarter, config)
    scores = read_runs(runs)
    return measured(read(config, as_of), scores, config, chosen)


def quarter_day(name: str, config: Config) -> date:
    """First day of a quarter by its name."""
    found = re.fullmatch(r"(\d{4})Q([1-4])", name)
    if not found:
        raise UsageError(f"--quarter {name!r} is not a quarter; write it as 2026Q3")
    month = config.company.fiscal_year_start_month
    year, number = int(found[1]) - (1 if month > 1 else 0), int(found[2])
    months = year * 12 + month - 1 + 3 * (number - 1)
    return date(months // 12, months % 12 + 1, 1)


def measured(facts: Facts, runs: pd.DataFrame, config: Config, quarter: date | None = None) -> Measured:
    """The report on facts that were read already."""
    month = config.company.fiscal_year_start_month
    if quarter is not None and quarter >= facts.as_of:
        raise UsageError(
            f"quarter {quarter_name(quarter, month)} begins on {quarter.isoformat()}, and nothing from "
            f"{facts.as_of.isoformat()} on is known; choose an earlier quarter"
        )
    book = lead_book(facts, runs, config)
    name = None if quarter is None else quarter_name(quarter, month)
    chosen = book if name is None else book[book["quarter"] == name].reset_index(drop=True)
    desk = _Desk(facts, book, config)
    period = desk.whole if quarter is None else desk.period(quarter)
    return Measured(
        as_of=facts.as_of,
        quarter=name,
        total=desk.line("all", chosen, period),
        share_due=desk.share_due(period),
        splits={split: desk.split(split, chosen, period) for split in SPLITS},
        csms=tuple(compare(chosen, config)),
        rejections=tuple(rejections(chosen, config)),
        notes=tuple(_notes(facts, book, chosen, period, config, len(runs))),
        cycle_curve=_curve(chosen, config),
    )


class _Desk:
    """Lines of one company."""

    def __init__(self, facts: Facts, book: pd.DataFrame, config: Config) -> None:
        self._facts, self._book, self._config = facts, book, config
        self._month = config.company.fiscal_year_start_month
        oldest = book["created_days_ago"].max()
        self.first = facts.as_of if pd.isna(oldest) else facts.day(float(oldest))
        self.whole = Period(quarter_start(self.first, self._month), facts.as_of)

    def period(self, start: date) -> Period:
        """A quarter, as far as it is known."""
        return Period(start, min(quarter_start(start, self._month, ahead=1), self._facts.as_of))

    def share_due(self, period: Period) -> bool:
        """Whether the last day of the period lies enough quarters after the first lead."""
        wait = self._config.outcomes.benchmarks.expansion_share_quarters
        return len(self._book) > 0 and period.end > quarter_start(self.first, self._month, ahead=wait)

    def split(self, split: str, leads: pd.DataFrame, period: Period) -> tuple[Line, ...]:
        """One line per group, by name, the unknown one last; quarters of the period without leads among them."""
        column = SPLITS[split]
        groups = {str(name): rows for name, rows in leads.groupby(column, sort=True)}
        if split == "quarter":
            return self._quarters(groups, period)
        names = sorted(groups, key=lambda n: (n == UNKNOWN, n))
        if split != "csm":
            return tuple(self.line(n, groups[n]) for n in names)
        accounts = self._facts.accounts.groupby("csm_id")["account_id"].agg(set).to_dict()
        return tuple(self.line(n, groups[n], period, accounts.get(n, set())) for n in names)

    def _quarters(self, groups: dict[str, pd.DataFrame], period: Period) -> tuple[Line, ...]:
        starts = quarter_starts(period.start, period.end, self._month) if len(self._book) else []
        known = [s for s in starts if s < period.end]
        names = [quarter_name(s, self._month) for s in known]
        empty = self._book.iloc[:0]
        return tuple(self.line(n, groups.get(n, empty), self.period(s)) for n, s in zip(names, known, strict=True))

    def line(
        self, name: str, leads: pd.DataFrame, period: Period | None = None, accounts: set[str] | None = None
    ) -> Line:
        """The figures of some leads and, for a period, of the money of all accounts or some."""
        settings = self._config.outcomes
        timed = leads[leads["cycle_days"].notna()]
        line = Line(
            name=name,
            stages={stage: self._rate(leads, stage) for stage in STAGES},
            net_new=self._net_new(leads),
            cycle=median(
                timed["cycle_days"].to_numpy(dtype=float),
                timed["cycle_ended"].to_numpy(dtype=bool),
                settings.confidence,
            ),
            arr_won=total(leads["arr"].to_numpy(dtype=float), settings.confidence, settings.resamples),
        )
        if period is None:
            return line
        sold = expansions(self._facts, self._book, period, self._config)
        back = _back(period, settings.nrr_quarters, self._month)
        kept = retained(self._facts, self._book, back)
        if accounts is not None:
            sold = None if sold is None else sold[sold["account_id"].isin(accounts)]
            kept = kept[kept["account_id"].isin(accounts)]
        share, nrr = expansion_share(sold, self._config), retention(kept, back, self._config)
        return Line(line.name, line.stages, line.net_new, line.cycle, line.arr_won, share, nrr)

    def _rate(self, leads: pd.DataFrame, stage: str) -> Rate:
        counts = leads[stage].value_counts()
        reached, still = int(counts.get("reached", 0)), int(counts.get("open", 0))
        return rate(reached, still, len(leads), self._config.outcomes.confidence)

    def _net_new(self, leads: pd.DataFrame) -> Rate | None:
        if self._facts.opportunities is None:
            return None
        return rate(int(leads["net_new"].eq(True).sum()), 0, len(leads), self._config.outcomes.confidence)


def _curve(leads: pd.DataFrame, config: Config) -> tuple[Step, ...]:
    timed = leads[leads["cycle_days"].notna()]
    days, ended = timed["cycle_days"].to_numpy(dtype=float), timed["cycle_ended"].to_numpy(dtype=bool)
    return curve(days, ended, config.outcomes.confidence)


def _back(period: Period, quarters: int, month: int) -> Period:
    """The quarters up to the period's end, the newest of them perhaps not over."""
    last = quarter_start(date.fromordinal(period.end.toordinal() - 1), month)
    return Period(quarter_start(last, month, ahead=1 - quarters), period.end)


def _notes(
    facts: Facts, book: pd.DataFrame, chosen: pd.DataFrame, period: Period, config: Config, runs: int
) -> list[Note]:
    notes = []
    others = len(facts.csqls) - len(book)
    if others:
        notes.append(Note("{count} rows of table csqls are renewals or churn saves and are not counted", count=others))
    unmatched = int((chosen["version"] == UNKNOWN).sum())
    if unmatched and not runs:
        notes.append(Note("no --run was given, so score bands and champion versions are not known"))
    elif unmatched:
        message = "{count} of {total} leads were scored by none of the runs given"
        notes.append(Note(message, count=unmatched, total=len(chosen)))
    missing = int(chosen["arr_missing"].sum())
    if missing:
        notes.append(Note("{count} won leads have no ARR and count as 0", count=missing))
    if facts.opportunities is None:
        notes.append(Note("table opportunities is not mapped: no share of expansion ARR, and no net-new leads"))
    elif not facts.has_source:
        notes.append(Note("opportunities have no source: CSQL revenue is what the leads won"))
    else:
        notes += _unlike(facts, book, period, config)
    return notes


def _unlike(facts: Facts, book: pd.DataFrame, period: Period, config: Config) -> list[Note]:
    """A word where leads were won but no opportunity says that it came from one."""
    sold = expansions(facts, book, period, config)
    won = book[(book["arr"] > 0) & (book["type"] != "referral") & period.holds(book["closed_days_ago"], facts)]
    if sold is None or not len(won) or sold["csql_arr"].sum() > 0:
        return []
    message = (
        "{count} leads were won, but no won expansion opportunity has the source {source}: the share of expansion ARR "
        "is too low until sales fills it in (handoff.lead_source names it)"
    )
    return [Note(message, count=len(won), source=repr(config.handoff.lead_source))]
