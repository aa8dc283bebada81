"""Events checked and rolled up inside PostgreSQL: the same rollup and the same report as after copying them."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csql_ml.activity.opening import open_store
from csql_ml.activity.postgres_events import PostgresEvents
from csql_ml.activity.rollup import rollup
from csql_ml.activity.source import BuiltDay, Contents
from csql_ml.config import Config
from csql_ml.config import load as read_config
from csql_ml.contract.validate import validate
from csql_ml.errors import ConfigError, SourceError
from csql_ml.source_duckdb import DuckDBWarehouse
from tests.engines.postgres_server import Server

pytestmark = pytest.mark.engines

NOTHING = Contents({}, lambda day: pytest.fail("PostgreSQL needs no keys"))
COLUMNS = ("event_id", "account_id", "user_id", "occurred_at", "event_name", "feature", "quantity", "recorded_at")
NATIVE = ("text", "text", "text", "timestamptz", "text", "text", "numeric", "timestamptz")
SIGNALS = {
    "core_features": ["boards", 'Ünïcode, "x"'],
    "advanced_features": ["api"],
    "gated_clicks": ["gated"],
    "upgrade_attempts": ["upgrade"],
    "workflow_starts": ["start"],
    "workflow_completions": ["done"],
    "own": {"exports": {"events": ["export"]}},
}
#: What a value may look like: as PostgreSQL's own types hold it, and as text may say it.
ACCOUNTS = ("a1", "a2", "A2", "b", "stranger", " ", None)
USERS = ("u1", "u2", "U1", "ü", "", None)
NAMES = ("login", "gated", "upgrade", "start", "done", "export", "Login", None)
FEATURES = ("boards", 'Ünïcode, "x"', "api", "dash", None)
TIMES = (
    "2024-03-30 22:59:59.999999Z",
    "2024-03-30 23:00:00Z",
    "2024-03-31 01:30:00+02",
    "2024-03-31 12:00:00Z",
    "2024-04-01 00:00:00Z",
    "2024-10-27 02:30:00+01",
    "infinity",
    "-infinity",
    "1066-10-14 00:00:00Z",
    "2200-01-01 00:00:00Z",
    None,
)
QUANTITIES = ("1", "0.333333", "-1", "2.5000005", "NaN", "999999999999.999999", "1e12", "12345678901234567890", None)
TEXT_TIMES = (
    "2024-02-30",
    "yesterday",
    "2024-03-31T12:00:00,5Z",
    "2024-3-1 7:05",
    "2024-03-31 12:00 Europe/Berlin",
    " ",
)
TEXT_QUANTITIES = ("many", "1,5", "Infinity", "1e400", "0x1", " 7 ", ".5")


def settings_of(server: Server, **more: Any) -> Config:
    tables = {"accounts": {"table": "accounts"}, "events": {"table": "events"}}
    return Config.model_validate(
        {
            "company": {"time_zone": "Europe/Berlin"},
            "data": {"database": server.url, "tables": tables, **more},
            "signals": SIGNALS,
            "catalogue": {"modules": [{"name": "Analytics", "features": ["dash"]}]},
        }
    )


def load(server: Server, rows: Collection[tuple[Any, ...]], types: tuple[str, ...] = NATIVE) -> None:
    """The events as a table; the accounts but the stranger as another."""
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, types, strict=True))
    server.execute("DROP TABLE IF EXISTS events, accounts")
    server.execute(f"CREATE TABLE events ({columns})")
    server.execute(
        "CREATE TABLE accounts AS SELECT i AS account_id, i AS name, '2023-01-01'::date AS created_at "
        "FROM unnest('{a1,a2,A2,b}'::text[]) AS i"
    )
    server.load("events", rows)


def copied(config: Config) -> tuple[list[dict[str, Any]], int, dict[tuple[str, str], tuple[int, tuple[str, ...]]]]:
    """Rollup, rows read and problems after copying the events."""
    with DuckDBWarehouse(config) as warehouse:
        inputs = validate(warehouse, config)
        (report,) = (report for report in inputs.reports if report.name == "events")
        rows = []
        if "events" in inputs.tables:
            found = rollup(inputs.tables["events"], config)
            rows = found.order_by(["account_id", "user_id", "day", "known_day"]).to_pyarrow().to_pylist()
        problems = {
            (p.column, p.kind): (p.rows, p.examples)
            for p in report.problems
            if p.action == "quarantine" and p.kind != "unknown_account"
        }
        return rows, report.read, problems


def pushed_down(config: Config) -> tuple[list[dict[str, Any]], int, dict[tuple[str, str], tuple[int, tuple[str, ...]]]]:
    """The same from inside PostgreSQL; the events of strangers are taken out as the store does."""
    with DuckDBWarehouse(config) as warehouse:
        events = PostgresEvents(warehouse, config)
        events.use(events.describe([""]))
        digests = events.digests([""])
        built = list(events.build({part.day for part in digests}, NOTHING))
        assert {day.day for day in built} == {part.day for part in digests}
    problems: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
    for day in built:
        for finding in day.findings:
            rows, examples = problems.get((finding.column, finding.kind), (0, ()))
            merged = sorted({*examples, *finding.examples}, key=str.encode)[:5]
            problems[finding.column, finding.kind] = (rows + finding.rows, tuple(merged))
    return known(built), sum(part.rows for part in digests), problems


def known(built: Collection[BuiltDay]) -> list[dict[str, Any]]:
    """The rows of known accounts, in order."""
    rows = [row for day in built for row in day.rows.to_pylist() if row["account_id"] in ACCOUNTS[:4]]
    order = [(r["account_id"].encode(), r["user_id"] is None, (r["user_id"] or "").encode(), r["day"]) for r in rows]
    return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: (pair[0], pair[1]["known_day"]))]


def dirty(seed: int, count: int, texts: bool) -> list[tuple[Any, ...]]:
    """Rows in which everything that can be wrong is."""
    chance = random.Random(seed)
    times = TIMES + (TEXT_TIMES if texts else ())
    quantities = QUANTITIES + (TEXT_QUANTITIES if texts else ())
    rows: list[tuple[Any, ...]] = [
        (
            chance.choice([f"e{chance.randrange(count)}", None, f" e{chance.randrange(count)} ", f"E{i % 7}"]),
            *(chance.choice(values) for values in (ACCOUNTS, USERS, times, NAMES, FEATURES, quantities, times)),
        )
        for i in range(count)
    ]
    return rows + chance.choices(rows, k=count // 5)


@pytest.mark.parametrize("texts", [False, True], ids=["native types", "all text"])
def test_push_down_gives_what_copying_gives(database: Server, texts: bool) -> None:
    load(database, dirty(11, 2000, texts), ("text",) * len(COLUMNS) if texts else NATIVE)
    config = settings_of(database)
    rows, read, problems = copied(config)
    assert read == 2400
    assert {"duplicate", "conflicting_duplicate", "missing", "impossible_date", "out_of_bounds", "not_finite"} <= {
        kind for _, kind in problems
    }
    assert len(rows) > 40
    assert pushed_down(config) == (rows, read, problems)


VALUES = st.tuples(
    st.sampled_from(("e1", "e2", "e3", None)),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(USERS),
    st.sampled_from(TIMES[:6] + TEXT_TIMES[:1]),
    st.sampled_from(NAMES),
    st.sampled_from(FEATURES),
    st.sampled_from(QUANTITIES),
    st.sampled_from(TIMES[:6] + TIMES[-1:]),
)


@given(rows=st.lists(VALUES, max_size=12))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_push_down_agrees_over_random_rows(database: Server, rows: list[tuple[Any, ...]]) -> None:
    load(database, rows, ("text",) * len(COLUMNS))
    config = settings_of(database)
    assert pushed_down(config) == copied(config)


# ---------------------------------------------------------------- days


@contextmanager
def opened(config: Config) -> Iterator[PostgresEvents]:
    with DuckDBWarehouse(config) as warehouse:
        events = PostgresEvents(warehouse, config)
        events.use(events.describe([""]))
        yield events
        events.close()


def digests(config: Config) -> dict[date | None, tuple[int, int]]:
    with opened(config) as events:
        return {part.day: (part.rows, part.digest) for part in events.digests([""])}


def event(event_id: str | None, day: str, known: str | None = None, user: str = "u1") -> tuple[Any, ...]:
    return (event_id, "a1", user, f"{day} 12:00Z", "login", None, None, known)


def test_a_digest_tells_every_change_and_no_order(database: Server) -> None:
    rows = [event("e1", "2024-03-01"), event("e2", "2024-03-01"), event(None, "2024-03-02"), event(None, "2024-03-02")]
    load(database, rows)
    config = settings_of(database)
    before = digests(config)
    assert {day: rows for day, (rows, _) in before.items()} == {date(2024, 3, 1): 2, date(2024, 3, 2): 2}
    load(database, rows[::-1])
    assert digests(config) == before
    for change in (
        "UPDATE events SET feature = '' WHERE event_id = 'e1'",
        "UPDATE events SET feature = 'x' WHERE event_id = 'e1'",
        "UPDATE events SET quantity = 0 WHERE event_id = 'e1'",
        "UPDATE events SET occurred_at = occurred_at + interval '1 microsecond' WHERE event_id = 'e1'",
        "DELETE FROM events WHERE event_id = 'e1'",
    ):
        load(database, rows)
        database.execute(change)
        after = digests(config)
        assert {day for day in before if before[day] != after.get(day)} == {date(2024, 3, 1)}, change


def test_a_day_is_built_with_the_copies_that_other_days_have(database: Server) -> None:
    load(
        database,
        [
            event("e1", "2024-03-01", "2024-03-09"),
            event("e1", "2024-03-05", "2024-03-06", user="u2"),
            event("e2", "2024-03-05"),
            event("e3", "2024-03-07"),
        ],
    )
    first, fifth, seventh = (date(2024, 3, day) for day in (1, 5, 7))
    with opened(settings_of(database)) as events:
        events.digests([""])
        assert events.shared_days([first], NOTHING) == {(first, fifth)} == events.shared_days([fifth], NOTHING)
        assert events.shared_days([seventh], NOTHING) == set()
        (built,) = events.build([first], NOTHING)
        assert built.rows.num_rows == 0
        assert [(f.kind, f.rows, f.examples) for f in built.findings] == [("conflicting_duplicate", 1, ("e1",))]
        (built,) = events.build([fifth], NOTHING)
        assert [(row["user_id"], row["events"]) for row in built.rows.to_pylist()] == [("u1", 1), ("u2", 1)]
        days = [built.day for built in events.build([seventh, first, date(2024, 3, 30)], NOTHING)]
        assert days == [first, seventh, date(2024, 3, 30)]


def test_only_the_rollup_comes_over_the_network(database: Server) -> None:
    load(database, [event(f"e{i}", f"2024-03-{1 + i % 20:02}", user=f"u{i % 5}") for i in range(40000)])
    config = settings_of(database)
    with opened(config) as events:
        days = [part.day for part in events.digests([""])]
        assert sum(built.rows.num_rows for built in events.build(days, NOTHING)) == 20
        assert events.received < 10_000


def test_a_user_who_may_only_read_is_enough(database: Server) -> None:
    load(database, dirty(3, 50, texts=False))
    reader = database.create_reader()
    try:
        with opened(settings_of(database)) as events:
            owner = list(events.build([part.day for part in events.digests([""])], NOTHING))
        config = settings_of(database)
        config = config.model_copy(update={"data": config.data.model_copy(update={"database": reader})})
        with opened(config) as events:
            assert list(events.build([part.day for part in events.digests([""])], NOTHING)) == owner
    finally:
        database.execute("DROP OWNED BY reader")
        database.execute("DROP ROLE reader")


def test_a_query_with_percent_signs_and_other_names_is_pushed_down(database: Server) -> None:
    load(database, [event("e1", "2024-03-01"), event("e2", "2024-03-01")])
    config = settings_of(database)
    query = "SELECT event_id, account_id, user_id AS who, occurred_at, event_name FROM events WHERE event_id LIKE '%2';"
    mapping = Config.model_validate({"data": {"tables": {"events": {"query": query, "columns": {"user_id": "who"}}}}})
    tables = {**config.data.tables, **mapping.data.tables}
    config = config.model_copy(update={"data": config.data.model_copy(update={"tables": tables})})
    with opened(config) as events:
        (built,) = events.build([part.day for part in events.digests([""])], NOTHING)
        assert [(row["user_id"], row["events"]) for row in built.rows.to_pylist()] == [("u1", 1)]


def test_errors_are_one_line_about_the_table(database: Server) -> None:
    load(database, [])
    config = settings_of(database)
    with opened(config) as events:
        database.execute("ALTER TABLE events DROP COLUMN event_name")
        with pytest.raises(SourceError, match=r"events: table events cannot be read: column .*event_name") as caught:
            events.digests([""])
        assert "\n" not in str(caught.value)
    files = Config.model_validate(
        {"data": {"database": database.url, "tables": {"events": "e.csv"}, "push_down": True}}
    )
    with DuckDBWarehouse(files) as warehouse, pytest.raises(ConfigError, match=r"data\.push_down needs data\.tables"):
        PostgresEvents(warehouse, files)


# ---------------------------------------------------------------- the whole company


def company(config: Config) -> tuple[list[dict[str, Any]], Any, int]:
    """The rollup and the report of the events as every command gets them, and how many days were built."""
    with DuckDBWarehouse(config) as warehouse:
        inputs = validate(warehouse, config, leave_out=("events",))
        with open_store(warehouse, config, inputs.tables) as activity:
            rows = activity.table.order_by(["account_id", "user_id", "day", "known_day"]).to_pyarrow().to_pylist()
            return rows, activity.report, activity.days_built


def test_the_store_builds_only_changed_days_and_ends_with_the_same(database: Server, tmp_path: Path) -> None:
    load(database, dirty(5, 600, texts=False))
    copied, pushed = (
        settings_of(database, push_down=way).model_copy(update={"activity_folder": tmp_path / str(way)})
        for way in (False, True)
    )
    assert company(pushed)[:2] == company(copied)[:2]
    assert company(pushed)[2] == 0
    database.load("events", [event("new", "2024-05-05"), event("e1", "2024-05-06")])
    rows, report, built = company(pushed)
    assert 2 <= built < len({row["day"] for row in rows})
    assert (rows, report) == company(copied)[:2]


TEMPLATE_TABLES = """
CREATE SCHEMA crm;
CREATE SCHEMA product;
CREATE SCHEMA support;
CREATE TABLE crm.accounts AS SELECT 'a1' AS account_id, 'Alpha' AS name, '2025-01-01Z'::timestamptz AS created_at;
CREATE TABLE crm.contracts AS SELECT 'a1' AS account_id, 'Platform' AS product, 5 AS seats, 900::money AS annual_value,
    '2025-01-01'::date AS starts_on, NULL::date AS ends_on;
