"""Files -> Spark data frames: which files a location means, and how they are read so that nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.errors import SourceError
from csql_ml.source_files import csv_header, find_files, format_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: The same rows as DuckDB reads: quotes are doubled, values keep their spaces, lines may be inside of quotes.
_CSV: dict[str, Any] = {
    "header": True,
    "quote": '"',
    "escape": '"',
    "multiLine": True,
    "mode": "FAILFAST",
    "encoding": "UTF-8",
    "nullValue": "",
    "emptyValue": "",
    "maxColumns": 20000,
}
#: Types that arrive as they are; anything else (nested, binary) arrives as text.
_PLAIN = ("string", "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "date", "timestamp")


def read_files(session: SparkSession, folder: Path, location: str, what: str) -> DataFrame:
    """A file, a glob or a folder of Parquet files.

    Parameters
    ----------
    folder
        What a relative location starts from.
    location
        Path or glob on a disk that the driver and every worker see, or a URL (``s3a://``, ``hdfs://``,
        ``abfss://``, ``gs://``, ``dbfs:/``) that Spark can read.
    what
        Name of the table, for messages.

    Raises
    ------
    SourceError
        Nothing is there, or it is of an unknown format.
    """
    if is_url(location):
        return _read_url(session, location, what)
    files = find_files(folder, location, what)
    kinds = {format_of(file, what) for file in files}
    if len(kinds) > 1:
        raise SourceError(f"{what}: {location} matches files of several formats ({', '.join(sorted(kinds))})")
    hidden = next((file for file in files if file.name.startswith(("_", "."))), None)
    if hidden is not None:
        raise SourceError(f"{what}: Spark takes {hidden} for a hidden file and would skip it; rename it")
    if kinds == {"parquet"}:
        reader = session.read.option("mergeSchema", len(files) > 1)
        path = folder / Path(location).expanduser()
        reader = reader.option("basePath", _url(path)) if path.is_dir() else reader
        return reader.parquet(*map(_pattern, files))
    if kinds == {"json"}:
        return _read_json(session, list(map(_pattern, files)), what, str(files[0]))
    return _read_csv(session, files, what)


def is_url(location: str) -> bool:
    """Whether a location is a URL and not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", location) is not None


def _url(path: Path) -> str:
    return f"file://{path.resolve()}"


def _pattern(path: Path) -> str:
    """A file for Spark, which takes every path for a glob; its characters are escaped, since the file was found."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", _url(path))


def _read_csv(session: SparkSession, files: Sequence[Path], what: str) -> DataFrame:
    """One reader per header, so that files with other columns or another order are not mixed up."""
    headers = sorted(((csv_header(file, what), file) for file in files), key=lambda pair: pair[0])
    frames = [
        _csv_frame(session, [_pattern(file) for _, file in group], names, delimiter)
        for (delimiter, names), group in groupby(headers, key=lambda pair: pair[0])
    ]
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)


def _csv_frame(session: SparkSession, paths: list[str], names: Sequence[str], delimiter: str) -> DataFrame:
    from pyspark.sql.types import StringType, StructField, StructType

    schema = StructType([StructField(name, StringType()) for name in names])
    return session.read.csv(paths, schema=schema, sep=delimiter, **_CSV)


def _read_json(session: SparkSession, paths: list[str], what: str, shown: str) -> DataFrame:
    """One column per key of the objects; numbers and booleans as they are written."""
    frame = session.read.json(paths, primitivesAsString=True, mode="FAILFAST")
    if not frame.columns:
        raise SourceError(f"{what}: {shown} holds no JSON object with keys; expected one object per line")
    return frame


def _read_url(session: SparkSession, location: str, what: str) -> DataFrame:
    """What Spark finds there; a folder is one of Parquet files."""
    ending = Path(location.rstrip("/")).name
    kind = format_of(Path(ending), what) if "." in ending else "parquet"
    if kind == "parquet":
        return session.read.option("mergeSchema", True).parquet(location)
    if kind == "json":
        return _read_json(session, [location], what, location)
    first = session.read.text(location).head(1)
    if not first:
        raise SourceError(f"{what}: {location} has no header; the first line must hold the column names")
    line = str(first[0][0])
    delimiter = "\t" if ".tsv" in ending.lower() else ";" if line.count(";") > line.count(",") else ","
    # Without a schema Spark reads the names from the first file, and all values as text; other files must agree.
    return session.read.csv(location, sep=delimiter, inferSchema=False, enforceSchema=False, **_CSV)


def as_contract_columns(frame: DataFrame, chosen: Mapping[str, str]) -> DataFrame:
    """The chosen columns (contract name: source name) under their contract names, in plain types."""
    types: dict[str, Any] = {field.name: field.dataType for field in frame.schema.fields}
    return frame.select(*(_column(types[theirs], theirs).alias(ours) for ours, theirs in chosen.items()))


def _column(kind: Any, name: str) -> Column:
    from pyspark.sql import functions as F

    column = F.col(f"`{name.replace('`', '``')}`")
    plain = kind.simpleString()
    if plain in ("struct", "array", "map") or plain.startswith(("struct<", "array<", "map<")):
        return F.to_json(column)
    if plain in _PLAIN or plain == "timestamp_ntz" or plain.startswith("decimal("):
        return column
    return column.cast("string")
