"""What the store asks of whatever holds the events: which parts, what changed, and the rollup of some days.

`csql_ml.activity.duckdb_events` answers from files and tables that DuckDB reads. Another engine that computes where
the events are answers the same five questions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Protocol

from csql_ml.contract.findings import EXAMPLES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

#: A day of the company, or None for rows without a usable time.
Day = date | None


@dataclass(frozen=True)
class PartDay:
    """One day's rows of one part.

    Attributes
    ----------
    digest
        A number below 2**64 that does not depend on the order of the rows, such as the sum of their hashes.
    """

    part: str
    day: Day
    rows: int
    digest: int


@dataclass(frozen=True)
class Finding:
    """Rows of one day that break the same rule.

    Attributes
    ----------
    rule
        Position of the rule among the row rules and, after them, the two rules about duplicates.
    examples
        The smallest keys of these rows, at most five.
    """

    rule: int
    column: str
    kind: str
    message: str
    rows: int
    examples: tuple[str, ...]


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with those of one rule put together, in the order of the rules."""
    by_rule: dict[int, Finding] = {}
    for finding in findings:
        other = by_rule.get(finding.rule)
        if other is not None:
            examples = tuple(sorted({*other.examples, *finding.examples})[:EXAMPLES])
            finding = replace(finding, rows=finding.rows + other.rows, examples=examples)
        by_rule[finding.rule] = finding
    return [by_rule[rule] for rule in sorted(by_rule)]


@dataclass(frozen=True)
class BuiltDay:
    """One day after its checks.

    Attributes
    ----------
    rows
        The day's rollup, with the columns of `csql_ml.activity.rollup` in their order.
    findings
        What was set aside; not the events of unknown accounts, which are in the rollup.
    keys
        The day's sorted event keys (see `csql_ml.activity.event_keys`), where the source wants them back.
    users
        By month, which users were active on this day and on those that came before it without any (see
        `csql_ml.activity.user_months`), as far as the month is complete; None where a later day has them, or where they
        are to be taken from the rows.
    accounts
        The rows added up by `csql_ml.activity.summaries.account_days`; None where that is still to be done.
    """

    day: Day
    rows: pa.Table
    findings: tuple[Finding, ...]
    keys: npt.NDArray[np.uint64] | None = None
    users: Mapping[str, pa.Table] | None = None
    accounts: pa.Table | None = None


@dataclass(frozen=True)
class Contents:
    """What the parts in force hold.

    Attributes
    ----------
    days
        By day, the rows of each part.
    kept_keys
        The keys of a day whose file is still in force, as they were given with `BuiltDay`.
    """

    days: Mapping[Day, Mapping[str, int]]
    kept_keys: Callable[[date], npt.NDArray[np.uint64]]


class EventSource(Protocol):
    """The company's events, wherever they are."""

    def parts(self) -> dict[str, str | None]:
        """The parts in a fixed order, each with a stamp; a part with the same stamp has not changed.

        None is a stamp that says nothing: the part is always looked at.
        """

    def describe(self, parts: Collection[str]) -> dict[str, dict[str, str]]:
        """Columns of parts and their types, as the source calls them."""

    def use(self, described: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Fix what the columns are, over all parts; returns the contract's columns that are there with their types.

        Two sources with other columns or types never share a rollup.
        """

    def digests(self, parts: Collection[str]) -> list[PartDay]:
        """Look at every row of these parts."""

    def shared_days(self, days: Collection[date], contents: Contents) -> set[tuple[date, date]]:
        """Pairs of days, the earlier first, that have an ``event_id`` in common, one of them among ``days``.

        Pairs that have none in common do no harm.
        """

    def build(self, days: Collection[Day], contents: Contents) -> Iterator[BuiltDay]:
        """Check and roll up these days: rules row by row, duplicates over the whole source, in any order of days.

        A day without rows comes back empty.
        """

    def close(self) -> None:
        """Forget what was kept between the questions."""
