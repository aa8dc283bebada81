"""Folders as they come: each ends in a sensible proposal or in one clear message."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from csql_ml import config as configuration
from csql_ml.cli import main
from csql_ml.company import open_inputs
from csql_ml.errors import CsqlError, OutputError, SourceError, UsageError
from csql_ml.proposing import Proposal, propose

ACCOUNTS = "account_id,name,created_at\na-1,Alpha,2024-01-01\na-2,Beta,2024-02-01\na-3,Gamma,2024-03-01\n"
CONTRACTS = (
    "account_id,product,seats,arr,start_date,end_date\n"
    "a-1,Core,10,1000,2024-01-01,2025-01-01\na-2,Core,20,2000,2024-02-01,2025-02-01\n"
)
EVENTS = "account_id,user_id,occurred_at,event_name\na-1,u1,2024-03-01 10:00,login\na-2,u2,2024-03-02 11:00,export\n"


def folder(tmp_path: Path, **files: str) -> Path:
    place = tmp_path / "export"
    place.mkdir()
    for name, text in files.items():
        (place / f"{name}.csv").write_text(text, encoding="utf-8")
    return place


def proposed(place: Path) -> Proposal:
    result = propose(str(place), place.parent / "company.yaml")
    configuration.load(result.out)
    return result


def table(result: Proposal, name: str) -> dict[str, str]:
    return dict(next(t for t in result.tables if t.name == name).columns or {})


def rows_kept(result: Proposal) -> dict[str, tuple[int, int]]:
    with open_inputs(configuration.load(result.out)) as inputs:
        inputs.stop_if_broken()
        return {report.name: (report.kept, report.quarantined) for report in inputs.reports}


# ---------------------------------------------------------------- nothing to propose


def test_an_empty_folder_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no file that could be a table; known are \.parquet, \.csv"):
        propose(str(folder(tmp_path)), tmp_path / "x.yaml")
    assert not (tmp_path / "x.yaml").exists()


def test_pictures_and_sheets_are_counted(tmp_path: Path) -> None:
    place = folder(tmp_path)
    for name in ("a.png", "b.png", "list.xlsx"):
        (place / name).write_bytes(b"\x89PNG")
    with pytest.raises(SourceError, match=r"2 of \.png, 1 of \.xlsx\); save sheets as CSV"):
        propose(str(place), tmp_path / "x.yaml")


@pytest.fixture
def csv_without_limit() -> Iterator[None]:
    """Python's limit of a cell is the whole process's."""
    before = csv.field_size_limit(10_000_000)
    yield
    csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2024-01-01,a@b.example\n2,2024-01-02,c@d.example\n", "has no header"),
        ("account_id,name\n1,M\xfcller\n".encode("latin-1"), "is not UTF-8; save it as UTF-8"),
        (b"", "has no header"),
        (b"a|b|c\n1|2|3\n", "has one column only"),
        (b"name,NAME\n1,2\n", "twice; rename one of them"),
        (b'a,b\n"1,2\n' + b"x" * 200_000, "cannot be read"),
        (b"\x00\x01\x02" * 100, "looks like a table"),
    ],
)
@pytest.mark.usefixtures("csv_without_limit")
def test_files_that_are_no_tables_say_why(tmp_path: Path, content: bytes, message: str) -> None:
    place = folder(tmp_path)
    (place / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        propose(str(place), tmp_path / "x.yaml")


def test_a_truncated_parquet_file_does_not_hide_the_others(tmp_path: Path) -> None:
    place = folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS, events=EVENTS)
    (place / "users.parquet").write_bytes(b"PAR1 and nothing more")
    result = proposed(place)
    assert result.ready
    assert "Not used: users.parquet is truncated or no Parquet file; copy it again." in result.notes


def test_a_single_incomplete_table_is_proposed_as_a_comment(tmp_path: Path) -> None:
    result = proposed(folder(tmp_path, tickets="ticket_id,account_id,opened_at\n1,a-1,2024-01-01\n"))
    assert configuration.load(result.out).data.tables == {}
    assert "    # tickets:" in result.out.read_text()
    assert next(t for t in result.tables if t.name == "tickets").missing == ("severity",)


def test_unknown_tables_are_listed_and_nothing_is_written(tmp_path: Path) -> None:
    place = folder(tmp_path, weather="city,temperature\nBerlin,12\n")
    with pytest.raises(SourceError, match=r"Looked at 1 sources: weather\.csv \(city, temperature\)"):
        propose(str(place), tmp_path / "x.yaml")
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.parametrize(
    ("place", "out", "kind"),
    [
        ("nowhere", "x.yaml", SourceError),
        (".", "x.txt", UsageError),
        ("snowflake://account/db", "x.yaml", CsqlError),
        ("${CSQL_NO_SUCH_VARIABLE}", "x.yaml", CsqlError),
        ("accounts.csv", "x.yaml", UsageError),
    ],
)
def test_wrong_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, out: str, kind: type) -> None:
    monkeypatch.chdir(tmp_path)
    Path("accounts.csv").write_text(ACCOUNTS)
    with pytest.raises(kind):
        propose(place, Path(out))
    assert not Path(out).exists()


def test_an_existing_file_stays(tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    out.write_text("company: {name: Mine}\n")
    with pytest.raises(OutputError, match="exists and is not overwritten"):
        propose(str(folder(tmp_path, accounts=ACCOUNTS)), out)
    assert out.read_text() == "company: {name: Mine}\n"


# ---------------------------------------------------------------- sensible proposals


def test_names_of_the_contract_need_no_lines(tmp_path: Path) -> None:
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS, events=EVENTS))
    assert result.ready
    assert "columns:" not in result.out.read_text()
    assert rows_kept(result) == {"accounts": (3, 0), "contracts": (2, 0), "events": (2, 0)}


def test_of_two_lists_of_accounts_the_one_is_taken_that_the_others_refer_to(tmp_path: Path) -> None:
    other = "company_id,company_name,created_at,industry\n900,Alpha,2024-01-01,Retail\n901,Beta,2024-01-02,Tech\n"
    place = folder(tmp_path, customers=ACCOUNTS, companies=other, contracts=CONTRACTS, events=EVENTS)
    result = proposed(place)
    assert next(t for t in result.tables if t.name == "accounts").fit.source.location == "customers.csv"  # type: ignore[union-attr]
    assert "companies.csv would fit nearly as well" in result.out.read_text()


def test_german_names_dates_and_commas(tmp_path: Path) -> None:
    result = proposed(
        folder(
            tmp_path,
            Kunden='Kunden-Nr.;Firma;Kunde seit\nK1;Müller "& Co";01.03.2021\nK2;Söhne;15.11.2022\n',
            Verträge="Vertrags-Nr.;Kunden-Nr.;Produkt;Lizenzen;MRR;Jahreswert;Vertragsbeginn;Vertragsende\n"
            "V1;K1;Basis;25;1.000,00;12.000,00;01.03.2024;01.03.2025\nV2;K2;Basis;10;200,50;2.406,00;15.11.2023;\n",
            Nutzung="Kunden-Nr.;Benutzer-ID;Zeitpunkt;Ereignis\nK1;u1;01.04.2024 10:15;Anmeldung\n",
        )
    )
    assert table(result, "contracts")["arr"] == "Jahreswert"
    assert rows_kept(result) == {"accounts": (2, 0), "contracts": (2, 0), "events": (1, 0)}
    with open_inputs(configuration.load(result.out)) as inputs:
        found = inputs.tables["contracts"].order_by("contract_id").to_pyarrow().to_pylist()
    assert [(str(r["arr"]), str(r["start_date"]), r["seats"]) for r in found] == [
        ("12000.00", "2024-03-01", 25),
        ("2406.00", "2023-11-15", 10),
    ]


def test_a_monthly_amount_is_never_taken_for_arr(tmp_path: Path) -> None:
    contracts = CONTRACTS.replace("arr", "mrr_amount")
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=contracts, events=EVENTS))
    text = result.out.read_text()
    assert not result.ready
    assert next(t for t in result.tables if t.name == "contracts").missing == ("arr",)
    assert "mrr_amount looks like an amount per month" in text
    assert "12 * CAST(mrr_amount AS DECIMAL(18, 2)) AS arr" in text


def test_the_suggestion_runs_when_it_is_switched_on(tmp_path: Path) -> None:
    contracts = CONTRACTS.replace("arr", "mrr_amount")
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=contracts, events=EVENTS))
    lines = result.out.read_text().splitlines()
    start = lines.index("    contracts:")
    end = next(i for i in range(start, len(lines)) if lines[i].startswith("    # contracts:"))
    last = next(i for i in range(end, len(lines)) if not lines[i].startswith("    #"))
    switched = [line.replace("# ", "", 1) for line in lines[end:last]]
    result.out.write_text("\n".join([*lines[:start], *switched, *lines[last:]]))
    with open_inputs(configuration.load(result.out)) as inputs:
        assert sorted(map(float, inputs.tables["contracts"].arr.to_pyarrow().to_pylist())) == [12000.0, 24000.0]


def test_usage_that_only_names_users_is_joined(tmp_path: Path) -> None:
    users = "user_id,account_id,created_at\nu1,a-1,2024-01-05\nu2,a-2,2024-01-06\n"
    events = "user_id,ts,action,module\nu1,1714557600,open,Reports\nu2,1714557700,open,Export\n"
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS, users=users, events=events))
    assert "LEFT JOIN user_raw AS o ON s.user_id = o.user_id" in result.out.read_text()
    assert rows_kept(result)["events"] == (2, 0)


def test_crm_types_and_stages_are_translated(tmp_path: Path) -> None:
    deals = (
        "Id,AccountId,Type,CreatedDate,Amount,CloseDate,StageName\n"
        "1,a-1,Existing Business,2024-05-01,1000,2024-06-01,Closed Won\n"
        "2,a-2,New Business,2024-05-11,2000,2024-07-01,Closed Lost\n"
        "3,a-3,Renewal,2024-08-11,2000,2024-12-01,Negotiation\n"
    )
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS, events=EVENTS, Opportunity=deals))
    with open_inputs(configuration.load(result.out)) as inputs:
        found = inputs.tables["opportunities"].order_by("opportunity_id").to_pyarrow().to_pylist()
    assert [(r["type"], r["won"], str(r["closed_at"])[:10]) for r in found] == [
        ("expansion", True, "2024-06-01"),
        ("new", False, "2024-07-01"),
        ("renewal", None, "None"),
    ]


def test_many_columns_quotes_formulas_and_one_row(tmp_path: Path) -> None:
    extra = [f"custom field {i}" for i in range(300)]
    header = ["account_id", '"the ""name"" of it"', "name", "created_at", "=SUM(A1)", "${HOME}", *extra]
    accounts = ",".join(header) + "\n" + ",".join(["a-1", "=1+1", "=cmd()", "2024-01-01", *["+1"] * 302]) + "\n"
    contracts = "\n".join(CONTRACTS.splitlines()[:2]) + "\n"
    result = proposed(folder(tmp_path, accounts=accounts, contracts=contracts, events=EVENTS.replace("a-2", "a-1")))
    assert table(result, "accounts") == {"account_id": "account_id", "name": "name", "created_at": "created_at"}
    assert rows_kept(result)["accounts"] == (1, 0)


def test_a_column_that_cannot_be_read_does_not_cost_the_rows(tmp_path: Path) -> None:
    """The reader takes what has the contract's name: a size written as 11-50 would set every account aside."""
    lines = ACCOUNTS.splitlines()
    accounts = "\n".join([f"{lines[0]},employees", *(f"{line},11-50" for line in lines[1:])])
    result = proposed(folder(tmp_path, accounts=accounts, contracts=CONTRACTS, events=EVENTS))
    assert "employees might be employees, but 0% of its sampled values can be read" in result.out.read_text()
    assert rows_kept(result)["accounts"] == (3, 0)


