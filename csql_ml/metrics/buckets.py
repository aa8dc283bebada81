"""Measures of the daily rollup, all periods at once.

The bounds of all periods cut the days before the as-of date into disjoint buckets. Every row of the rollup falls into
one; rows are merged once per account and bucket, and a period is the merge of its buckets. Distinct users do not
merge as numbers: each user gets one bit per bucket of activity, and a period's users are those with one of its bits.
So the days are read twice, however many periods there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from csql_ml.metrics.definition import Measure, Merge, Period, aggregate

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

    def within(self, period: Period) -> tuple[int, int]:
        """First and last bucket of a period."""
        return self.edges.index(period.ago), self.edges.index(period.reach) - 1

    def bits(self, period: Period, mask: int) -> int:
        """The bits of a period's buckets in a mask."""
        first, last = self.within(period)
        low, high = (min(max(n - mask * MASK_BITS, 0), MASK_BITS) for n in (first, last + 1))
        return (1 << high) - (1 << low)


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

    def steps(self, rows: ir.Table) -> dict[str, ir.Table]:
        """Named steps over rows with ``days_ago``; `tables` are the last of each kind, one row per account."""
        rows = rows.filter(self.buckets.covers(rows.days_ago))
        steps: dict[str, ir.Table] = {}
        if self._summed:
            steps["activity_by_bucket"] = self._by_bucket(rows)
            steps["activity"] = self._by_account(steps["activity_by_bucket"])
        if self._users:
            steps["users_by_bucket"] = self._by_user(rows)
            steps["active_users"] = self._count_users(steps["users_by_bucket"])
        return steps

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
