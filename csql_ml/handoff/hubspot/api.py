"""Requests to HubSpot's API: one try each, a time-out each, and the truth about what an answer means.

Requests go through the API client of hubspot-api-client (host, token, TLS, connection pool), but through none of its
models: those raise on nothing in a 207, and read back a batch of 100 at the price of 100 date parsers. Its own
``api_request`` is no way either: that one has no time-outs and prints network errors.

HubSpot's messages quote property values. They are never passed on: a reason is made of codes and property names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from csql_ml.errors import DeliveryError, MissingExtraError
from csql_ml.handoff.http_answers import retry_after
from csql_ml.handoff.sink import TransientError

Content = dict[str, Any]

#: Seconds until the next request has a chance, where a 429 does not say; a day's quota comes back at midnight.
_LIMITS = {"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0, "DAILY": 3600.0}
_UNKNOWN_LIMIT = 10.0
#: HubSpot asks for two seconds between requests to locked records.
_LOCKED, _LOCK_DELAY = 423, 2.0
#: An account on its way to another data centre.
_MOVING = 477
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,79}")
_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}")


class Refused(Exception):  # noqa: N818 - names what happened to the request
    """HubSpot understood a request and will not do it (a 4xx that no waiting or login cures)."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        self.error = error
        self.reason = f"HTTP {status} {reason(error)}".strip()
        super().__init__(self.reason)


@dataclass(frozen=True)
class Answer:
    """Status, JSON content and headers (names in lower case) of an answer."""

    status: int
    content: Content
    headers: Mapping[str, str] = field(default_factory=dict)


class HubSpotApi:
    """What this project asks of HubSpot's API.

    Parameters
    ----------
    host
        Without a slash at its end.
    connect_timeout, read_timeout
        Seconds.

    Raises
    ------
    MissingExtraError
        hubspot-api-client is not installed.
    """

    def __init__(self, host: str, token: str, connect_timeout: float, read_timeout: float) -> None:
        try:
            package = import_module("hubspot")
            self._exceptions = import_module("hubspot.crm.objects.exceptions")
        except ImportError as error:
            raise MissingExtraError("--to hubspot", "hubspot") from error
        self._network = import_module("urllib3.exceptions")
        self.host = host
        self._timeouts = (connect_timeout, read_timeout)
        # False switches off the retries that urllib3 makes by itself; None would leave three of them on.
        client = package.Client.create(access_token=token, host=host, retry=False)
        # Asked for once: every look at client.crm.objects makes a new pool of connections.
        self._client = client.crm.objects.batch_api.api_client

    def get(self, path: str, **query: str) -> Content:
        """The content under a path."""
        return self._question("GET", path, query, None)

    def ask(self, path: str, body: Content) -> Content:
        """The answer to a question that takes a body to ask."""
        return self._question("POST", path, {}, body)

    def order(self, path: str, body: Content) -> Content:
        """What became of an order.

        Raises
        ------
        Refused
            Nothing: HubSpot will not do it.
        """
        return self._call("POST", path, {}, body)

    def pages(self, path: str, **query: str) -> Iterator[Content]:
        """Results of a list, page after page."""
        while True:
            page = self.get(path, **query)
            yield from page.get("results", ())
            after = page.get("paging", {}).get("next", {}).get("after")
            if not after:
                return
            query = {**query, "after": str(after)}

    def _question(self, method: str, path: str, query: Mapping[str, str], body: Content | None) -> Content:
        try:
            return self._call(method, path, query, body)
        except Refused as refused:
            # No record is at fault for what only asks.
            raise DeliveryError(
                f"HubSpot refuses a question ({path}: {refused.reason}); check the names under delivery.hubspot"
            ) from refused

    def _call(self, method: str, path: str, query: Mapping[str, str], body: Content | None) -> Content:
        answer = self._answer(method, path, query, body)
        if 200 <= answer.status < 300:
            return answer.content
        raise self._problem(path, answer)

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: Content | None) -> Answer:
        try:
            raw = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["oauth2"],
                _preload_content=False,
                _request_timeout=self._timeouts,
            )
            return _read(path, raw.status, raw.data, raw.headers)
        except self._exceptions.ApiException as error:
            return _read(path, error.status, error.body, error.headers or {})
        except (AttributeError, UnicodeDecodeError) as error:
            # The client decodes the body of every failure, also where there is none (TLS) or one that is no text.
            raise self._undecodable(path, error) from error
        except self._network.HTTPError as error:
            before = isinstance(error, self._network.NewConnectionError | self._network.ConnectTimeoutError)
            raise TransientError(f"{path}: {type(error).__name__}", uncertain=not before) from error

    def _undecodable(self, path: str, error: Exception) -> Exception:
        cause = error.__context__
        if isinstance(cause, self._exceptions.ApiException) and not cause.status:
            return DeliveryError(
                f"no safe connection to {self.host} (TLS); check delivery.hubspot.host and this machine's certificates"
            )
        if isinstance(cause, self._exceptions.ApiException):
            return TransientError(f"{path}: HTTP {cause.status} with a body that is no text")
        return error

    def _problem(self, path: str, answer: Answer) -> Exception:
        """What a status other than success means for whoever asked."""
        status, error = answer.status, answer.content
        what = f"{path}: HTTP {status} {reason(error)}".strip()
        if status == 429:
            policy = str(error.get("policyName") or "")
            wait = retry_after(answer.headers) or _LIMITS.get(policy, _UNKNOWN_LIMIT)
            return TransientError(f"{path}: HTTP 429 {policy}".strip(), wait, uncertain=False)
        if status == _LOCKED:
            return TransientError(what, retry_after(answer.headers) or _LOCK_DELAY)
        if status >= 500 or status in (408, _MOVING):
            return TransientError(what, retry_after(answer.headers))
        if status == 401:
            return DeliveryError(
                f"HubSpot refuses the access token ({what}); make a new one in the private app's settings and put it "
                "where delivery.hubspot takes it from"
            )
        if status == 403:
            missing = ", ".join(missing_scopes(error)) or "the scopes that the documentation lists"
            return DeliveryError(f"the private app may not do this ({what}); give it {missing} in HubSpot")
        if status in (400, 404, 409):
            return Refused(status, error)
        return DeliveryError(f"HubSpot does not know the request ({what}); check delivery.hubspot.host and .object")


