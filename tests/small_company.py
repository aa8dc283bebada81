"""A company in a few small text tables, read through the real sources and the real contract."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csql_ml.company import Company, open_company
from csql_ml.config import Config

ACCOUNTS = """
account_id | name  | created_at | segment    | industry | csm_id | ae_id
a1         | Alpha | 2025-01-01 | mid_market | Retail   | c1     | e1
a2         | Beta  | 2025-01-01 | smb        | Health   | c2     | e1
"""
CONTRACTS = """
account_id | product  | seats | arr   | start_date | end_date   | plan
a1         | Platform | 10    | 10000 | 2025-01-01 | 2027-01-01 | Pro
a2         | Platform | 4     | 4000  | 2025-01-01 | 2027-01-01 | Basic
"""
#: Old enough that every window is covered by history.
FIRST_EVENT = """
account_id | user_id | occurred_at | event_name
a2         | u9      | 2025-01-02  | login
"""
SETTINGS: dict[str, Any] = {
    "signals": {
        "core_features": ["boards", "reports", "search", "export", "alerts"],
        "advanced_features": ["api", "rules"],
        "gated_clicks": ["gated_click"],
        "upgrade_attempts": ["upgrade_attempt"],
        "workflow_starts": ["workflow_started"],
        "workflow_completions": ["workflow_completed"],
        "module_topics": ["new module"],
    },
    "catalogue": {
        "plans": ["Basic", "Pro", "Enterprise"],
        "modules": [{"name": "Analytics", "features": ["dashboards"]}, {"name": "Automation", "features": ["bots"]}],
    },
    "ideal_customer": {"segments": {"mid_market": 1.0, "smb": 0.4}, "industries": {"Retail": 0.5}},
}


def rows(text: str) -> list[dict[str, str]]:
    """Rows of a text table: columns between bars, the first line names them."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    header, *body = lines
    return [dict(zip(header, line, strict=True)) for line in body]


def write_tables(folder: Path, tables: Mapping[str, list[dict[str, Any]]]) -> None:
    """One CSV per table; rows may have different columns."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in tables.items():
        columns = list(dict.fromkeys(c for r in records for c in r))
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(records)


def settings_for(folder: Path, names: list[str], **sections: Any) -> Config:
    """A configuration over the CSV files of a folder; sections replace those of `SETTINGS`."""
    data = {"folder": str(folder), "tables": {n: f"{n}.csv" for n in names}}
    folders = {"models_folder": str(folder / "models"), "activity_folder": str(folder / "activity")}
    return Config(**{**SETTINGS, **sections, "data": data, "home": folder, **folders})


def written_company(folder: Path, tables: Mapping[str, str | list[dict[str, Any]]], **sections: Any) -> Config:
    """Write a company's tables: `ACCOUNTS` and `CONTRACTS` unless given, `FIRST_EVENT` before the events given."""
    given = {n: rows(t) if isinstance(t, str) else t for n, t in tables.items()}
    full = {"accounts": rows(ACCOUNTS), "contracts": rows(CONTRACTS), **given}
    full["events"] = rows(FIRST_EVENT) + list(given.get("events", []))
    write_tables(folder, full)
    return settings_for(folder, list(full), **sections)


@contextmanager
def small_company(folder: Path, tables: Mapping[str, str | list[dict[str, Any]]], **sections: Any) -> Iterator[Company]:
    """Open a company of a few rows; see `written_company`."""
    with open_company(written_company(folder, tables, **sections)) as company:
        yield company
