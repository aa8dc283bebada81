"""featuretools with cut-off times: one entity set, one feature matrix of all accounts at all dates.

``occurred_at`` is the time index and ``recorded_at`` the secondary time index: what was recorded at the cut-off time or
later is emptied, as featuretools has it for facts that are learnt later. Windows are conditions (``where``) on a
primitive that knows the calculation time, so that the built-in aggregations do the work in pandas, vectorised.
"""

from __future__ import annotations

import warnings
from typing import Any

import featuretools as ft
import pandas as pd
from featuretools.primitives import NumUnique, Sum, TransformPrimitive
from job import Job, Marks, column, read_job
from woodwork.column_schema import ColumnSchema
from woodwork.logical_types import Boolean, Categorical, Datetime, Double

FLAGS = {
    "usage": "one",
    "core_events": "core",
    "gated_clicks": "gated",
    "upgrade_attempts": "upgrade",
    "workflow_starts": "start",
    "workflow_completions": "completion",
}
DISTINCT = {"active_users": "user_id", "active_days": "day", "user_days": "user_day", "core_features": "core_feature"}


class InWindow(TransformPrimitive):
    """Whether a time lies in the window that ends ``low`` and begins ``high`` days before the calculation time."""

    name = "in_window"
    input_types = (ColumnSchema(logical_type=Datetime),)
    return_type = ColumnSchema(logical_type=Boolean)
    uses_calc_time = True

    def __init__(self, low: int = 0, high: int = 30) -> None:
        self.low, self.high = low, high

    def get_function(self) -> Any:
        """Compare a column of times with the calculation time."""

        def in_window(times: pd.Series, time: pd.Timestamp) -> pd.Series:
            begin, end = time - pd.Timedelta(days=self.high), time - pd.Timedelta(days=self.low)
            return (times >= begin) & (times < end)

        return in_window


def read_events(job: Job) -> pd.DataFrame:
    """Events, each once, in local time, with a column per thing to count."""
    columns = ["event_id", "account_id", "user_id", "occurred_at", "event_name", "feature", "recorded_at"]
    events = pd.read_parquet(job.events, columns=columns)
    if not job.cleaned:
        events = events.drop_duplicates("event_id")
    for time in ("occurred_at", "recorded_at"):
        events[time] = events[time].dt.tz_convert(job.zone).dt.tz_localize(None)
    names, what = job.signals, events["event_name"]
    gated, upgrade = what.isin(names["gated_clicks"]), what.isin(names["upgrade_attempts"])
    core = events["feature"].isin(names["core_features"]) & ~(gated | upgrade)
    users, day = events["user_id"].astype("category"), events["occurred_at"].dt.normalize()
    events["user_id"], events["day"] = users, day.astype("category")
    number = (day - pd.Timestamp("1970-01-01")).dt.days
    events["user_day"] = (users.cat.codes.astype("int64") * 100_000 + number).astype("category")
    events["core_feature"] = events["feature"].where(core).astype("category")
    events["one"] = 1.0
    flags = {"core": core, "gated": gated, "upgrade": upgrade}
    flags |= {"start": what.isin(names["workflow_starts"]), "completion": what.isin(names["workflow_completions"])}
    return events.drop(columns=["event_name", "feature"]).assign(**{n: f.astype("float64") for n, f in flags.items()})


def entity_set(events: pd.DataFrame) -> ft.EntitySet:
    """Accounts and their events."""
    numbers = dict.fromkeys(FLAGS.values(), Double)
    words = dict.fromkeys(DISTINCT.values(), Categorical)
    es = ft.EntitySet("company")
    es.add_dataframe(
        dataframe_name="events",
        dataframe=events,
        index="event_id",
        time_index="occurred_at",
        secondary_time_index={"recorded_at": [*numbers, *words]},
        logical_types={**numbers, **words},
    )
    accounts = pd.DataFrame({"account_id": sorted(events["account_id"].unique())})
    es.add_dataframe(dataframe_name="accounts", dataframe=accounts, index="account_id")
    return es.add_relationship("accounts", "account_id", "events", "account_id")


def features(es: ft.EntitySet, job: Job) -> list[Any]:
    """One feature definition per aggregate."""
    occurred = ft.IdentityFeature(es["events"].ww["occurred_at"])
    inside = {window: ft.TransformFeature([occurred], InWindow(*window)) for window in job.windows}
    wanted = []
    for measure, low, high in job.aggregates:
        base = ft.IdentityFeature(es["events"].ww[{**FLAGS, **DISTINCT}[measure]])
        primitive = Sum if measure in FLAGS else NumUnique
        feature = ft.AggregationFeature(base, "accounts", primitive=primitive, where=inside[low, high])
        wanted.append(feature.rename(column(measure, low, high)))
    return wanted


def main() -> None:
    """Compute the job."""
    warnings.simplefilter("ignore")
    job = read_job()
    marks = Marks(job.marks)
    es = entity_set(read_events(job))
    marks.end_of("prepare", version=f"{ft.__version__} on pandas {pd.__version__}")
    accounts = es["accounts"]["account_id"]
    cutoffs = pd.concat([pd.DataFrame({"account_id": accounts, "time": pd.Timestamp(d)}) for d in job.dates])
    matrix = ft.calculate_feature_matrix(
        features(es, job),
        es,
        cutoff_time=cutoffs,
        cutoff_time_in_index=True,
        training_window=f"{job.reach} days",
        include_cutoff_time=False,
    )
    frame = matrix.astype("float64").fillna(0).astype("int64").reset_index().rename(columns={"time": "as_of"})
    frame["as_of"] = frame["as_of"].dt.date
    frame.to_parquet(job.out, index=False)
    marks.end_of("snapshots")


if __name__ == "__main__":
    main()
