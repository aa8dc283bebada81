"""Measures of the daily rollup, all periods at once.

The bounds of all periods cut the days before the as-of date into disjoint buckets. Every row of the rollup falls into
one; rows are merged once per account and bucket, and a period is the merge of its buckets. Distinct users do not
merge as numbers: each user gets one bit per bucket of activity, and a period's users are those with one of its bits.
So the days are read twice, however many periods there are.

Where the rollup has summaries (`Summaries`), they are read in its place: sums and sets need no users, and users need
no more than the days on which they were active.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.metrics.definition import Measure, Merge, Period, aggregate
from csql_ml.metrics.measures import within

#: Bits used of a signed 64-bit integer.
MASK_BITS = 62

Wanted = Mapping[str, tuple[Measure, Period]]


@dataclass(frozen=True)
class Buckets:
    """Disjoint stretches of days; bucket i holds the days with ``edges[i] < days ago <= edges[i + 1]``."""

    edges: tuple[int, ...]

    @classmethod
    def of(cls, periods: Iterable[Period]) -> Buckets:
        """The coarsest buckets that every one of the periods is made of."""
        return cls(tuple(sorted({bound for p in periods for bound in (p.ago, p.reach)})))

    @property
    def reach(self) -> int:
        """How many days ago the oldest bucket begins."""
        return self.edges[-1]

    @property
    def masks(self) -> range:
        """Numbers of the bit masks that hold all buckets."""
        return range(-(-(len(self.edges) - 1) // MASK_BITS))

    def covers(self, days_ago: Any) -> Any:
        """Whether a day lies in any bucket."""
        return (days_ago > self.edges[0]) & (days_ago <= self.reach)

    def number(self, days_ago: Any) -> Any:
        """The bucket of a day that lies in one."""
        *older, last = [(days_ago <= end, ibis.literal(i, "int64")) for i, end in enumerate(self.edges[1:])]
        return ibis.cases(*older, else_=last[1]) if older else last[1]

    def bit(self, days_ago: Any, mask: int) -> Any:
        """The bit of a day's bucket in a mask; 0 where the bucket is in another."""
        first, ends = mask * MASK_BITS, self.edges[1 + mask * MASK_BITS :][:MASK_BITS]
        cases = [(days_ago <= self.edges[first], ibis.literal(0, "int64"))] if first else []
        cases += [(days_ago <= end, ibis.literal(1 << i, "int64")) for i, end in enumerate(ends)]
        return ibis.cases(*cases, else_=ibis.literal(0, "int64"))

    def bits_of_month(self, active: Any, first_day: Any, mask: int) -> Any:
        """The bits, in a mask, of the buckets into which active days of a calendar month fall.

        Parameters
        ----------
        active
            A bit per active day of the month, its first day lowest.
        first_day
            How many days ago the month's first day was.
        """
        one, zero = ibis.literal(1, "int64"), ibis.literal(0, "int64")
        edges = self.edges[mask * MASK_BITS :][: MASK_BITS + 1]
        newer_than = [one << within(first_day - edge, 0, 31).cast("int64") for edge in edges]
        bits = [
            ibis.ifelse((active & (newer - older)) != 0, ibis.literal(1 << i, "int64"), zero)
            for i, (newer, older) in enumerate(pairwise(newer_than))
        ]
        return reduce(or_, bits)

    def within(self, period: Period) -> tuple[int, int]:
        """First and last bucket of a period."""
        return self.edges.index(period.ago), self.edges.index(period.reach) - 1

    def bits(self, period: Period, mask: int) -> int:
        """The bits of a period's buckets in a mask."""
        first, last = self.within(period)
        low, high = (min(max(n - mask * MASK_BITS, 0), MASK_BITS) for n in (first, last + 1))
        return (1 << high) - (1 << low)


@dataclass(frozen=True)
class Summaries:
    """What the rollup comes to without the users, and what is left of it with nothing but the users.

    Attributes
    ----------
    account_days
        As the rollup, without ``user_id``: one row per account, day and day it became known.
    user_months
        One row per ``account_id``, ``user_id`` and calendar month (and per day on which late rows became known):
        ``active``, a bit per day of the month, its first day lowest; as of a date ``month_days_ago``, how many days
        ago the month began.
    """

    account_days: ir.Table
    user_months: ir.Table


