"""Columns of the files, and the folder they appear in: whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from csql_ml.errors import OutputError
from csql_ml.simulate.demo_config import is_untouched
from csql_ml.simulate.timeline import NEVER, Ints, Timeline

#: Marks a folder as written by `csql simulate`, and says with which arguments.
MARKER = "simulation.json"
#: Name of the configuration that `csql simulate` puts beside the tables.
CONFIG = "config.yaml"
_INSTANT, _TEXT, _WHOLE, _NUMBER, _DATE, _FLAG = (
    pa.timestamp("us", "UTC"),
    pa.string(),
    pa.int64(),
    pa.float64(),
    pa.date32(),
    pa.bool_(),
)

SCHEMAS: dict[str, pa.Schema] = {
    name: pa.schema(list(columns.items()))
    for name, columns in {
        "accounts": {
            "account_id": _TEXT,
            "name": _TEXT,
            "created_at": _INSTANT,
            "industry": _TEXT,
            "segment": _TEXT,
            "region": _TEXT,
            "employees": _WHOLE,
            "csm_id": _TEXT,
            "ae_id": _TEXT,
            "parent_account_id": _TEXT,
        },
        "contracts": {
            "contract_id": _TEXT,
            "account_id": _TEXT,
            "product": _TEXT,
            "plan": _TEXT,
            "seats": _WHOLE,
            "arr": _NUMBER,
            "start_date": _DATE,
            "end_date": _DATE,
            "signed_at": _INSTANT,
        },
        "users": {
            "user_id": _TEXT,
            "account_id": _TEXT,
            "created_at": _INSTANT,
            "deactivated_at": _INSTANT,
            "role": _TEXT,
        },
        "events": {
            "event_id": _TEXT,
            "account_id": pa.dictionary(pa.int32(), _TEXT),
            "user_id": pa.dictionary(pa.int32(), _TEXT),
            "occurred_at": _INSTANT,
            "event_name": pa.dictionary(pa.int8(), _TEXT),
            "feature": pa.dictionary(pa.int8(), _TEXT),
            "recorded_at": _INSTANT,
        },
        "tickets": {
            "ticket_id": _TEXT,
            "account_id": _TEXT,
            "opened_at": _INSTANT,
            "severity": _TEXT,
            "closed_at": _INSTANT,
            "topic": _TEXT,
        },
        "nps": {
            "account_id": _TEXT,
            "responded_at": _INSTANT,
            "score": _WHOLE,
            "user_id": _TEXT,
            "recorded_at": _INSTANT,
        },
        "advocacy": {"account_id": _TEXT, "occurred_at": _INSTANT, "kind": _TEXT},
        "milestones": {
            "account_id": _TEXT,
            "occurred_at": _INSTANT,
            "kind": _TEXT,
            "product": _TEXT,
            "note": _TEXT,
            "recorded_at": _INSTANT,
        },
        "contacts": {
            "contact_id": _TEXT,
            "account_id": _TEXT,
            "role": _TEXT,
            "since": _INSTANT,
            "last_engaged_at": _INSTANT,
            "name": _TEXT,
            "recorded_at": _INSTANT,
        },
        "csqls": {
            "csql_id": _TEXT,
            "account_id": _TEXT,
            "type": _TEXT,
            "created_at": _INSTANT,
            "csm_id": _TEXT,
            "ae_id": _TEXT,
            "accepted_at": _INSTANT,
            "rejected_at": _INSTANT,
            "rejection_reason": _TEXT,
            "opportunity_at": _INSTANT,
            "closed_at": _INSTANT,
            "won": _FLAG,
            "arr": _NUMBER,
            "source": _TEXT,
        },
        "opportunities": {
            "opportunity_id": _TEXT,
            "account_id": _TEXT,
            "type": _TEXT,
            "created_at": _INSTANT,
            "arr": _NUMBER,
            "closed_at": _INSTANT,
            "won": _FLAG,
            "source": _TEXT,
        },
        "coverage": {"csm_id": _TEXT, "start_date": _DATE, "end_date": _DATE},
        "truth": {"account_id": _TEXT, "as_of": _DATE, "propensity": _NUMBER},
    }.items()
}


def table(name: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    """A table of the declared columns and types."""
    schema = SCHEMAS[name]
    arrays = [a if isinstance(a, pa.Array) else pa.array(a) for a in (columns[field] for field in schema.names)]
    return pa.table([a.cast(t) for a, t in zip(arrays, schema.types, strict=True)], schema=schema)


def words(codes: Ints, names: Iterable[str] | pa.Array) -> pa.Array:
    """Text of codes; `NEVER` is empty."""
    known = names if isinstance(names, pa.Array) else pa.array(list(names), pa.string())
    return known.take(pa.array(np.maximum(codes, 0), mask=codes == NEVER))


def numbered(prefix: str, count: int) -> pa.Array:
    """Keys such as ``T0000001``."""
    return pa.array([f"{prefix}{i:07d}" for i in range(1, count + 1)], pa.string())


def instants(days: Ints, timeline: Timeline, rng: np.random.Generator, *, known_until_end: bool = False) -> pa.Array:
    """Moments within office hours of days; `NEVER`, and with ``known_until_end`` what lies ahead, is empty."""
    missing = days == NEVER
    if known_until_end:
        missing |= days >= timeline.end
    return pa.array(timeline.instants(np.where(missing, 0, days), rng), mask=missing).cast(_INSTANT)


def dates(days: Ints, timeline: Timeline) -> pa.Array:
    """Dates of days; `NEVER` is empty."""
    epoch_days = np.asarray(timeline.dates(days)).astype("M8[D]").astype(np.int32)
    return pa.array(epoch_days, mask=days == NEVER).cast(_DATE)


def write(path: Path, name: str, portions: Iterable[pa.Table]) -> int:
    """Write one Parquet file, a row group per portion; returns the number of rows."""
    rows = 0
    # Without Arrow's own schema coded text reads as plain text.
    with pq.ParquetWriter(path, SCHEMAS[name], compression="zstd", store_schema=False) as writer:
        for portion in portions:
            rows += portion.num_rows
            writer.write_table(portion)
    return rows


def check_free(out: Path) -> None:
    """Refuse a place that holds something else than an earlier simulation.

    Raises
    ------
    OutputError
        ``out`` is a file, or a folder with anything else in it.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file; expected a folder, or a path at which nothing is yet")
    inside = sorted(p.name for p in out.iterdir())
    ours = {MARKER, "events", *(f"{name}.parquet" for name in SCHEMAS)}
    if is_untouched(out / CONFIG):
        ours.add(CONFIG)
    foreign = [name for name in inside if name not in ours]
    if inside and (MARKER not in inside or foreign):
        found = (foreign or inside)[0]
        raise OutputError(
            f"{out} holds something else than an earlier simulation (found {found}); choose an empty or new folder"
        )


@contextmanager
def appearing(out: Path, arguments: Mapping[str, int]) -> Iterator[Path]:
    """A temporary folder beside ``out`` that becomes ``out`` when all is written, and vanishes on an error."""
    check_free(out)
    draft = out.with_name(f".{out.name}.draft")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        yield draft
        (draft / MARKER).write_text(json.dumps(dict(arguments), indent=2) + "\n", encoding="utf-8")
        _replace(out, draft)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}; choose another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(out: Path, draft: Path) -> None:
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    try:
        draft.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
