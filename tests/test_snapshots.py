"""How snapshots are computed: one compiled plan for all dates, only days of the windows, steps that can be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from csql_ml import activity, snapshots
from csql_ml import as_of as as_of_cut
from csql_ml.contract.report import Inputs
from csql_ml.dated_sql import PLACEHOLDER, DatedSql, placeholders
from csql_ml.metrics.compiler import Compiler
from csql_ml.metrics.definition import Measure
from csql_ml.snapshots import Snapshot, SnapshotBuilder
from tests.properties.test_no_look_ahead import AS_OF, CONFIG, CUT_OFF, INSTANT, base, news, together
from tests.properties.typed_inputs import typed_inputs
from tests.summaries_of import summaries_of

DATES = (AS_OF, date(2025, 2, 1), date(2025, 11, 1), date(2026, 3, 1), date(2025, 7, 4))


def builder(inputs: Inputs) -> SnapshotBuilder:
    return SnapshotBuilder(inputs, activity.build(inputs, CONFIG), CONFIG)


def assert_same(one: Snapshot, other: Snapshot) -> None:
    for name in ("features", "facts", "accounts", "contacts"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)
    assert (one.without_contract, one.newest_event) == (other.without_contract, other.newest_event)


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return typed_inputs(together(base(), news(CUT_OFF - INSTANT)))


@pytest.fixture(scope="module")
def shared(inputs: Inputs) -> SnapshotBuilder:
    """One builder that has compiled its plan for an earlier date."""
    made = builder(inputs)
    made.build(date(2025, 10, 10))
    return made


# --- compiled once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_of", DATES, ids=str)
def test_a_plan_compiled_for_another_date_gives_the_same_snapshot(
    inputs: Inputs, shared: SnapshotBuilder, as_of: date
) -> None:
    assert_same(shared.build(as_of), SnapshotBuilder(inputs, shared._activity, CONFIG).build(as_of))


@pytest.mark.parametrize("as_of", DATES, ids=str)
def test_the_compiled_sql_is_what_ibis_compiles_for_the_date(
    inputs: Inputs, shared: SnapshotBuilder, as_of: date
) -> None:
    facts = shared._known(as_of).facts
    once = DatedSql(inputs.con, shared._plan(PLACEHOLDER, placeholders(facts)).table, tuple(facts))
    assert once.text(as_of, facts) == inputs.con.compile(shared.plan(as_of).table)


def test_ibis_itself_gives_the_same_rows(inputs: Inputs, shared: SnapshotBuilder) -> None:
    plan = shared.plan(AS_OF)
    by_ibis = inputs.con.to_pandas(plan.table.order_by("account_id"))
    found = shared.build(AS_OF)
    columns = [*plan.feature_columns, *plan.fact_columns]
    table = pd.concat([found.features.set_index("account_id"), found.facts.set_index("account_id")], axis=1)
    for column in columns:
        values = by_ibis[column]
        assert [None if pd.isna(v) else v for v in table[column]] == [None if pd.isna(v) else v for v in values], column


# --- the rollup, merged in buckets ------------------------------------------------------------------------------------

event = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["a1", "a2"]),
        "user_id": st.sampled_from(["u1", "u2", "u3", None]),
        "occurred_at": st.integers(0, 330),
        "late": st.sampled_from([None, None, None, 1, 40, 200]),
        "event_name": st.sampled_from(["used", "gated_click", "upgrade_attempt", "workflow_started"]),
        "feature": st.sampled_from(["boards", "reports", "api", "bots", None]),
        "quantity": st.sampled_from(["0.1", "2", None]),
    }
)


def as_rows(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events with dates in the place of day numbers."""

    def day(number: int) -> str:
        return (date(2025, 1, 5) + timedelta(days=number)).isoformat() + " 12:00"

    return [
        {
            **{k: v for k, v in one.items() if k != "late"},
            "occurred_at": day(one["occurred_at"]),
            "recorded_at": None if one["late"] is None else day(one["occurred_at"] + one["late"]),
        }
        for one in events
    ]


def without_merging(made: SnapshotBuilder) -> SnapshotBuilder:
    """The same, with every measure computed as an aggregate over rows of its own."""

    class Plain(Compiler):
        @property
        def wanted(self) -> Any:
            return {n: (replace(m, merge=None), p) for n, (m, p) in super().wanted.items()}

    plain = SnapshotBuilder(made._inputs, made._activity, CONFIG)
    vars(plain)["_compiler"] = Plain(made.metrics, CONFIG)
    return plain


@settings(max_examples=3, phases=[Phase.generate])
@given(st.lists(event, min_size=20, max_size=60))
def test_merged_measures_equal_aggregates_over_single_rows(events: list[dict[str, Any]]) -> None:
    made = builder(typed_inputs({**base(), "events": as_rows(events)}))
    assert_same(made.build(AS_OF), without_merging(made).build(AS_OF))


