"""YAML -> frozen objects. The only reader of configuration files and of the environment.

Every key has a default that is the customer success guide's starting value; `configs/default.yaml` shows them all
with comments, and ``csql config schema`` prints the JSON Schema for editors. An unknown key is an error.
"""

from csql_ml.config.inputs import ALL_EVENTS, BUILT_IN_SIGNALS, Catalogue, Data, OwnSignal, Signals, TableMapping
from csql_ml.config.own_metrics import OwnMetric
from csql_ml.config.reading import json_schema, load
from csql_ml.config.section import Language, Stage
from csql_ml.config.sections import MetricSettings
from csql_ml.config.settings import Config

__all__ = [
    "ALL_EVENTS",
    "BUILT_IN_SIGNALS",
    "Catalogue",
    "Config",
    "Data",
    "Language",
    "MetricSettings",
    "OwnMetric",
    "OwnSignal",
    "Signals",
    "Stage",
    "TableMapping",
    "json_schema",
    "load",
]
