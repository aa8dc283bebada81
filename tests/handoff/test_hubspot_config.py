"""The configuration section of HubSpot, its secret, and values on their way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from csql_ml.config import Config, load
from csql_ml.config.hubspot import HubSpot
from csql_ml.errors import ConfigError
from csql_ml.handoff.hubspot import open_sink
from csql_ml.handoff.hubspot.portal import Owners
from csql_ml.handoff.hubspot.token import read_token
from csql_ml.handoff.hubspot.values import milliseconds, read, utc, written

TEMPLATE = Path(__file__).resolve().parents[2] / "configs" / "crm" / "hubspot.yaml"


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"host": "http://api.hubapi.com"}, "must begin with https"),
        ({"host": "ftp://127.0.0.1"}, "must begin with https"),
        ({"fields": {"colour": "x"}}, "unknown contract field colour"),
        ({"fields": {"lead_type": None}}, "lead_type cannot be left out"),
        ({"score_fields": {"as_of": None}}, "as_of cannot be left out"),
        ({"fields": {"product": "csql_band"}}, "csql_band would be written by more than one field"),
        (
            {"object": "leads", "stages": {"open": "a", "withdrawn": "b", "opportunity": "c"}},
            "stages.opportunity is for deals",
        ),
        ({"token": "pat-1"}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_read(section: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        HubSpot.model_validate(section)


def test_the_host_may_be_this_machine_and_a_field_may_be_left_out() -> None:
    found = HubSpot(host="http://127.0.0.1:1/", fields={"stakeholders": None, "product": "our_product"})
    assert found.host == "http://127.0.0.1:1"
    assert found.lead_properties["product"] == "our_product"
    assert "stakeholders" not in found.lead_properties
    assert (found.associations, HubSpot(object="leads").associations) == ((341, None), (610, 578))


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="the variable HUBSPOT_ACCESS_TOKEN"):
        open_sink(Config())
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "two words")
    with pytest.raises(ConfigError, match="holds no access token") as caught:
        open_sink(Config())
    assert "two words" not in str(caught.value)
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat-1")
    assert open_sink(Config()).name == "hubspot"


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_token_file_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("pat-1\n")
    file.chmod(0o640)
    section = HubSpot(token_file=Path("token"))
    with pytest.raises(ConfigError, match=r"token_file: .*has mode 0640, others may use it; chmod 600"):
        read_token(section, file)
    file.chmod(0o600)
    assert read_token(section, file) == "pat-1"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_token(section, tmp_path / "none")


def test_the_template_loads_and_says_what_is_not_tested() -> None:
    config = load(TEMPLATE)
    assert config.delivery.hubspot.object == "deals"
    header = TEMPLATE.read_text(encoding="utf-8").split("\n\n")[0]
    assert "Not tested: anything against HubSpot's own system" in header


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "string", ""),
        (0.4123, "number", "0.4123"),
        (10_000.0, "number", "10000"),
        (100, "number", "100"),
        (-0.0, "number", "0"),
        (1e-7, "number", "0.0000001"),
        (4123.45, "number", "4123.45"),
        (True, "string", "true"),
        ("2026-07-01", "date", "2026-07-01"),
        ("2026-07-01", "datetime", "2026-07-01T00:00:00Z"),
        ("a\nb", "string", "a\nb"),
    ],
)
def test_every_value_is_a_text(value: object, kind: str, text: str) -> None:
    assert written(value, kind) == text  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_as_they_were_and_have_no_exponent(number: float) -> None:
    text = written(number, "number")
    assert "e" not in text.lower()
    assert read(text, "number") == number


def test_dates_and_times_are_read_in_either_form() -> None:
    assert read("1782864000000", "date") == read("2026-07-01", "date") == "2026-07-01"
    assert read("2026-07-01T00:00:00.000Z", "date") == "2026-07-01"
    assert (read("soon", "date"), read("many", "number"), read("", "number")) == ("soon", "many", None)
    assert utc(milliseconds("2026-07-01T10:00:00.123Z")) == "2026-07-01T10:00:00.123Z"
    assert utc(None) is None


def test_owners_go_both_ways() -> None:
    owners = Owners({"1": "Ada@Example.com", "2": "grace@example.com"}, {"AE-1": "ada@example.com", "AE-9": "gone@x"})
    assert [owners.id_of(ae) for ae in ("AE-1", "grace@example.com", "2", "AE-9", "AE-0")] == [
        "1",
        "2",
        "2",
        None,
        None,
    ]
    assert [owners.executive(one) for one in ("1", "2", "3", "")] == ["AE-1", "grace@example.com", "3", None]
    assert owners.unknown() == ["AE-9"]
