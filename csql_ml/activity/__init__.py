"""Product events -> daily rollup: what every usage metric is computed from; raw events are read once."""

from __future__ import annotations

from csql_ml.activity.opening import Activity, open_store, store_path
from csql_ml.activity.rollup import GRAIN, build, own_columns, rollup

__all__ = ["GRAIN", "Activity", "build", "open_store", "own_columns", "rollup", "store_path"]
