"""Single requests to the project's stand-in for HubSpot (not HubSpot's own system): what an answer means."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from csql_ml.errors import DeliveryError, MissingExtraError
from csql_ml.handoff.hubspot import api as api_module
from csql_ml.handoff.hubspot.api import HubSpotApi, Refused, missing_scopes, reason
from csql_ml.handoff.sink import TransientError
from tests.crm.hubspot_server import TOKEN, Fault, HubSpotServer

CREATE = "/crm/v3/objects/leads/batch/create"


@pytest.fixture
def crm() -> Iterator[HubSpotServer]:
    with HubSpotServer() as server:
        yield server
        assert server.broken == []


def api(crm: HubSpotServer, *, read_timeout: float = 5.0) -> HubSpotApi:
    return HubSpotApi(crm.url, TOKEN, 1.0, read_timeout)


def rate_limit(policy: str) -> dict[str, str]:
    return {"status": "error", "errorType": "RATE_LIMIT", "policyName": policy, "message": "You have reached"}


@pytest.mark.parametrize(
    ("what", "body", "headers", "delay", "uncertain"),
    [
        (429, rate_limit("TEN_SECONDLY_ROLLING"), (), 10.0, False),
        (429, rate_limit("SECONDLY"), (), 1.0, False),
        (429, rate_limit("DAILY"), (), 3600.0, False),
        (429, rate_limit("TEN_SECONDLY_ROLLING"), (("Retry-After", "3"),), 3.0, False),
        (429, b"<html>", (), 10.0, False),
        (503, {}, (("Retry-After", "7"),), 7.0, True),
        (502, b"<html>bad gateway", (), None, True),
        (500, b"\xff\xfe", (), None, True),
        (423, {}, (), 2.0, True),
        (477, {}, (("Retry-After", "60"),), 60.0, True),
        (200, b"<html>", (), None, True),
        (200, b"[]", (), None, True),
        ("dropped", None, (), None, True),
        ("lost", None, (), None, True),
    ],
)
def test_what_may_pass_is_transient_and_tells_whether_it_may_have_worked(
    crm: HubSpotServer,
    what: int | str,
    body: object,
    headers: tuple[tuple[str, str], ...],
    delay: object,
    uncertain: bool,
) -> None:
    crm.faults = [Fault("/crm/v3/owners", what, body, headers)]
    with pytest.raises(TransientError) as caught:
        api(crm).get("/crm/v3/owners")
    assert (caught.value.retry_after, caught.value.uncertain) == (delay, uncertain)
    assert len(crm.requests) == 1, "nothing is tried a second time in here"


def test_a_hang_ends_with_the_time_out(crm: HubSpotServer) -> None:
    crm.faults = [Fault("/crm/v3/owners", "hang", seconds=0.8)]
    with pytest.raises(TransientError, match="ReadTimeoutError") as caught:
        api(crm, read_timeout=0.2).get("/crm/v3/owners")
    assert caught.value.uncertain


def test_a_refused_connection_has_surely_done_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(TransientError, match="NewConnectionError") as caught:
        HubSpotApi(f"http://127.0.0.1:{port}", TOKEN, 1.0, 1.0).get("/crm/v3/owners")
    assert not caught.value.uncertain


def test_a_server_without_tls_is_no_matter_of_waiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak_plainly() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=speak_plainly)
        thread.start()
        with pytest.raises(DeliveryError, match="no safe connection"):
            HubSpotApi(f"https://127.0.0.1:{server.getsockname()[1]}", TOKEN, 1.0, 1.0).get("/crm/v3/owners")
        thread.join()


def test_an_expired_token_is_said_and_never_shown(crm: HubSpotServer, caplog: pytest.LogCaptureFixture) -> None:
    crm.token = "another"
    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryError, match="refuses the access token") as caught:
        api(crm).get("/crm/v3/owners")
    assert "EXPIRED_AUTHENTICATION" in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(api(crm))


def test_a_missing_scope_is_named(crm: HubSpotServer) -> None:
    body = {
        "category": "MISSING_SCOPES",
        "errors": [{"context": {"requiredGranularScopes": ["crm.objects.owners.read"]}}],
    }
    crm.faults = [Fault("/crm/v3/owners", 403, body)]
    with pytest.raises(DeliveryError, match=r"give it crm\.objects\.owners\.read in HubSpot"):
        api(crm).get("/crm/v3/owners")


def test_a_refused_order_is_the_callers_a_refused_question_ends_the_job(crm: HubSpotServer) -> None:
    body = {"category": "VALIDATION_ERROR", "message": "Ada Lovelace owes 5 EUR"}
    crm.faults = [Fault("batch/create", 400, body, times=2)]
    with pytest.raises(Refused, match=r"^HTTP 400 VALIDATION_ERROR$"):
        api(crm).order(CREATE, {"inputs": []})
    with pytest.raises(DeliveryError, match="HubSpot refuses a question") as caught:
        api(crm).ask(CREATE, {"inputs": []})
    assert "Ada" not in str(caught.value)


def test_reasons_are_codes_and_names_and_never_values() -> None:
    quoted = '[{"isValid":false,"message":"Ada","error":"INVALID_OPTION","name":"csql_product"}]'
    message = f"Property values were not valid: {quoted}"
    assert reason({"category": "VALIDATION_ERROR", "message": message}) == (
        "VALIDATION_ERROR, INVALID_OPTION of csql_product"
    )
    odd = {
        "category": "Ada Lovelace",
        "message": "[{ broken",
        "context": {"propertyName": "Ada Lovelace"},
        "errors": [3],
    }
    assert reason(odd) == ""
    assert missing_scopes({"context": {"missingScopes": ["a.b", "c d"]}}) == ["a.b"]


def test_pages_are_followed_to_the_end(crm: HubSpotServer) -> None:
    crm.state.owners = {str(n): f"{n}@example.com" for n in range(7)}
    crm.state.page = 3
    found = [o["id"] for o in api(crm).pages("/crm/v3/owners", limit="100", archived="false")]
    assert found == [str(n) for n in range(7)]


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(api_module, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"csql-ml\[hubspot\]"):
        HubSpotApi("https://example.com", TOKEN, 1.0, 1.0)


# ---------------------------------------------------------------- the stand-in itself


READ = "/crm/v3/objects/leads/batch/read"
WITH_HISTORY = {"properties": [], "propertiesWithHistory": ["hs_pipeline_stage"]}


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        (CREATE, {"inputs": [{"properties": {"csql_propensity": 0.4}, "associations": []}]}, "not of type 'string'"),
        (CREATE, {"inputs": [{"properties": {}, "associations": []}] * 101}, "is too long"),
        (CREATE, {"inputs": [{"properties": {}}]}, "'associations' is a required property"),
        (READ, {"inputs": [{"id": "1"}] * 51, **WITH_HISTORY}, "is too long"),
        ("/crm/v3/objects/leads/batch/archive", {}, "no endpoint"),
    ],
)
def test_the_stand_in_refuses_what_breaks_its_schemas(
    crm: HubSpotServer, path: str, body: object, complaint: str
) -> None:
    status, _ = crm.answer("POST", path, body)
    assert status in (400, 404)
    assert complaint in crm.broken.pop()


def test_every_schema_says_what_it_is_for_and_is_used() -> None:
    folder = Path(__file__).parents[1] / "crm" / "schemas" / "hubspot"
    source = (folder.parents[1] / "hubspot_server.py").read_text(encoding="utf-8")
    assert "It is NOT HubSpot's own system" in source
    for path in folder.glob("*.json"):
        assert f'"{path.stem}"' in source
