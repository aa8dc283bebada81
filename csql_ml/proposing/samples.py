"""A bounded sample of a file, every value as text. Nothing here reads a whole file that is large."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csql_ml.errors import SourceError
from csql_ml.proposing.sources import MOST_ROWS, MOST_VALUES
from csql_ml.source_files import csv_header, first_line, format_of

#: Bytes of a text file that are looked at.
_BYTES = 8 << 20
#: A longer cell of a CSV file is a quote that is not closed.
_LONGEST_CELL = 131_072
_PLAIN_KEY, _MOST_INSIDE = re.compile(r"^[A-Za-z_][A-Za-z0-9_ -]*$"), 200
#: A longer value says no more about its column.
_LONGEST = 200
#: Row groups of a Parquet file that are looked at: the first, one in the middle, the last.
_GROUPS = 3


@dataclass(frozen=True)
class Sample:
    """Columns of a file in their order, and the values of its first rows.

    Attributes
    ----------
    inside
        Of values inside a JSON object, as which they stand beside the others: the column and the key there.
    """

    columns: Mapping[str, tuple[str | None, ...]]
    complete: bool
    inside: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return max(map(len, self.columns.values()), default=0)


def columns_of(file: Path) -> tuple[str, ...]:
    """The column names of a file, from its header or metadata alone.

    Raises
    ------
    SourceError
        The file cannot be read.
    """
    kind = format_of(file, file.name)
    if kind == "csv":
        if file.name.lower().endswith(".gz") or file.stat().st_size > _BYTES:
            _first_bytes(file)  # refuses a line without end
        return csv_header(file, file.name)[1]
    if kind == "json":
        return tuple(sample_of(file).columns)
    return tuple(_parquet(file).schema_arrow.names)


def sample_of(file: Path, rows: int = MOST_ROWS, values: int = MOST_VALUES) -> Sample:
    """The first rows of a file; of a Parquet file those of several row groups.

    Raises
    ------
    SourceError
        The file cannot be read, or it holds no table.
    """
    kind = format_of(file, file.name)
    if kind == "parquet":
        return _of_parquet(file, rows, values)
    return _of_csv(file, rows, values) if kind == "csv" else _of_json(file, rows, values)


def together(samples: Sequence[Sample], of: int) -> Sample:
    """Samples of several files of one table as one; ``of`` is how many files there are."""
    names = dict.fromkeys(name for sample in samples for name in sample.columns)
    joined = {n: tuple(v for sample in samples for v in sample.columns.get(n, (None,) * sample.rows)) for n in names}
    inside = {name: place for sample in samples for name, place in sample.inside.items()}
    return Sample(joined, len(samples) == of and all(sample.complete for sample in samples), inside)


# ---------------------------------------------------------------- text


def _first_bytes(file: Path) -> tuple[bytes, bool]:
    """The begin of a text file up to a line's end, and whether that is all of it."""
    try:
        with gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb") as handle:
            begin = handle.read(_BYTES)
            whole = len(begin) < _BYTES or not handle.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{file.name} cannot be read: {first_line(error)}; copy it again") from error
    if whole:
        return begin, True
    end = max(begin.rfind(b"\n"), begin.rfind(b"\r"))
    if end < 0:
        raise SourceError(f"{file.name} has a line of more than {_BYTES >> 20} MB; it is no table")
    return begin[: end + 1], False


def _text(begin: bytes, file: Path) -> str:
    try:
        return begin.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file.name} is not UTF-8; save it as UTF-8") from error


