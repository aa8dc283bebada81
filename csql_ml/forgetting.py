"""Forgetting an account: out of everything that was derived from the company's data, and what stays behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml.activity.forgetting import ForgottenActivity, forget_activity
from csql_ml.activity.opening import store_path
from csql_ml.contract.tables import TABLES
from csql_ml.errors import OutputError
from csql_ml.handoff.forgetting import ForgottenDelivery, forget_delivery
from csql_ml.model.saving import champion_in_force
from csql_ml.run_files import MANIFEST, file_sha256, json_text, read_manifest, write_folder, write_jsonl
from csql_ml.sources import open_warehouse

if TYPE_CHECKING:
    from csql_ml.config import Config


@dataclass(frozen=True)
class Forgotten:
    """Result of `forget`.

    Attributes
    ----------
    runs
        Rows taken out, by run folder.
    source
        Rows of the account that the company's own tables still have, by table.
    model_version, trained
        The champion in force, and whether it was trained on outcomes; None where there is no champion yet.
    experiment
        The plan of an experiment that may list the account; None without one.
    """

    account_id: str
    dry_run: bool
    activity: ForgottenActivity
    delivery: ForgottenDelivery
    runs: Mapping[str, int]
    source: Mapping[str, int]
    model_version: str | None
    trained: bool
    experiment: Path | None

    @property
    def rows(self) -> int:
        """Everything that was taken out."""
        delivery = self.delivery.outbox + self.delivery.files + self.delivery.pulled
        return self.activity.rows + delivery + sum(self.runs.values())


def forget(config: Config, account_id: str, runs: Sequence[Path] = (), dry_run: bool = False) -> Forgotten:
    """Take an account out of the rollup, runs, outbox, handed over files and pulled outcomes.

    Parameters
    ----------
    runs
        Folders written by ``csql score``.
    dry_run
        Only count; nothing is written.

    Raises
    ------
    OutputError, DeliveryError
        Something cannot be read or written, or is in use; run it again, what is gone already does no harm.
    """
    for run in runs:
        read_manifest(run)  # all are looked at before the first is changed
    champion = champion_in_force(config)
    plan = config.delivery.holdout
    return Forgotten(
        account_id=account_id,
        dry_run=dry_run,
        delivery=forget_delivery(config, account_id, dry_run),
        activity=forget_activity(store_path(config), account_id, dry_run),
        runs={str(run): forget_in_run(run, account_id, dry_run) for run in runs},
        source=source_rows(config, account_id),
        model_version=champion.model_version if champion else None,
        trained=champion is not None and champion.trained_as_of is not None,
        experiment=config.path(plan) if plan is not None else None,
    )


def source_rows(config: Config, account_id: str) -> dict[str, int]:
    """Rows of an account in the company's own tables, those with any."""
    found = {}
    with open_warehouse(config) as warehouse:
        for name, table in TABLES.items():
            if "account_id" not in table.column_names or (rows := warehouse.read(name)) is None:
                continue
            if "account_id" not in rows.columns:
                continue
            with warehouse.reading(name):
                count = int(rows.filter(rows["account_id"].cast("string") == account_id).count().execute())
            if count:
                found[name] = count
    return found


def forget_in_run(run: Path, account_id: str, dry_run: bool = False) -> int:
    """Write a run anew without an account; returns how many rows it had there.

    Ranks and percentiles of the others stay what they were. The manifest says how often something was forgotten.
    """
    manifest, gone = read_manifest(run), 0
    frames, records = {}, {}
    for name in manifest["sha256"]:
        if name.endswith(".parquet"):
            table = pq.read_table(run / name, partitioning=None)
            frames[name] = table.filter(pc.not_equal(table["account_id"], account_id))
            gone += len(table) - len(frames[name])
        elif name.endswith(".jsonl"):
            lines = [json.loads(line) for line in (run / name).read_text(encoding="utf-8").splitlines()]
            records[name] = [line for line in lines if line["account_id"] != account_id]
            gone += len(lines) - len(records[name])
        else:
            raise OutputError(f"{run / name} is no file of a run that an account could be taken out of")
    if gone and not dry_run:
        write_folder(run, lambda folder: _write_run(folder, run, frames, records, manifest))
    return gone


def _write_run(
    folder: Path, run: Path, frames: Mapping[str, Any], records: Mapping[str, Any], manifest: dict[str, Any]
) -> None:
    for name, table in frames.items():
        pq.write_table(table, folder / name, compression="zstd")
    for name, lines in records.items():
        write_jsonl(lines, folder / name)
    for path in run.iterdir():
        if not (folder / path.name).exists() and path.name != MANIFEST:
            shutil.copyfile(path, folder / path.name)
    rows = {name: len(content) for name, content in {**frames, **records}.items()}
    counts = frames["scores.parquet"]["status"].value_counts().to_pylist()
    changed = {
        **manifest,
        "forgotten": manifest.get("forgotten", 0) + 1,
        "rows": rows,
        "counts": {line["values"]: line["counts"] for line in sorted(counts, key=lambda line: str(line["values"]))},
        "sha256": {name: file_sha256(folder / name) for name in manifest["sha256"]},
    }
    (folder / MANIFEST).write_text(json_text(changed, indent=2) + "\n", encoding="utf-8")