def _read(path: str, status: int, body: bytes | str | None, headers: Mapping[str, str]) -> Answer:
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        content = json.loads(body or b"{}")
    except ValueError as error:
        if 200 <= status < 300:
            raise TransientError(f"{path}: HTTP {status} with a body that is no JSON") from error
        content = {}
    if isinstance(content, dict):
        return Answer(status, content, lower)
    raise TransientError(f"{path}: HTTP {status} with a body that is no JSON object")


@contextmanager
def understood(path: str) -> Iterator[None]:
    """Reading an answer: one of an unexpected form is none, and leaves open what became of the request."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TransientError(f"{path}: an answer of an unexpected form ({type(error).__name__})") from error


def parts(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """An error and the details inside it."""
    yield error
    for detail in error.get("errors") or ():
        if isinstance(detail, Mapping):
            yield detail


def codes(error: Mapping[str, Any]) -> list[str]:
    """Machine-readable codes of an error, the general ones first, each once."""
    found = (part.get(name) for part in parts(error) for name in ("category", "subCategory", "code"))
    own = [c for c in found if isinstance(c, str) and _CODE.fullmatch(c)]
    return list(dict.fromkeys([*own, *(code for _, code in _invalid_properties(error) if code)]))


def reason(error: Mapping[str, Any]) -> str:
    """An error in codes and property names alone.

    Examples
    --------
    >>> reason({"category": "VALIDATION_ERROR", "message": "Ada Lovelace is not an option"})
    'VALIDATION_ERROR'
    """
    names = dict.fromkeys([*_named_properties(error), *(name for name, _ in _invalid_properties(error))])
    about = f" of {', '.join(names)}" if names else ""
    return f"{', '.join(codes(error))}{about}".strip()


def missing_scopes(error: Mapping[str, Any]) -> list[str]:
    """Scopes that a 403 names."""
    names = ("missingScopes", "requiredScopes", "requiredGranularScopes")
    contexts = [c for part in parts(error) if isinstance(c := part.get("context"), Mapping)]
    found = (scope for context in contexts for name in names for scope in context.get(name) or ())
    return list(dict.fromkeys(s for s in found if isinstance(s, str) and re.fullmatch(r"[a-z0-9_.-]{1,80}", s)))


def _named_properties(error: Mapping[str, Any]) -> Iterator[str]:
    for part in parts(error):
        context = part.get("context")
        if isinstance(context, Mapping):
            for name in ("propertyName", "properties"):
                yield from _property_names(context.get(name))


def _property_names(value: object) -> Iterator[str]:
    found: Iterable[object] = (value,) if isinstance(value, str) else value if isinstance(value, list) else ()
    yield from (n for n in found if isinstance(n, str) and _PROPERTY.fullmatch(n))


def _invalid_properties(error: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and codes out of messages of the form ``Property values were not valid: [{...}]``."""
    for part in parts(error):
        message = str(part.get("message") or "")
        start = message.find("[{")
        try:
            entries = json.JSONDecoder().raw_decode(message[start:])[0] if start >= 0 else ()
        except ValueError:
            continue
        for entry in entries:
            name, code = (str(entry.get(n) or "") for n in ("name", "error")) if isinstance(entry, dict) else ("", "")
            if _PROPERTY.fullmatch(name):
                yield name, code if _CODE.fullmatch(code) else ""