def _of_csv(file: Path, rows: int, most_values: int) -> Sample:
    begin, whole = _first_bytes(file)
    delimiter, names = csv_header(file, file.name)
    found: list[list[str]] = []
    most = max(1, min(rows, most_values // len(names)))
    try:
        for row in _lines(_text(begin, file), delimiter):
            if len(found) == most:
                whole = False
                break
            if len(row) == len(names):
                found.append(row)
    except csv.Error as error:
        raise SourceError(f"{file.name} cannot be read: {first_line(error)}; look for a quote not closed") from error
    values = zip(*found, strict=True) if found else [()] * len(names)
    return Sample({n: tuple(_short(v) for v in column) for n, column in zip(names, values, strict=True)}, whole)


def _lines(text: str, delimiter: str) -> Iterator[list[str]]:
    """Rows after the header; empty lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    next(reader, None)
    for row in reader:
        if any(len(cell) > _LONGEST_CELL for cell in row):  # Python's own limit is the process's, and may be another
            raise csv.Error(f"a cell of more than {_LONGEST_CELL:,} characters")
        if row:
            yield row


def _of_json(file: Path, rows: int, most_values: int) -> Sample:
    begin, whole = _first_bytes(file)
    found: list[dict[str, Any]] = []
    for line in _text(begin, file).splitlines():
        if len(found) == rows:
            whole = False
            break
        try:
            one = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{file.name} does not hold one JSON object per line") from error
        if isinstance(one, dict):
            found.append(one)
    names = sorted({key for one in found for key in one if key})
    if not names:
        raise SourceError(f"{file.name} holds no JSON object with keys; expected one object per line")
    if len({name.lower() for name in names}) < len(names):
        raise SourceError(f"{file.name} has two keys that differ in case only; rename one of them")
    inside = _inside(found, names)
    most = max(1, most_values // (len(names) + len(inside)))
    whole, found = whole and len(found) <= most, found[:most]
    values = {n: tuple(_short(_json_text(one.get(n))) for one in found) for n in names}
    nested = {
        n: tuple(_short(_json_text(one[outer].get(key) if isinstance(one.get(outer), dict) else None)) for one in found)
        for n, (outer, key) in inside.items()
    }
    return Sample(values | nested, whole, inside)


def _inside(found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Plain values one level inside the objects, such as context.groupId of product analytics."""
    places = {
        f"{outer}.{key}": (outer, key)
        for one in found
        for outer, value in one.items()
        if isinstance(value, dict)
        for key, plain in value.items()
        if _PLAIN_KEY.match(key) and not isinstance(plain, (dict, list))
    }
    return {name: places[name] for name in sorted(places)[:_MOST_INSIDE] if name not in names}


def _json_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: str | None) -> str | None:
    """A value without white space around it; empty is none, as the contract reads it."""
    return None if value is None else value.strip()[:_LONGEST] or None


# ---------------------------------------------------------------- Parquet


def _parquet(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file.name} is truncated or no Parquet file; copy it again") from error


def _of_parquet(file: Path, rows: int, most_values: int) -> Sample:
    import pyarrow as pa

    handle = _parquet(file)
    names = handle.schema_arrow.names
    if len({name.lower() for name in names}) < len(names):
        raise SourceError(f"{file.name} has two columns that differ in case only; rename one of them")
    groups = handle.metadata.num_row_groups
    chosen = sorted({round(i * (groups - 1) / max(1, _GROUPS - 1)) for i in range(_GROUPS)}) if groups else []
    most = max(1, min(rows, most_values // max(1, len(names))) // max(1, len(chosen)))
    parts = []
    try:
        for group in chosen:
            parts += [next(handle.iter_batches(most, row_groups=[group]), None)]
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file.name} cannot be read: {type(error).__name__}; copy it again") from error
    table = pa.Table.from_batches([p for p in parts if p is not None], handle.schema_arrow)
    values = {name: tuple(map(_short, _as_text(table.column(i)))) for i, name in enumerate(names)}
    return Sample(values, len(table) == handle.metadata.num_rows)


def _as_text(values: Any) -> list[str | None]:
    """Values as the warehouse would show them; of nested ones and bytes nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind):
        return [None] * len(values)
    if pa.types.is_timestamp(kind):
        values = pc.cast(values, pa.timestamp("us", kind.tz), safe=False)
    try:
        texts: list[str | None] = pc.cast(values, pa.string()).to_pylist()
    except pa.ArrowException:  # a type without a text, or times beyond what text can say
        return [None] * len(values)
    return texts
