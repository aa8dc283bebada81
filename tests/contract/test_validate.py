"""Small tables in, kept and quarantined rows out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from csql_ml.contract.report import summary_rows
from csql_ml.contract.tables import TABLES
from csql_ml.errors import ContractError, OutputError
from tests.contract.sound_company import Check, kept, problems


def test_a_sound_company_has_no_problems(check: Check) -> None:
    inputs = check()
    assert [(r.name, r.read, r.kept, r.quarantined, r.problems) for r in inputs.reports] == [
        ("accounts", 2, 2, 0, ()),
        ("contracts", 2, 2, 0, ()),
        ("events", 2, 2, 0, ()),
    ]
    assert inputs.absent == tuple(name for name in TABLES if name not in ("accounts", "contracts", "events"))
    inputs.stop_if_broken()


def test_kept_tables_have_every_declared_column_in_its_type_and_known_at(check: Check) -> None:
    for name, rows in check().tables.items():
        assert rows.columns == (*TABLES[name].column_names, "known_at")
        kinds = {c.name: str(rows.schema()[c.name]) for c in TABLES[name].columns}
        expected = {"integer": "int64", "timestamp": "timestamp(6)", "number": "decimal(18, 6)"}
        for column in TABLES[name].columns:
            wanted = "decimal(18, 2)" if column.name == "arr" else expected.get(column.dtype, column.dtype)
            assert kinds[column.name].removeprefix("!") == wanted, (name, column.name)


def test_present_columns_are_those_of_the_source(check: Check) -> None:
    present = check(tickets="ticket_id,account_id,opened_at,severity,other\nT1,A1,2023-05-01,high,x").present_columns
    assert present["tickets"] == {"ticket_id", "account_id", "opened_at", "severity"}
    assert present["nps"] == frozenset()
    assert set(present) == set(TABLES)


def test_a_bad_row_is_counted_once_with_its_first_problem(check: Check) -> None:
    inputs = check(
        nps="""
            account_id,responded_at,score
            A1,2023-05-01,9
            ,2023-05-01,eleven
            A1,later,11
            A1,2023-05-01,11
            A9,2023-05-01,10
        """
    )
    assert problems(inputs, "nps") == {
        ("account_id", "missing"): 1,
        ("responded_at", "wrong_type"): 1,
        ("score", "out_of_bounds"): 1,
        ("account_id", "unknown_account"): 1,
    }
    assert kept(inputs, "nps", "account_id", "score") == [("A1", 9)]


def test_rows_of_a_quarantined_account_are_unknown(check: Check) -> None:
    inputs = check(accounts="account_id,name,created_at\nA1,Alpha,2023-01-01\nA2,,2023-02-01")
    assert problems(inputs, "accounts") == {("name", "missing"): 1}
    assert problems(inputs, "contracts") == {("account_id", "unknown_account"): 1}
    assert kept(inputs, "events", "account_id") == ["A1"]


@pytest.mark.parametrize("table", ["contracts", "coverage"])
def test_a_term_that_ends_before_it_starts_is_quarantined(check: Check, table: str) -> None:
    text = {
        "contracts": "account_id,product,seats,arr,start_date,end_date\nA1,core,1,1,2023-02-01,2023-01-31",
        "coverage": "account_id,start_date,end_date\nA1,2023-02-01,2023-01-31",
    }[table]
    good = {"contracts": "\nA1,core,1,1,2023-02-01,2023-02-01", "coverage": "\nA1,2023-02-01,2023-02-01"}[table]
    inputs = check(**{table: text + good})
    assert problems(inputs, table) == {("start_date, end_date", "end_date_before_start_date"): 1}
    assert len(kept(inputs, table, "account_id")) == 1


def test_a_ticket_closed_before_it_was_opened_is_kept_with_a_warning(check: Check) -> None:
    inputs = check(
        tickets="ticket_id,account_id,opened_at,severity,closed_at\nT1,A1,2023-05-02,high,2023-05-01\nT2,A1,2023-05-02,low,"
    )
    (problem,) = next(r for r in inputs.reports if r.name == "tickets").problems
    assert (problem.kind, problem.rows, problem.action) == ("closed_at_before_opened_at", 1, "warn")
    assert problem.examples == ("T1",)
    assert kept(inputs, "tickets", "ticket_id") == ["T1", "T2"]


def test_coverage_needs_a_csm_or_an_account(check: Check) -> None:
    inputs = check(
        coverage="""
            csm_id,account_id,start_date,end_date
            C1,,2023-01-01,
            ,A1,2023-01-01,
            ,,2023-01-01,
            ,A9,2023-01-01,
        """
    )
    assert problems(inputs, "coverage") == {
        ("csm_id, account_id", "nobody"): 1,
        ("account_id", "unknown_account"): 1,
    }


def test_copies_keep_one_and_conflicts_keep_the_row_known_first(check: Check) -> None:
    inputs = check(
        accounts="""
            account_id,name,created_at,employees
            A1,Alpha,2023-01-02,10
            A1, Alpha ,2023-01-02T00:00:00Z,10.0
            A1,Alpha,2023-01-01,11
            A2,Beta,2023-02-01,5
            A2,Beta,2023-02-01,5
        """
    )
    assert problems(inputs, "accounts") == {("account_id", "duplicate"): 1, ("account_id", "conflicting_duplicate"): 2}
    assert kept(inputs, "accounts", "account_id", "employees") == [("A1", 11), ("A2", 5)]


def test_versions_of_a_thing_are_told_apart_by_recorded_at(check: Check) -> None:
    inputs = check(
        accounts="""
            account_id,name,created_at,csm_id,recorded_at
            A1,Alpha,2023-01-01,C1,
            A1,Alpha,2023-01-01,C2,2023-06-01
            A1,Alpha,2023-01-01,C3,2023-06-01
            A2,Beta,2023-02-01,C1,
        """
    )
    assert kept(inputs, "accounts", "account_id", "csm_id") == [("A1", "C1"), ("A1", "C2"), ("A2", "C1")]
    assert problems(inputs, "accounts") == {("account_id", "conflicting_duplicate"): 1}


def test_an_event_counts_once_however_often_it_is_recorded(check: Check) -> None:
    inputs = check(
        events="""
            account_id,user_id,occurred_at,event_name,event_id,recorded_at
            A1,U1,2023-05-01,login,E1,2023-05-03
            A1,U1,2023-05-01,login,E1,2023-05-02
            A1,U1,2023-05-01,logout,E1,2023-05-04
            A1,U1,2023-05-01,login,,
            A1,U1,2023-05-01,login,,
        """
    )
    assert problems(inputs, "events") == {("event_id", "duplicate"): 1, ("event_id", "conflicting_duplicate"): 1}
    rows = kept(inputs, "events", "event_id", "recorded_at")
    assert rows == [("E1", dt.datetime(2023, 5, 2)), (None, None), (None, None)]  # noqa: DTZ001 - naive UTC


def test_events_without_ids_are_never_copies(check: Check) -> None:
    row = "A1,U1,2023-05-01,login\n"
    inputs = check(events="account_id,user_id,occurred_at,event_name\n" + row * 3)
    assert len(kept(inputs, "events", "account_id")) == 3


def test_rows_are_known_from_their_record_or_else_their_own_time_but_never_before_they_happened(check: Check) -> None:
    inputs = check(
        tickets="""
            ticket_id,account_id,opened_at,severity,recorded_at
            T1,A1,2023-05-02T10:00:00,high,
            T2,A1,2023-05-02T10:00:00,high,2023-06-01T00:00:00+02:00
            T3,A1,2023-05-02T10:00:00,high,2023-01-01
        """,
        contracts="""
            account_id,product,seats,arr,start_date,end_date,signed_at,recorded_at
            A1,signed,1,1,2023-06-01,,2023-03-01T09:00:00Z,
            A1,unsigned,1,1,2023-06-01,,,
            A1,recorded,1,1,2023-06-01,,2023-03-01,2023-01-01
        """,
    )
    known = {row[0]: str(row[1]) for row in kept(inputs, "tickets", "ticket_id", "known_at")}
    assert known == {"T1": "2023-05-02 10:00:00", "T2": "2023-05-31 22:00:00", "T3": "2023-05-02 10:00:00"}
    known = {row[0]: str(row[1]) for row in kept(inputs, "contracts", "product", "known_at")}
    assert known == {
        "signed": "2023-03-01 09:00:00",
        "unsigned": "2023-06-01 00:00:00",
        "recorded": "2023-01-01 00:00:00",
    }


@pytest.mark.parametrize(
    ("zone", "early"),
    [("UTC", 1), ("Asia/Tokyo", 0), ("America/New_York", 2)],
)
def test_events_before_the_first_contract_are_counted_in_the_companys_days(check: Check, zone: str, early: int) -> None:
    inputs = check(
        time_zone=zone,
        events="""
            account_id,user_id,occurred_at,event_name,event_id
            A2,U,2023-01-31T16:00:00Z,login,E1
            A2,U,2023-02-01T03:00:00Z,login,E2
            A2,U,2023-02-01T06:00:00Z,login,E3
        """,
    )
    found = next(r for r in inputs.reports if r.name == "events").problems
    assert [(p.kind, p.rows, p.action, p.examples) for p in found] == [
        ("before_first_contract", early, "warn", ("A2",)) for _ in range(bool(early))
    ]
    assert len(kept(inputs, "events", "event_id")) == 3


def test_money_is_exact(check: Check) -> None:
    rows = "".join(f"A1,p{i},1,0.10,2023-01-01,\n" for i in range(30))
    inputs = check(contracts="account_id,product,seats,arr,start_date,end_date\n" + rows)
    assert inputs.con.to_pyarrow(inputs.tables["contracts"].arr.sum()).as_py() == Decimal("3.00")


# ---------------------------------------------------------------- stops


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"events": None},
            "events: required table is not mapped; give its file, table or query under data.tables.events",
        ),
        ({"events": "account_id,user_id,occurred_at,event_name"}, "events: the table has no rows"),
        (
            {"events": "account_id,user_id,occurred_at\nA1,,2023-05-01"},
            "events.event_name: required column is not in the source; found: account_id, user_id, occurred_at; map it",
        ),
        (
            {"events": "account_id,user_id,occurred_at,event_name\nA1,,x,login\nA1,,y,login"},
            "events: no row can be used; most often occurred_at: not a time such as 2024-03-31T12:00:00+02:00 (2 rows)",
        ),
        ({"nps": "account_id,score\nA1,9"}, "nps.responded_at: required column is not in the source"),
    ],
)
def test_a_broken_table_stops_the_job_in_one_line(check: Check, changes: Any, message: str) -> None:
    inputs = check(**changes)
    with pytest.raises(ContractError) as caught:
        inputs.stop_if_broken()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_several_broken_tables_are_counted(check: Check) -> None:
    with pytest.raises(ContractError, match=r"^accounts: .* \(and 2 more; csql check shows all\)$"):
        check(accounts=None, contracts=None, events=None).stop_if_broken()


def test_an_empty_optional_table_is_a_warning(check: Check) -> None:
    inputs = check(nps="account_id,responded_at,score")
    assert problems(inputs, "nps") == {("", "empty"): 0}
    assert kept(inputs, "nps", "score") == []
    inputs.stop_if_broken()


def test_a_mapped_column_that_is_not_there_names_what_is(tmp_path: Path, check: Check) -> None:
    from csql_ml.config import Config
    from csql_ml.sources import open_warehouse

    (tmp_path / "a.csv").write_text("id,name,created_at\n", encoding="utf-8")
    mapping = {"file": "a.csv", "columns": {"account_id": "uid"}}
    with (
        open_warehouse(
            Config.model_validate({"data": {"folder": tmp_path, "tables": {"accounts": mapping}}})
        ) as warehouse,
        pytest.raises(
            ContractError, match=r"accounts: column 'uid', mapped to account_id, .*found: id, name, created_at"
        ),
    ):
        warehouse.read("accounts")


# ---------------------------------------------------------------- examples, quarantine, summary


def test_examples_are_keys_and_never_other_values(check: Check) -> None:
    rows = "".join(f"T{i},A1,secret-time,secret-severity\n" for i in range(9))
    good = "T99,A1,2023-05-01,high\n"
    inputs = check(tickets="ticket_id,account_id,opened_at,severity\n" + rows + good)
    (problem,) = next(r for r in inputs.reports if r.name == "tickets").problems
    assert problem.examples == ("T0", "T1", "T2", "T3", "T4")
    assert "secret" not in str(summary_rows(inputs))


def test_quarantined_rows_are_written_as_they_came(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    inputs = check(
        quarantine=folder,
        events="""
            account_id,user_id,occurred_at,event_name,quantity
            A1, U1 ,2023-05-01,login,1
            A1,Ü😀,yesterday,"a ""quoted"", name",1e999
            A9,,2023-05-01T10:00:00+02:00,login,007
        """,
    )
    assert [p.name for p in folder.iterdir()] == ["events.parquet"]
    rows = pd.read_parquet(folder / "events.parquet").astype(object).where(lambda t: t.notna(), None)
    assert rows.to_dict("records") == [
        {
            "account_id": "A9",
            "user_id": None,
            "occurred_at": "2023-05-01T10:00:00+02:00",
            "event_name": "login",
            "quantity": "007",
            "problem": "unknown_account",
            "problem_column": "account_id",
        },
        {
            "account_id": "A1",
            "user_id": "Ü😀",
            "occurred_at": "yesterday",
            "event_name": 'a "quoted", name',
            "quantity": "1e999",
            "problem": "wrong_type",
            "problem_column": "occurred_at",
        },
    ]
    assert inputs.reports[2].quarantined == len(rows)


def test_nothing_is_written_when_nothing_is_bad_and_an_old_file_goes(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    check(quarantine=folder)
    assert not folder.exists()
    check(quarantine=folder, events="account_id,user_id,occurred_at,event_name\nA1,,x,login\nA1,,2023-05-01,login")
    assert (folder / "events.parquet").exists()
    check(quarantine=folder)
    assert not (folder / "events.parquet").exists()


def test_a_file_that_is_not_quarantine_is_never_overwritten(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    pd.DataFrame({"account_id": ["A1"]}).to_parquet(folder / "accounts.parquet")
    before = (folder / "accounts.parquet").read_bytes()
    with pytest.raises(OutputError, match="not a quarantine file; choose another folder"):
        check(quarantine=folder)
    assert (folder / "accounts.parquet").read_bytes() == before


def test_a_quarantine_that_cannot_be_written_leaves_nothing(check: Check, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    bad = "account_id,user_id,occurred_at,event_name\nA1,,x,login\nA1,,2023-05-01,login"
    with pytest.raises(OutputError, match="cannot be written"):
        check(quarantine=tmp_path / "file" / "folder", events=bad)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "x"


def test_summary_rows_are_plain(check: Check) -> None:
    rows = summary_rows(check(nps="account_id,responded_at,score\nA1,2023-05-01,99\nA1,2023-05-01,9"))
    assert [row["table"] for row in rows] == [
        "accounts",
        "contracts",
        "events",
        "nps",
        *[name for name in TABLES if name not in ("accounts", "contracts", "events", "nps")],
    ]
    assert rows[3] == {
        "table": "nps",
        "mapped": True,
        "read": 2,
        "kept": 1,
        "quarantined": 1,
        "problems": [
            {
                "column": "score",
                "kind": "out_of_bounds",
                "rows": 1,
                "action": "quarantine",
                "message": "out of bounds; expected at least 0 and at most 10",
                "examples": ["A1"],
            }
        ],
    }
    assert rows[4] == {"table": "users", "mapped": False, "read": 0, "kept": 0, "quarantined": 0, "problems": []}