@settings(max_examples=3, phases=[Phase.generate])
@given(st.lists(event, min_size=20, max_size=60), st.sampled_from(DATES))
def test_summaries_give_the_snapshots_that_the_rollup_gives(events: list[dict[str, Any]], as_of: date) -> None:
    made = builder(typed_inputs({**base(), "events": as_rows(events)}))
    summaries = summaries_of(made._inputs.con, made._activity)
    with_them = SnapshotBuilder(made._inputs, made._activity, CONFIG, summaries)
    assert_same(with_them.build(as_of), made.build(as_of))
    steps = set(with_them.plan(as_of).steps)
    assert {"account_days_as_of", "user_months_as_of"} <= steps
    assert "recent_activity_as_of" not in steps


def test_the_plain_aggregates_of_that_test_have_no_buckets(shared: SnapshotBuilder) -> None:
    plain = without_merging(shared).plan(AS_OF)
    assert "recent_activity" in plain.steps
    assert not any("bucket" in name for name in plain.steps)
    assert all(isinstance(m, Measure) for m, _ in shared._compiler.wanted.values())


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(inputs: Inputs, shared: SnapshotBuilder, tmp_path: Path) -> tuple[SnapshotBuilder, dict[date, Path]]:
    """A builder over one Parquet file per day, as the rollup is kept, and the files."""
    oldest = f"DATE '{AS_OF - timedelta(days=180)}'"  # has rows, so that nothing older needs a look
    name = inputs.con.compile(shared._activity).split()[-1]
    inputs.con.raw_sql(f"CREATE OR REPLACE TEMP TABLE days AS FROM {name}")
    inputs.con.raw_sql(f"INSERT INTO days SELECT * REPLACE ({oldest} AS day, {oldest} AS known_day) FROM days LIMIT 1")
    files = {}
    for day in pd.date_range("2025-05-01", "2026-01-31").date:
        files[day] = tmp_path / f"day={day.isoformat()}" / "rows.parquet"
        files[day].parent.mkdir(parents=True)
        inputs.con.raw_sql(f"COPY (FROM days WHERE day = DATE '{day}') TO '{files[day]}' (FORMAT parquet)")
    relation = f"read_parquet('{tmp_path}/*/*.parquet', hive_partitioning = true, hive_types = {{'day': DATE}})"
    inputs.con.raw_sql(f"CREATE OR REPLACE VIEW kept_days AS SELECT * FROM {relation}")
    return SnapshotBuilder(inputs, inputs.con.table("kept_days"), CONFIG), files


def test_days_outside_every_window_are_not_opened(kept: tuple[SnapshotBuilder, dict[date, Path]]) -> None:
    made, files = kept
    expected = made.build(AS_OF)
    first, *others = files
    for day in others:
        if not AS_OF - timedelta(days=180) <= day < AS_OF:
            files[day].write_bytes(b"nobody may read this")  # the first file tells DuckDB the columns
    fresh = SnapshotBuilder(made._inputs, made._activity, CONFIG)
    assert_same(fresh.build(AS_OF), expected)
    with pytest.raises(duckdb.Error, match="parquet"):
        fresh.build(AS_OF + timedelta(days=1))
    assert first < AS_OF - timedelta(days=180)


def test_the_range_of_days_reaches_the_scan_as_dates(shared: SnapshotBuilder) -> None:
    sql = dict(shared.explain(AS_OF))["recent_activity_as_of"]
    assert '"day" >= MAKE_DATE(2025, 6, 4)' in sql
    assert '"day" < MAKE_DATE(2025, 12, 1)' in sql


# --- steps ------------------------------------------------------------------------------------------------------------


def test_every_step_is_named_and_reads_the_steps_before_it(inputs: Inputs, shared: SnapshotBuilder) -> None:
    steps = shared.explain(AS_OF)
    names = [name for name, _ in steps]
    for name in ("contracts_as_of", "spine", "activity_by_bucket", "active_users", "tickets", "measures"):
        assert name in names
    assert names[-1] == "metrics"
    text = dict(steps)
    assert '"recent_activity_as_of"' in text["activity_by_bucket"]
    assert '"activity_by_bucket"' in text["activity"]
    assert '"measures"' in text["shared_1"]
    with_names = ", ".join(f'"{name}" AS ({sql})' for name, sql in steps)
    rows = inputs.con.con.sql(f'WITH {with_names} SELECT * FROM "metrics" ORDER BY account_id').df()
    assert rows["seat_saturation"].tolist() == shared.build(AS_OF).features["seat_saturation"].tolist()


# --- how far the rollup goes ------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.lists(event, min_size=0, max_size=12), st.sampled_from(DATES))
def test_the_looks_at_single_days_find_what_all_days_say(events: list[dict[str, Any]], as_of: date) -> None:
    made = builder(typed_inputs({**base(), "events": as_rows(events)}))
    known = as_of_cut.cut_activity(made._activity, as_of)
    ends = made._inputs.con.to_pandas(snapshots._ends(known)).iloc[0]
    found, reach = made._known(as_of), made._compiler.reach
    assert found.newest == (None if pd.isna(ends["newest"]) else ends["newest"])
    assert min(found.history, reach) == min(0 if pd.isna(ends["oldest"]) else ends["oldest"], reach)
    assert found.users == bool(ends["users"] > 0)
