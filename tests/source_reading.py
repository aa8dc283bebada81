"""Write a source file, read it as a contract table: for the tests of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csql_ml.config import Config
from csql_ml.sources import open_warehouse

HEADER = "account_id,name,created_at"
ROW = "A1,Alpha,2023-01-01"


def read(folder: Path, mapping: Any, table: str = "accounts", **data: Any) -> list[dict[str, Any]]:
    """The rows of one mapped table, in order."""
    config = Config.model_validate({"data": {"folder": folder, "tables": {table: mapping}, **data}})
    with open_warehouse(config) as warehouse, warehouse.reading(table):
        rows = warehouse.read(table)
        assert rows is not None
        found: list[dict[str, Any]] = rows.order_by(list(rows.columns)).to_pyarrow().to_pylist()
        return found


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


ALPHA = {"account_id": "A1", "name": "Alpha", "created_at": "2023-01-01"}
BETA = {"account_id": "A2", "name": "Beta", "created_at": "2023-02-01"}
