"""A simulated company, checked and rolled up by DuckDB once, and opened on either engine from the Parquet it left."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from csql_ml import config as configuration
from csql_ml.activity import rollup
from csql_ml.batch_run import (
    about_run,
    dossier_of,
    input_fingerprint,
    part_of,
    reference_places,
    run_id_of,
    write_run,
)
from csql_ml.company import Company, open_inputs
from csql_ml.config import Config
from csql_ml.contract.report import Inputs, TableReport, summary_rows
from csql_ml.explain.evidence import source_of
from csql_ml.handoff.lead import lead_of
from csql_ml.labels import COLUMNS as LABEL_COLUMNS
from csql_ml.model.bundle import Champion
from csql_ml.model.training import train
from csql_ml.model.training_data import TrainingData
from csql_ml.run_files import write_folder
from csql_ml.scoring import QUALIFIED, score_snapshot
from csql_ml.simulate import END, simulate, write_config
from csql_ml.snapshots import Snapshot, SnapshotBuilder

ACCOUNTS, EVENTS = 150, 80_000


def keep(folder: Path) -> Path:
    """Simulate, check, roll up, and keep everything typed as Parquet; returns the configuration's path."""
    simulate(folder / "data", accounts=ACCOUNTS, events=EVENTS, quarters=6, seed=3)
    path = write_config(folder / "config.yaml", folder="data", models_folder="models")
    config = configuration.load(path)
    with open_inputs(config) as inputs:
        tables = {**inputs.tables, "activity": rollup(inputs.tables["events"], config)}
        for name, table in tables.items():
            inputs.con.to_parquet(table, folder / f"{name}.parquet")
        said = {
            "reports": [asdict(r) | {"problems": ()} for r in inputs.reports],
            "absent": inputs.absent,
            "present": {name: sorted(columns) for name, columns in inputs.present_columns.items()},
        }
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
    return path


def opened(config: Config, connection: Any) -> Company:
    """The kept company on an engine: Ibis' DuckDB, or csql_ml's Spark backend."""
    said = json.loads((config.home / "said.json").read_text(encoding="utf-8"))
    tables = {}
    for name in (*(n for n, columns in said["present"].items() if columns), "activity"):
        address = str(config.home / f"{name}.parquet")
        if hasattr(connection, "session"):
            connection.session.read.parquet(address).createOrReplaceTempView(f"kept_{name}")
            tables[name] = connection.table(f"kept_{name}")
        else:
            tables[name] = connection.read_parquet(address, table_name=f"kept_{name}")
    activity = tables.pop("activity")
    present = {name: frozenset(columns) for name, columns in said["present"].items()}
    reports = tuple(TableReport(**r) for r in said["reports"])
    inputs = Inputs(connection, tables, reports, tuple(said["absent"]), present)
    return Company(config, inputs, SnapshotBuilder(inputs, activity, config))


def day_one(company: Company, snapshot: Snapshot) -> Champion:
    """The weighted score before anything was trained."""
    frame = snapshot.features.drop(columns=["arr"], errors="ignore").assign(
        portfolio=snapshot.accounts["csm_id"].astype("object").fillna(""), arr=snapshot.facts["arr_in_force"]
    )
    none = TrainingData(
        frame=frame,
        labels_known=lambda day: pd.DataFrame(columns=list(LABEL_COLUMNS)),
        now=snapshot.as_of,
        features=company.features,
        terms=company.terms,
        weights=company.weights,
    )
    return train(none, company.config).champion


def run_on_one_machine(company: Company, out: Path, champion: Champion | None) -> None:
    """The batch run in pandas, as `csql score` makes it without Spark."""
    config = company.config
    (snapshot,) = company.snapshots([END])
    drawn = part_of(snapshot, reference_places(len(snapshot.features), config))
    champion = champion or day_one(company, drawn)
    quarantined = {r["table"]: r["quarantined"] for r in summary_rows(company.inputs) if r["quarantined"]}
    absent = company.inputs.absent
    inputs = input_fingerprint(snapshot, config, {"quarantined": quarantined, "absent": list(absent)})
    run_id = run_id_of(END, champion.model_version, inputs)
    scored = score_snapshot(snapshot, company.metrics, champion, config, run_id)
    sources = {m.name: source_of(m, config) for m in company.metrics}
    records = list(dossier_of(snapshot, scored, company.metrics, sources, champion, absent, config).records())
    qualified = sorted((r for r in records if r["status"] == QUALIFIED), key=lambda r: r["rank"])
    leads = [lead_of(r, champion, run_id, config, snapshot) for r in qualified]
    about = about_run(snapshot, champion, config, run_id, inputs, quarantined)
    write_folder(out, lambda folder: write_run(folder, scored, records, leads, about))


def small_reference(config: Config) -> Config:
    """Few reference accounts: drawing them must not bring the company to the driver."""
    model = config.model.model_copy(update={"reference_size": 20, "bootstrap": 20, "bags": 1})
    return config.model_copy(update={"model": model, "tracking": config.tracking.model_copy(update={"enabled": False})})


#: What a Spark application of the tests is set to besides its master.
WORKERS = {
    "spark.pyspark.python": sys.executable,
    "spark.executorEnv.PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    "spark.executorEnv.OMP_NUM_THREADS": "1",
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
}