def test_dates_that_can_be_read_either_way_are_left_to_a_person(tmp_path: Path) -> None:
    contracts = CONTRACTS.replace("2024-01-01", "01/02/2024").replace("2024-02-01", "03/04/2024")
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=contracts, events=EVENTS))
    contract = next(t for t in result.tables if t.name == "contracts")
    assert contract.missing == ("start_date",)
    assert "the day or the month may stand first" in " ".join(contract.remarks)


def test_what_a_repair_cannot_read_is_set_aside_and_not_taken_for_empty(tmp_path: Path) -> None:
    days = [f"{day:02d}.01.2025" for day in range(1, 31)] + ["soon"]
    contracts = "account_id,product,seats,arr,start_date,end_date\n" + "".join(
        f"a-1,Core{i},10,1000,2024-01-01,{day}\n" for i, day in enumerate(days)
    )
    result = proposed(folder(tmp_path, accounts=ACCOUNTS, contracts=contracts, events=EVENTS))
    assert rows_kept(result)["contracts"] == (30, 1)


def test_values_inside_json_objects_are_found(tmp_path: Path) -> None:
    place = folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS)
    tracks = [
        {"messageId": f"m{i}", "event": "Report Created", "userId": f"u{i}", "timestamp": "2024-03-01T10:00:00.000Z"}
        | {"context": {"groupId": account, "ip": None}}
        for i, account in enumerate(("a-1", "a-2"))
    ]
    (place / "segment_tracks.jsonl").write_text("\n".join(map(json.dumps, tracks)), encoding="utf-8")
    result = proposed(place)
    assert table(result, "events")["account_id"] == "context.groupId"
    assert rows_kept(result)["events"] == (2, 0)


