"""Logging in: an access token and the address of the instance it is for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from csql_ml.config.salesforce import Salesforce
from csql_ml.errors import ConfigError, DeliveryError, MissingExtraError
from csql_ml.handoff.backoff import system_clock
from csql_ml.handoff.http_answers import retry_after
from csql_ml.handoff.salesforce.answers import refusal
from csql_ml.handoff.sink import TransientError

if TYPE_CHECKING:
    import requests

#: The assertion of a JWT login is good for at most three minutes from now.
_JWT_SECONDS = 150


@dataclass(frozen=True)
class Token:
    """An access token; `repr` does not show it."""

    value: str = field(repr=False)
    instance: str


class Login:
    """Makes tokens.

    Parameters
    ----------
    secret
        Client secret, private key (PEM) or access token, as ``settings.login.by`` says.
    post
        Sends a form to an address.
    now
        Seconds since 1970: a JWT says until when it is good.
    """

    def __init__(
        self,
        settings: Salesforce,
        secret: str,
        post: Callable[[str, dict[str, str]], requests.Response],
        now: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._post = post
        self._now = now or system_clock().now

    @property
    def renewable(self) -> bool:
        """Whether an expired token can be replaced."""
        return self._settings.login.by != "session"

    def token(self) -> Token:
        """A new token.

        Raises
        ------
        TransientError
            There was no answer.
        DeliveryError
            The login is refused.
        """
        settings = self._settings
        if settings.login.by == "session":
            return Token(self._secret, (settings.instance_url or "").rstrip("/"))
        address = f"{settings.login.url.rstrip('/')}/services/oauth2/token"
        answer = self._post(address, self._form())
        content = _json(answer)
        if answer.status_code != 200 or "access_token" not in content:
            raise self._refused(answer, content)
        instance = settings.instance_url or str(content.get("instance_url") or "")
        if urlsplit(instance).scheme != "https" and instance != settings.instance_url:
            raise DeliveryError("the login names no https address of an instance; set delivery.salesforce.instance_url")
        return Token(str(content["access_token"]), instance.rstrip("/"))

    def _form(self) -> dict[str, str]:
        login = self._settings.login
        if login.by == "jwt":
            grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
            return {"grant_type": grant, "assertion": self._assertion()}
        if not login.client_id:
            raise ConfigError("delivery.salesforce.login: client_id is missing")
        return {"grant_type": "client_credentials", "client_id": login.client_id, "client_secret": self._secret}

    def _assertion(self) -> str:
        """A JWT signed with RS256 (RFC 7523)."""
        login = self._settings.login
        claims = {
            "iss": login.client_id,
            "sub": login.username,
            "aud": login.audience or login.url.rstrip("/"),
            "exp": int(self._now()) + _JWT_SECONDS,
        }
        text = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims))
        return f"{text}.{_base64(_signature(self._secret, text.encode()))}"

    def _refused(self, answer: requests.Response, content: dict[str, Any]) -> Exception:
        if answer.status_code >= 500 or answer.status_code == 429:
            return refusal(answer.status_code, [], retry_after(answer.headers))
        code = str(content.get("error") or f"HTTP {answer.status_code}")
        if code == "invalid_grant" and "login rate exceeded" in str(content.get("error_description")):
            return TransientError("too many logins", 60.0, uncertain=False)
        return DeliveryError(
            f"Salesforce refuses the login ({code[:80]}); look at delivery.salesforce.login and at the connected app"
        )


def _signature(key: str, text: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise MissingExtraError("the JWT login of Salesforce", "salesforce") from error
    try:
        loaded = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        raise ConfigError("delivery.salesforce.login: the secret is no private key in PEM without a password") from None
    if not isinstance(loaded, RSAPrivateKey):
        raise ConfigError("delivery.salesforce.login: the private key must be an RSA key")
    return loaded.sign(text, padding.PKCS1v15(), hashes.SHA256())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
