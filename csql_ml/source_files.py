"""Files -> SQL: which files a location means, and the DuckDB relation that reads them.

CSV and JSON values stay text. Column names and delimiter are read here, so that no sniffer decides on them.
"""

from __future__ import annotations

import csv
import glob
import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from csql_ml.errors import SourceError

_FORMATS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json"}
_FORMAT_HINT = ".parquet, .csv, .tsv, .jsonl (text also as .gz)"
#: A line without a break in so many bytes of a file is refused; DuckDB says nothing from 32 MiB on.
_WINDOW = 8 << 20


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def first_line(error: BaseException) -> str:
    """The first line of an error; databases quote queries and rows in the following ones."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def file_relation(folder: Path, location: str, what: str, rows: Callable[[str], list[tuple[Any, ...]]]) -> str:
    """The SELECT that reads a file, a glob or a folder of Parquet files.

    Parameters
    ----------
    folder
        What a relative location starts from.
    location
        Path of a file or folder, or a glob.
    what
        Name of the table, for messages.
    rows
        Runs a query and returns its rows; needed to find the keys of JSON objects.

    Raises
    ------
    SourceError
        Nothing is there, or it is of an unknown format, truncated or not UTF-8.
    """
    return relation_of_files(files_of_one_format(folder, location, what), what, rows)


def files_of_one_format(folder: Path, location: str, what: str) -> list[Path]:
    """The files of a location in a fixed order; never empty.

    Raises
    ------
    SourceError
        Nothing is there, or files of an unknown format or of several.
    """
    files = find_files(folder, location, what)
    kinds = {format_of(file, what) for file in files}
    if len(kinds) > 1:
        raise SourceError(f"{what}: {location} matches files of several formats ({', '.join(sorted(kinds))})")
    return files


def relation_of_files(files: Sequence[Path], what: str, rows: Callable[[str], list[tuple[Any, ...]]]) -> str:
    """The SELECT that reads some files of one format; see `file_relation`."""
    kind = format_of(files[0], what)
    for file in files:
        if file.name.lower().endswith(".gz"):
            _check_gzip(file, what)
    if kind == "parquet":
        return f"SELECT * FROM read_parquet({path_list(files)}, union_by_name = true)"
    return _csv_relation(files, what) if kind == "csv" else _json_relation(files, what, rows)


def path_list(files: Sequence[Path]) -> str:
    """DuckDB list of paths; its own glob characters are escaped, since the files were already found."""
    escaped = (re.sub(r"([*?\[])", r"[\1]", str(file)) for file in files)
    return f"[{', '.join(literal(path) for path in escaped)}]"


def find_files(folder: Path, location: str, what: str) -> list[Path]:
    """The files of a location in a fixed order; never empty."""
    path = folder / Path(location).expanduser()
    try:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*.parquet") if not p.name.startswith((".", "_")))
            if not found:
                raise SourceError(f"{what}: folder {location} (in {folder}) holds no .parquet file")
            return found
        found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - absolute patterns
    except OSError as error:
        raise SourceError(f"{what}: {location} (in {folder}) cannot be read: {error.strerror}") from error
    if not found:
        raise SourceError(f"{what}: file {location} does not exist in {folder}; put it there or correct the mapping")
    return found


def format_of(file: Path, what: str) -> str:
    """The format that a file's ending stands for."""
    name = file.name.lower().removesuffix(".gz")
    kind = _FORMATS.get(Path(name).suffix)
    if kind is None or (kind == "parquet" and file.name.lower().endswith(".gz")):
        raise SourceError(f"{what}: cannot tell the format of {file} from its ending; known are {_FORMAT_HINT}")
    return kind


def _open_text(file: Path) -> TextIO:
    if file.name.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open("r", encoding="utf-8-sig", newline="")


