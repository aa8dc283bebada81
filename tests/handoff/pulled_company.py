"""A folder with a scripted CRM that is pulled from, and the pulled tables as training would read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from csql_ml.as_of import cut
from csql_ml.config import Config
from csql_ml.contract.tables import TABLES
from csql_ml.contract.validate import validate
from csql_ml.dated_rows import dated
from csql_ml.handoff.pull import Pulled, pull
from csql_ml.handoff.push import Pushed, push
from csql_ml.sources import open_warehouse
from tests.handoff.scripted_sink import ScriptedCrm, World
from tests.handoff.small_run import config, write_run


@dataclass
class PulledCompany:
    """Pushes and pulls as a user does them; ``data`` and ``delivery`` add to the sections of that name."""

    home: Path
    data: dict[str, Any] = field(default_factory=dict)
    delivery: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.world = World()
        self.crm = ScriptedCrm(self.world)
        self.sales = self.crm.sales

    @property
    def config(self) -> Config:
        base = config(self.home, **self.delivery)
        data = base.data.model_validate({"folder": self.home, "pulled": "pulled", **self.data})
        folders = {"activity_folder": self.home / "activity", "models_folder": self.home / "models"}
        return base.model_copy(update={"data": data, **folders, **self.sections})

    @property
    def folder(self) -> Path:
        return self.home / "pulled"

    def pull(self, *, full: bool = False) -> Pulled:
        return pull(self.config, "scripted", full=full, sink=self.crm, clock=self.world.clock())

    def push(self, *leads: dict[str, Any], as_of: str = "2026-07-01", accounts: Iterable[Any] = ()) -> Pushed:
        self.runs += 1
        name = f"run-{self.runs}"
        run = write_run(self.home / name, leads, as_of=as_of, run_id=name, accounts=list(accounts))
        return push(self.config, run, "scripted", sink=self.crm, clock=self.world.clock())

    def rows(self, table: str = "csqls") -> list[dict[str, Any]]:
        """Everything that is kept, in the order of the file."""
        return list(pq.read_table(self.folder / f"{table}.parquet").to_pylist())

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.folder.glob("*.parquet"))}

    def known(self, as_of: str, table: str = "csqls") -> list[dict[str, Any]]:
        """The table as a snapshot of that day sees it."""
        with open_warehouse(self.config) as warehouse:
            inputs = validate(warehouse, self.config)
            if table not in inputs.tables:
                return []
            versions = "recorded_at" in inputs.present_columns[table]
            rows = dated(TABLES[table], inputs.tables[table], self.config.company.time_zone, versions)
            seen = cut(TABLES[table], rows, date.fromisoformat(as_of))
            frame = inputs.con.to_pandas(seen.order_by(TABLES[table].key[0])).astype(object)
            found: list[dict[str, Any]] = frame.where(frame.notna(), None).to_dict("records")
            return found
