"""Output files that appear whole or not at all, and the fingerprints that make runs repeatable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml import in_place
from csql_ml.errors import OutputError

MANIFEST = "manifest.json"
RUN_FILES = ("scores.parquet", "explanations.parquet", "leads.jsonl", "accounts.jsonl", MANIFEST)
#: Declared, so that a column in which everything is missing has its type all the same.
SCORES_SCHEMA = pa.schema(
    {
        "account_id": pa.large_string(),
        "as_of": pa.date32(),
        "run_id": pa.large_string(),
        "model_version": pa.large_string(),
        "propensity": pa.float64(),
        "baseline_score": pa.float64(),
        "percentile": pa.float64(),
        "band": pa.large_string(),
        "rank": pa.int64(),
        "rank_in_portfolio": pa.int64(),
        "expected_arr": pa.float64(),
        "status": pa.large_string(),
        "lead_type": pa.large_string(),
        "risk_flags": pa.large_string(),
        "failed_gates": pa.large_string(),
        "csm_id": pa.large_string(),
    }
)
EXPLANATIONS_SCHEMA = pa.schema(
    {
        "account_id": pa.large_string(),
        "metric": pa.large_string(),
        "value": pa.float64(),
        "previous_value": pa.float64(),
        "points": pa.float64(),
        "rank": pa.int32(),
        "value_text": pa.large_string(),
    }
)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON with sorted keys; a number that is not finite is an error, not invalid JSON."""
    separators = None if indent else (",", ":")
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 over named frames and JSON-able values.

    The same content gives the same text on any machine, and any other content another one: a value, a missing value,
    a name, the order of rows or columns. A frame's index does not count.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        part = parts[name]
        if isinstance(part, pd.DataFrame):
            digest.update(json_text(["frame", name, part.shape]).encode())
            _add_frame(digest, part)
        else:
            digest.update(json_text(["value", name, part]).encode())
    return digest.hexdigest()