def _check_gzip(file: Path, what: str) -> None:
    """Read a compressed file to its end: DuckDB takes a truncated one for a shorter one."""
    try:
        with gzip.open(file, "rb") as handle:
            while window := handle.read(_WINDOW):
                _check_window(window, file, what)
    except (EOFError, zlib.error, OSError) as error:
        raise SourceError(f"{what}: {file} is truncated or not a gzip file; copy it again") from error


def _check_lines(file: Path, what: str) -> None:
    """Look for a line break in every window of a file, of which little is read: DuckDB leaves out very long lines."""
    with file.open("rb") as handle:
        for start in range(0, file.stat().st_size, _WINDOW):
            handle.seek(start)
            begin = handle.read(1 << 16)
            if b"\n" not in begin and b"\r" not in begin:
                _check_window(begin + handle.read(_WINDOW - len(begin)), file, what)


def _check_window(window: bytes, file: Path, what: str) -> None:
    if len(window) == _WINDOW and b"\n" not in window and b"\r" not in window:
        raise SourceError(
            f"{what}: {file} has a line of more than {_WINDOW >> 20} MB; a row of a CSV file has at most 2 MB; "
            "look for a quote that is not closed, or for a file that is no table"
        )


def _unique(names: Sequence[str], file: Path, what: str) -> tuple[str, ...]:
    """Column names, which must differ also when case is ignored, as SQL does."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise SourceError(f"{what}: {file} has the column {name!r} twice; rename one of them")
        seen.add(name.lower())
    return tuple(names)


def csv_header(file: Path, what: str) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names of a CSV file, read here so that no sniffer decides on them."""
    try:
        with _open_text(file) as handle:
            first = handle.readline()
            semicolons = first.count(";") > first.count(",")
            delimiter = "\t" if file.name.lower().removesuffix(".gz").endswith(".tsv") else ";" if semicolons else ","
            handle.seek(0)
            header = next(csv.reader(handle, delimiter=delimiter), [])
    except UnicodeDecodeError as error:
        raise SourceError(f"{what}: {file} is not UTF-8; save it as UTF-8") from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise SourceError(f"{what}: {file} cannot be read: {first_line(error)}") from error
    names = [name.strip() or f"column{i}" for i, name in enumerate(header)]
    if not names or not first.strip():
        raise SourceError(f"{what}: {file} has no header; the first line must hold the column names")
    if any("\n" in name or "\r" in name for name in names):
        raise SourceError(f"{what}: {file} has a line break in a column name; rename the column")
    return delimiter, _unique(names, file, what)


def _csv_relation(files: Sequence[Path], what: str) -> str:
    """One ``read_csv`` per header, so that files with other columns or another order are not mixed up."""
    headers = sorted(((csv_header(file, what), file) for file in files), key=lambda pair: pair[0])
    for file in files:
        if not file.name.lower().endswith(".gz"):
            _check_lines(file, what)
    parts = []
    for (delimiter, names), group in groupby(headers, key=lambda pair: pair[0]):
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        parts.append(
            f"SELECT * FROM read_csv({path_list([file for _, file in group])}, columns = {{{columns}}}, "
            f"auto_detect = false, header = true, delim = {literal(delimiter)}, quote = '\"', escape = '\"', "
            "nullstr = '')"
        )
    return " UNION ALL BY NAME ".join(parts)


def _json_relation(files: Sequence[Path], what: str, rows: Callable[[str], list[tuple[Any, ...]]]) -> str:
    """One text column per key of the objects, numbers and booleans as they are written."""
    objects = f"read_json_objects({path_list(files)}, format = 'newline_delimited')"
    keys = [row[0] for row in rows(f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {objects} ORDER BY 1")]
    names = _unique([key for key in keys if key], files[0], what)
    if not names:
        raise SourceError(f"{what}: {files[0]} holds no JSON object with keys; expected one object per line")
    pointers = {name: "/" + name.replace("~", "~0").replace("/", "~1") for name in names}
    columns = (f"json_extract_string(json, {literal(p)}) AS {identifier(n)}" for n, p in pointers.items())
    return f"SELECT {', '.join(columns)} FROM {objects}"
