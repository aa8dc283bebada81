"""Metrics of a company's own: taken from packages, files and the configuration, checked, and kept per configuration."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from csql_ml.errors import ConfigError
from csql_ml.metrics import registry
from csql_ml.metrics.definition import Measure, Metric
from csql_ml.metrics.from_config import metrics_from_config
from csql_ml.metrics.from_python import FileSource, metric_files, metrics_from_file, metrics_from_packages
from csql_ml.metrics.soundness import columns_of, problems_of, reserved_columns, used_measures

if TYPE_CHECKING:
    from csql_ml.config import Config

_KEPT: OrderedDict[tuple[str, tuple[FileSource, ...]], Mapping[str, Metric]] = OrderedDict()
_MOST_KEPT = 16


def own_metrics(config: Config) -> Mapping[str, Metric]:
    """The metrics of a company's own by name; see `csql_ml.metrics.metrics_of`.

    Equal definitions give the same objects: the result is kept by what the definitions are made of (the file's bytes,
    the sections ``own_metrics`` and ``signals``), so a changed file is read anew.
    """
    files = metric_files(config)
    settings = config.model_dump_json(include={"own_metrics", "signals", "catalogue", "metrics"})
    key = (settings, files)
    if key not in _KEPT:
        _KEPT[key] = _collect(config, files)
        while len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
    _KEPT.move_to_end(key)
    return _KEPT[key]


def forget() -> None:
    """Drop what is kept: for packages that were installed or removed meanwhile."""
    _KEPT.clear()
    metrics_from_packages.cache_clear()


def _collect(config: Config, files: Iterable[FileSource]) -> Mapping[str, Metric]:
    given = [*metrics_from_packages()]
    for file in files:
        given += metrics_from_file(file)
    given += metrics_from_config(config)
    if not given:
        return MappingProxyType({})
    found: dict[str, Metric] = {}
    names = _Names(config)
    for where, metric in given:
        for problem in problems_of(metric, config):
            raise ConfigError(f"{where}: {problem}")
        names.take(where, metric)
        found[metric.name] = metric
    for where, metric in given:
        if metric.also is not None and metric.also not in {*registry(), *found}:
            raise ConfigError(f"{where}: also names {metric.also!r}, but there is no metric of this name")
    return MappingProxyType(found)


class _Names:
    """Names of columns and measures that are taken, and by whom."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._columns = dict.fromkeys(reserved_columns(), "csql_ml")
        self._measures: dict[str, tuple[Measure, str]] = {}
        for metric in registry().values():
            self._columns |= dict.fromkeys(columns_of(metric), f"the built-in metric {metric.name}")
            for measure in used_measures(metric, config):
                self._measures[measure.name] = (measure, f"the built-in metric {metric.name}")

    def take(self, where: str, metric: Metric) -> None:
        """Note a metric's columns and measures; refuse what is another's."""
        for column in columns_of(metric):
            if column in self._columns:
                raise ConfigError(
                    f"{where}: column {column!r} is already that of {self._columns[column]}; choose another name"
                )
            self._columns[column] = where
        for measure in used_measures(metric, self._config):
            other, owner = self._measures.setdefault(measure.name, (measure, where))
            if not _same(measure, other):
                raise ConfigError(
                    f"{where}: measure {measure.name!r} is already another one of {owner}; choose another name"
                )


def _same(one: Measure, other: Measure) -> bool:
    """Whether two measures of one name are one: by what they merge, else by being the same object."""
    return one is other or (one == other and one.merge is not None and one.merge == other.merge)
