"""The batch run on Spark, step by step: score, fingerprint, rank, finish, and put the parts together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from csql_ml.batch_run import about_run, inputs_of, reference_places, run_id_of
from csql_ml.contract.report import summary_rows
from csql_ml.explain.evidence import source_of
from csql_ml.metrics.faces import own_faces
from csql_ml.run_files import refuse_foreign, write_folder
from csql_ml.snapshots import Snapshot
from csql_ml.spark_scoring.failures import plain_failures
from csql_ml.spark_scoring.job import Columns, Job
from csql_ml.spark_scoring.run_parts import write_run_from
from csql_ml.spark_scoring.staging import Staging
from csql_ml.spark_scoring.standings import standings
from csql_ml.spark_scoring.tasks import FINISHED, SCORED, finish_task, score_task, without_rows
from csql_ml.spark_scoring.wide_rows import snapshot_of, some_rows, wide_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from csql_ml.company import Company, Progress
    from csql_ml.metrics.compiler import Compiled
    from csql_ml.model.bundle import Champion

#: Accounts per scoring task; a function of their number alone, so that no cluster makes other batches than another.
ACCOUNTS_PER_TASK = 5_000


@dataclass(frozen=True)
class _Scored:
    """Accounts scored by Spark, in the staging folder, and what is known of all of them together."""

    rows: DataFrame
    accounts: int
    job: Job
    payload: Any


def score_on_spark(
    company: Company,
    as_of: date,
    out: Path,
    champion: Champion | None,
    day_one: Callable[[Snapshot], Champion],
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """The batch run on Spark: the files of `csql_ml.pipeline.score`, with the same content.

    Parameters
    ----------
    company
        Opened with ``engine: spark``.
    out
        The run's folder, on a disk of the driver; it appears whole or not at all.
    champion
        Who scores; None where nothing was trained yet.
    day_one
        Makes the champion of day one from the accounts of `csql_ml.batch_run.reference_places`.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ContractError
        Nothing was known before the date, or no account had a contract in force.
    OutputError
        ``out`` holds anything but an earlier run; it, or the folder between Spark and the driver, cannot be written.
    """
    say = on_progress or (lambda step, done, of: None)
    refuse_foreign(out)
    session = company.inputs.con.session
    with plain_failures(), Staging(session, company.config) as staging, ExitStack() as stack:
        say(f"metrics as of {as_of.isoformat()}", 0, 3)
        plan, known = company.builder.plan(as_of), _known(company, as_of)
        wide = wide_rows(company, plan, as_of)
        if champion is None:
            wide = staging.write(wide, "wide")
            champion = day_one(_drawn(wide, some_rows(staging.rows("wide"), company, as_of), plan, company, as_of))
        job = _job(company, plan, as_of, champion)
        payload = session.sparkContext.broadcast(job.to_bytes())
        stack.callback(payload.destroy)
        scored = _score(wide, known, staging, job, payload)
        some_rows(scored.accounts, company, as_of)
        about = _about(scored, company, known)
        say("ranking", 1, 3)
        _finish(scored, staging, about["run_id"])
        say("writing", 2, 3)
        manifest: dict[str, Any] = {}
        write_folder(out, lambda folder: manifest.update(write_run_from(folder, staging, about)))
    return manifest


def _known(company: Company, as_of: date) -> int:
    """How many accounts are known, with or without a contract in force."""
    return int(company.inputs.con.frame(company.builder.tables(as_of)["accounts"]).count())


def _drawn(wide: DataFrame, accounts: int, plan: Compiled, company: Company, as_of: date) -> Snapshot:
    """The few accounts that the champion of day one is compared with, by their places among all account ids."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    places = [place + 1 for place in reference_places(accounts, company.config)]
    numbered = wide.select("account_id", F.row_number().over(Window.orderBy("account_id")).alias("place"))
    drawn = wide.join(F.broadcast(numbered.where(F.col("place").isin(places))), "account_id")
    return snapshot_of(drawn.orderBy("account_id").drop("place").toArrow(), Columns.of(plan), as_of)


def _job(company: Company, plan: Compiled, as_of: date, champion: Champion) -> Job:
    return Job(
        as_of=as_of,
        config=company.config,
        metrics=company.metrics,
        sources={m.name: source_of(m, company.config) for m in company.metrics},
        absent=company.inputs.absent,
        columns=Columns.of(plan),
        champion=champion,
    )


def _score(wide: DataFrame, known: int, staging: Staging, job: Job, payload: Any) -> _Scored:
    tasks = max(1, ceil(known / ACCOUNTS_PER_TASK))
    parts = wide.repartition(tasks, "account_id").sortWithinPartitions("account_id")
    scored = parts.mapInArrow(partial(score_task, payload), _spark_schema(SCORED))
    rows = staging.write(scored, "scored")
    return _Scored(rows, staging.rows("scored"), job, payload)


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _about(scored: _Scored, company: Company, known: int) -> dict[str, Any]:
    """What the manifest says of the run; the run's id is made of all digests."""
    job, config = scored.job, company.config
    own = own_faces(company.metrics)
    quarantined = {r["table"]: r["quarantined"] for r in summary_rows(company.inputs) if r["quarantined"]}
    noted = {"quarantined": quarantined, "absent": list(job.absent), **own}
    inputs = inputs_of(scored.accounts, _digest_total(scored.rows), config, noted)
    about = about_run(
        without_rows(job.as_of, known - scored.accounts, company.builder.newest_event(job.as_of)),
        job.champion,
        config,
        run_id_of(job.as_of, job.champion.model_version, inputs),
        inputs,
        quarantined,
    )
    return {**about, **own}


#: A digest is summed in words of four bytes, so that a sum over two billion accounts fits into 64 bits.
_WORDS = 8


def _digest_total(scored: DataFrame) -> int:
    """The sum of all digests: one row reaches the driver."""
    from pyspark.sql import functions as F

    words = [
        F.sum(F.conv(F.hex(F.substring("digest", 1 + 4 * i, 4)), 16, 10).cast("bigint")).alias(f"word{i}")
        for i in range(_WORDS)
    ]
    sums = scored.agg(*words).toArrow().to_pylist()[0]
    return sum(int(sums[f"word{i}"]) << 32 * (_WORDS - 1 - i) for i in range(_WORDS))


def _finish(scored: _Scored, staging: Staging, run_id: str) -> None:
    """Ranks into all rows, in the order of account ids; and the leads, in the order of their ranks."""
    placed = scored.rows.join(standings(scored.rows, scored.accounts), "account_id").orderBy("account_id")
    task = partial(finish_task, scored.payload, run_id, scored.accounts)
    finished = staging.write(placed.mapInArrow(task, _spark_schema(FINISHED)), "finished")
    leads = finished.where("lead is not null").select("rank", "lead").orderBy("rank")
    staging.write(leads, "leads")
