"""The same dirty rows give the same report, the same kept rows and the same quarantine on every engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from csql_ml.contract.parsing import parse
from csql_ml.contract.report import Inputs
from csql_ml.contract.rules import account_rule, column_rules, first_problem
from csql_ml.contract.tables import Column
from csql_ml.contract.validate import validate
from tests.contract.test_parsing import SPEC, TYPED
from tests.engines.engine_under_test import Engine, duckdb_engine
from tests.engines.text_warehouse import text_warehouse
from tests.small_company import rows

pytestmark = pytest.mark.engines


def judge(engine: Engine, columns: list[Column], values: dict[str, pa.Array]) -> list[list[Any]]:
    """Per column, per value: the typed value, or the kind of its first problem; all in one query."""
    names = list(values)
    raw = engine.load("raw", pa.table({"i": list(range(len(values[names[0]]))), **values}))
    parsed = {name: parse(raw[name], column) for name, column in zip(names, columns, strict=True)}
    rules = {name: column_rules(column, parsed[name]) for name, column in zip(names, columns, strict=True)}
    problems = {f"{name}_problem": first_problem(rules[name]) for name in names}
    judged = raw.select("i", **{name: parsed[name].value for name in names}, **problems)
    found = engine.connection.to_pyarrow(judged.order_by("i")).to_pylist()
    return [
        [row[n] if row[f"{n}_problem"] is None else rules[n][row[f"{n}_problem"]].kind for row in found] for n in names
    ]


def test_what_is_accepted_as_which_type(engine: Engine) -> None:
    columns = list(dict.fromkeys(column for column, _, _ in SPEC))
    # PostgreSQL's text cannot hold a NUL character at all.
    spec = {c: [(t, e) for which, t, e in SPEC if which is c and "\x00" not in (t or "")] for c in columns}
    longest = max(map(len, spec.values()))
    texts = {
        f"c{i}": pa.array([t for t, _ in spec[c]] + [None] * (longest - len(spec[c])), pa.string())
        for i, c in enumerate(columns)
    }
    wrong = [
        (column.dtype, text, got, expected)
        for column, answers in zip(columns, judge(engine, columns, texts), strict=True)
        for (text, expected), got in zip(spec[column], answers, strict=False)
        if (got, type(got)) != (expected, type(expected))
    ]
    assert wrong == []


def test_rows_of_unknown_accounts_are_found_without_comparing_all_pairs(spark_connection: Any) -> None:
    engine = Engine("spark", spark_connection)
    accounts = engine.load("known", pa.table({"account_id": ["a1", "a2"]}))
    rows_of = engine.load("of_accounts", pa.table({"i": [0, 1, 2], "account_id": ["a2", "a3", None]}))
    judged = rows_of.select("i", unknown=account_rule(rows_of, accounts).bad)
    assert engine.connection.to_pyarrow(judged.order_by("i"))["unknown"].to_pylist() == [False, True, False]
    planned = spark_connection.session.sql(spark_connection.compile(judged))._jdf.queryExecution().toString()
    assert "Join" in planned
    assert "NestedLoop" not in planned, planned


#: Types that neither Spark nor PostgreSQL has.
_DUCKDB_ONLY = (pa.uint64(), pa.timestamp("ns"), pa.timestamp("s"), pa.timestamp("us", "Europe/Berlin"))


def test_typed_columns(engine: Engine) -> None:
    spec = [(c, v, e) for c, v, e in TYPED if engine.name == "duckdb" or v.type not in _DUCKDB_ONLY]
    longest = max(len(expected) for _, _, expected in spec)
    values = {
        f"c{i}": pa.array(v.to_pylist() + [None] * (longest - len(v)), v.type) for i, (_, v, _) in enumerate(spec)
    }
    answers = judge(engine, [column for column, _, _ in spec], values)
    wrong = [
        (column.dtype, str(v.type), got, expected)
        for (column, v, expected), all_got in zip(spec, answers, strict=True)
        if (got := all_got[: len(expected)]) != expected
    ]
    assert wrong == []


DIRTY: dict[str, str] = {
    "accounts": """
account_id | name  | created_at           | employees | csm_id | recorded_at
A1         | Alpha | 2023-01-02           | 10        | C1     |
A1         | Alpha | 2023-01-02T00:00:00Z | 10.0      | C1     |
A1         | Alpha | 2023-01-01           | 11        | C1     |
A1         | Alpha | 2023-01-02           | 12        | C2     | 2023-06-01
A2         | beta  | 2023-02-01           | 5         | C1     |
B3         | Gamma | 2023-02-30           | 5         | C1     |
 A4        | Delta | 2023-02-01 +01:00    | 1e1       | C1     |
A5         |       | 2023-02-01           | 5         | C1     |
A6         | Zeta  | 0000-01-01           | 5         | C1     |
A7         | Eta   | 2023-02-01           | 1e30      | C1     |
A8         | Theta | 2024-02-29T23:59:59.9999999-11:30 | Infinity | |
a9         | Iota  | 2024-02-29T23:59:59.9999999-11:30 |          | |
""",
    "contracts": """
