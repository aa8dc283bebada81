"""Events that stay in PostgreSQL: checked and rolled up there, so that only the daily rollup comes over the network.

The expressions are those of `csql_ml.contract` and of `csql_ml.activity.rollup`, each sent as one SELECT. A user who
may only read is enough: nothing is created on the server, not even temporary tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml.activity.checked_rows import usable
from csql_ml.activity.rollup import rollup
from csql_ml.activity.source import BuiltDay, Contents, Day, Finding, PartDay
from csql_ml.contract.checking import row_rules, typed_rows
from csql_ml.contract.duplicates import mark_duplicates
from csql_ml.contract.findings import EXAMPLES, shown_key
from csql_ml.contract.rules import Rule, duplicate_rules, first_problem
from csql_ml.contract.tables import EVENTS
from csql_ml.days import local_day
from csql_ml.errors import ConfigError, SourceError
from csql_ml.postgres_backend import to_sql
from csql_ml.source_columns import choose_columns, location_of
from csql_ml.source_files import identifier
from csql_ml.source_postgres import Postgres, relation_of

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.source_duckdb import DuckDBWarehouse

#: The table or query is one part, and nobody knows whether it has changed.
_PART = ""
#: What the raw rows are called in the SELECTs that are sent.
_RAW = "csql_raw_events"
#: A company's day begins less than this before or after UTC's.
_MARGIN = timedelta(days=1)


@ibis.udf.scalar.builtin(name="hashtextextended")  # type: ignore[untyped-decorator, unused-ignore]
def _hash(text: str, seed: int) -> int:  # type: ignore[empty-body]
    """A 64-bit hash, the same on every machine with the same release of PostgreSQL."""


class PostgresEvents:
    """The events of a company's database; a `csql_ml.activity.source.EventSource`.

    Parameters
    ----------
    warehouse
        Its connection to the database.
    config
        Maps the table or query, names the signals, and says where days begin.

    Raises
    ------
    ConfigError
        The events are not in the database, or a query needs files.
    SourceError
        The table or query cannot be read.
    """

    def __init__(self, warehouse: DuckDBWarehouse, config: Config) -> None:
        mapping = config.data.tables["events"]
        if warehouse.remote is None or mapping.file is not None:
            raise ConfigError(
                "data.push_down needs data.tables.events to be a table or query of a postgres:// database"
            )
        if config.data.raw and mapping.query is not None:
            raise ConfigError("data.tables.events.query runs in data.database and cannot see the files of data.raw")
        self._remote: Postgres = warehouse.remote
        self._config, self._zone = config, config.company.time_zone
        self._relation = relation_of(mapping.table, mapping.query, "data.tables.events.query")
        self._columns: dict[str, str] = {}
        self._days: set[Day] = set()
        #: Bytes that came over the network to `build` days.
        self.received = 0

    # ------------------------------------------------------------ what is there

    def parts(self) -> dict[str, str | None]:
        """The one part, which is always looked at."""
        return {_PART: None}

    def describe(self, parts: Collection[str]) -> dict[str, dict[str, str]]:
        """The table's columns and the numbers of their types."""
        with self._asking():
            types = self._remote.types(self._relation)
        return {part: {name: str(oid) for name, oid in types.items()} for part in parts}

    def use(self, described: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """The contract's columns that are there; their types name the server's hash function, too."""
        self._columns = choose_columns(self._config, EVENTS.name, tuple(described[_PART]))
        with self._asking():
            self._select, self._types = self._remote.select(self._relation, self._columns)
            ((probe,),) = self._remote.rows("SELECT hashtextextended('csql', 0)")
        self._raw = ibis.table(ibis.Schema.from_pyarrow(pa.schema(self._types.items())), name=_RAW)
        return {name: f"{kind} (PostgreSQL, hash {probe})" for name, kind in self._types.items()}

    def digests(self, parts: Collection[str]) -> list[PartDay]:
        """By day the sum of a hash of every row: it does not depend on their order, and every change changes it."""
        if not parts:
            return []
        row = f"ROW({', '.join(f'r.{identifier(name)}' for name in self._types)})::text"
        source = f"SELECT r.*, {row} AS csql_row FROM ({self._select}) AS r"
        raw = ibis.table({**self._raw.schema(), "csql_row": "string"}, name=_RAW)
        typed = typed_rows(EVENTS, raw, beside=("csql_row",))
        hashed = typed.select(day=self._day(typed), hash=_hash(typed.csql_row, 0).cast("decimal(38, 0)"))
        found = hashed.group_by("day").aggregate(rows=hashed.count(), digest=hashed.hash.sum())
        with self._asking():
            days = self._remote.rows(_sent(found, source))
        self._days = {day for day, _, _ in days}
        return [PartDay(_PART, day, int(rows), int(digest) % 2**64) for day, rows, digest in days]

    def shared_days(self, days: Collection[date], contents: Contents) -> set[tuple[date, date]]:
        """Pairs of days, the earlier first, that have an ``event_id`` in common, one of them among ``days``."""
        del contents  # the server is asked
        if "event_id" not in self._types or not days:
            return set()
        typed = typed_rows(EVENTS, self._raw)
        rows = typed.select("event_id", day=self._day(typed))
        rows = rows.filter(rows.event_id.notnull() & rows.day.notnull())
        touched = rows.semi_join(rows.filter(_among(rows.day, days)), "event_id")
        spans = touched.group_by("event_id").aggregate(first=touched.day.min(), last=touched.day.max())
        apart = touched.semi_join(spans.filter(spans.first != spans.last), "event_id").distinct()
        other = apart.view()
        pairs = apart.join(other, [apart.event_id == other.event_id, apart.day < other.day])
        with self._asking():
            found = self._remote.rows(_sent(pairs.select(one=apart.day, two=other.day).distinct(), self._select))
        return {(one, two) for one, two in found if one in days or two in days}

    # ------------------------------------------------------------ checked and rolled up

    def build(self, days: Collection[Day], contents: Contents) -> Iterator[BuiltDay]:
        """Check and roll up these days in one SELECT, so that rollup and findings are of the same moment.

        An ``event_id`` counts once, on the day of the row that became known first, wherever else it stands.
        """
        if not days:
            return
        looked_at = set(days)
        if not self._days <= looked_at:  # rows of other days may be the first ones known of their event
            named = {day for day in days if day is not None}
            looked_at |= {day for pair in self.shared_days(named, contents) for day in pair}
        judged, rules = self._judged(looked_at)
        judged = judged.filter(_among(judged.day, days))
        kept = judged.filter(judged.problem.isnull()).select(*EVENTS.column_names)
        rolled_up, findings = rollup(kept, self._config), _counted(judged)
        both = _with_columns_of(rolled_up, findings).union(_with_columns_of(findings, rolled_up))
        types = {field.name: field.type for field in both.schema().to_pyarrow()}
        with TemporaryDirectory(prefix="csql-") as folder:
            file = Path(folder) / "days.parquet"
            with self._asking():
                sql = _sent(both, self._select + self._near(looked_at))
                self.received += self._remote.copy_rows(sql, types, file, order_by="day")
            found = _by_day(file)
            ahead = next(found, None)
            for day in sorted(set(days), key=lambda d: d or date.max):
                rows = pa.table({name: pa.array([], kind) for name, kind in types.items()})
                if ahead is not None and ahead[0] == day:
                    rows, ahead = ahead[1], next(found, None)
                yield _built(day, rows, rolled_up.columns, rules)

    def _judged(self, days: Collection[Day]) -> tuple[ir.Table, list[Rule]]:
        """The rows of some days, each with its problem; copies of other rows of these days among them."""
        typed = typed_rows(EVENTS, self._raw)
        rules = row_rules(EVENTS, tuple(self._types), typed)
        rows = typed.select(*EVENTS.column_names, day=self._day(typed), problem=first_problem(rules))
        rows = rows.filter(_among(rows.day, days))
        both = rules + duplicate_rules(EVENTS, tuple(self._types))
        if "event_id" not in self._types:
            return rows, both
        alike = ibis.window(group_by=[rows.event_id, rows.problem.isnull()])
        counted = rows.mutate(alike=rows.event_id.count().over(alike))
        several = counted.problem.isnull() & (counted.alike > 1)
        copies = mark_duplicates(EVENTS, counted.filter(several), len(rules), len(rules) + 1)
        return counted.filter(~several).union(copies).drop("alike"), both

    def _day(self, typed: ir.Table) -> Any:
        return local_day(usable(typed.occurred_at), self._zone)

    def _near(self, days: Collection[Day]) -> str:
        """A condition that the raw rows of some days fulfil, for the server to use an index or skip partitions."""
        if None in days or self._days <= set(days) or not pa.types.is_temporal(self._types["occurred_at"]):
            return ""
        named, time = [day for day in days if day is not None], identifier(self._columns["occurred_at"])
        return f" WHERE {time} >= '{min(named) - _MARGIN}' AND {time} < '{max(named) + 2 * _MARGIN}'"

    def close(self) -> None:
        """Forget which days there were; the connection is the warehouse's."""
        self._days = set()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn whatever goes wrong into one line about the table."""
        try:
            yield
        except self._remote.error as error:
            location, reason = location_of(self._config, EVENTS.name), self._remote.reason(error)
            raise SourceError(f"events: {location} cannot be read: {reason}") from error


def _sent(rows: ir.Table, source: str) -> str:
    """An expression over the raw rows as one SELECT."""
    return f"WITH {_RAW} AS NOT MATERIALIZED ({source}) SELECT * FROM ({to_sql(rows)}) AS q"


def _among(day: Any, days: Collection[Day]) -> Any:
    named = sorted(d for d in days if d is not None)
    found = day.isin(named).fill_null(False) if named else ibis.literal(False)
    return found | day.isnull() if None in days else found


def _counted(judged: ir.Table) -> ir.Table:
    """By day and problem how many rows have it, once for each of the smallest keys of these rows."""
    bad = judged.filter(judged.problem.notnull())
    keyed = bad.select("day", "problem", example=shown_key(EVENTS, bad))
    counted = keyed.group_by(["day", "problem", "example"]).aggregate(rows=keyed.count())
    of_rule = ibis.window(group_by=["day", "problem"])
    by_key = ibis.window(group_by=["day", "problem"], order_by=ibis.asc(counted.example, nulls_first=False))
    ranked = counted.mutate(total=counted.rows.sum().over(of_rule).cast("int64"), place=ibis.row_number().over(by_key))
    return ranked.filter(ranked.place < EXAMPLES).select("day", "problem", "example", "total", "place")


def _with_columns_of(rows: ir.Table, other: ir.Table) -> ir.Table:
    """The columns of both tables; those of the other one are empty."""
    missing = {name: ibis.null(kind) for name, kind in other.schema().items() if name not in rows.columns}
    both = rows.mutate(**missing)
    return both.select(sorted(both.columns))


def _by_day(file: Path) -> Iterator[tuple[Day, pa.Table]]:
    """The rows of each day of a file that is sorted by day."""
    pieces: list[pa.Table] = []
    with pq.ParquetFile(file) as rows:
        for batch in rows.iter_batches():
            ends = pc.run_end_encode(batch["day"]).run_ends.to_pylist()
            for first, end in pairwise([0, *ends]):
                piece = pa.Table.from_batches([batch.slice(first, end - first)])
                if pieces and piece["day"][0] != pieces[0]["day"][0]:
                    yield pieces[0]["day"][0].as_py(), pa.concat_tables(pieces)
                    pieces = []
                pieces.append(piece)
    if pieces:
        yield pieces[0]["day"][0].as_py(), pa.concat_tables(pieces)


def _built(day: Day, rows: pa.Table, columns: tuple[str, ...], rules: list[Rule]) -> BuiltDay:
    """Tell the rollup's rows and the findings of one day apart."""
    is_finding = pc.is_valid(rows["problem"])
    found: dict[int, Finding] = {}
    for row in rows.filter(is_finding).sort_by([("problem", "ascending"), ("place", "ascending")]).to_pylist():
        i, rule = row["problem"], rules[row["problem"]]
        examples = found[i].examples if i in found else ()
        examples += (row["example"],) if row["example"] is not None else ()
        found[i] = Finding(i, rule.column, rule.kind, rule.message, row["total"], examples)
    return BuiltDay(day, rows.filter(pc.invert(is_finding)).select(list(columns)), tuple(found.values()))
