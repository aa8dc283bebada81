"""The whole configuration."""

from __future__ import annotations

import os
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from csql_ml.config.delivery import Delivery
from csql_ml.config.inputs import (
    ALL_EVENTS,
    BUILT_IN_SIGNALS,
    PULLED_TABLES,
    Catalogue,
    Company,
    Data,
    Signals,
    Spark,
)
from csql_ml.config.monitoring import Monitoring
from csql_ml.config.outcomes import Outcomes
from csql_ml.config.own_metrics import OwnMetric
from csql_ml.config.section import Names, OwnName, Section
from csql_ml.config.sections import (
    Baseline,
    Eligibility,
    Engagement,
    Gates,
    Handoff,
    IdealCustomer,
    Labels,
    MetricSettings,
    Model,
    Risk,
    Scoring,
    Tracking,
)


class Config(Section):
    """Everything a run needs to know; built by `load`."""

    company: Company = Company()
    engine: Literal["duckdb", "spark"] = Field("duckdb", description="where tables are read and metrics computed")
    spark: Spark = Spark()
    data: Data = Data()
    signals: Signals = Signals()
    catalogue: Catalogue = Catalogue()
    metrics: dict[str, MetricSettings] = Field(default_factory=dict)
    own_metrics: dict[OwnName, OwnMetric] = Field(
        default_factory=dict, description="metrics of one's own, from mapped signals; docs/own-metrics.md"
    )
    metric_files: Names = Field(
        (),
        description="Python files with Metric definitions, relative to the configuration file; THEIR CODE IS RUN by "
        "every command that reads metrics",
    )
    engagement: Engagement = Engagement()
    ideal_customer: IdealCustomer = IdealCustomer()
    baseline: Baseline = Baseline()
    risk: Risk = Risk()
    gates: Gates = Gates()
    eligibility: Eligibility = Eligibility()
    labels: Labels = Labels()
    snapshots: tuple[date, ...] = Field((), description="training dates; default: each quarter's first day")
    model: Model = Model()
    scoring: Scoring = Scoring()
    handoff: Handoff = Handoff()
    delivery: Delivery = Delivery()
    outcomes: Outcomes = Outcomes()
    monitoring: Monitoring = Monitoring()
    tracking: Tracking = Tracking()
    models_folder: Path = Field(Path("../models"), description="relative to the configuration file")
    activity_folder: Path = Field(
        Path("../activity"), description="where the daily rollup of events is kept; relative to the configuration file"
    )
    home: Path = Field(Path("."), exclude=True, description="folder of the configuration file; set by load")

    @model_validator(mode="after")
    def _known_signals(self) -> Config:
        known = (*BUILT_IN_SIGNALS, *self.signals.own, ALL_EVENTS)
        for name, metric in self.own_metrics.items():
            for key, signal in (("signal", metric.signal), ("of", metric.of)):
                if signal not in known:
                    raise ValueError(
                        f"own_metrics.{name}.{key}: there is no signal {signal!r}; {_nearest(signal, known)}"
                    )
                if "sum" in (metric.measure, metric.by) and signal in BUILT_IN_SIGNALS:
                    raise ValueError(
                        f"own_metrics.{name}: quantities of {signal} are not kept, only those of all and of signals of "
                        "your own; map its events under signals.own and sum that signal"
                    )
        return self

    def path(self, value: str | Path) -> Path:
        """A path of the configuration, relative to the configuration file's folder."""
        path = Path(value).expanduser()
        return path if path.is_absolute() else Path(os.path.normpath(self.home / path))

    @property
    def data_folder(self) -> Path:
        return self.path(self.data.folder)

    @property
    def models_path(self) -> Path:
        return self.path(self.models_folder)

    @property
    def activity_path(self) -> Path:
        return self.path(self.activity_folder)

    def pulled_file(self, table: str) -> Path | None:
        """Where `csql pull` keeps its rows of a table; None for tables and companies that it does not pull."""
        if self.data.pulled is None or table not in PULLED_TABLES:
            return None
        return self.path(self.data.pulled) / f"{table}.parquet"


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
