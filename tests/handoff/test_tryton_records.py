"""Records on their way to Tryton and back, its findings and its secrets: everything that needs no server."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.config import Config, load
from csql_ml.config.delivery import Delivery
from csql_ml.config.tryton import Tryton
from csql_ml.errors import ConfigError, UsageError
from csql_ml.handoff.fields import FIELDS, Field
from csql_ml.handoff.record import Record
from csql_ml.handoff.sinks import open_sink
from csql_ml.handoff.tryton.mapping import COLUMNS, FIRST, contract_fields, limits, read_names, row, taken_fields
from csql_ml.handoff.tryton.preflight import findings
from csql_ml.handoff.tryton.secret import login
from csql_ml.handoff.tryton.values import decoded, encoded
from tests.handoff.tryton_stub import Answer, TrytonStub

LEAD = Record(
    "lead",
    "k1",
    "A1",
    "2026-07-01",
    {
        "lead_key": "k1",
        "status": "open",
        "title": "Upsell:\nPro",
        "account_id": "A1",
        "account_name": "Example",
        "lead_source": "CSQL",
        "owner": "maria",
        "opened_on": "2026-07-01",
        "answer_due": None,
        "propensity": 0.4123,
        "potential_arr": 10_000.004,
        "currency": "EUR",
        "as_of": "2026-07-01",
    },
)


def test_a_new_lead_is_written_with_everything_and_a_known_one_with_what_changed() -> None:
    settings = Tryton(executives={"maria": "P7"})
    found = row(LEAD, None, settings)
    assert found["values"] == {
        "description": "Upsell: Pro",
        "csql_account_name": "Example",
        "csql_propensity": 0.4123,
        "csql_potential_arr": Decimal("10000.00"),
        "csql_as_of": date(2026, 7, 1),
    }
    assert found["first"] == {
        "csql_owner": "maria",
        "csql_opened_on": date(2026, 7, 1),
        "csql_answer_due": None,
        "amount": Decimal("10000.00"),
        "conversion_probability": 0.4123,
    }
    assert (found["executive"], found["source"], found["revision"]) == ("P7", "CSQL", None)
    later = row(replace(LEAD, changed=frozenset({"propensity"})), 3, settings)
    assert later["values"] == {"csql_propensity": 0.4123}
    assert (later["first"], later["executive"], later["revision"]) == ({}, None, 3)


def texts(field: Field) -> st.SearchStrategy[Any]:
    if field.dtype == "number":
        return st.none() | st.floats(0, 1e9).map(lambda value: round(value, 2))
    if field.dtype == "date":
        return st.none() | st.dates().map(date.isoformat)
    return st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\x0b\x0c"), max_size=20)


@pytest.mark.parametrize("kind", ["lead", "score"])
def test_what_was_written_is_read_back(kind: Any) -> None:
    fields = {f.name: f for f in FIELDS[kind] if f.name in {*COLUMNS[kind], *FIRST[kind]} - {"as_of", "propensity"}}

    @given(st.fixed_dictionaries({name: texts(f) for name, f in fields.items()}))
    def holds(values: dict[str, Any]) -> None:
        payload = {**values, "as_of": "2026-07-01", "propensity": 0.25}
        sent = row(Record(kind, "k", "A1", "2026-07-01", payload), None, Tryton())
        there = dict.fromkeys(read_names(kind)) | {"state": "lead", "csql_status": "open", "csql_key": "k"}
        there |= {**sent["values"], **sent.get("first", {})}
        back = contract_fields(kind, decoded(encoded(there)))
        assert {name: back[name] for name in payload} == payload

    holds()


def test_every_field_that_is_taken_is_one_of_the_contract() -> None:
    for kind in FIELDS:
        names = {f.name for f in FIELDS[kind]}
        assert set(taken_fields(kind)) <= names
        assert set(COLUMNS[kind]) | set(FIRST[kind]) <= names
    assert set(taken_fields("lead")) == {f.name for f in FIELDS["lead"]}
    assert limits("lead", {"csql_product": 200, "csql_key": 64, "id": 5}) == {"product": 200}


@pytest.mark.parametrize(
    ("state", "status", "accepted", "shown"),
    [
        ("lead", "open", None, "open"),
        ("lead", "withdrawn", None, "withdrawn"),
        ("cancelled", "withdrawn", None, "withdrawn"),
        ("cancelled", "open", None, None),
        ("opportunity", "open", None, None),
        ("lead", "open", "2026-07-02", None),
    ],
)
def test_the_status_is_ours_to_say_only_while_sales_has_not_taken_the_lead_on(
    state: str, status: str, accepted: str | None, shown: str | None
) -> None:
    there = dict.fromkeys(read_names("lead")) | {"state": state, "csql_status": status, "csql_accepted_at": accepted}
    assert contract_fields("lead", there).get("status") == shown


# ---------------------------------------------------------------- preflight

READY: dict[str, Any] = {
    "interface": 1,
    "unique": True,
    "account_unique": {"csql_account_id": True, "code": True},
    "access": {
        "sale.opportunity": {"read": True, "create": True, "write": True},
        "party.party": {"read": True, "create": False, "write": False},
    },
    "companies": [{"id": 1, "name": "Own", "currency": "EUR"}],
    "user_company": 1,
    "currencies": ["EUR", "USD"],
    "lead_sources": ["CSQL"],
    "sizes": {},
}
URL = "https://tryton.example.com"


@pytest.mark.parametrize(
    ("answer", "settings", "expected"),
    [
        ({}, {}, []),
        (None, {}, [("no_module", "refuse"), ("no_unique_key", "refuse")]),
        ({"unique": False}, {}, [("no_unique_key", "refuse")]),
        ({"interface": 2}, {}, [("module_version", "refuse")]),
        ({}, {"url": "http://tryton.example.com"}, [("plain_http", "refuse")]),
        ({}, {"url": "http://127.0.0.1:8000"}, []),
        ({}, {"create_accounts": True}, [("permission", "refuse")]),
        ({"account_unique": {"csql_account_id": False, "code": True}}, {}, [("account_not_unique", "warn")]),
        ({"account_unique": {"csql_account_id": False, "code": True}}, {"accounts_by": "code"}, []),
        ({"companies": []}, {}, [("company", "refuse")]),
        ({"user_company": None}, {}, []),
        ({}, {"company": "Other"}, [("company", "refuse")]),
        ({"currencies": ["USD"]}, {}, [("currency", "refuse")]),
        ({"companies": [{"id": 1, "name": "Own", "currency": "USD"}]}, {}, [("currency_differs", "warn")]),
        ({"lead_sources": []}, {}, [("lead_source", "refuse")]),
    ],
)
def test_findings(answer: dict[str, Any] | None, settings: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    ready = None if answer is None else READY | answer
    found = findings({"lead": ready}, Tryton(**{"url": URL, **settings}), "EUR", "CSQL")
    assert [(f.name, f.level) for f in found] == expected


# ---------------------------------------------------------------- answers


def test_a_row_without_an_answer_is_left_to_be_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [{"key": "k1", "status": "acknowledged", "id": 4, "error": None}]
    script = [1, READY, {"now": 100.0, "revisions": {}}, taken]
    monkeypatch.setenv("CSQL_TRYTON_PASSWORD", "secret-1")
    with TrytonStub([Answer({"result": result}) for result in script]) as stub:
        sink = open_sink("tryton", configured(tmp_path, url=stub.url, user="sender"))
        found = sink.submit("lead", [LEAD, replace(LEAD, key="k2")], "")
    assert found is not None
    assert [(r.key, r.status, r.remote_id) for r in found] == [("k1", "acknowledged", "4")]
    assert stub.methods == ["login", "search_count", "csql_ready", "csql_revisions", "csql_take"]
    rows, options, context = stub.requests[-1]["params"]
    assert [one["key"] for one in rows] == ["k1", "k2"]
    assert options["until"] == 170.0
    assert context == {"company": 1, "language": "en"}
    assert "secret-1" not in json.dumps(stub.requests[1:])


# ---------------------------------------------------------------- secrets


def configured(home: Path, **settings: Any) -> Config:
    delivery = Delivery(outbox=Path("outbox.sqlite"), tryton=Tryton(**settings))
    return Config.model_validate({"company": {"currency": "EUR"}}).model_copy(
        update={"home": home, "delivery": delivery}
    )


def test_the_password_is_read_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("open sesame\nmore\n")
    config = configured(tmp_path, url=URL, user="sender", password_file="password")
    file.chmod(0o600)
    assert login(config.delivery.tryton, config) == ("sender", "open sesame")
    file.chmod(0o640)
    with pytest.raises(ConfigError, match=r"has mode 0640.*chmod 600"):
        login(config.delivery.tryton, config)
    file.chmod(0o600)
    file.write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        login(config.delivery.tryton, config)
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        login(config.delivery.tryton, config)


@pytest.mark.parametrize(
    ("settings", "environment", "message"),
    [
        ({}, {}, "delivery.tryton.url is missing"),
        ({"url": "tryton.example.com"}, {}, "no address of a web server"),
        ({"url": "https://me:hunter2@tryton.example.com"}, {}, "holds a user or password"),
        ({"url": URL}, {}, "set delivery.tryton.user or the variable CSQL_TRYTON_USER"),
        ({"url": URL}, {"CSQL_TRYTON_USER": "sender"}, "set the variable CSQL_TRYTON_PASSWORD"),
    ],
)
def test_what_is_missing_to_log_in_is_named(
    settings: dict[str, str],
    environment: dict[str, str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("CSQL_TRYTON_USER", "CSQL_TRYTON_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message) as found:
        open_sink("tryton", configured(tmp_path, **settings))
    assert "hunter2" not in str(found.value)


def test_the_template_can_be_read(project_root: Path) -> None:
    config = load(project_root / "configs/crm/tryton.yaml")
    assert config.delivery.tryton.url is not None