CREATE TABLE product.users AS SELECT 'u1' AS user_id, 'a1' AS account_id, '2025-01-01Z'::timestamptz AS created_at;
CREATE TABLE product.events AS SELECT gen_random_uuid() AS event_id, 'a1' AS account_id, 'u1' AS user_id,
    '2026-01-01 12:00Z'::timestamptz AS occurred_at, 'login' AS event_name FROM generate_series(1, 3);
CREATE TABLE support.tickets AS SELECT 't1' AS id, 'a1' AS customer, '2026-01-01Z'::timestamptz AS opened,
    NULL::timestamptz AS closed, 'High' AS priority, 'new_module' AS topic, false AS spam;
"""


def test_the_template_runs(
    database: Server, tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(TEMPLATE_TABLES)
    monkeypatch.setenv("CSQL_DATABASE", database.url)
    config = read_config(project_root / "configs/warehouses/postgres.yaml")
    config = config.model_copy(update={"activity_folder": tmp_path})
    assert config.data.push_down
    rows, report, built = company(config)
    assert [(row["account_id"], row["user_id"], row["events"]) for row in rows] == [("a1", "u1", 3)]
    assert (report.read, report.kept, built) == (3, 3, 1)
    with DuckDBWarehouse(config) as warehouse:
        reports = validate(warehouse, config, leave_out=("events",)).reports
    assert {(report.name, report.kept) for report in reports} == {
        (name, 1) for name in ("accounts", "contracts", "users", "tickets")
    }
