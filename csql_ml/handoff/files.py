"""The ``files`` sink: a CSV for people, Parquet and JSON lines for machines, always the whole state of every key.

The JSON lines are the sink's memory and are written last: as long as they are the old ones, nothing was acknowledged,
and the same records write the same bytes again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from csql_ml.errors import DeliveryError, OutputError
from csql_ml.handoff.fields import FIELDS, KEY_FIELD, OPEN, Field, Kind, Value, field_names
from csql_ml.handoff.note import Note
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import Capabilities, Finding, OutcomeChange, Remote, Result, Swept
from csql_ml.run_files import write_file, write_jsonl

if TYPE_CHECKING:
    from csql_ml.config import Config

State = dict[str, dict[str, Value]]

#: A cell that begins with one of these is a formula to a spreadsheet; the wide ones are to some in East Asia.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_INVISIBLE = "".join(c for c in map(chr, range(0x10000)) if c.isspace() or category(c) in ("Cc", "Cf"))
_BATCH = 1_000_000
#: What a spreadsheet takes in one cell.
_CELL = 32_767
_NAMES: Mapping[Kind, str] = {"lead": "leads", "score": "scores"}


def open_sink(config: Config) -> FilesSink:
    """The sink as the configuration has it."""
    return FilesSink(config.path(config.delivery.files.folder))


class FilesSink:
    """Files in a folder: ``leads`` and ``scores``, each as ``.csv``, ``.parquet`` and ``.jsonl``."""

    name = "files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def capabilities(self) -> Capabilities:
        return Capabilities(
            batch_size=_BATCH,
            unique_key=True,
            fields={kind: field_names(kind) for kind in _NAMES},
            field_limits={kind: {f.name: _CELL for f in FIELDS[kind] if f.dtype == "text"} for kind in _NAMES},
        )

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        if self.folder.exists() and not self.folder.is_dir():
            said = Note("{folder} is a file; set delivery.files.folder to a folder", folder=str(self.folder))
            return [Finding("folder", "refuse", said)]
        return []

    def check(self, kind: Kind, records: Sequence[Record]) -> dict[str, str]:
        return {}

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        state = self._read(kind)
        return {key: Remote(key, state[key]) for key in keys if key in state}

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        return ""

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result]:
        before = self._read(kind)
        after = {**before, **{r.key: {n: r.payload.get(n) for n in field_names(kind)} for r in records}}
        if after != before:
            self._write(kind, after)
        return [Result(r.key, "acknowledged", remote_id=r.key) for r in records]

    def collect(self, receipt: str) -> list[Result]:
        return []

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        raise DeliveryError("files are written and tell nothing of outcomes: pull from the CRM that sales works in")

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        return []

    def forget(self, account_id: str, dry_run: bool = False) -> int:
        """Take an account's rows out; returns how many there were."""
        gone = 0
        for kind in _NAMES:
            before = self._read(kind)
            after = {key: row for key, row in before.items() if row.get("account_id") != account_id}
            gone += len(before) - len(after)
            if after != before and not dry_run:
                self._write(kind, after)
        return gone

    def _path(self, kind: Kind, ending: str) -> Path:
        return self.folder / f"{_NAMES[kind]}.{ending}"

    def _read(self, kind: Kind) -> State:
        path = self._path(kind, "jsonl")
        if not path.is_file():
            return {}
        found: State = {}
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                    found[row[KEY_FIELD[kind]]] = {name: row.get(name) for name in field_names(kind)}
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise OutputError(
                        f"{path}, line {number}: not a record of this sink ({type(error).__name__}); restore the file, "
                        "or move it away and the outbox with it to write everything anew"
                    ) from error
        return found

    def _write(self, kind: Kind, state: State) -> None:
        by_key = [state[key] for key in sorted(state)]
        by_rank = sorted(by_key, key=_rank)
        write_file(self._path(kind, "csv"), lambda path: _write_csv(kind, by_rank, path))
        write_file(self._path(kind, "parquet"), lambda path: _write_parquet(kind, by_key, path))
        write_file(self._path(kind, "jsonl"), lambda path: write_jsonl(by_key, path))


def _rank(row: Mapping[str, Any]) -> tuple[bool, float]:
    """Open ones first, the most promising of them at the top; equal ones stay in the order of their keys."""
    return row.get("status") not in (OPEN, "qualified"), -(row.get("propensity") or 0.0)


def _write_csv(kind: Kind, rows: Sequence[Mapping[str, Value]], path: Path) -> None:
    """UTF-8 with a byte order mark and CRLF, which spreadsheets open without questions."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        # Where a spreadsheet splits at semicolons, a text without quotes would be several cells.
        writer = csv.writer(file, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(field_names(kind))
        writer.writerows([defused(row[f.name], f) for f in FIELDS[kind]] for row in rows)


def defused(value: Value, field: Field) -> Value:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers.

    Examples
    --------
    >>> defused("=HYPERLINK(1)", Field("account_name"))
    "'=HYPERLINK(1)"
    """
    if not isinstance(value, str) or field.dtype == "number":
        return value
    # White space and what is invisible in front do not keep every spreadsheet from looking at what follows.
    seen = value.lstrip(_INVISIBLE)
    return f"'{value}" if value.startswith(_FORMULA) or seen.startswith(_FORMULA) else value


def _write_parquet(kind: Kind, rows: Sequence[Mapping[str, Value]], path: Path) -> None:
    from datetime import date

    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "number": pa.float64(), "date": pa.date32()}

    def column(field: Field) -> list[Any]:
        values = [row[field.name] for row in rows]
        if field.dtype == "date":
            return [date.fromisoformat(str(v)) if v else None for v in values]
        return [None if v is None else float(v) if field.dtype == "number" else str(v) for v in values]

    table = pa.table({f.name: pa.array(column(f), types[f.dtype]) for f in FIELDS[kind]})
    pq.write_table(table, path, compression="zstd")
