"""Random companies have the same metrics on every engine, and no engine looks ahead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from csql_ml import as_of as as_of_cut
from csql_ml.config import Config
from csql_ml.metrics import registry
from csql_ml.metrics.definition import features_of
from csql_ml.snapshots import Snapshot
from tests.engines.engine_under_test import Engine, duckdb_engine, on, values_of
from tests.engines.random_company import Rows, random_company
from tests.properties.test_no_look_ahead import AS_OF, CONFIG, CUT_OFF, base, later_worlds, news, together
from tests.properties.typed_inputs import typed_inputs
from tests.small_company import SETTINGS

pytestmark = pytest.mark.engines

#: Metrics of these units are whole numbers, made by counting: equal to the last digit.
COUNTED = ("count", "days", "flag")
OTHERS = ("spark", "postgres")
#: Every example costs seconds on an engine, so few are drawn, each about many accounts; none is shrunk.
_UNUSUAL = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors)


def examples(number: int) -> settings:
    return settings(max_examples=number, phases=[Phase.generate], suppress_health_check=_UNUSUAL)


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> Engine:
    """An engine that is compared with DuckDB."""
    return Engine(request.param, request.getfixturevalue(f"{request.param}_connection"))


@pytest.fixture
def local() -> Iterator[Engine]:
    with duckdb_engine() as engine:
        yield engine


def snapshots_of(engine: Engine, tables: Rows, config: Config, dates: list[date]) -> list[Snapshot]:
    builder = engine.builder(on(engine, typed_inputs(tables)), config)
    return [builder.build(as_of) for as_of in dates]


def differences(found: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    """Columns that are not equal, with the accounts for which they are not."""
    exact = {f"features.{f.name}" for m in registry().values() if m.unit in COUNTED for f in features_of(m)}
    wrong: dict[str, Any] = {}
    if list(found.columns) != list(expected.columns) or list(found.index) != list(expected.index):
        return {"shape": (list(found.columns), list(found.index))}
    for column in expected.columns:
        one, two = found[column], expected[column]
        same = one.isna() & two.isna()
        if pd.api.types.is_numeric_dtype(two) and column not in exact:
            same |= np.isclose(one.astype(float), two.astype(float), rtol=1e-9, atol=1e-12)
        else:
            same |= one == two
        if not same.all():
            wrong[column] = list(zip(one.index[~same], one[~same], two[~same], strict=True))
    return wrong


@examples(2)
@given(seed=st.integers(0, 2**32 - 1), zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]))
def test_all_metrics_are_equal(local: Engine, other: Engine, seed: int, zone: str) -> None:
    config = Config(**{**SETTINGS, "company": {"time_zone": zone}})
    tables = random_company(seed)
    dates = [date(2025, 12, 1), date(2025, 8, 15)]
    expected = snapshots_of(local, tables, config, dates)
    found = snapshots_of(other, tables, config, dates)
    for one, two in zip(found, expected, strict=True):
        assert differences(values_of(one), values_of(two)) == {}
        by_contact = [s.contacts.sort_values(["account_id", "contact_id"], ignore_index=True) for s in (one, two)]
        pd.testing.assert_frame_equal(*by_contact, check_dtype=False)
        assert (one.without_contract, one.newest_event) == (two.without_contract, two.newest_event)
    assert len(expected[0].features) > 5


@examples(1)
@given(worlds=later_worlds())
def test_what_became_known_later_changes_nothing(other: Engine, worlds: tuple[Rows, Rows]) -> None:
    added, kept = worlds
    [unchanged] = snapshots_of(other, base(), CONFIG, [AS_OF])
    [changed] = snapshots_of(other, together(kept, added, news(CUT_OFF)), CONFIG, [AS_OF])
    assert differences(values_of(changed), values_of(unchanged)) == {}


def test_a_loosened_bound_is_caught(other: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    [unchanged] = snapshots_of(other, base(), CONFIG, [AS_OF])
    monkeypatch.setattr(as_of_cut, "known_before", lambda day, as_of: day <= as_of)
    [changed] = snapshots_of(other, together(base(), news(CUT_OFF)), CONFIG, [AS_OF])
    assert len(differences(values_of(changed), values_of(unchanged))) > 30
