"""Where DuckDB finds the events: files, each a part of its own, or a table or query, which is one part."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from csql_ml.contract.tables import TABLES
from csql_ml.errors import SourceError
from csql_ml.source_columns import choose_columns
from csql_ml.source_duckdb import plain_column
from csql_ml.source_files import (
    csv_header,
    files_of_one_format,
    format_of,
    identifier,
    literal,
    path_list,
    relation_of_files,
)

if TYPE_CHECKING:
    from csql_ml.source_duckdb import DuckDBWarehouse

#: Columns of a part, as the source calls them, and their types in DuckDB.
Columns = Mapping[str, str]
_EVENTS = "events"
#: Types of which DuckDB keeps the smallest and largest value of a block of rows.
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")


class EventParts(Protocol):
    """Parts of a source and the relation that reads some of them.

    Attributes
    ----------
    renamed
        Whether the relation has the contract's names already.
    """

    renamed: bool

    def stamps(self) -> dict[str, str | None]:
        """The parts in order, with what changes when they change."""

    def describe(self, parts: Collection[str]) -> dict[str, dict[str, str]]:
        """Columns and types of parts."""

    def relation(self, parts: Collection[str]) -> str:
        """The SELECT that reads these parts."""


class EventFiles:
    """Every file of a location is a part; it changes when its size or its time does."""

    renamed = False

    def __init__(self, warehouse: DuckDBWarehouse, location: str) -> None:
        self._warehouse, self._location = warehouse, location
        self._folder = warehouse.config.data_folder

    def stamps(self) -> dict[str, str | None]:
        """The parts in order, with what changes when they change."""
        found: dict[str, str | None] = {}
        for file in files_of_one_format(self._folder, self._location, _EVENTS):
            try:
                about = file.stat()
            except OSError as error:
                raise SourceError(f"events: {file} cannot be read: {error.strerror}") from error
            found[self._name(file)] = f"{about.st_size} {about.st_mtime_ns}"
        return found

    def _name(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix() if file.is_relative_to(self._folder) else file.as_posix()

    def _files(self, parts: Collection[str]) -> list[Path]:
        return [self._folder / part for part in sorted(parts)]

    def describe(self, parts: Collection[str]) -> dict[str, dict[str, str]]:
        """Columns and types of parts; a file is asked for its own only."""
        files = self._files(parts)
        if not files:
            return {}
        kind = format_of(files[0], _EVENTS)
        if kind == "csv":
            found = [dict.fromkeys(csv_header(file, _EVENTS)[1], "VARCHAR") for file in files]
        elif kind == "parquet":
            found = self._describe_parquet(files)
        else:
            found = [_described(self._warehouse, self._relation([file])) for file in files]
        return dict(zip(sorted(parts), found, strict=True))

    def _describe_parquet(self, files: Sequence[Path]) -> list[dict[str, str]]:
        """DuckDB is asked once for all files that have the same schema."""
        import pyarrow.parquet as pq
        from pyarrow import ArrowException

        known: dict[str, dict[str, str]] = {}
        found = []
        for file in files:
            try:
                schema = str(pq.ParquetFile(file).schema)
            except (OSError, ArrowException) as error:
                raise SourceError(f"events: {file} cannot be read: it is not a whole Parquet file") from error
            schema = schema.split("\n", 1)[1]  # the first line names an object in memory
            if schema not in known:
                known[schema] = _described(self._warehouse, self._relation([file]))
            found.append(known[schema])
        return found

    def relation(self, parts: Collection[str]) -> str:
        """The SELECT that reads these parts."""
        return self._relation(self._files(parts))

    def _relation(self, files: Sequence[Path]) -> str:
        if len(files) == 1 and format_of(files[0], _EVENTS) == "parquet":
            return f"SELECT * FROM read_parquet({path_list(files)})"
        return relation_of_files(files, _EVENTS, self._warehouse.rows)


class EventTable:
    """A table or query is one part, and nobody knows whether it has changed."""

    PART = ""

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self._warehouse = warehouse
        self.renamed = warehouse.remote is not None
        self._copied = False

    def stamps(self) -> dict[str, str | None]:
        """The one part."""
        return {self.PART: None}

    def describe(self, parts: Collection[str]) -> dict[str, dict[str, str]]:
        """Columns and types of the table."""
        return {self.PART: _described(self._warehouse, self.relation(parts))} if parts else {}

    def relation(self, parts: Collection[str]) -> str:
        """The SELECT that reads the table."""
        del parts
        if not self.renamed:
            return self._warehouse.relation(_EVENTS)
        if not self._copied:
            self._copied = self._warehouse.read(_EVENTS) is not None
        return "SELECT * FROM csql_input_events"


def _described(warehouse: DuckDBWarehouse, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in warehouse.rows(f"DESCRIBE {relation}")}


class EventColumns:
    """The contract's columns of all parts together, and the SELECT of some parts that has them in these types.

    Parameters
    ----------
    described
        Columns and types of every part.

    Raises
    ------
    ContractError
        A mapped column is in no part.
    """

    def __init__(self, warehouse: DuckDBWarehouse, parts: EventParts, described: Mapping[str, Columns]) -> None:
        self._warehouse, self._parts, self._described = warehouse, parts, described
        together = self._together(described)
        chosen = {c: c for c in TABLES[_EVENTS].column_names if c in together}
        if not parts.renamed:
            chosen = choose_columns(warehouse.config, _EVENTS, tuple(together))
        self._source = {ours: (theirs, together[theirs]) for ours, theirs in chosen.items()}
        self.types = self._plain_types()

    def _together(self, described: Mapping[str, Columns]) -> dict[str, str]:
        """Columns by name, ignoring case as SQL does, in the one type that holds the values of every part."""
        schemas = list({tuple(columns.items()): columns for columns in described.values()}.values())
        if len(schemas) == 1:
            return dict(schemas[0])
        empty = [", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in s.items()) for s in schemas]
        return _described(self._warehouse, " UNION ALL BY NAME ".join(f"SELECT {columns}" for columns in empty))

    def _plain_types(self) -> dict[str, str]:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(theirs)}" for theirs, kind in self._unique_sources())
        chosen = ", ".join(self._column(kind, theirs, ours) for ours, (theirs, kind) in self._source.items())
        return _described(self._warehouse, f"SELECT {chosen} FROM (SELECT {empty})")

    def _column(self, kind: str, theirs: str, ours: str) -> str:
        """SQL of one column; what has the contract's names was read through the warehouse already."""
        if self._parts.renamed:
            return plain_column(kind, theirs, ours)
        return self._warehouse.column(kind, theirs, ours)

    def _unique_sources(self) -> list[tuple[str, str]]:
        """A column may be mapped to several of the contract's."""
        return list(dict.fromkeys(self._source.values()))

    def select(self, parts: Collection[str], row: str, first: str | None = None, end: str | None = None) -> str:
        """The SELECT of the contract's columns from some parts.

        Parameters
        ----------
        row
            Name of a further column: a hash of the source's columns.
        first, end
            Where the source knows times as such, rows before the first or from the end on may be left out.
        """
        there = {name.lower() for part in parts for name in self._described[part]}
        columns = ", ".join(
            f"CAST({identifier(name) if name.lower() in there else 'NULL'} AS {kind}) AS {identifier(name)}"
            for name, kind in self._unique_sources()
        )
        theirs, kind = self._source["occurred_at"]
        where = ""
        if first is not None and end is not None and kind in _TIMES and theirs.lower() in there:
            time = identifier(theirs)
            where = f" WHERE {time} >= {literal(first)} AND {time} < {literal(end)}"
        chosen = ", ".join(self._column(kind, theirs, ours) for ours, (theirs, kind) in self._source.items())
        whole = ", ".join(identifier(name) for name, _ in self._unique_sources())
        source = f"SELECT {columns} FROM ({self._parts.relation(parts)}){where}"
        return f"SELECT {chosen}, hash({whole}) AS {row} FROM ({source})"