def _add_frame(digest: Any, frame: pd.DataFrame) -> None:
    """JSON where it is exact, so that no text can look like the end of a value; floats by their bits."""
    for column in frame.columns:
        values = frame[column]
        if pd.api.types.is_float_dtype(values.dtype):
            numbers = values.to_numpy(dtype="<f8", na_value=np.nan)
            digest.update(json_text(["numbers", column]).encode())
            digest.update(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
        else:
            texts = [None if pd.isna(v) else str(v) for v in values]
            kind = "whole numbers" if pd.api.types.is_numeric_dtype(values.dtype) else "texts"
            digest.update(json_text([kind, column, texts]).encode())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_parquet(frame: pd.DataFrame, path: Path, schema: pa.Schema | None = None) -> None:
    """One Parquet file with the same bytes for the same frame."""
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def write_parquet_parts(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Frames of the same columns in one Parquet file, one at a time: text, numbers (float64) and days (``as_of``)."""
    writer: pq.ParquetWriter | None = None
    try:
        for frame in frames:
            writer = writer or pq.ParquetWriter(path, _plain_schema(frame), compression="zstd")
            writer.write_table(pa.Table.from_pandas(frame, writer.schema, preserve_index=False))
    finally:
        if writer is not None:
            writer.close()


def _plain_schema(frame: pd.DataFrame) -> pa.Schema:
    """Types by kind of column, so that a column that is empty in the first frame has the type of the others."""
    numeric = {c: pd.api.types.is_numeric_dtype(frame[c].dtype) for c in frame.columns}
    types = {c: pa.float64() if numeric[c] else pa.date32() if c == "as_of" else pa.string() for c in frame.columns}
    return pa.schema(list(types.items()))


def feature_schema(columns: Iterable[str], categories: Iterable[str]) -> pa.Schema:
    """Types of a feature table with these feature columns, some of them texts."""
    texts = set(categories)
    features = {c: pa.string() if c in texts else pa.float64() for c in columns}
    return pa.schema({"account_id": pa.string(), "as_of": pa.date32(), **features})


class ParquetStream:
    """One Parquet file from many small tables, with the bytes of `write_parquet` on all of them together.

    Parameters
    ----------
    path, schema
        Where to write, and the columns; tables may have wider or narrower types.
    group
        Rows per row group; memory holds no more. The default is pyarrow's own.
    """

    def __init__(self, path: Path, schema: pa.Schema, group: int = 1 << 20) -> None:
        self.rows = 0
        self._schema, self._group = schema, group
        self._waiting: list[pa.Table] = []
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> ParquetStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Add rows; a number that is not a number counts as missing."""
        self._waiting.append(_without_nan(table.select(self._schema.names).cast(self._schema)))
        self.rows += len(table)
        while sum(map(len, self._waiting)) >= self._group:
            together = pa.concat_tables(self._waiting)
            self._put(together[: self._group])
            self._waiting = [together[self._group :]]

    def flush(self) -> None:
        """End the row group: the rows so far are all there is, or all of one kind."""
        together = pa.concat_tables(self._waiting) if self._waiting else self._schema.empty_table()
        self._waiting = []
        if len(together):
            self._put(together)

    def _put(self, table: pa.Table) -> None:
        self._writer.write_table(table.combine_chunks(), row_group_size=self._group)


def _without_nan(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            values = table.column(place)
            table = table.set_column(place, field, pc.if_else(pc.is_nan(values), None, values))
    return table


def write_jsonl(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """One JSON object per line; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json_text(record) + "\n")
            count += 1
    return count


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write one file beside its place and move it there when it is complete.

    Raises
    ------
    OutputError
        The file cannot be written, or another process is writing it; what was there before is still there.
    """
    try:
        with in_place.only_writer(path):
            fresh = in_place.fresh_file(path)
            try:
                write(fresh)
                fresh.chmod(0o644)
                in_place.sync_file(fresh)
                fresh.replace(path)
                in_place.sync_folder(path.parent)
            finally:
                fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def write_folder(out: Path, write: Callable[[Path], object]) -> None:
    """Fill a folder beside its place and move it there when it is complete; an earlier run's folder is replaced.

    Raises
    ------
    OutputError
        ``out`` holds anything but an earlier run, cannot be written, or is being written by another process.
    """
    try:
        with in_place.only_writer(out):
            refuse_foreign(out)
            fresh = in_place.fresh_folder(out)
            try:
                write(fresh)
                fresh.chmod(0o755)
                for file in sorted(fresh.iterdir()):
                    in_place.sync_file(file)
                in_place.sync_folder(fresh)
                in_place.put_folder(fresh, out)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"folder {out} cannot be written: {error.strerror or error}") from error


def refuse_foreign(out: Path) -> None:
    """Refuse a folder that holds anything but the files of a run."""
    if out.is_file():
        raise OutputError(f"{out} is a file; --out names a folder")
    if not out.is_dir():
        return
    foreign = sorted(p.name for p in out.iterdir() if p.name not in RUN_FILES)
    if foreign:
        raise OutputError(
            f"folder {out} holds {foreign[0]!r}, which is not part of a run; choose a new or empty folder"
        )
    if any(out.iterdir()) and not _is_run(out):
        raise OutputError(f"folder {out} has no {MANIFEST} of a run; choose a new or empty folder")


def _is_run(folder: Path) -> bool:
    try:
        return "run_id" in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run folder, its files checked against their SHA-256.

    Raises
    ------
    OutputError
        The folder is no run, or a file was changed after the run.
    """
    path = run / MANIFEST
    if not path.is_file():
        raise OutputError(f"{run} has no {MANIFEST}; --run names a folder written by csql score")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files = dict(manifest["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is not a run's manifest: {error}; score again") from error
    for name, expected in files.items():
        file = run / name
        if not file.is_file() or file_sha256(file) != expected:
            raise OutputError(f"{file} is missing or was changed after the run; score again")
    return manifest
