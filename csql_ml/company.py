"""One company's inputs, opened, validated and rolled up: what every command starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from csql_ml import activity
from csql_ml.config import Config
from csql_ml.contract.report import Inputs
from csql_ml.contract.tables import TABLES
from csql_ml.contract.validate import validate
from csql_ml.errors import ContractError
from csql_ml.labels import LabelBook, Spine
from csql_ml.metrics import metrics_of
from csql_ml.metrics.buckets import Summaries
from csql_ml.metrics.definition import Feature, Metric, ScoreTerm, features_of
from csql_ml.metrics.settings import check_names, score_terms
from csql_ml.quarters import horizon_end, quarter_starts
from csql_ml.snapshots import Snapshot, SnapshotBuilder
from csql_ml.sources import Warehouse, open_warehouse

if TYPE_CHECKING:
    from csql_ml.source_duckdb import DuckDBWarehouse

#: ``on_progress(step, done, of)``.
Progress = Callable[[str, int, int], None]
#: A snapshot needs this much history before it: two months, so that growth is defined.
LEAST_HISTORY = timedelta(days=60)


@dataclass(frozen=True)
class Company:
    """Validated inputs and what the configuration makes of the metrics."""

    config: Config
    inputs: Inputs
    builder: SnapshotBuilder

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.builder.metrics

    @property
    def features(self) -> tuple[Feature, ...]:
        """The model's feature columns."""
        return tuple(f for m in self.metrics for f in features_of(m))

    @property
    def terms(self) -> tuple[ScoreTerm, ...]:
        """The terms of the weighted score."""
        return score_terms(self.metrics, self.config)

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the score's three parts."""
        return self.config.baseline.weights.model_dump()

    @cached_property
    def today(self) -> date:
        """The day after the newest news: everything in the data was known before it."""
        return self.builder.last_known_day + timedelta(days=1)

    def horizon_end(self, as_of: date) -> date:
        """First day after the horizon of a snapshot."""
        return horizon_end(as_of, self.config.labels.horizon_quarters, self.config.company.fiscal_year_start_month)

    def training_dates(self, now: date) -> list[date]:
        """The snapshots to train on: configured ones before ``now``, else each quarter's first day with history.

        Raises
        ------
        ContractError
            There is no date with enough history before it.
        """
        if self.config.snapshots:
            return sorted({d for d in self.config.snapshots if d < now})
        first = self.builder.first_day
        if first is None:
            raise ContractError("table events has no rows that could be used; csql check shows why")
        month = self.config.company.fiscal_year_start_month
        return quarter_starts(first + LEAST_HISTORY, now - timedelta(days=1), month)

    def snapshots(
        self, dates: list[date], on_progress: Progress | None = None, *, contacts: bool = True
    ) -> Iterator[Snapshot]:
        """Build snapshots one by one; people are read only where they are to be named."""
        for i, as_of in enumerate(dates):
            if on_progress is not None:
                on_progress(f"metrics as of {as_of.isoformat()}", i, len(dates))
            yield self.builder.build(as_of, contacts=contacts)

    def label_book(self, snapshots: list[Snapshot]) -> LabelBook:
        """Labels of the accounts of these snapshots."""
        frames = []
        for snapshot in snapshots:
            facts = snapshot.facts
            in_work = (facts["open_leads"] > 0) | (facts["open_expansions"] > 0)
            frames.append(
                pd.DataFrame(
                    {
                        "account_id": snapshot.features["account_id"],
                        "as_of": snapshot.as_of,
                        "csm_id": snapshot.accounts["csm_id"],
                        "in_work": in_work,
                    }
                )
            )
        return LabelBook(self.builder, Spine(pd.concat(frames, ignore_index=True)), self.config)


@contextmanager
def open_inputs(config: Config, quarantine: Path | None = None) -> Iterator[Inputs]:
    """Open and validate a company's tables; bad rows go to ``quarantine`` if given."""
    check_names(config, metrics_of(config))
    with open_warehouse(config) as warehouse:
        yield validate(warehouse, config, quarantine)


@contextmanager
def open_company(config: Config, on_progress: Progress | None = None) -> Iterator[Company]:
    """Open and validate a company and bring its rollup up to date: of the events only what changed is read.

    Raises
    ------
    ContractError
        A required table or column is broken.
    OutputError
        The activity folder cannot be written, or another run is using it.
    """
    say = on_progress or (lambda step, done, of: None)
    check_names(config, metrics_of(config))
    say("reading and checking the inputs", 0, 2)
    with open_warehouse(config) as warehouse:
        if config.engine != "duckdb":
            yield _rolled_up_at_once(warehouse, config, say)
            return
        inputs = validate(warehouse, config, leave_out=("events",))
        inputs.stop_if_broken()
        say("rolling events up to days", 1, 2)
        with activity.open_store(cast("DuckDBWarehouse", warehouse), config, inputs.tables) as opened:
            inputs = _with_events(inputs, opened)
            inputs.stop_if_broken()
            summaries = Summaries(opened.account_days, opened.user_months)
            yield Company(config, inputs, SnapshotBuilder(inputs, opened.table, config, summaries))


def _rolled_up_at_once(warehouse: Warehouse, config: Config, say: Progress) -> Company:
    """The company on an engine that keeps no rollup."""
    inputs = validate(warehouse, config)
    inputs.stop_if_broken()
    say("rolling events up to days", 1, 2)
    rollup = warehouse.materialise("csql_activity", activity.rollup(inputs.tables["events"], config), large=True)
    return Company(config, inputs, SnapshotBuilder(inputs, rollup, config))


def _with_events(inputs: Inputs, opened: activity.Activity) -> Inputs:
    """The inputs with what the rollup knows of the events."""
    places = {name: i for i, name in enumerate(TABLES)}
    reports = sorted((*inputs.reports, opened.report), key=lambda report: places[report.name])
    present = {**inputs.present_columns, "events": opened.columns}
    return replace(inputs, reports=tuple(reports), present_columns=present)
