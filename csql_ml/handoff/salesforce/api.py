"""Requests to one Salesforce instance: no retries but one login after the session expired, time-outs always.

A session of ``requests`` retries nothing by itself; nothing here changes that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from csql_ml.config.salesforce import Salesforce
from csql_ml.errors import DeliveryError
from csql_ml.handoff.http_answers import never_sent, retry_after
from csql_ml.handoff.salesforce.answers import refusal
from csql_ml.handoff.salesforce.login import Login, Token
from csql_ml.handoff.sink import TransientError

#: Seconds for a connection to come about.
_CONNECT = 10.0
_OK = (200, 201, 204)


@dataclass(frozen=True)
class Answer:
    """A successful answer; ``content`` is UTF-8."""

    content: bytes

    def json(self) -> Any:
        """The content as JSON.

        Raises
        ------
        TransientError
            It is none, as when a proxy answers in Salesforce's place.
        """
        try:
            return json.loads(self.content)
        except ValueError:
            raise TransientError("the answer is no JSON") from None

    def text(self) -> str:
        """The content as text; nothing is done to its line ends."""
        return self.content.decode("utf-8-sig", "replace")


class _Bearer(requests.auth.AuthBase):
    """Given as ``auth``, because a password in ~/.netrc would otherwise replace the header."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.value}"
        return request


class Api:
    """What is asked of an instance.

    Parameters
    ----------
    secret
        See `csql_ml.handoff.salesforce.login.Login`.

    Attributes
    ----------
    base
        What the paths below begin with.
    """

    def __init__(self, settings: Salesforce, secret: str) -> None:
        self._settings = settings
        self.base = f"/services/data/v{settings.api_version}"
        self._web = requests.Session()
        self._login = Login(settings, secret, self._post_form)
        self._token: Token | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: Any = None,
        csv: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for a path below ``/services/data/vXX.X``, or one that an answer named.

        Raises
        ------
        TransientError
            Nobody answered, or the answer was 429, 5xx or a limit that passes.
        RequestRefusedError
            400, 404 and the like.
        DeliveryError
            Login or permissions are refused.
        """
        body, kind = (csv, "text/csv; charset=UTF-8") if csv is not None else (_body(content), "application/json")
        sent = {"Accept": "*/*", **({"Content-Type": kind} if body is not None else {}), **(headers or {})}
        address = path if path.startswith("/services/") else self.base + path
        answer = self._authorised(method, address, params, body, sent)
        if answer.status_code in _OK:
            return Answer(answer.content)
        raise refusal(answer.status_code, _json(answer), retry_after(answer.headers))

    def _authorised(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None, headers: dict[str, str]
    ) -> requests.Response:
        """The answer; a session that expired is replaced once, because a 401 means that nothing was done."""
        for attempt in (1, 2):
            self._token = self._token or self._login.token()
            answer = self._send(
                method,
                self._token.instance + path,
                params=params,
                data=body,
                headers=headers,
                auth=_Bearer(self._token),
            )
            if answer.status_code != 401 or attempt == 2:
                break
            if not self._login.renewable:
                raise DeliveryError("the Salesforce session has expired or is invalid; set a new access token")
            self._token = None
        return answer

    def _post_form(self, address: str, form: dict[str, str]) -> requests.Response:
        return self._send("POST", address, data=form, auth=_nobody)

    def _send(self, method: str, address: str, **given: Any) -> requests.Response:
        """One request; redirects are not followed, for they could lead the token elsewhere."""
        try:
            answer = self._web.request(
                method, address, timeout=(_CONNECT, self._settings.timeout), allow_redirects=False, **given
            )
        except requests.exceptions.SSLError:
            raise DeliveryError("Salesforce cannot be reached safely: its certificate is not accepted") from None
        except requests.RequestException as error:
            raise TransientError(type(error).__name__, uncertain=not never_sent(error)) from None
        if answer.is_redirect:
            raise DeliveryError(
                f"{address.split('?')[0]} redirects elsewhere; set login.url or instance_url to the final address"
            )
        return answer


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that adds nothing, and keeps ~/.netrc out."""
    return request


def _body(content: Any) -> bytes | None:
    # A lone surrogate has no UTF-8; what cannot be said is shown as a question mark.
    return None if content is None else json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
