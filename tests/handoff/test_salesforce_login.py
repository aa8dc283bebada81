"""Logging in, secrets, and what answers mean. Against a server of the project's own, not Salesforce."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pydantic import ValidationError

from csql_ml.config.salesforce import Salesforce
from csql_ml.errors import ConfigError, DeliveryError
from csql_ml.handoff.salesforce import open_sink
from csql_ml.handoff.salesforce.answers import RequestRefusedError, bulk_error, refusal, refused_row
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.login import Login, Token
from csql_ml.handoff.sink import TransientError
from tests.crm.salesforce_server import SalesforceServer
from tests.handoff.salesforce_case import key, settings

CLIENT = {"by": "client_credentials", "client_id": "csql"}


@pytest.fixture
def server() -> Iterator[SalesforceServer]:
    with SalesforceServer() as found:
        yield found
    assert found.violations == [], "every request keeps its schema"


def api(server: SalesforceServer, secret: str = "open sesame", **login: Any) -> Api:
    given = {**CLIENT, "url": server.url, **login}
    return Api(Salesforce.model_validate({"login": given, "instance_url": server.url}), secret)


def test_an_expired_session_is_replaced_once(server: SalesforceServer) -> None:
    asked = api(server)
    asked.request("GET", "/limits")
    server.expire()
    assert asked.request("GET", "/limits").json()["DailyApiRequests"]["Max"] == 100_000
    assert server.logins == 2


def test_a_session_that_is_refused_again_is_no_endless_story(server: SalesforceServer) -> None:
    asked = api(server)
    server._token = lambda given: (200, {"access_token": "stale", "instance_url": ""})  # type: ignore[method-assign]
    with pytest.raises(DeliveryError, match=r"HTTP 401, INVALID_SESSION_ID"):
        asked.request("GET", "/limits")
    assert server.requests["token"] == 2


def test_a_given_token_cannot_be_renewed(server: SalesforceServer) -> None:
    server.expire()
    with pytest.raises(DeliveryError, match="expired or is invalid; set a new access token"):
        api(server, "token-0", by="session").request("GET", "/limits")
    assert server.requests["token"] == 0


def test_a_refused_login_says_so_without_the_secret(server: SalesforceServer) -> None:
    with pytest.raises(DeliveryError, match=r"refuses the login \(invalid_client\)") as told:
        api(server, "wrong secret").request("GET", "/limits")
    assert "wrong secret" not in str(told.value)


def test_a_busy_login_is_tried_again_later(server: SalesforceServer) -> None:
    server.trouble = {"token": ["503"]}
    with pytest.raises(TransientError) as told:
        api(server).request("GET", "/limits")
    assert told.value.retry_after == 7.0


def test_netrc_does_not_replace_the_token(
    server: SalesforceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert api(server).request("GET", "/limits").json()


def test_a_jwt_is_signed_and_short_lived(server: SalesforceServer) -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    given = {"by": "jwt", "client_id": "csql", "username": "robot@example.com", "url": "https://login.salesforce.com"}
    login = Login(Salesforce.model_validate({"login": given}), pem, lambda url, form: None, lambda: 1_000.0)  # type: ignore[arg-type, return-value]
    header, claims, signature = login._assertion().split(".")
    private.public_key().verify(_decoded(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(_decoded(claims)) == {
        "iss": "csql",
        "sub": "robot@example.com",
        "aud": "https://login.salesforce.com",
        "exp": 1_150,
    }
    assert api(server, pem, by="jwt", username="robot@example.com").request("GET", "/limits").json()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_key_that_is_none_is_refused_without_showing_it(server: SalesforceServer) -> None:
    with pytest.raises(ConfigError, match="no private key in PEM") as told:
        api(server, "not a key", by="jwt", username="u").request("GET", "/limits")
    assert "not a key" not in str(told.value)


def test_a_token_does_not_show_itself() -> None:
    assert "abc" not in repr(Token("abc", "https://example.my.salesforce.com"))


def test_a_redirect_is_not_followed(server: SalesforceServer) -> None:
    asked = api(server)
    real = asked._web.request

    def moved(method: str, address: str, **given: Any) -> Any:
        found = real(method, address, **given)
        if address.endswith("/limits"):
            found.status_code, found.headers["Location"] = 302, "https://elsewhere.example.com/"
        return found

    asked._web.request = moved  # type: ignore[method-assign]
    with pytest.raises(DeliveryError, match="redirects elsewhere"):
        asked.request("GET", "/limits")


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"login": {"by": "session", "url": f"http://127.0.0.1:{port}"}, "instance_url": f"http://127.0.0.1:{port}"}
    with pytest.raises(TransientError) as told:
        Api(Salesforce.model_validate(given), "token").request("GET", "/limits")
    assert not told.value.uncertain, "nothing was sent"


# secrets and settings


def test_a_missing_secret_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CSQL_SALESFORCE_SECRET", raising=False)
    with pytest.raises(ConfigError, match=r"variable CSQL_SALESFORCE_SECRET, or delivery\.salesforce\.login\.s"):
        open_sink(settings(tmp_path, 1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"login": {"by": "jwt"}}, "needs client_id and username"),
        ({"login": {"by": "session"}}, "needs instance_url"),
        ({"instance_url": "http://example.com"}, "must begin with https://"),
        ({"login": {"url": "http://localhost.example.com"}}, "must begin with https://"),
        ({"key_field": "Key__c FROM User"}, "should match pattern"),
        ({"owners": {"AE-1": "00Q000000000001"}}, "should match pattern"),
        ({"bulk_from": 500}, "less than or equal to 201"),
    ],
)
def test_settings_that_cannot_be_meant(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Salesforce.model_validate(given)


# what answers mean


@pytest.mark.parametrize(
    ("status", "code", "kind", "uncertain"),
    [
        (429, "X", TransientError, False),
        (403, "REQUEST_LIMIT_EXCEEDED", TransientError, False),
        (503, "SERVER_UNAVAILABLE", TransientError, True),
        (500, "UNKNOWN_EXCEPTION", TransientError, True),
        (502, "X", TransientError, True),
        (400, "UNABLE_TO_LOCK_ROW", TransientError, True),
        (403, "INSUFFICIENT_ACCESS", DeliveryError, None),
        (401, "INVALID_SESSION_ID", DeliveryError, None),
        (404, "NOT_FOUND", RequestRefusedError, None),
        (400, "INVALID_FIELD", RequestRefusedError, None),
    ],
)
def test_requests_refused(status: int, code: str, kind: type[Exception], uncertain: bool | None) -> None:
    found = refusal(status, [{"errorCode": code, "message": "row value"}], None)
    assert type(found) is kind
    assert getattr(found, "uncertain", None) == uncertain
    assert "row value" not in str(found) or code in ("REQUEST_LIMIT_EXCEEDED", "UNABLE_TO_LOCK_ROW")


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--", "retry", "UNABLE_TO_LOCK_ROW: unable to"),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: UNABLE_TO_LOCK_ROW, x:--", "retry", "UNABLE_TO_LOCK_ROW"),
        ("REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --", "invalid", "(Company)"),
        ("STRING_TOO_LONG:Company: data value too large: Jane Doe:Company --", "invalid", "STRING_TOO_LONG (Company)"),
        ("CANNOT_UPDATE_CONVERTED_LEAD:cannot reference converted lead:--", "acknowledged", ""),
        ("a text that nobody expected: Jane Doe", "invalid", "UNKNOWN_ERROR"),
    ],
)
def test_rows_refused_by_a_bulk_job(text: str, status: str, said: str) -> None:
    result = refused_row(key(1), bulk_error(text), "CSQL_Key__c")
    assert result is not None
    assert result.status == status
    assert said in (result.error or "")
    assert "Jane" not in (result.error or "")


def test_a_key_that_is_there_is_no_error_of_the_row() -> None:
    error = bulk_error("DUPLICATE_VALUE:duplicate value found: CSQL_Key__c duplicates value on record with id: x:--")
    assert refused_row(key(1), error, "CSQL_Key__c") is None
    other = refused_row(key(1), bulk_error("DUPLICATE_VALUE:duplicate value found: Email:--"), "CSQL_Key__c")
    assert other is not None
    assert other.status == "invalid"
