"""What was seen of a source: its columns and a bounded sample of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from csql_ml.contract.tables import Column, DType

#: Rows of a source that are looked at, values of all its columns together, and values of all sources together.
MOST_ROWS, MOST_VALUES, ALL_VALUES = 10_000, 1_000_000, 4_000_000
#: Distinct values of a column that are read as the contract reads them.
_TRIED = 300
_TYPES: tuple[DType, ...] = ("string", "integer", "number", "boolean", "date", "timestamp")


@dataclass(frozen=True, eq=False)
class SourceColumn:
    """One column of a source: its name and the sampled values as text, None where there is none.

    Attributes
    ----------
    readable
        By type of the contract, the share of its distinct sampled values that the contract reads as that type.
    inside
        The column and the key of a value inside a JSON object; None for a column of its own.
    """

    name: str
    values: tuple[str | None, ...]
    readable: Mapping[DType, float] = field(default_factory=dict)
    inside: tuple[str, str] | None = None

    @cached_property
    def counts(self) -> Counter[str]:
        """Distinct values and how many sampled rows have them."""
        return Counter(value for value in self.values if value is not None)

    @cached_property
    def tried(self) -> tuple[str, ...]:
        """The distinct values that are read to find out their type."""
        return tuple(self.counts)[:_TRIED]

    @property
    def mostly_unique(self) -> bool:
        """Whether nearly every sampled row has a value of its own: a key in a list with a few mistakes."""
        return bool(self.counts) and len(self.counts) >= 0.9 * len(self.values)

    @property
    def unique(self) -> bool:
        """Whether no sampled value stands in two rows, and no row is without one."""
        return bool(self.counts) and len(self.counts) == len(self.values)


@dataclass(frozen=True, eq=False)
class Source:
    """A file, a glob of files with the same columns, or a table of a database.

    Attributes
    ----------
    location
        What a configuration says: a file or glob below the folder, or a table.
    name
        Its name for queries.
    stem
        What it is called, for comparison with the contract's tables.
    complete
        Whether the sample is all there is.
    """

    location: str
    name: str
    stem: str
    columns: tuple[SourceColumn, ...]
    complete: bool

    @property
    def rows(self) -> int:
        return max((len(column.values) for column in self.columns), default=0)

    def column(self, name: str) -> SourceColumn:
        """The column of this name."""
        return next(c for c in self.columns if c.name == name)


@dataclass(frozen=True)
class Landscape:
    """Everything that was found in one place.

    Attributes
    ----------
    notes
        What was not looked at, and why: whole sentences.
    database
        The database's place as a configuration says it; None for a folder.
    reserved
        Names that SQL wants in quotes.
    """

    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    database: str | None = None
    postgres: bool = False
    reserved: frozenset[str] = frozenset()


def values_each(sources: int) -> int:
    """How many values a source may have in its sample, where there are so many sources."""
    return min(MOST_VALUES, ALL_VALUES // max(1, sources))


def with_types(sources: Sequence[Source]) -> tuple[tuple[Source, ...], frozenset[str]]:
    """The sources with what the contract can read in their columns, and the reserved words of SQL.

    All values of all columns go through the contract's own parsing in one query.
    """
    import ibis
    import pyarrow as pa

    places = [(s, c) for s, source in enumerate(sources) for c in range(len(source.columns))]
    tried = [(place, value) for place, (s, c) in enumerate(places) for value in sources[s].columns[c].tried]
    connection = ibis.duckdb.connect()
    try:
        rows = pa.table(
            {
                "place": pa.array([place for place, _ in tried], pa.int64()),
                "value": pa.array([value for _, value in tried], pa.string()),
            }
        )
        connection.con.register("csql_sampled", rows)
        shares = _shares(connection.table("csql_sampled"))
        words = connection.con.execute(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
        ).fetchall()
    finally:
        connection.disconnect()
    found = {places[place]: readable for place, readable in shares.items()}
    typed = tuple(
        replace(source, columns=tuple(replace(c, readable=found.get((s, i), {})) for i, c in enumerate(source.columns)))
        for s, source in enumerate(sources)
    )
    return typed, frozenset(str(word).lower() for (word,) in words)


def _shares(sampled: Any) -> dict[int, Mapping[DType, float]]:
    """By place, the share of its values that can be read as each type."""
    from csql_ml.contract.parsing import parse

    kinds = {kind: parse(sampled.value, Column("value", kind, "")) for kind in _TYPES}
    flags = {kind: (p.recognised & p.value.notnull()).fill_null(False).cast("float64") for kind, p in kinds.items()}
    marked = sampled.select(sampled.place, **flags)
    shares = marked.group_by("place").aggregate(**{kind: marked[kind].mean() for kind in flags})
    return {int(row["place"]): {k: float(row[k]) for k in _TYPES} for row in shares.to_pyarrow().to_pylist()}
