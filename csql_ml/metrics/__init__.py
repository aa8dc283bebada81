"""The metric registry: every module of this folder is a family, every `Metric` in it is registered.

To add a metric, write one `Metric` into its family's module and one row into its spec test; nothing else is edited.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from csql_ml.metrics.definition import Feature, Metric, features_of

_NOT_FAMILIES = {"definition", "measures", "compiler", "dictionary", "settings"}


@cache
def families() -> Mapping[str, tuple[Metric, ...]]:
    """Metrics per family, in the order of definition."""
    found: dict[str, tuple[Metric, ...]] = {}
    for module_info in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        if module_info.name in _NOT_FAMILIES:
            continue
        module = import_module(f"{__name__}.{module_info.name}")
        found[module_info.name] = tuple(v for v in vars(module).values() if isinstance(v, Metric))
    return MappingProxyType(found)


@cache
def registry() -> Mapping[str, Metric]:
    """All metrics by name."""
    found: dict[str, Metric] = {}
    for family, metrics in families().items():
        for metric in metrics:
            if metric.name in found and found[metric.name] is not metric:
                raise ValueError(f"metric {metric.name} is defined twice, once in family {family}")
            found[metric.name] = metric
    return MappingProxyType(found)


def model_features(excluded: frozenset[str] = frozenset()) -> tuple[Feature, ...]:
    """Feature columns of the model, in a fixed order."""
    return tuple(f for m in registry().values() if m.name not in excluded for f in features_of(m))
