"""Random companies of the leak check: valid, repeatable, the same at another time, and with news of every kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from csql_ml.company import open_inputs
from csql_ml.config import Config
from csql_ml.contract.report import summary_rows
from csql_ml.contract.tables import TABLES
from csql_ml.leak_check.tables import checked_config, write_world
from csql_ml.leak_check.worlds import INSTANT, World
from csql_ml.metrics import registry
from tests.small_company import SETTINGS

CONFIG = Config(**{**SETTINGS, "company": {"time_zone": "America/New_York"}})
WORLD = World(CONFIG, date(2025, 12, 1), seed=3, accounts=30)


def times(row: dict[str, Any]) -> list[datetime]:
    return [value for value in row.values() if isinstance(value, datetime)]


def test_the_base_was_known_before_the_cut_off_and_the_news_were_not() -> None:
    assert WORLD.cut_off.isoformat() == "2025-12-01T05:00:00+00:00"
    assert {t for rows in WORLD.base.values() for row in rows for t in times(row) if t >= WORLD.cut_off} == set()
    with_news = WORLD.with_news()
    for name in TABLES:
        new = [row for row in with_news[name] if row not in WORLD.base[name]]
        assert new, name
        assert all(max(times(row)) >= WORLD.cut_off for row in new), name


def test_the_same_news_can_come_one_instant_earlier() -> None:
    late, early = WORLD.with_news(), WORLD.with_news(earlier=True)
    moment = WORLD.cut_off - INSTANT

    def moved(row: dict[str, Any]) -> dict[str, Any]:
        return {k: moment if isinstance(v, datetime) and v >= WORLD.cut_off else v for k, v in row.items()}

    assert early == {name: [moved(row) for row in rows] for name, rows in late.items()}


@pytest.mark.parametrize("name", list(TABLES))
def test_there_are_news_of_every_kind_a_table_can_have(name: str) -> None:
    table = TABLES[name]
    worlds = [replace(WORLD, seed=seed) for seed in range(8)]
    base = [row for world in worlds for row in world.base[name]]
    new = [row for world in worlds for row in world.with_news()[name] if row not in world.base[name]]
    recorded = [row for row in new if row["recorded_at"] is not None]
    assert recorded, "recorded late"
    if table.happens and name != "accounts":
        assert [row for row in new if row[table.own_time[0]] >= WORLD.cut_off], "happens later"
    if table.key and name != "events":
        keys = {tuple(row[c] for c in table.key) for row in base}
        assert [row for row in recorded if tuple(row[c] for c in table.key) in keys], "another version"
    for fact in {c.known_with for c in table.columns if c.known_with is not None}:
        assert [row for row in new if row[fact] is not None and row[fact] >= WORLD.cut_off], f"{fact} comes later"


def test_the_same_seed_is_the_same_company_at_any_time() -> None:
    assert replace(WORLD).base == WORLD.base
    days = timedelta(days=364)
    other = replace(WORLD, as_of=WORLD.as_of + days)
    for name in TABLES:
        for one, two in zip(WORLD.base[name], other.base[name], strict=True):
            for key, value in one.items():
                expected = value + days if isinstance(value, date) else value
                assert two[key] == expected, (name, key)
    assert replace(WORLD, seed=4).base != WORLD.base


def test_every_row_of_a_random_company_is_valid(tmp_path: Path) -> None:
    write_world(WORLD.with_news(), tmp_path)
    with open_inputs(checked_config(CONFIG, list(registry().values()), tmp_path)) as inputs:
        inputs.stop_if_broken()
        tables = {row["table"]: row for row in summary_rows(inputs)}
    assert set(tables) == set(TABLES)
    assert {name: row["quarantined"] for name, row in tables.items()} == dict.fromkeys(TABLES, 0)