def test_parts_of_a_table_become_one_glob(tmp_path: Path) -> None:
    place = folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS)
    for month in ("2024-01", "2024-02", "2024-03"):
        (place / "usage [eu]" / month).mkdir(parents=True)
        (place / "usage [eu]" / month / "part-0.csv").write_text(EVENTS, encoding="utf-8")
        (place / f"tickets_{month}.csv").write_text(
            f"ticket_id,account_id,opened_at,priority\n{month},a-1,{month}-01,high\n", encoding="utf-8"
        )
    result = proposed(place)
    found = {t.name: t.fit.source.location for t in result.tables if t.fit}
    assert (found["events"], found["tickets"]) == ("usage [[]eu]/**/*.csv", "tickets_*.csv")
    assert rows_kept(result)["tickets"] == (3, 0)


def test_the_command_prints_what_is_missing_and_the_next_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder(tmp_path, accounts=ACCOUNTS, contracts=CONTRACTS.replace("arr", "mrr"))
    with pytest.raises(SystemExit) as ending:
        main(["init", str(place), "--out", str(tmp_path / "a.yaml"), "--json"])
    assert ending.value.code == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert {t["table"]: t["state"] for t in found["tables"] if t["table"] in ("accounts", "contracts", "events")} == {
        "accounts": "mapped",
        "contracts": "incomplete",
        "events": "absent",
    }
    with pytest.raises(SystemExit):
        main(["init", str(place), "--out", str(tmp_path / "b.yaml")])
    text = capsys.readouterr().out
    assert "still missing: contracts (arr), events (no source)" in text
    assert f"next: csql check -c {tmp_path / 'b.yaml'}" in text
