"""Leads into a real Tryton server, what sales makes of them there, and the way back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from csql_ml.errors import CsqlError
from csql_ml.handoff.push import dry_run, push
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import BatchRejected
from csql_ml.handoff.tryton.sink import TrytonSink
from tests.crm.tryton.proxy import CountingProxy
from tests.crm.tryton_desk import Salesperson, sink_of
from tests.crm.tryton_server import TrytonServer, tryton_server
from tests.handoff.small_run import config, lead, score, write_run

pytestmark = pytest.mark.engines

LEADS = 500
#: What a write would change in the database.
STATE = "SELECT id, csql_key, csql_revision, create_date, write_date FROM sale_opportunity ORDER BY id"


def many(number: int, **values: object) -> list[dict[str, object]]:
    """Leads of the accounts A0000, A0001 and so on, spread over five account executives."""
    return [lead(f"A{n:04d}", ae_id=f"AE-{n % 5 + 1}", **values) for n in range(number)]


def pushed(home: Path, run: Path, sink: TrytonSink) -> dict[str, int]:
    done = push(config(home), run, "tryton", sink=sink)
    assert done.exit_code == 0, [row.error for row in done.dead]
    return done.counts


def test_500_leads_arrive_and_pushing_them_again_writes_nothing(
    crm: TrytonServer, seller: Salesperson, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", many(LEADS))
    with CountingProxy(crm.port) as proxy:
        sink = sink_of(proxy.port)
        looked = dry_run(config(tmp_path), run, "tryton", sink=sink)
        assert looked.plan is not None
        assert looked.plan.counts()["lead"]["create"] == LEADS
        assert proxy.writes == 0
        assert crm.sql(STATE) == [], "a dry run writes nothing"
        assert pushed(tmp_path, run, sink) == {"create": LEADS}
        assert proxy.writes == LEADS // 100
        before, proxy.calls = crm.sql(STATE), Counter()
        assert len({row[1] for row in before}) == LEADS
        assert pushed(tmp_path, run, sink) == {}
        assert proxy.writes == 0, f"requests of the second push: {proxy.calls}"
        assert crm.sql(STATE) == before
    by_executive = Counter(one["employee."]["rec_name"] for one in seller.leads(["employee.rec_name"]))
    assert by_executive == {f"Executive {n}": LEADS // 5 for n in range(1, 6)}
    one = seller.leads(
        ["state", "description", "amount", "conversion_probability", "csql_source.name", "currency.code"]
    )[0]
    assert (one["state"], float(one["amount"]), one["conversion_probability"]) == ("lead", 10_000.0, 0.4123)
    assert (one["csql_source."]["name"], one["currency."]["code"]) == ("CSQL", "EUR")


def test_a_lost_outbox_is_recovered_without_a_write(crm: TrytonServer, sink: TrytonSink, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", many(20))
    pushed(tmp_path, run, sink)
    before = crm.sql(STATE)
    (tmp_path / "outbox.sqlite").unlink()
    assert pushed(tmp_path, run, sink) == {}
    assert crm.sql(STATE) == before


def test_what_sales_made_of_leads_comes_back(sink: TrytonSink, seller: Salesperson, tmp_path: Path) -> None:
    pushed(tmp_path, write_run(tmp_path / "run", many(8)), sink)
    ids = {one["csql_account_id"]: one["id"] for one in seller.leads(["csql_account_id"])}
    won, lost, rejected, cancelled, accepted = (ids[f"A000{n}"] for n in range(1, 6))
    seller.press("csql_accept", [accepted])
    seller.press("opportunity", [won, lost])
    seller.win(won, 12_345)
    seller.edit([lost], lost_reason="chose another tool")
    seller.press("lost", [lost])
    seller.edit([rejected], csql_rejection_reason="no budget before spring")
    seller.press("lost", [rejected])
    seller.press("cancel", [cancelled])

    changes, cursor = sink.outcomes("")

    csqls = {c.row["account_id"]: c.row for c in changes if c.table == "csqls"}
    assert len(csqls) == 8
    stages = ("accepted_at", "rejected_at", "opportunity_at", "closed_at", "won", "arr")
    reached = {n: {s for s in stages if csqls[f"A000{n}"][s] is not None} for n in range(6)}
    assert reached == {
        0: set(),
        1: {"accepted_at", "opportunity_at", "closed_at", "won", "arr"},
        2: {"accepted_at", "opportunity_at", "closed_at", "won"},
        3: {"rejected_at"},
        4: {"rejected_at"},
        5: {"accepted_at"},
    }
    assert (csqls["A0001"]["won"], csqls["A0001"]["arr"]) == (True, 12_345.0)
    assert csqls["A0002"]["won"] is False
    assert csqls["A0003"]["rejection_reason"] == "no budget before spring"
    assert csqls["A0003"]["ae_id"] == "AE-4"
    assert csqls["A0001"]["created_at"] < csqls["A0001"]["accepted_at"] < csqls["A0001"]["closed_at"]
    assert {c.row["account_id"] for c in changes if c.table == "opportunities"} == {"A0001", "A0002"}
    again, following = sink.outcomes(cursor)
    assert following == cursor
    assert {(c.table, c.remote_id): c.row for c in again} == {(c.table, c.remote_id): c.row for c in changes}


def test_a_pull_pages_through_and_the_cursor_leaves_old_changes_behind(
    crm: TrytonServer,
    sink_for: Callable[..., TrytonSink],
    seller: Salesperson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("csql_ml.handoff.tryton.outcomes._PAGE", 7)
    sink = sink_for(overlap=0.2)
    pushed(tmp_path, write_run(tmp_path / "run", many(30)), sink)
    changes, cursor = sink.outcomes("")
    assert Counter(c.remote_id for c in changes) == dict.fromkeys(map(str, range(1, 31)), 1)
    time.sleep(0.3)
    seller.press("opportunity", [3])
    changes, following = sink.outcomes(cursor)
    assert following > cursor
    assert {c.remote_id for c in sink.outcomes(following)[0]} == {"3"}


def test_opportunities_of_others_come_back_in_the_companys_currency(sink: TrytonSink, seller: Salesperson) -> None:
    (party,) = seller._do("model.party.party", "search", [["csql_account_id", "=", "A0007"]], 0, None, None)
    (dollar,) = seller._do("model.currency.currency", "search", [["code", "=", "USD"]], 0, None, None)
    (employee,) = seller._do("model.company.employee", "search", [["party.code", "=", "AE-1"]], 0, None, None)
    values = {"party": party, "currency": dollar, "amount": Decimal(1000), "csql_opportunity_type": "renewal"}
    own = seller.create(employee=employee, **values)
    assert sink.outcomes("")[0] == [], "a lead of sales is no opportunity yet"
    seller.press("opportunity", [own])
    ((change,), _) = sink.outcomes("")
    assert change.row["opportunity_id"] == f"tryton:{own}"
    assert (change.key, change.row["type"], change.row["arr"]) == (None, "renewal", 800.0)


def test_withdrawn_leads_stay_and_come_back_but_never_those_that_sales_has_taken_on(
    sink: TrytonSink, seller: Salesperson, tmp_path: Path
) -> None:
    pushed(tmp_path, write_run(tmp_path / "run1", many(4)), sink)
    ids = {one["csql_account_id"]: one["id"] for one in seller.leads(["csql_account_id"])}
    seller.press("opportunity", [ids["A0001"]])
    seller.press("csql_accept", [ids["A0002"]])
    seller.press("lost", [ids["A0003"]])
    nothing = write_run(tmp_path / "run2", [], accounts=[], run_id="run-2", as_of="2026-07-08")
    assert push(config(tmp_path), nothing, "tryton", sink=sink).exit_code == 0
    there = seller.leads(["csql_account_id", "state", "csql_status"])
    states = {one["csql_account_id"]: (one["state"], one["csql_status"]) for one in there}
    assert states == {
        "A0000": ("cancelled", "withdrawn"),
        "A0001": ("opportunity", "open"),
        "A0002": ("lead", "open"),
        "A0003": ("lost", "open"),
    }
    kept = {c.row["account_id"] for c in sink.outcomes("")[0] if c.table == "csqls"}
    assert kept == {"A0001", "A0002", "A0003"}, "a lead that we withdrew is no outcome"

    back = write_run(tmp_path / "run3", many(1, as_of="2026-07-15"), run_id="run-3", as_of="2026-07-15")
    pushed(tmp_path, back, sink)
    fields = ["state", "csql_status", "csql_opened_on", "end_date"]
    (one,) = seller.leads(fields, [["csql_account_id", "=", "A0000"]])
    assert (one["state"], one["csql_status"], one["end_date"]) == ("lead", "open", None)
    assert one["csql_opened_on"].isoformat() == "2026-07-15"


def test_what_sales_edited_stays(sink: TrytonSink, seller: Salesperson, tmp_path: Path) -> None:
    pushed(tmp_path, write_run(tmp_path / "run1", many(1)), sink)
    (other,) = seller._do("model.company.employee", "search", [["party.code", "=", "AE-3"]], 0, None, None)
    seller.edit([1], description="Called on Monday", employee=other)
    run = write_run(tmp_path / "run2", many(1, propensity=0.9, as_of="2026-07-08"), run_id="run-2", as_of="2026-07-08")
    assert pushed(tmp_path, run, sink) == {"update": 1}
    (one,) = seller.leads(["description", "employee.rec_name", "csql_propensity", "conversion_probability"])
    assert one["description"] == "Called on Monday"
    assert one["employee."]["rec_name"] == "Executive 3"
    assert (one["csql_propensity"], one["conversion_probability"]) == (0.9, 0.4123)


def test_scores_have_records_of_their_own(crm: TrytonServer, sink: TrytonSink, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], scores=[score(f"A{n:04d}") for n in range(3)])
    settings = config(tmp_path, send=("lead", "score"))
    assert push(settings, run, "tryton", sink=sink).counts == {"create": 3}
    assert crm.sql("SELECT csql_key, csql_propensity FROM csql_score ORDER BY id")[0] == ("A0000", 0.1234)
    assert push(settings, run, "tryton", sink=sink).counts == {}


# ---------------------------------------------------------------- refusals


def one_lead(number: int = 0, **payload: object) -> Record:
    """A lead as the core hands it over."""
    values = {
        "lead_key": f"{number:032d}",
        "status": "open",
        "title": "Upsell",
        "account_id": f"A{number:04d}",
        "account_name": "A name",
        "lead_source": "CSQL",
        "owner": "AE-1",
        "currency": "EUR",
        "propensity": 0.5,
        "as_of": "2026-07-01",
        **payload,
    }
    return Record("lead", str(values["lead_key"]), str(values["account_id"]), str(values["as_of"]), values)  # type: ignore[arg-type]


def test_unknown_accounts_and_executives_are_named_before_and_refused_when_sent(
    sink: TrytonSink, crm: TrytonServer
) -> None:
    records = [one_lead(1), one_lead(2, account_id="B1"), one_lead(3, owner="AE-9")]
    reasons = sink.check("lead", records)
    assert set(reasons) == {records[1].key, records[2].key}
    assert "no party has the account B1" in reasons[records[1].key]
    assert "no active employee AE-9" in reasons[records[2].key]
    results = {r.key: r for r in sink.submit("lead", records, "")}
    assert [results[r.key].status for r in records] == ["acknowledged", "invalid", "invalid"]
    assert results[records[1].key].error == reasons[records[1].key]
    assert len(crm.sql(STATE)) == 1


def test_a_batch_that_tryton_refuses_is_undone_as_a_whole(sink: TrytonSink, crm: TrytonServer) -> None:
    with pytest.raises(BatchRejected, match=r"field Propensity|Conversion Probability") as refused:
        sink.submit("lead", [one_lead(1), one_lead(2, propensity=1.5)], "")
    assert "1.5" not in str(refused.value), "no values of rows"
    assert crm.sql(STATE) == []


def test_executives_and_accounts_can_be_mapped(sink_for: Callable[..., TrytonSink], seller: Salesperson) -> None:
    sink = sink_for(executives={"maria": "AE-2"}, accounts_by="code", create_accounts=True)
    assert sink.check("lead", [one_lead(1, owner="maria", account_id="NEW-1")]) == {}
    sink.submit("lead", [one_lead(1, owner="maria", account_id="NEW-1")], "")
    (one,) = seller.leads(["employee.rec_name", "party.code", "party.name"])
    assert (one["employee."]["rec_name"], one["party."]) == (
        "Executive 2",
        {"id": one["party."]["id"], "code": "NEW-1", "name": "A name"},
    )
    ((change,), _) = sink.outcomes("")
    assert (change.row["account_id"], change.row["ae_id"]) == ("NEW-1", "maria")


def test_a_ready_server_has_no_findings(sink: TrytonSink) -> None:
    assert sink.preflight(("lead", "score")) == []
    assert sink.capabilities().unique_key


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("permission", {"user": "guest"}),
        ("lead_source", {"source": "Fair"}),
        ("currency", {"currency": "CHF"}),
        ("company", {"company": "Nobody Ltd"}),
    ],
)
def test_what_is_missing_is_refused_by_name(
    name: str, settings: dict[str, str], sink_for: Callable[..., TrytonSink]
) -> None:
    assert [f.name for f in sink_for(**settings).preflight(("lead",)) if f.level == "refuse"] == [name]


def test_without_a_unique_key_nothing_is_pushed(crm: TrytonServer, sink: TrytonSink, tmp_path: Path) -> None:
    crm.sql("DROP INDEX sale_opportunity_csql_key_unique")
    run = write_run(tmp_path / "run", many(3))
    with pytest.raises(CsqlError, match=r"does not keep csql_key of sale.opportunity unique.*\[no_unique_key\]"):
        push(config(tmp_path), run, "tryton", sink=sink)
    assert crm.sql(STATE) == []


def test_leads_that_are_there_twice_are_swept(
    crm: TrytonServer, sink: TrytonSink, seller: Salesperson, tmp_path: Path
) -> None:
    crm.sql("DROP INDEX sale_opportunity_csql_key_unique")
    run = write_run(tmp_path / "run", many(3))
    push(config(tmp_path), run, "tryton", sink=sink, accept=["no_unique_key"])
    twin = seller._do("model.sale.opportunity", "copy", [1, 2])
    for original, copy in zip((1, 2), twin, strict=True):
        crm.sql(
            "UPDATE sale_opportunity SET csql_status = 'open', "
            "csql_key = (SELECT csql_key FROM sale_opportunity WHERE id = ?) WHERE id = ?",
            original,
            copy,
        )
    seller.press("opportunity", [twin[1]])
    found = push(config(tmp_path), run, "tryton", sink=sink, accept=["no_unique_key"]).swept
    assert {(s.kept, s.withdrawn) for s in found} == {("1", (str(twin[0]),)), (str(twin[1]), ("2",))}
    states = {one["id"]: (one["state"], bool(one["csql_key"])) for one in seller.leads(["state", "csql_key"])}
    assert states[twin[0]] == states[2] == ("cancelled", False)
    assert states[1] == ("lead", True)
    assert states[twin[1]] == ("opportunity", True)


def test_a_server_without_the_module_is_refused(databases: tuple[Path, Path], tmp_path: Path) -> None:
    with tryton_server(databases[0], tmp_path / "crm") as server:
        sink = sink_of(server.port)
        refused = {f.name for f in sink.preflight(("lead",)) if f.level == "refuse"}
        assert refused == {"no_module", "no_unique_key"}
        run = write_run(tmp_path / "run", many(1))
        with pytest.raises(CsqlError, match=r"\[no_module\]"):
            push(config(tmp_path), run, "tryton", sink=sink, accept=["no_unique_key"])
