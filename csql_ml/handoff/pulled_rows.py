"""Rows that came back from CRMs: typed, compared with what is kept, and kept in every version.

A version is what the CRM said of a record since ``recorded_at``; the contract shows a snapshot the newest version known
then. Nothing that is kept is ever changed or removed, so that an old snapshot stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml.contract.tables import TABLES, Column, Table
from csql_ml.errors import DeliveryError, OutputError
from csql_ml.handoff.sink import OutcomeChange

#: Beside the contract's columns: where a row comes from, and the CRM's own time of the change.
SINK, REMOTE_ID, CHANGED_AT = "sink", "remote_id", "changed_at"
_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES = {"string": pa.string(), "number": pa.float64(), "boolean": pa.bool_(), "timestamp": _INSTANT}
#: Two versions of a record are told apart by at least this.
_TICK = timedelta(microseconds=1)
#: What is known of a record only since it last changed, although it is no outcome.
_NOT_FROM_THE_START = ("ae_id",)


@dataclass(frozen=True)
class Version:
    """One version of one record: contract columns with `datetime` in UTC, and when the CRM says it changed."""

    remote_id: str
    changed_at: datetime
    row: Mapping[str, Any]

    @property
    def content(self) -> dict[str, Any]:
        """What has to differ for a new version."""
        return {name: value for name, value in self.row.items() if name != "recorded_at"}

    def known_from(self, moment: datetime) -> Version:
        """The same, known from another moment on."""
        return replace(self, row={**self.row, "recorded_at": moment})


@dataclass(frozen=True)
class Counts:
    """How many records a pull saw for the first time, found changed, or found as they were."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


def schema_of(table: Table) -> pa.Schema:
    """Columns of a pulled table: those of the contract, and where a row comes from."""
    columns = [(c.name, _TYPES[c.dtype]) for c in table.columns]
    return pa.schema([*columns, (SINK, pa.string()), (REMOTE_ID, pa.string()), (CHANGED_AT, _INSTANT)])


def read_rows(path: Path, table: Table) -> pa.Table:
    """What is kept of a table; no rows where there is no file.

    Raises
    ------
    OutputError
        The file cannot be read, or is not one of ours.
    """
    schema = schema_of(table)
    if not path.exists():
        return schema.empty_table()
    try:
        found = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{path} cannot be read: {str(error).splitlines()[0]}; restore it from a copy") from error
    if lacking := [name for name in (*table.key, "recorded_at", SINK, REMOTE_ID) if name not in found.column_names]:
        raise OutputError(
            f"{path} was not written by csql pull (it has no column {lacking[0]}); set data.pulled to a folder of its "
            "own, and map your own files under data.tables"
        )
    try:  # a file of an earlier version may lack columns
        columns = [found[f.name].cast(f.type) if f.name in found.column_names else _empty(f, found) for f in schema]
    except pa.ArrowException as error:
        raise OutputError(f"{path} has a column of another type than csql pull writes; restore it") from error
    return pa.table(columns, schema=schema)


def _empty(field: pa.Field, table: pa.Table) -> pa.Array:
    return pa.nulls(len(table), field.type)


def write_rows(rows: pa.Table, table: Table, path: Path) -> None:
    """Write them in an order that does not depend on how often they were pulled."""
    order = [(name, "ascending") for name in (*table.key, "recorded_at", SINK, REMOTE_ID)]
    pq.write_table(rows.sort_by(order), path, compression="zstd")


# typed values


def version_of(change: OutcomeChange, sink: str) -> Version:
    """A change with values of the contract's types.

    Raises
    ------
    DeliveryError
        The adapter returned a column or a value that the contract does not have.
    """
    table, where = TABLES[change.table], f"{sink}: {change.table} record {change.remote_id}"
    known = {c.name: c for c in table.columns}
    if unknown := sorted(set(change.row) - set(known)):
        raise DeliveryError(f"{where} has a column {unknown[0]!r}, which the table {change.table} has not")
    row = {name: _typed(change.row.get(name), column, where) for name, column in known.items()}
    for name in (*table.key, "account_id", "created_at"):
        if row[name] is None:
            raise DeliveryError(f"{where} has no {name}; nothing was stored")
    changed = max(row["recorded_at"] or row["created_at"], row["created_at"])
    return Version(change.remote_id, changed, {**row, "recorded_at": changed})


