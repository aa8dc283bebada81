"""pandas as a typical user writes it: read all, drop copies, then per snapshot and window a mask and a group-by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pandas as pd
from job import Job, Marks, column, read_job

COLUMNS = ["event_id", "account_id", "user_id", "occurred_at", "event_name", "feature", "recorded_at"]


def read_events(job: Job) -> pd.DataFrame:
    """All events, each once, with local times and a flag per signal."""
    events = pd.read_parquet(job.events, columns=COLUMNS)
    if not job.cleaned:
        events = events.drop_duplicates("event_id")
    for time in ("occurred_at", "recorded_at"):
        events[time] = events[time].dt.tz_convert(job.zone).dt.tz_localize(None)
    names = job.signals
    events["day"] = events["occurred_at"].dt.normalize()
    events["gated"] = events["event_name"].isin(names["gated_clicks"])
    events["upgrade"] = events["event_name"].isin(names["upgrade_attempts"])
    events["core"] = events["feature"].isin(names["core_features"]) & ~(events["gated"] | events["upgrade"])
    events["start"] = events["event_name"].isin(names["workflow_starts"])
    events["completion"] = events["event_name"].isin(names["workflow_completions"])
    return events.drop(columns=["event_id", "event_name"])


def snapshot(events: pd.DataFrame, job: Job, as_of: date) -> pd.DataFrame:
    """All aggregates as of one date, one row per account."""
    midnight = pd.Timestamp(as_of)
    known = events[(events["occurred_at"] < midnight) & (events["recorded_at"] < midnight)]
    columns: dict[str, pd.Series] = {}
    for low, high in job.windows:
        begin, end = midnight - pd.Timedelta(days=high), midnight - pd.Timedelta(days=low)
        rows = known[(known["occurred_at"] >= begin) & (known["occurred_at"] < end)]
        measures = [m for m, *window in job.aggregates if window == [low, high]]
        columns |= {column(m, low, high): values for m, values in aggregates(rows, measures)}
    frame = pd.DataFrame(columns).fillna(0).astype("int64")
    return frame.rename_axis("account_id").reset_index().assign(as_of=as_of)


def aggregates(rows: pd.DataFrame, measures: list[str]) -> Iterator[tuple[str, pd.Series]]:
    """Each measure of the rows of one window, per account."""
    flags = {
        "core_events": "core",
        "gated_clicks": "gated",
        "upgrade_attempts": "upgrade",
        "workflow_starts": "start",
        "workflow_completions": "completion",
    }
    accounts = rows.groupby("account_id")
    for measure in measures:
        if measure == "usage":
            yield measure, accounts.size()
        elif measure == "active_users":
            yield measure, accounts["user_id"].nunique()
        elif measure == "active_days":
            yield measure, accounts["day"].nunique()
        elif measure == "user_days":
            people = rows[["account_id", "user_id", "day"]].dropna().drop_duplicates()
            yield measure, people.groupby("account_id").size()
        elif measure == "core_features":
            yield measure, rows[rows["core"]].groupby("account_id")["feature"].nunique()
        else:
            yield measure, accounts[flags[measure]].sum()


def main() -> None:
    """Compute the job."""
    job = read_job()
    marks = Marks(job.marks)
    events = read_events(job)
    marks.end_of("prepare", version=pd.__version__)
    pd.concat([snapshot(events, job, as_of) for as_of in job.dates]).to_parquet(job.out, index=False)
    marks.end_of("snapshots")


if __name__ == "__main__":
    main()
