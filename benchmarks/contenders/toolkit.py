"""The toolkit: checks every table, rolls the events up and computes all of its metrics, not only the compared ones."""

from __future__ import annotations

import sys
from pathlib import Path

from job import Marks, read_job

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from csql_ml import __version__
from csql_ml import config as configuration
from csql_ml.company import open_company


def main() -> None:
    """Compute the job from scratch, in the activity folder of the configuration."""
    job = read_job()
    marks = Marks(job.marks)
    with open_company(configuration.load(job.config)) as company:
        first = company.builder.first_day
        marks.end_of("prepare", version=__version__, metrics=len(company.metrics), first_day=str(first))
        frames = []
        for snapshot in company.snapshots(list(job.dates), contacts=False):
            facts = snapshot.facts.drop(columns="account_id")
            frames.append(pd.concat([snapshot.features, facts[[*facts.columns.difference(snapshot.features)]]], axis=1))
        pd.concat(frames).to_parquet(job.out, index=False)
    marks.end_of("snapshots")


if __name__ == "__main__":
    main()