@dataclass(frozen=True)
class ActivityMeasures:
    """The measures of the rollup that merge, and the steps that compute them.

    Parameters
    ----------
    wanted
        Output column -> measure and period; every measure has a `Measure.merge`.
    """

    wanted: Wanted

    @cached_property
    def buckets(self) -> Buckets:
        """The buckets of all periods."""
        return Buckets.of(self._period(name) for name in self.wanted)

    def steps(self, rows: ir.Table, summaries: Summaries | None = None) -> dict[str, ir.Table]:
        """Named steps, the last of each kind with one row per account.

        Parameters
        ----------
        rows
            The rollup as of a date, with ``days_ago``.
        summaries
            Of the same rows.
        """
        steps: dict[str, ir.Table] = {}
        if self._summed:
            summed = summaries.account_days if summaries is not None and self.without_users else rows
            steps["activity_by_bucket"] = self._by_bucket(self._covered(summed))
            steps["activity"] = self._by_account(steps["activity_by_bucket"])
        if self._users:
            by_user = self._by_user(self._covered(rows))
            if summaries is not None and self.by_active_days:
                by_user = self._by_user_month(summaries.user_months)
            steps["users_by_bucket"] = by_user
            steps["active_users"] = self._count_users(by_user)
        return steps

    def sources(self, rows: ir.Table, summaries: Summaries | None = None) -> dict[str, ir.Table]:
        """What `steps` reads, by name."""
        read: dict[str, ir.Table] = {}
        for some, summed, name in (
            (self._summed, self.without_users, "account_days"),
            (self._users, self.by_active_days, "user_months"),
        ):
            if some:
                from_summary = summaries is not None and summed
                read |= {name: getattr(summaries, name)} if from_summary else {"recent_activity": rows}
        return read

    def _covered(self, rows: ir.Table) -> ir.Table:
        return rows.filter(self.buckets.covers(rows.days_ago))

    @cached_property
    def without_users(self) -> bool:
        """Whether amounts are the same over rows that were added up before; smallest and largest ones are not."""
        return all(self._merge(name).how in ("sum", "or") for name in self._summed)

    @cached_property
    def by_active_days(self) -> bool:
        """Whether users are counted by nothing but the days on which they were active."""
        return self._kinds_of_users == (None,)

    def _period(self, name: str) -> Period:
        return self._merge(name).period(self.wanted[name][1])

    def _merge(self, name: str) -> Merge:
        merge = self.wanted[name][0].merge
        if merge is None:
            raise ValueError(f"measure {self.wanted[name][0].name} does not merge")
        return merge

    @cached_property
    def _summed(self) -> tuple[str, ...]:
        return tuple(n for n in self.wanted if self._merge(n).how != "users")

    @cached_property
    def _users(self) -> tuple[str, ...]:
        return tuple(n for n in self.wanted if self._merge(n).how == "users")

    # ------------------------------------------------------------ amounts

    def _by_bucket(self, rows: ir.Table) -> ir.Table:
        kinds = {(m.how, m.column) for m in map(self._merge, self._summed) if m.column is not None}
        values = {_column(how, column): aggregate(how, rows[column]) for how, column in sorted(kinds)}
        return rows.group_by("account_id", bucket=self.buckets.number(rows.days_ago)).aggregate(**values)

    def _by_account(self, by_bucket: ir.Table) -> ir.Table:
        return by_bucket.group_by("account_id").aggregate(**{n: self._amount(n, by_bucket) for n in self._summed})

    def _amount(self, name: str, by_bucket: ir.Table) -> Any:
        merge, (first, last) = self._merge(name), self.buckets.within(self._period(name))
        where = by_bucket.bucket == first if first == last else by_bucket.bucket.between(first, last)
        return aggregate(merge.how, by_bucket[_column(merge.how, str(merge.column))], where)

    # ------------------------------------------------------------ users

    @cached_property
    def _kinds_of_users(self) -> tuple[str | None, ...]:
        """The columns that say which users count; None for all."""
        return tuple(sorted({self._merge(n).column for n in self._users}, key=lambda c: c or ""))

    def _by_user(self, rows: ir.Table) -> ir.Table:
        named = rows.filter(rows.user_id.notnull())
        masks = {
            _mask(column, mask): self._bit(named, column, mask).bit_or()
            for column in self._kinds_of_users
            for mask in self.buckets.masks
        }
        return named.group_by("account_id", "user_id").aggregate(**masks)

    def _by_user_month(self, months: ir.Table) -> ir.Table:
        bits = {
            _mask(None, mask): self.buckets.bits_of_month(months.active, months.month_days_ago, mask).bit_or()
            for mask in self.buckets.masks
        }
        return months.group_by("account_id", "user_id").aggregate(**bits)

    def _bit(self, rows: ir.Table, column: str | None, mask: int) -> Any:
        bit = self.buckets.bit(rows.days_ago, mask)
        return bit if column is None else ibis.ifelse(rows[column] > 0, bit, ibis.literal(0, "int64"))

    def _count_users(self, by_user: ir.Table) -> ir.Table:
        return by_user.group_by("account_id").aggregate(**{n: self._active(n, by_user) for n in self._users})

    def _active(self, name: str, by_user: ir.Table) -> Any:
        column, period = self._merge(name).column, self._period(name)
        bits = {mask: self.buckets.bits(period, mask) for mask in self.buckets.masks}
        active = [(by_user[_mask(column, m)] & ibis.literal(b, "int64")) != 0 for m, b in bits.items() if b]
        return by_user.count(where=reduce(or_, active))


def _column(how: str, column: str) -> str:
    return column if how == "sum" else f"{how}_of_{column}"


def _mask(column: str | None, mask: int) -> str:
    return f"active_{mask}" if column is None else f"active_{mask}_by_{column}"
