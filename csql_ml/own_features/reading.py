"""A feature file -> an Arrow table. Parquet keeps its types; CSV values stay text until whole columns are judged."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml.errors import FeatureError, SourceError
from csql_ml.source_files import file_relation, first_line

_PARQUET, _TEXT = (".parquet",), (".csv", ".tsv", ".csv.gz", ".tsv.gz")
#: Names under which pandas writes its index into files.
_INDEX = re.compile(r"__index_level_\d+__|Unnamed: 0")
#: The name given to a first CSV column without one.
_UNNAMED = "column0"


def read(path: Path) -> pa.Table:
    """Read a feature file.

    Returns
    -------
    pyarrow.Table
        Every column once; of a CSV file all columns are text, empty cells missing. An index that pandas wrote along
        is left out.

    Raises
    ------
    FeatureError
        The file is missing, is neither Parquet nor CSV, is damaged, has a column twice, or has no rows.
    """
    if path.is_dir() or not path.exists():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise FeatureError(f"feature table {path} {found}; --features names one Parquet or CSV file")
    name = path.name.lower()
    if name.endswith(_PARQUET):
        table = _parquet(path)
    elif name.endswith(_TEXT):
        table = _csv(path)
    else:
        raise FeatureError(
            f"feature table {path} is neither Parquet nor CSV by its name; expected it to end in .parquet, .csv, .tsv, "
            ".csv.gz or .tsv.gz"
        )
    if not table.num_rows:
        raise FeatureError(f"feature table {path} has no rows; expected one per account and as-of date")
    return table


def _parquet(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FeatureError(f"feature table {path} is not a readable Parquet file; write it again") from error
    names = table.column_names
    if twice := sorted({n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else ()):
        raise FeatureError(f"feature table {path} has column {twice[0]} more than once; keep one of them")
    table = table.select([n for n in names if not _INDEX.fullmatch(n)])
    table = _usual_types(table)
    for name in _declared_categories(table):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table


def _usual_types(table: pa.Table) -> pa.Table:
    """Lengths and times of day as numbers (in the unit they are kept in), views as texts: Arrow computes with those."""
    for place, field in enumerate(table.schema):
        if pa.types.is_duration(field.type) or pa.types.is_time64(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.int64()))
        elif pa.types.is_time32(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.int32()))
        elif pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.large_string()))
    return table


def _declared_categories(table: pa.Table) -> list[str]:
    """Columns that were categories in pandas; Parquet itself keeps that of texts only."""
    declared = (table.schema.pandas_metadata or {}).get("columns", [])
    names = {c.get("name") for c in declared if c.get("pandas_type") == "categorical"}
    return [f.name for f in table.schema if f.name in names and not pa.types.is_dictionary(f.type)]


def _csv(path: Path) -> pa.Table:
    """All columns as text; the same reader as for contract tables, so the same separators and encodings."""
    connection = duckdb.connect(config={"threads": 1})
    try:
        relation = file_relation(path.parent, path.name, "feature table", lambda query: [])
        table = connection.execute(relation).to_arrow_table()
    except SourceError as error:
        raise FeatureError(f"{error}{_recode(path) if 'UTF-8' in str(error) else ''}") from error
    except duckdb.Error as error:
        raise FeatureError(
            f"feature table {path} cannot be read as CSV: {first_line(error)}; expected as many cells in every line as "
            f"in the header, and UTF-8{_hint(path, str(error).lower())}"
        ) from error
    finally:
        connection.close()
    return table.select([n for n in table.column_names if not _is_index(table, n)])


def _hint(path: Path, said: str) -> str:
    if "unicode" in said:
        return _recode(path)
    breaks = "state machine" in said
    return "; texts with line breaks (also a lone carriage return) stand between quotes" if breaks else ""


def _recode(path: Path) -> str:
    return f" (of a file from Windows: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > recoded.csv)"


def _is_index(table: pa.Table, name: str) -> bool:
    """Whether a CSV column is the row number that ``to_csv`` writes first, without a name."""
    if _INDEX.fullmatch(name):
        return True
    if name != _UNNAMED or table.column_names[0] != name:
        return False
    counted = pa.array([str(i) for i in range(table.num_rows)], type=table.schema.field(name).type)
    return bool(pc.all(pc.equal(table[name], pa.chunked_array([counted]))).as_py())
