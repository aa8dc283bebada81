"""The metric registry: every module of this folder is a family, every `Metric` in it is registered.

To add a metric to the package, write one `Metric` into its family's module and one row into its spec test; nothing
else is edited. Metrics of one's own come from outside the package (docs/own-metrics.md): `metrics_of` has them all.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from csql_ml.metrics.definition import Feature, Metric, features_of

if TYPE_CHECKING:
    from csql_ml.config import Config

_NOT_FAMILIES = {
    "agreement",
    "buckets",
    "compiler",
    "definition",
    "dictionary",
    "faces",
    "from_config",
    "from_python",
    "measures",
    "own",
    "row_counts",
    "settings",
    "sharing",
    "soundness",
}


@cache
def families() -> Mapping[str, tuple[Metric, ...]]:
    """Built-in metrics per family, in the order of definition."""
    found: dict[str, tuple[Metric, ...]] = {}
    for module_info in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        if module_info.name in _NOT_FAMILIES:
            continue
        module = import_module(f"{__name__}.{module_info.name}")
        metrics = tuple(v for v in vars(module).values() if isinstance(v, Metric))
        if metrics:
            found[module_info.name] = metrics
    return MappingProxyType(found)


@cache
def registry() -> Mapping[str, Metric]:
    """The built-in metrics by name; `metrics_of` adds those of a company's own."""
    found: dict[str, Metric] = {}
    for family, metrics in families().items():
        for metric in metrics:
            if metric.name in found and found[metric.name] is not metric:
                raise ValueError(f"metric {metric.name} is defined twice, once in family {family}")
            found[metric.name] = metric
    return MappingProxyType(found)


def metrics_of(config: Config) -> Mapping[str, Metric]:
    """Every metric of a company by name: the built-in ones, then its own.

    Own ones come, in this order, from installed packages (entry points of group ``csql_ml.metrics``), from
    ``metric_files`` (THE CODE OF THESE FILES IS RUN) and from ``own_metrics`` of the configuration.

    Parameters
    ----------
    config
        The company's configuration. Equal definitions give the same `Metric` objects.

    Raises
    ------
    ConfigError
        A definition cannot be read, is not sound, or its name is taken.
    """
    from csql_ml.metrics.own import own_metrics

    return MappingProxyType({**registry(), **own_metrics(config)})


def model_features(excluded: frozenset[str] = frozenset()) -> tuple[Feature, ...]:
    """Feature columns of the built-in metrics, in a fixed order."""
    return tuple(f for m in registry().values() if m.name not in excluded for f in features_of(m))