account_id | product | seats | arr     | start_date          | end_date   | plan
A1         | core    | 10    | 1000.00 | 2023-01-01          | 2024-01-01 | Pro
A1         | core    | 10    | 1000    | 2023-01-01 00:00:00 | 2024-01-01 | Pro
A1         | Core    | 10    | 12.345  | 2023-01-01          | 2024-01-01 | Pro
A2         | core    | 5     | -1      | 2023-02-01          |            | Pro
A2         | add-on  | 5     | 1e17    | 2023-02-01          |            | Pro
A2         | add-on  | 5.5   | 1       | 2023-02-01          |            | Pro
A2         | bots    | 5     | 1       | 2023-02-02          | 2023-02-01 | Pro
A2         | late    | 5     | NaN     | 2023-02-02          |            | Pro
A9         | core    | 5     | 1       | 2023-02-02          |            | Pro
A2         | ok      | 5     | 0.005   | 2023-02-02          |            |
a9         | ok      | 5     | 0.004   | 1969-12-31          |            |
""",
    "events": """
account_id | user_id | occurred_at               | event_name | event_id | feature | quantity | recorded_at
A1         | U1      | 2023-05-01 3:00           | login      | E1       | x       | 1        | 2023-05-03
A1         | U1      | 2023-05-01 3:00           | login      | E1       | x       | 1.0      | 2023-05-02
A1         | U1      | 2023-05-01 3:00           | Logout     | E1       | x       | 1        | 2023-05-02
A1         | U1      | 2023-05-01 3:00           | logout     | E1       | x       | 1        | 2023-05-02
A1         |         | 2023/05/01T10:00:00+02:00 | login      |          |         |          |
A1         |         | 2023-05-01T10:00:00+02:00 | login      |          |         |          |
A9         | U1      | 2023-05-01                | login      | E2       |         |          |
A2         | U1      | yesterday                 | login      | E3       |         |          |
A2         | U1      | 2023-05-01 24:00:00       | login      | E4       |         |          |
A2         | U1      | 2023-05-01 23:59:60       | login      | E5       |         |          |
A2         | U1      | 2023-05-01                | login      | E6       |         | 1e999    |
A2         | U1      | 2023-01-01                | login      | E7       |         | .5       |
A1         | U1      | 2023-05-01T10:00:00.1234567Z | login   | e1       | x       | 1        |
""",
    "tickets": """
ticket_id | account_id | opened_at  | severity | closed_at  | topic
T1        | A1         | 2023-05-02 | high     | 2023-05-01 | bug
T2        | A1         | 2023-05-02 | low      |            |
t2        | A2         | 2022-05-02 | low      | 2023-06-01 |
T2        | A1         | 2023-05-02 | low      | 2023-06-01 |
""",
    "nps": """
account_id | responded_at        | score
A1         | 2023-05-01          | 9
A1         | 2023-05-01          | 11
A1         | 2023-05-01          | nine
A2         | 2023-05-01 10:00 PM | 9
""",
    "advocacy": "account_id | occurred_at | kind\nA1 | 2023-05-01 | Review \nA1 | 2023-05-01 | praise",
    "csqls": """
csql_id | account_id | type    | created_at | closed_at  | won   | arr
q1      | A1         | UPSELL  | 2023-05-01 | 2023-06-01 | yes   | 10
q2      | A1         | upsell  | 2023-05-01 |            | maybe |
q3      | A1         | renewal | 2023-05-01 | 2023-04-01 | F     | 0.1
""",
    "coverage": """
csm_id | account_id | start_date | end_date
C1     |            | 2023-01-01 |
       | A1         | 2023-01-01 | 2023-01-01
       |            | 2023-01-01 |
""",
}


def _plain(row: dict[str, Any]) -> str:
    """A row as text; how many zeros a decimal ends with is no difference."""
    return str({name: value.normalize() if isinstance(value, Decimal) else value for name, value in row.items()})


def outcome(engine: Engine, folder: Path) -> tuple[Inputs, dict[str, list[str]], dict[str, list[str]]]:
    """What validation says, and what it keeps and sets aside."""
    folder.mkdir(exist_ok=True)
    tables = {name: rows(text) for name, text in DIRTY.items()}
    with text_warehouse(engine, folder, tables, company={"time_zone": "America/New_York"}) as warehouse:
        inputs = validate(warehouse, warehouse.config, folder / "bad")
        kept = {n: sorted(map(_plain, inputs.con.to_pyarrow(t).to_pylist())) for n, t in inputs.tables.items()}
    bad = {file.stem: [repr(row) for row in pq.read_table(file).to_pylist()] for file in (folder / "bad").glob("*")}
    return inputs, kept, bad


def test_dirty_rows(engine: Engine, tmp_path: Path) -> None:
    inputs, kept, bad = outcome(engine, tmp_path / "engine")
    with duckdb_engine() as local:
        expected, expected_kept, expected_bad = outcome(local, tmp_path / "duckdb")
    assert inputs.reports == expected.reports
    assert kept == expected_kept
    assert bad == expected_bad
