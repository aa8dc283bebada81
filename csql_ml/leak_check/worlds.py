"""Random companies for the leak check: what is known before a day, and news that become known at a given instant.

Every time is counted back from the as-of date in the company's days, so the same seed with another date gives the same
company at another time. Names of events, features, plans and the like are those that the configuration maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from csql_ml.contract.tables import TABLES, Column, Table

if TYPE_CHECKING:
    from csql_ml.config import Config

Row = dict[str, Any]
Rows = dict[str, list[Row]]

INSTANT = timedelta(microseconds=1)
#: News become known at the cut-off instant or this much later.
_LATER = (timedelta(0), INSTANT, timedelta(hours=3), timedelta(days=1), timedelta(days=200))
#: Rows per account of the base company, at least and at most; `_FEW` where nothing is said.
_ROWS: Mapping[str, tuple[int, int]] = {
    "accounts": (1, 1),
    "contracts": (1, 2),
    "users": (2, 6),
    "events": (10, 60),
    "coverage": (0, 1),
}
_FEW = (0, 3)
#: Things rather than occurrences: they have been there for long, and are news only as another version or a late row.
_HELD = ("accounts", "contracts", "coverage")
#: Stands for the instant at which news become known.
_KNOWN = object()


@dataclass(frozen=True)
class World:
    """One random company.

    Parameters
    ----------
    as_of
        Its base rows were known before this day.
    seed
        Same seed, same company, whatever the date.
    accounts
        How many.
    reach
        How many days back its rows go.
    """

    config: Config
    as_of: date
    seed: int
    accounts: int = 40
    reach: int = 400

    @cached_property
    def cut_off(self) -> datetime:
        """The as-of instant: local midnight, in UTC."""
        return self._instant(0, time(0))

    @cached_property
    def base(self) -> Rows:
        """What was known before the as-of date."""
        random = Random(f"base {self.seed}")  # noqa: S311 - reproducible, not secret
        rows: Rows = {name: [] for name in TABLES}
        for number in range(self.accounts):
            account = f"a{number:03}"
            for name, table in TABLES.items():
                count = random.randint(*_ROWS.get(name, _FEW))
                rows[name] += [self._row(table, account, f"{account}-{i}", random) for i in range(count)]
        # One event is so old that every window is covered.
        rows["events"][0]["occurred_at"] = self._instant(self.reach + 1, time(12))
        return rows

    def shuffled(self) -> Rows:
        """The base company with the rows of every table in another order."""
        random = Random(f"order {self.seed}")  # noqa: S311 - reproducible, not secret
        return {name: random.sample(rows, len(rows)) for name, rows in self.base.items()}

    def with_news(self, *, earlier: bool = False) -> Rows:
        """The base company and news that become known from the cut-off instant on.

        Parameters
        ----------
        earlier
            The same news, known in the last instant before the cut-off.
        """
        random = Random(f"news {self.seed}")  # noqa: S311 - reproducible, not secret
        rows: Rows = {}
        for name, table in TABLES.items():
            kept, added = [], []
            for row in self.base[name]:
                moment = self.cut_off + random.choice(_LATER)
                known = self.cut_off - INSTANT if earlier else moment
                changed, new = self._news(table, row, random)
                kept.append(_filled(changed, known))
                added += [_filled(one, known) for one in new]
            rows[name] = kept + added
        return rows

    def _news(self, table: Table, row: Row, random: Random) -> tuple[Row, list[Row]]:
        """The row with a later fact, or as it was, and rows that appear beside it."""
        kind = random.choice(("nothing", "happens", "recorded late", "version", "later fact"))
        other = self._row(table, row["account_id"], f"{row['account_id']}-n{random.randrange(10**9)}", random)
        facts = sorted({c.known_with for c in table.columns if c.known_with is not None})
        if kind == "happens" and table.name not in _HELD:
            return row, [other | dict.fromkeys(_later_facts(table)) | {table.own_time[0]: _KNOWN}]
        if kind == "recorded late":
            return row, [other | {"recorded_at": _KNOWN}]
        if kind == "version" and table.key and table.name != "events":
            return row, [other | {c: row[c] for c in (*table.key, *table.own_time)} | {"recorded_at": _KNOWN}]
        if kind == "later fact" and facts:
            learnt = random.choice(facts)
            if row[learnt] is None:
                values = {c.name: other[c.name] for c in table.columns if c.known_with == learnt}
                return row | values | {learnt: _KNOWN}, []
        return row, []

    def _instant(self, days_ago: int, clock: time) -> datetime:
        """That time of the company's day so many days before the as-of date, in UTC."""
        zone = ZoneInfo(self.config.company.time_zone)
        return datetime.combine(self.as_of - timedelta(days=days_ago), clock, tzinfo=zone).astimezone(UTC)

    def _row(self, table: Table, account: str, key: str, random: Random) -> Row:
        """A plausible row that was known before the as-of date."""
        recent = random.random() < 0.5
        days = random.randint(1, min(60, self.reach) if recent else self.reach)
        # Between 4 and 22 o'clock no time zone repeats or leaves out an hour.
        happened = self._instant(days, time(random.randint(4, 20), random.randint(0, 59)))
        row: Row = {c.name: self._value(table, c, account, key, random) for c in table.columns}
        for name in _later_facts(table):
            if table.column(name).known_with == name:
                there = random.random() < 0.5
                row[name] = self._instant(random.randint(1, days), time(21)) if there else None
        for name in _later_facts(table):
            if row[str(table.column(name).known_with)] is None:
                row[name] = None
        row |= dict.fromkeys(table.own_time, happened)
        return row | self._standing(table, random) if table.name in (*_HELD, "users", "contacts") else row

    def _standing(self, table: Table, random: Random) -> Row:
        """Times of a thing that has been there since before everything else."""
        days = self.reach + random.randint(30, 400)
        if "start_date" not in table.column_names:
            return dict.fromkeys(table.own_time, self._instant(days, time(9)))
        ends = self.as_of + timedelta(days=random.randint(1, 300))
        standing: Row = {"start_date": self.as_of - timedelta(days=days), "end_date": random.choice((None, ends))}
        return standing | ({"signed_at": None} if "signed_at" in table.column_names else {})

    def _value(self, table: Table, column: Column, account: str, key: str, random: Random) -> Any:
        """A value that is no time."""
        name = column.name
        if column.dtype in ("timestamp", "date"):
            return None
        if name == "account_id":
            return account
        if name == "user_id":
            return key if table.name == "users" else f"{account}-{random.randint(0, 5)}"
        if name in (*table.key[:1], "contract_id") and table.name != "coverage":
            return key
        words = self._words.get((table.name, name)) or column.values
        if words:
            return random.choice(words)
        if column.dtype == "boolean":
            return random.random() < 0.5
        if column.dtype in ("integer", "number"):
            return random.randint(int(column.minimum or 0), int(column.maximum or 100))
        return f"{name} {random.randint(1, 3)}"

    @cached_property
    def _words(self) -> Mapping[tuple[str, str], Sequence[Any]]:
        """What the configuration knows by name."""
        signals, catalogue, ideal = self.config.signals, self.config.catalogue, self.config.ideal_customer
        own = signals.own.values()
        happen = (signals.gated_clicks, signals.upgrade_attempts, signals.workflow_starts, signals.workflow_completions)
        features = (signals.core_features, signals.advanced_features, *(m.features for m in catalogue.modules))
        modules = tuple(m.name for m in catalogue.modules)
        return {
            ("events", "event_name"): ("used", *(n for names in (*happen, *(s.events for s in own)) for n in names)),
            ("events", "feature"): (None, *(n for names in (*features, *(s.features for s in own)) for n in names)),
            ("tickets", "severity"): ("low", *signals.high_severities),
            ("tickets", "topic"): ("other", *signals.module_topics),
            ("contracts", "product"): ("Platform", "Platform", *modules),
            ("contracts", "plan"): catalogue.plans or ("Plan",),
            ("milestones", "product"): (None, *modules),
            ("accounts", "segment"): ("other", *ideal.segments),
            ("accounts", "industry"): ("other", *ideal.industries),
        }


def _later_facts(table: Table) -> tuple[str, ...]:
    """Columns that are filled in only when a later time comes."""
    return tuple(c.name for c in table.columns if c.known_with is not None)


def _filled(row: Row, known: datetime) -> Row:
    return {name: known if value is _KNOWN else value for name, value in row.items()}
