from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from csql_ml.config import Config
from csql_ml.contract.report import Inputs
from csql_ml.contract.validate import validate
from csql_ml.sources import Warehouse, open_warehouse
from tests.contract.sound_company import SOUND, Check, text_of


@pytest.fixture
def check(tmp_path: Path) -> Iterator[Check]:
    """``check(nps="...", events=None)`` validates the sound company with these tables changed or left out."""
    opened: list[Warehouse] = []

    def run(quarantine: Path | None = None, time_zone: str = "UTC", **changes: str | None) -> Inputs:
        tables = {name: text for name, text in {**SOUND, **changes}.items() if text is not None}
        for name, text in tables.items():
            (tmp_path / f"{name}.csv").write_text(text_of(text), encoding="utf-8")
        data = {"folder": tmp_path, "tables": {name: f"{name}.csv" for name in tables}}
        config = Config.model_validate({"company": {"time_zone": time_zone}, "data": data})
        warehouse = open_warehouse(config)
        opened.append(warehouse)
        return validate(warehouse, config, quarantine)

    yield run
    for warehouse in opened:
        warehouse.close()
