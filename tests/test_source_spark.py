"""What `engine: spark` says where Spark is not there; reading with it is tested in `tests.engines`."""

from __future__ import annotations

import sys

import pytest

from csql_ml.config import Config
from csql_ml.errors import ConfigError, MissingExtraError
from csql_ml.sources import open_warehouse


def test_spark_that_is_not_installed_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "csql_ml.spark_backend", raising=False)
    for name in [n for n in sys.modules if n.split(".")[0] == "pyspark"] + ["pyspark"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtraError, match=r"engine: spark needs an optional dependency: pip install 'csql-ml\[spark\]'"
    ):
        open_warehouse(Config(engine="spark"))


def test_a_database_belongs_to_the_other_engine() -> None:
    config = Config.model_validate({"engine": "spark", "data": {"database": "company.duckdb"}})
    with pytest.raises(ConfigError, match=r"data\.database belongs to engine: duckdb"):
        open_warehouse(config)
