"""Outcomes come back: what is stored, what an old snapshot sees, what the outbox learns, and what a crash leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csql_ml.errors import ConfigError, DeliveryError, OutputError
from csql_ml.handoff import pull as pull_module
from csql_ml.handoff.lead import lead_key
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.outbox_file import looking
from csql_ml.handoff.pull import pull
from csql_ml.handoff.pull_state import only_pull
from csql_ml.handoff.sender_lock import only_sender
from csql_ml.handoff.sink import TransientError
from tests.handoff.pulled_company import PulledCompany
from tests.handoff.scripted_sink import Killed, ScriptedCrm
from tests.handoff.small_run import config, lead

KEY = lead_key("A1", "upsell", "Pro", "upgrade_attempts")


@pytest.fixture
def company(tmp_path: Path) -> PulledCompany:
    return PulledCompany(tmp_path)


def outcomes(company: PulledCompany) -> dict[str, tuple[str | None, str | None]]:
    """What the outbox knows of its leads' outcomes."""
    with looking(company.home / "outbox.sqlite") as connection:
        rows = Outbox(connection, "scripted").rows("lead")
        return {key: (row.outcome, row.outcome_on) for key, row in rows.items()}


# what is stored


def test_a_lead_is_followed_from_open_to_won(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    assert vars(company.pull().counts["csqls"]) == {"new": 1, "changed": 0, "unchanged": 0}
    company.sales.note("csqls", "R1", "2026-07-03T09:00:00Z", accepted_at="2026-07-03T09:00:00Z", ae_id="AE-7")
    assert vars(company.pull().counts["csqls"]) == {"new": 0, "changed": 1, "unchanged": 0}
    company.sales.note("csqls", "R1", "2026-08-20T10:00:00Z", closed_at="2026-08-20T10:00:00Z", won=True, arr=4000.0)
    found = company.pull()
    assert found.leads == {
        "open": 0, "accepted": 0, "opportunity": 0, "won": 1, "lost": 0, "rejected": 0, "withdrawn": 0
    }  # fmt: skip
    assert found.won_arr == 4000.0
    assert [(str(r["recorded_at"])[:10], r["ae_id"], r["won"]) for r in company.rows()] == [
        ("2026-07-01", None, None),
        ("2026-07-03", "AE-7", None),
        ("2026-08-20", "AE-7", True),
    ]


def test_the_same_again_is_unchanged_and_leaves_the_same_bytes(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.sales.note("opportunities", "O1", "2026-07-02T08:00:00Z", account_id="A2")
    company.pull()
    before = company.bytes()
    company.sales.script = ["twice"]
    found = company.pull()
    assert {name: vars(c) for name, c in found.counts.items()} == {
        "csqls": {"new": 0, "changed": 0, "unchanged": 0},  # not in the overlap any more
        "opportunities": {"new": 0, "changed": 0, "unchanged": 1},
    }
    assert vars(company.pull(full=True).counts["csqls"]) == {"new": 0, "changed": 0, "unchanged": 1}
    assert company.bytes() == before
    assert company.sales.asked == ["", "2026-07-02T07:55:00Z", ""]


def test_a_touch_without_a_change_is_no_version(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.pull()
    company.sales.note("csqls", "R1", "2026-07-09T08:00:00Z")
    assert company.pull().counts["csqls"].unchanged == 1
    assert len(company.rows()) == 1


def test_a_reader_that_lags_behind_takes_nothing_back(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.pull()
    company.sales.note("csqls", "R1", "2026-07-01T08:02:00Z", accepted_at="2026-07-01T08:02:00Z")
    company.pull()
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", accepted_at=None)
    assert company.pull(full=True).leads["accepted"] == 1


def test_two_changes_in_one_second_are_two_versions(company: PulledCompany) -> None:
    at = "2026-07-01T08:00:00Z"
    company.sales.note("csqls", "R1", at, key="k1")
    company.pull()
    company.sales.note("csqls", "R1", at, accepted_at=at)
    company.pull()
    company.sales.note("csqls", "R1", at, rejection_reason="no budget", rejected_at=at)
    assert company.pull().counts["csqls"].changed == 1
    assert [r["recorded_at"].microsecond for r in company.rows()] == [0, 1, 2]
    assert [r["rejected_days_ago"] for r in company.known("2026-07-02")] == [1]


# what a snapshot sees


def test_an_old_snapshot_stays_what_it_was(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1", ae_id="AE-1")
    company.pull()
    before = company.known("2026-07-10")
    company.sales.note("csqls", "R1", "2026-07-12T08:00:00Z", ae_id="AE-2", rejected_at="2026-07-05T08:00:00Z")
    company.pull()
    assert company.known("2026-07-10") == before
    assert [(r["ae_id"], r["rejected_days_ago"]) for r in company.known("2026-07-15")] == [("AE-2", 10)]


def test_history_pulled_for_the_first_time_does_not_begin_at_its_last_change(company: PulledCompany) -> None:
    company.sales.note("opportunities", "O1", "2026-01-05T08:00:00Z")
    company.sales.note("opportunities", "O1", "2026-06-30T08:00:00Z", closed_at="2026-03-01T08:00:00Z", won=True)
    company.pull()
    assert company.known("2026-01-05", "opportunities") == []
    assert [r["won"] for r in company.known("2026-02-01", "opportunities")] == [None]
    assert [r["won"] for r in company.known("2026-03-02", "opportunities")] == [True]


def test_a_record_that_comes_into_sight_late_was_not_known_before(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.pull()
    company.sales.note("csqls", "R2", "2026-06-01T08:00:00Z", key="k2", account_id="A2")
    company.sales.note("csqls", "R2", "2026-07-20T08:00:00Z")
    company.pull()
    assert [r["csql_id"] for r in company.known("2026-07-10")] == ["k1"]
    assert [r["csql_id"] for r in company.known("2026-07-21")] == ["k1", "k2"]


def test_mapped_and_pulled_rows_are_one_table(company: PulledCompany) -> None:
    text = "csql_id,account_id,type,created_at,won,closed_at\n"
    text += "k0,A9,upsell,2025-01-01,1,2025-02-01\nk1,A1,upsell,2026-07-01,,\n"
    (company.home / "csqls.csv").write_text(text)
    company.data = {"tables": {"csqls": "csqls.csv"}}
    assert [r["csql_id"] for r in company.known("2026-07-10")] == ["k0", "k1"]
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.sales.note("csqls", "R1", "2026-07-05T08:00:00Z", rejected_at="2026-07-05T08:00:00Z")
    company.pull()
    assert [(r["csql_id"], r["won"], r["rejected_days_ago"]) for r in company.known("2026-07-10")] == [
        ("k0", True, None),
        ("k1", None, 5),
    ]
    assert company.known("2026-07-10", "opportunities") == []


# the outbox


def test_the_outbox_learns_the_outcome_and_the_next_lead_gets_a_key_of_its_own(company: PulledCompany) -> None:
    company.push(lead())
    company.sales.note("csqls", "R0000", "2026-07-01T08:00:00Z", key=KEY)
    assert company.pull().noted == 0
    company.sales.note("csqls", "R0000", "2026-07-20T23:30:00Z", rejected_at="2026-07-20T23:30:00Z")
    assert company.pull().noted == 1
    assert outcomes(company) == {KEY: ("rejected", "2026-07-20")}
    cooling = company.push(lead(), as_of="2026-08-01")
    assert cooling.plan is not None
    assert cooling.plan.counts()["lead"]["waiting"] == 1
    later = company.push(lead(), as_of="2026-10-01")
    assert later.counts == {"create": 1}
    assert company.crm.stored_keys() == sorted([KEY, *(set(outcomes(company)) - {KEY})])


def test_an_outcome_that_sales_took_back_is_forgotten(company: PulledCompany) -> None:
    company.push(lead())
    company.sales.note("csqls", "R0000", "2026-07-01T08:00:00Z", key=KEY, accepted_at="2026-07-02T08:00:00Z")
    company.pull()
    company.sales.note("csqls", "R0000", "2026-07-05T08:00:00Z", accepted_at=None)
    assert company.pull().noted == 1
    assert outcomes(company) == {KEY: (None, None)}


def test_a_restored_outbox_learns_old_outcomes_again(company: PulledCompany) -> None:
    company.push(lead())
    company.sales.note("csqls", "R0000", "2026-07-01T08:00:00Z", key=KEY, rejected_at="2026-07-02T08:00:00Z")
    copy = (company.home / "outbox.sqlite").read_bytes()
    company.pull()
    (company.home / "outbox.sqlite").write_bytes(copy)
    assert company.pull().noted == 1


def test_a_withdrawn_lead_is_no_open_lead_for_ever(company: PulledCompany) -> None:
    company.push(lead("A1"), lead("A2"))
    keys = {a: lead_key(a, "upsell", "Pro", "upgrade_attempts") for a in ("A1", "A2")}
    for number, (name, key) in enumerate(keys.items()):
        company.sales.note("csqls", f"R000{number}", "2026-07-01T08:00:00Z", key=key, account_id=name)
    company.pull()
    company.push(lead("A1"), as_of="2026-07-15")
    assert company.crm.fields(keys["A2"])["status"] == "withdrawn"
    company.sales.forget("csqls", "R0001")
    assert company.pull().leads["withdrawn"] == 1
    assert company.pull().leads["withdrawn"] == 1
    assert [r["account_id"] for r in company.known("2026-07-10") if r["type"] == "upsell"] == ["A1", "A2"]
    assert [r["account_id"] for r in company.known("2026-07-16") if r["type"] == "upsell"] == ["A1"]


# one at a time, and patience


def test_without_a_folder_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set data\.pulled"):
        pull(config(tmp_path), "files")


def test_files_tell_of_no_outcomes(company: PulledCompany) -> None:
    with pytest.raises(DeliveryError, match="pull from the CRM"):
        pull(company.config, "files")


def test_one_pull_at_a_time(company: PulledCompany) -> None:
    with only_pull(company.folder), pytest.raises(DeliveryError, match="another pull into"):
        company.pull()
    company.push(lead())
    lock = only_sender(company.home / "outbox.sqlite", "scripted", "2026-07-01T00:00:00")
    with lock, pytest.raises(DeliveryError, match="another push to scripted, or pull from it, is at work"):
        company.pull()
    assert company.pull().anew


def test_a_crm_that_is_away_for_a_while_is_asked_again(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.sales.script = ["unavailable", "unavailable", "twice"]
    assert vars(company.pull().counts["csqls"]) == {"new": 1, "changed": 0, "unchanged": 0}
    assert company.world.slept == [1.5, 1.5]


def test_a_crm_that_stays_away_changes_nothing(company: PulledCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: ScriptedCrm, cursor: str) -> Any:
        raise TransientError("connection refused")

    monkeypatch.setattr(ScriptedCrm, "outcomes", away)
    with pytest.raises(DeliveryError, match="scripted cannot be reached"):
        company.pull()
    assert company.bytes() == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"won": "yes"}, "won is no boolean but str"),
        ({"closed_at": "2026-07-01"}, "closed_at is no time with a zone"),
        ({"stage": "won"}, "has a column 'stage'"),
        ({"account_id": None}, "has no account_id"),
        ({"arr": float("nan")}, "arr is no number but float"),
    ],
)
def test_values_the_contract_does_not_have_stop_the_pull(
    company: PulledCompany, values: dict[str, Any], said: str
) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.sales.records["csqls", "R1"] |= values
    with pytest.raises(DeliveryError, match=f"csqls record R1.*{said}"):
        company.pull()
    assert company.bytes() == {}


# what a crash or a lost file leaves


def _dies_at(number: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The process is gone before the n-th call."""
    calls = iter(range(number))

    def dying(*given: Any, **named: Any) -> Any:
        if next(calls, None) is None:
            raise Killed
        return function(*given, **named)

    return dying


@pytest.mark.parametrize(
    ("step", "number"), [("write_file", 0), ("write_file", 1), ("newest_rows", 0), ("write_state", 0)]
)
def test_a_crash_between_the_steps_loses_nothing_and_doubles_nothing(tmp_path: Path, step: str, number: int) -> None:
    companies = []
    for name in ("whole", "broken"):
        company = PulledCompany(tmp_path / name)
        company.push(lead())
        company.sales.note("csqls", "R0000", "2026-07-01T08:00:00Z", key=KEY)
        company.pull()
        company.sales.note("csqls", "R0000", "2026-07-04T08:00:00Z", rejected_at="2026-07-04T08:00:00Z")
        company.sales.note("opportunities", "O1", "2026-07-02T08:00:00Z")
        company.sales.note("opportunities", "O1", "2026-07-05T08:00:00Z", arr=7000.0)
        companies.append(company)
    whole, broken = companies
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pull_module, step, _dies_at(number, getattr(pull_module, step)))
        with pytest.raises(Killed):
            broken.pull()
    for company in companies:
        company.pull()
    assert broken.bytes() == whole.bytes()
    assert (broken.folder / "pulled.json").read_bytes() == (whole.folder / "pulled.json").read_bytes()
    assert outcomes(broken) == outcomes(whole) == {KEY: ("rejected", "2026-07-04")}


def test_a_lost_table_is_read_anew(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.sales.note("csqls", "R2", "2026-07-09T08:00:00Z", key="k2")
    company.pull()
    before = company.bytes()
    (company.folder / "csqls.parquet").unlink()
    assert company.pull().anew
    assert company.bytes() == before


def test_a_foreign_file_is_not_touched(company: PulledCompany) -> None:
    company.sales.note("csqls", "R1", "2026-07-01T08:00:00Z", key="k1")
    company.folder.mkdir()
    (company.folder / "csqls.parquet").write_bytes(b"PAR1")
    with pytest.raises(OutputError, match=r"csqls\.parquet cannot be read"):
        company.pull()
    (company.folder / "csqls.parquet").unlink()
    (company.folder / "pulled.json").write_text(json.dumps({"version": 9, "sinks": {}, "rows": {}}))
    with pytest.raises(OutputError, match="has version 9"):
        company.pull()
    (company.folder / "pulled.json").write_text("[]")
    with pytest.raises(OutputError, match="delete it"):
        company.pull()
