"""What runs on Spark's workers: the scoring functions of every engine, on the accounts of one task.

Tasks read their rows, return rows and do nothing else, so Spark may run one again, or twice at once, at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from csql_ml.batch_run import account_digests, dossier_of
from csql_ml.handoff.lead import lead_of, placed
from csql_ml.run_files import EXPLANATIONS_SCHEMA, SCORES_SCHEMA, json_text
from csql_ml.scoring import QUALIFIED, STANDING, bands, percentiles, score_accounts
from csql_ml.snapshots import Snapshot
from csql_ml.spark_scoring.job import Job
from csql_ml.spark_scoring.wide_rows import snapshots_of

if TYPE_CHECKING:
    from pyspark import Broadcast

#: Accounts scored at a time: arrays of this many rows by some hundred columns and references.
MOST_ACCOUNTS = 2_048

#: Explanations of one account; the account itself stands beside them.
_REASON = pa.struct([field for field in EXPLANATIONS_SCHEMA if field.name != "account_id"])
_OWN = [f for f in SCORES_SCHEMA if f.name not in (*STANDING, "run_id")]
#: An account scored, but not yet placed among the others.
SCORED = pa.schema([*_OWN, ("digest", pa.binary()), ("explanations", pa.list_(_REASON)), ("record", pa.large_string())])
#: An account finished: a row of every file.
FINISHED = pa.schema(
    [*SCORES_SCHEMA, ("explanations", pa.list_(_REASON)), ("record", pa.large_string()), ("lead", pa.large_string())]
)


def score_task(payload: Broadcast[bytes], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Wide rows -> rows of `SCORED`."""
    job = Job.from_bytes(payload.value)
    for snapshot in snapshots_of(batches, job.columns, job.as_of, MOST_ACCOUNTS):
        yield scored_rows(snapshot, job)


def scored_rows(snapshot: Snapshot, job: Job) -> pa.RecordBatch:
    """The accounts of a part of a snapshot, scored and explained."""
    scored = score_accounts(snapshot, job.metrics, job.champion, job.config)
    dossier = dossier_of(snapshot, scored, job.metrics, job.sources, job.champion, job.absent, job.config)
    own = _arrow(scored.scores, pa.schema(_OWN))
    reasons = _arrow(scored.explanations, EXPLANATIONS_SCHEMA).drop_columns("account_id")
    each = len(reasons) // len(own)
    columns = {
        **{name: own.column(name).combine_chunks() for name in own.column_names},
        "digest": pa.array(account_digests(snapshot), pa.binary()),
        "explanations": pa.ListArray.from_arrays(
            pa.array(np.arange(len(own) + 1, dtype=np.int32) * each), reasons.to_struct_array().combine_chunks()
        ),
        "record": pa.array(map(json_text, dossier.unplaced()), pa.large_string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCORED.names], schema=SCORED)


def _arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)


def finish_task(
    payload: Broadcast[bytes], run_id: str, accounts: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Rows of `SCORED` with ``ahead``, ``rank`` and ``rank_in_portfolio`` -> rows of `FINISHED`, in their order."""
    job = Job.from_bytes(payload.value)
    for batch in batches:
        if batch.num_rows:
            yield finished_rows(batch, job, run_id, accounts)


def finished_rows(batch: pa.RecordBatch, job: Job, run_id: str, accounts: int) -> pa.RecordBatch:
    """Accounts with their place among all of the run, in the scores, the records and the leads."""
    percentile = percentiles(batch.column("ahead").to_numpy(zero_copy_only=False), accounts)
    standing = {
        "percentile": percentile,
        "band": bands(percentile, job.config),
        **{name: batch.column(name).to_numpy(zero_copy_only=False) for name in ("rank", "rank_in_portfolio")},
    }
    lines = [dict(zip(standing, values, strict=True)) for values in zip(*standing.values(), strict=True)]
    texts = batch.column("record").to_pylist()
    records = [placed(json.loads(text), line) for text, line in zip(texts, lines, strict=True)]
    columns = {
        **{name: batch.column(name) for name in batch.schema.names if name in FINISHED.names},
        **standing,
        "run_id": [run_id] * len(records),
        "record": [json_text(record) for record in records],
        "lead": [_lead(record, job, run_id) for record in records],
    }
    arrays = [_of_type(columns[field.name], field.type) for field in FINISHED]
    return pa.RecordBatch.from_arrays(arrays, schema=FINISHED)


def _of_type(values: Any, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def _lead(record: Mapping[str, Any], job: Job, run_id: str) -> str | None:
    if record["status"] != QUALIFIED:
        return None
    return json_text(lead_of(record, job.champion, run_id, job.config, without_rows(job.as_of)))


def without_rows(as_of: date, without_contract: int = 0, newest_event: date | None = None) -> Snapshot:
    """What is known of a whole snapshot besides its rows."""
    none = pd.DataFrame()
    return Snapshot(as_of, none, none, none, none, without_contract, newest_event)