def _typed(value: Any, column: Column, where: str) -> Any:
    if value is None:
        return None
    if column.dtype == "timestamp":
        return _instant(value, column.name, where)
    if column.dtype == "number" and isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return float(value) + 0.0
    if column.dtype == "boolean" and isinstance(value, bool):
        return value
    if column.dtype == "string" and isinstance(value, str):
        return value or None
    raise DeliveryError(f"{where}: {column.name} is no {column.dtype} but {type(value).__name__}; nothing was stored")


def _instant(value: Any, name: str, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        found = datetime.min  # noqa: DTZ901 - has no zone, which the next line refuses
    if found.tzinfo is None:
        raise DeliveryError(f"{where}: {name} is no time with a zone (ISO 8601); nothing was stored")
    return found.astimezone(UTC)


# versions


def merged(
    kept: pa.Table, table: Table, sink: str, versions: Iterable[Version], seen: datetime | None
) -> tuple[pa.Table, Counts]:
    """What is kept with the new versions among those that came; the same ones again change nothing.

    Parameters
    ----------
    seen
        The newest change seen before this pull; None at the first. A record that is new since then, or that stood there
        before the first pull, is known from its creation on; one that only now came into sight, from its last change.
    """
    came = sorted(versions, key=lambda version: version.changed_at)
    newest = _newest(kept, table, sink, {version.remote_id for version in came})
    first_seen = {version.remote_id for version in came} - set(newest)
    added: list[Version] = []
    for version in came:
        last = newest.get(version.remote_id)
        found = _new_versions(version, last, seen)
        added += found
        newest[version.remote_id] = found[-1] if found else newest[version.remote_id]
    changed = {version.remote_id for version in added} - first_seen
    counts = Counts(len(first_seen), len(changed), len(newest) - len(first_seen) - len(changed))
    return with_versions(kept, table, sink, added), counts


def _new_versions(version: Version, last: Version | None, seen: datetime | None) -> list[Version]:
    if last is None:
        created = version.row["created_at"]
        if version.changed_at > created and (seen is None or created > seen):
            return [_from_the_start(version), version]
        return [version]
    if version.changed_at < last.changed_at or version.content == last.content:
        return []  # an older state, from a replica that lags behind, or the same
    # A CRM that counts in seconds may change a record twice within one.
    return [version.known_from(max(version.changed_at, last.row["recorded_at"] + _TICK))]


def _from_the_start(version: Version) -> Version:
    """What was known of a record when it was made: the contract hides each outcome until its own time."""
    created: datetime = version.row["created_at"]
    row = {n: None if n in _NOT_FROM_THE_START else v for n, v in version.row.items()}
    return Version(version.remote_id, created, row).known_from(created)


def _newest(kept: pa.Table, table: Table, sink: str, remote_ids: Iterable[str]) -> dict[str, Version]:
    """The newest version of each of these records."""
    wanted = pa.array(sorted(remote_ids), pa.string())
    rows = kept.filter(pc.and_(pc.equal(kept[SINK], sink), pc.is_in(kept[REMOTE_ID], value_set=wanted)))
    found: dict[str, Version] = {}
    for values in rows.sort_by("recorded_at").to_pylist():
        row = {c.name: values[c.name] for c in table.columns}
        found[values[REMOTE_ID]] = Version(values[REMOTE_ID], values[CHANGED_AT] or row["recorded_at"], row)
    return found


def with_versions(kept: pa.Table, table: Table, sink: str, versions: Sequence[Version]) -> pa.Table:
    """What is kept with these versions of one sink's records added."""
    rows = [{**v.row, SINK: sink, REMOTE_ID: v.remote_id, CHANGED_AT: v.changed_at} for v in versions]
    return pa.concat_tables([kept, pa.Table.from_pylist(rows, schema=schema_of(table))])


def newest_rows(kept: pa.Table, table: Table, sink: str) -> dict[str, Version]:
    """The newest version of every key of a sink; ``table`` has a key of one column."""
    (key,) = table.key
    rows = kept.filter(pc.equal(kept[SINK], sink)).sort_by("recorded_at").to_pylist()
    names = table.column_names
    return {r[key]: Version(r[REMOTE_ID], r[CHANGED_AT], {name: r[name] for name in names}) for r in rows}
