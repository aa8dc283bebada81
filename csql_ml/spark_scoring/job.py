"""What workers need to score accounts, as bytes that are read without running any code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any

from csql_ml import __version__
from csql_ml.config import Config
from csql_ml.errors import BundleError
from csql_ml.metrics.compiler import Compiled
from csql_ml.metrics.definition import Metric
from csql_ml.metrics.row_counts import Read
from csql_ml.model.bundle import Champion
from csql_ml.model.bundle_state import checksums, from_files, version_of
from csql_ml.run_files import json_text

#: Formulas and measures are functions and have done their work when rows arrive; the champion holds the ramps.
_NOT_SENT = {"formula", "facts", "ramp"}
#: Places and passwords are the driver's business.
_PRIVATE = {"data", "delivery", "spark", "tracking"}


@dataclass(frozen=True)
class Columns:
    """Which columns of a wide row are what; see `csql_ml.metrics.compiler.Compiled`."""

    features: tuple[str, ...]
    facts: tuple[str, ...]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, plan: Compiled) -> Columns:
        """The columns of a plan."""
        return cls(plan.feature_columns, plan.fact_columns, plan.categories)


@dataclass(frozen=True)
class Job:
    """Everything that turns wide rows into scores, explanations and records.

    Attributes
    ----------
    sources
        What is read for each metric, for the evidence: see `csql_ml.explain.evidence.source_of`.
    absent
        Optional input tables that there are not.
    """

    as_of: date
    config: Config
    metrics: tuple[Metric, ...]
    sources: Mapping[str, Sequence[Read]]
    absent: tuple[str, ...]
    columns: Columns
    champion: Champion

    def to_bytes(self) -> bytes:
        """UTF-8 JSON; the champion as the texts of its bundle."""
        return json_text(
            {
                "version": __version__,
                "as_of": self.as_of.isoformat(),
                "config": self.config.model_dump(mode="json", exclude=_PRIVATE),
                "metrics": [_metric_state(m) for m in self.metrics],
                "sources": dict(self.sources),
                "absent": list(self.absent),
                "columns": {f.name: list(getattr(self.columns, f.name)) for f in fields(Columns)},
                "model_version": self.champion.model_version,
                "bundle": {name: content.decode() for name, content in self.champion.files.items()},
            }
        ).encode()

    @staticmethod
    @lru_cache(maxsize=2)
    def from_bytes(content: bytes) -> Job:
        """What `to_bytes` wrote; a worker process reads it once.

        Raises
        ------
        BundleError
            The worker runs another version of csql_ml than the driver, or the champion is not the one sent.
        """
        state: dict[str, Any] = json.loads(content)
        if state["version"] != __version__:
            raise BundleError(
                f"csql_ml {__version__} runs on a Spark worker and {state['version']} on the driver; install the same "
                "version for the workers' Python (PYSPARK_PYTHON)"
            )
        return Job(
            as_of=date.fromisoformat(state["as_of"]),
            config=Config.model_validate(state["config"]),
            metrics=tuple(_metric_from(m) for m in state["metrics"]),
            sources={name: tuple((t, days) for t, days in reads) for name, reads in state["sources"].items()},
            absent=tuple(state["absent"]),
            columns=Columns(**{name: tuple(values) for name, values in state["columns"].items()}),
            champion=_champion(state["bundle"], state["model_version"]),
        )


def _metric_state(metric: Metric) -> dict[str, Any]:
    return {f.name: getattr(metric, f.name) for f in fields(Metric) if f.name not in _NOT_SENT}


def _metric_from(state: Mapping[str, Any]) -> Metric:
    windows: Sequence[int] = state["windows"]
    return Metric(**{**state, "windows": tuple(windows)}, formula=_computed_already)


def _computed_already(at: Any) -> Any:
    raise TypeError("metrics are computed before their rows reach a worker")


def _champion(texts: Mapping[str, str], version: str) -> Champion:
    files = {name: text.encode() for name, text in texts.items()}
    if version_of(checksums(files)) != version:
        raise BundleError(f"the champion that reached a Spark worker is not {version}; run the job again")
    return Champion(**from_files(files))
