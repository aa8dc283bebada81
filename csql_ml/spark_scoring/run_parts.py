"""Part files, put together in order into the files of a run."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from csql_ml.batch_run import write_manifest
from csql_ml.errors import OutputError
from csql_ml.run_files import EXPLANATIONS_SCHEMA, SCORES_SCHEMA, ParquetStream
from csql_ml.spark_scoring.staging import Staging


def write_run_from(folder: Path, staging: Staging, about: dict[str, Any]) -> dict[str, Any]:
    """Write the files of a run from the parts ``finished`` and ``leads``; returns the manifest.

    The driver holds a few thousand rows, and one row group, at a time.

    Raises
    ------
    OutputError
        The parts are not whole or not in order.
    """
    counts: Counter[str] = Counter()
    last = None
    with (
        ParquetStream(folder / "scores.parquet", SCORES_SCHEMA) as scores,
        ParquetStream(folder / "explanations.parquet", EXPLANATIONS_SCHEMA) as explanations,
        (folder / "accounts.jsonl").open("w", encoding="utf-8", newline="\n") as records,
    ):
        for table in staging.batches("finished"):
            accounts = table.column("account_id").to_pylist()
            _in_order([last, *accounts] if last is not None else accounts, staging)
            last = accounts[-1]
            counts.update(table.column("status").to_pylist())
            scores.write(table)
            explanations.write(_explanations(table))
            records.writelines(f"{record}\n" for record in table.column("record").to_pylist())
        scores.flush()
        explanations.flush()
    rows = {
        "scores.parquet": scores.rows,
        "explanations.parquet": explanations.rows,
        "leads.jsonl": _leads(folder / "leads.jsonl", staging),
        "accounts.jsonl": scores.rows,
    }
    return write_manifest(folder, rows, counts, about)


def _in_order(accounts: list[str], staging: Staging) -> None:
    for one, next_one in pairwise(accounts):
        if one >= next_one:
            raise OutputError(f"account {next_one} comes after {one} in {staging.address}; score again")


def _explanations(table: pa.Table) -> pa.Table:
    """One row per account and metric of rows that hold lists of them."""
    lists = table.column("explanations").combine_chunks()
    reasons = pa.Table.from_struct_array(lists.flatten())
    owners = table.column("account_id").combine_chunks().take(lists.value_parent_indices())
    return reasons.add_column(0, "account_id", owners)


def _leads(path: Path, staging: Staging) -> int:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for table in staging.batches("leads"):
            file.writelines(f"{lead}\n" for lead in table.column("lead").to_pylist())
    return staging.rows("leads")
