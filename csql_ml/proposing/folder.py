"""The files of a folder as sources: files with the same columns that lie together become one glob."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from csql_ml.config.reading import VARIABLE
from csql_ml.errors import SourceError
from csql_ml.proposing.names import common_start, identifier_of, phrase
from csql_ml.proposing.samples import columns_of, sample_of, together
from csql_ml.proposing.sources import MOST_ROWS, Landscape, Source, SourceColumn, values_each
from csql_ml.source_files import format_of

#: Files of a folder that are looked at, sources that are made of them, and files of a source that are opened.
_MOST_FILES, _MOST_SOURCES, _HEADERS, _SAMPLED = 20_000, 200, 40, 5
_COUNTER = re.compile(r"[0-9]+([-_.T]?[0-9]+)*")


def look_at_folder(folder: Path) -> Landscape:
    """Sources of a folder and its subfolders; see `Landscape`.

    Raises
    ------
    SourceError
        There is no file of a known format, or none that can be read.
    """
    files, notes = _tables_of(folder)
    if not files:
        raise SourceError(
            f"{folder} holds no file that could be a table; known are .parquet, .csv, .tsv and .jsonl (text also as "
            f".gz); export your tables as one of these{'. Found: ' + notes[0] if notes else ''}"
        )
    groups = list(_groups(folder, files))
    if len(groups) > _MOST_SOURCES:
        notes.append(
            f"Only the first {_MOST_SOURCES} of {len(groups)} sources were looked at; give a folder with fewer files."
        )
    shared = common_start([_stem(location) for location, _ in groups])
    sources: list[Source] = []
    for location, members in groups[:_MOST_SOURCES]:
        try:
            sources.append(_source(location, members, shared, {s.name for s in sources}, values_each(len(groups))))
        except SourceError as error:
            notes.append(f"Not used: {error}.")
    if not sources:
        raise SourceError(f"no file of {folder} can be read. {notes[-1].removeprefix('Not used: ')}")
    return Landscape(tuple(sources), tuple(notes))


def _tables_of(folder: Path) -> tuple[list[Path], list[str]]:
    """Files of known formats in a fixed order, and a note on the others."""
    found: list[Path] = []
    others: Counter[str] = Counter()
    for where, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "_")))
        for name in sorted(names):
            if name.startswith((".", "_")):
                continue
            try:
                name.encode()  # a name that is no text cannot stand in a configuration
                format_of(Path(name), name)
                found.append(Path(where) / name)
            except (SourceError, UnicodeEncodeError):
                others[Path(name).suffix.lower().encode(errors="replace").decode() or "no ending"] += 1
        if len(found) > _MOST_FILES:
            raise SourceError(f"{folder} holds more than {_MOST_FILES:,} files; give the folder of the export itself")
    kinds = ", ".join(f"{count} of {ending}" for ending, count in sorted(others.items())[:10])
    hint = "; save sheets as CSV" if any(ending.startswith(".xls") or ending == ".ods" for ending in others) else ""
    return found, [f"Files of other formats were not looked at ({kinds}){hint}."] if others else []


# ---------------------------------------------------------------- what belongs together


def _groups(folder: Path, files: Sequence[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Locations below the folder and their files, in a fixed order."""
    inside: dict[str, list[Path]] = {}
    direct = [file for file in files if file.parent == folder]
    for file in files:
        if file.parent != folder:
            inside.setdefault(file.relative_to(folder).parts[0], []).append(file)
    yield from _by_name(folder, folder, direct)
    for name, members in sorted(inside.items()):
        yield from _of_subfolder(folder, folder / name, members)


def _of_subfolder(folder: Path, subfolder: Path, members: list[Path]) -> Iterator[tuple[str, list[Path]]]:
    """One glob if all files below a subfolder are parts of one table; else what its own files and folders are."""
    endings = {_ending(file) for file in members}
    if len(members) > 1 and len(endings) == 1 and _same_columns(members):
        flat = all(file.parent == subfolder for file in members)
        pattern = f"{glob.escape(_below(folder, subfolder))}/{'' if flat else '**/'}*{endings.pop()}"
        yield pattern, members
        return
    yield from _by_name(folder, subfolder, [file for file in members if file.parent == subfolder])
    deeper: dict[Path, list[Path]] = {}
    for file in members:
        if file.parent != subfolder:
            deeper.setdefault(subfolder / file.relative_to(subfolder).parts[0], []).append(file)
    for place, inner in sorted(deeper.items()):
        yield from _of_subfolder(folder, place, inner)


def _by_name(folder: Path, place: Path, files: Sequence[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Files of one folder whose names differ in a date or number only, such as events_2026-01.csv."""
    families: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        stem, ending = file.name.removesuffix(_ending(file)), _ending(file)
        families.setdefault((_COUNTER.sub("*", stem), ending), []).append(file)
    for (pattern, ending), members in sorted(families.items()):
        found = set(place.glob(glob.escape(pattern).replace("[*]", "*") + ending)) if len(members) > 1 else set()
        if len(members) > 1 and found == set(members) and _same_columns(members):
            escaped = glob.escape(pattern).replace("[*]", "*")
            yield _join(glob.escape(_below(folder, place)), escaped + ending), members
        else:
            yield from ((_below(folder, file), [file]) for file in members)


def _same_columns(files: Sequence[Path]) -> bool:
    """Whether files spread over a group have the same columns, in any order; JSON objects may lack some."""
    if format_of(files[0], files[0].name) == "json":
        return True
    try:
        return len({frozenset(columns_of(file)) for file in _spread(files, _HEADERS)}) == 1
    except SourceError:
        return False


def _spread(files: Sequence[Path], most: int) -> list[Path]:
    """At most so many of the files, the first and the last among them."""
    last = len(files) - 1
    return [files[i] for i in sorted({round(i * last / max(1, most - 1)) for i in range(most)})]


def _ending(file: Path) -> str:
    name = file.name
    return "".join(Path(name).suffixes[-2:]) if name.lower().endswith(".gz") else Path(name).suffix


def _below(folder: Path, path: Path) -> str:
    relative = path.relative_to(folder).as_posix()
    return "" if relative == "." else relative


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


# ---------------------------------------------------------------- one source


def _stem(location: str) -> str:
    """What a location is called: the folder of a glob over all its files, else the file."""
    parts = [part for part in location.split("/") if not part.startswith("*")]
    return re.sub(
        r"(\.(csv|tsv|jsonl|ndjson|parquet))?(\.gz)?$", "", parts[-1] if parts else location, flags=re.IGNORECASE
    )


def _source(location: str, files: Sequence[Path], shared: str, taken: set[str], values: int) -> Source:
    if VARIABLE.search(location):
        raise SourceError(f"{location} has ${{...}} in its name, which configurations replace; rename it")
    opened = _spread(files, _SAMPLED)
    sample = together([sample_of(file, MOST_ROWS // len(opened), values // len(opened)) for file in opened], len(files))
    names = [name for name in sample.columns if not VARIABLE.search(name)]
    if _looks_like_data(names):
        raise SourceError(
            f"{location} has no header: its first line holds values instead of names; add a line with column names"
        )
    if len(names) == 1 and any(sign in names[0] for sign in "|;\t"):
        raise SourceError(f"{location} has one column only; separate columns by comma, semicolon or (.tsv) tab")
    stem = phrase(_stem(location)).removeprefix(shared).strip()
    name = identifier_of(stem or _stem(location)) + "_raw"
    while name in taken:
        name = name.removesuffix("_raw") + "_2_raw"
    columns = tuple(SourceColumn(n, sample.columns[n], inside=sample.inside.get(n)) for n in names)
    return Source(location, name, stem, columns, sample.complete)


def _looks_like_data(names: Sequence[str]) -> bool:
    """Whether a header holds values: numbers, days, times, addresses."""
    value = re.compile(r"^([+-]?[0-9][0-9.,:/ T+Z-]*|\S+@\S+\.\S+|column[0-9]+|true|false)$", re.IGNORECASE)
    return bool(names) and sum(bool(value.match(name)) for name in names) * 3 > len(names)
